"""Imports, and first solves with an empty and with a filled cache, each in a new process.

Run it by ``python -m benchmarks.latency [--rounds N] [--only TEXT]``.
"""

import argparse
import tempfile
from statistics import median

from benchmarks.measure import in_new_process
from benchmarks.report import markdown, save

IMPORTS = ("sparseopt", "skglm", "celer", "sklearn.linear_model", "copt")
# What every one of these libraries loads is loaded before the clock starts.
IMPORT = """
import sys, time, json, importlib
import numpy, scipy.sparse, numba
start = time.process_time()
importlib.import_module(sys.argv[1])
print(json.dumps(time.process_time() - start))
"""
FIRST = "import sys; from benchmarks.latency.first_solve import main; main(*sys.argv[1:])"
DENSE, SINGLE, CSC = "dense float64", "dense float32", "CSC float64"
CASES = [
    *(
        ("sparseopt", solver, "LeastSquares", "L1", storage)
        for solver in ("CoordinateDescent", "ProximalGradient")
        for storage in (DENSE, SINGLE, CSC)
    ),
    *(
        ("sparseopt", solver, "Logistic", "L1", storage)
        for solver in ("CoordinateDescent", "ProximalGradient")
        for storage in (DENSE, CSC)
    ),
    *(
        ("sparseopt", "CoordinateDescent", f"{loss} + intercept", "L1", storage)
        for loss in ("LeastSquares", "Logistic")
        for storage in (DENSE, CSC)
    ),
    *(
        ("sparseopt", "CoordinateDescent", "LeastSquares", penalty, DENSE)
        for penalty in ("L0", "MCP", "SCAD", "Ridged(L1)", "Weighted(L1)", "Nonnegative(L1)")
    ),
    ("sparseopt", "CoordinateDescent", "Huber", "MCP", DENSE),
    ("sparseopt", "ProximalGradient", "LeastSquares", "Simplex", DENSE),
    ("sparseopt", "HardThresholding", "LeastSquares", "Cardinality", DENSE),
    ("sparseopt", "HardThresholding", "Logistic", "Cardinality", DENSE),
    ("skglm", "AndersonCD", "LeastSquares", "L1", DENSE),
    ("skglm", "AndersonCD", "LeastSquares", "L1", CSC),
    ("skglm", "AndersonCD", "LeastSquares", "MCP", DENSE),
    ("skglm", "FISTA", "LeastSquares", "L1", DENSE),
    ("skglm", "ProxNewton", "Logistic", "L1", DENSE),
    ("scikit-learn", "", "LeastSquares", "L1", DENSE),
    ("numba", "sum of an array", "", "", ""),
]


def imports(rounds):
    """CPU seconds that an import adds to those of numpy, scipy.sparse and numba."""
    return [{"module": name, "CPU s": median(in_new_process(IMPORT, name) for _ in range(rounds))} for name in IMPORTS]


def first_solves(case, rounds):
    """Cold and warm first calls of one case: the cold one fills the cache that the warm ones read."""
    with tempfile.TemporaryDirectory() as caches:
        cold = in_new_process(FIRST, *case, caches=caches)
        warm = [in_new_process(FIRST, *case, caches=caches) for _ in range(rounds)]
    return dict(zip(("library", "solver", "loss", "penalty", "storage"), case, strict=True)) | {
        "cold first s": cold["first"],
        "warm first s": median(run["first"] for run in warm),
        "warm first - second s": median(run["first"] - run["second"] for run in warm),
        "later ms": 1e3 * min(run["later"] for run in warm),
    }


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description="First calls in new processes.")
    parser.add_argument("--rounds", type=int, default=5, help="processes for each figure (default 5)")
    parser.add_argument("--only", default="", help="only cases that contain this text; nothing is saved then")
    options = parser.parse_args()
    chosen = [case for case in CASES if options.only in " ".join(case)]
    firsts = []
    for case in chosen:
        firsts.append(first_solves(case, options.rounds))
        print(markdown(firsts).splitlines()[-1], flush=True)
    if options.only:
        return
    tables = {"import after numpy, scipy.sparse and numba": imports(options.rounds), "first solves": firsts}
    print(markdown(next(iter(tables.values()))))
    save("latency", tables)


if __name__ == "__main__":
    main()
