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
#: Solver, loss, penalty and the storages of X.
OURS = [
    ("WorkingSet", "LeastSquares", "L1", (DENSE, SINGLE, CSC)),
    ("WorkingSet", "LeastSquares + intercept", "L1", (DENSE, CSC)),
    ("WorkingSet", "LeastSquares", "MCP", (DENSE, CSC)),
    ("WorkingSet", "LeastSquares", "SCAD", (DENSE,)),
    ("WorkingSet", "LeastSquares", "Ridged(L1)", (DENSE,)),
    ("WorkingSet", "LeastSquares", "Nonnegative(L1)", (DENSE,)),
    ("path", "LeastSquares", "L1", (DENSE, CSC)),
    ("ProxNewton", "Logistic", "L1", (DENSE, SINGLE, CSC)),
    ("ProxNewton", "Logistic + intercept", "L1", (DENSE, CSC)),
    ("ProxNewton", "Logistic", "MCP", (DENSE,)),
    ("ProxNewton", "Huber", "L1", (DENSE,)),
    ("ProxNewton", "Poisson", "L1", (DENSE, CSC)),
    ("path", "Logistic", "L1", (DENSE,)),
    ("BlockDescent", "LeastSquares", "GroupLasso", (DENSE, CSC)),
    ("BlockDescent", "Logistic", "GroupLasso", (DENSE, CSC)),
    ("RowDescent", "MultiResponse", "GroupLasso of rows", (DENSE, CSC)),
    ("RowDescent", "MultiResponse", "L1", (DENSE,)),
    ("CoupledNewton", "Cox", "L1", (DENSE, CSC)),
    ("CoupledNewton", "Multinomial", "L1", (DENSE, CSC)),
    ("CoupledNewton", "Multinomial", "GroupLasso of rows", (DENSE,)),
    ("SlopeWorkingSet", "LeastSquares", "SLOPE", (DENSE, CSC)),
    ("Splitting", "LeastSquares", "TrendFiltering", (DENSE, CSC)),
    # FISTA
    ("ProximalGradient", "LeastSquares", "L1", (DENSE, SINGLE, CSC)),
    ("ProximalGradient", "Logistic", "L1", (DENSE, CSC)),
    ("ProximalGradient", "LeastSquares", "Simplex", (DENSE,)),
    ("CoordinateDescent", "LeastSquares", "L1", (DENSE, SINGLE, CSC)),
    ("CoordinateDescent", "LeastSquares + intercept", "L1", (DENSE, CSC)),
    ("CoordinateDescent", "LeastSquares", "L0", (DENSE,)),
    ("CoordinateDescent", "LeastSquares", "Weighted(L1)", (DENSE,)),
    ("CoordinateDescent", "Logistic", "L1", (DENSE, CSC)),
    ("CoordinateDescent", "Huber", "MCP", (DENSE,)),
    ("HardThresholding", "LeastSquares", "Cardinality", (DENSE,)),
    ("HardThresholding", "Logistic", "Cardinality", (DENSE,)),
    ("LocalSearch", "LeastSquares", "Cardinality", (DENSE, CSC)),
    ("LocalSearch", "Logistic", "Cardinality", (DENSE,)),
    ("BranchAndBound", "LeastSquares", "Cardinality", (DENSE,)),
    ("BranchAndBound", "Logistic", "Ridged(L0)", (DENSE,)),
    ("ActiveSet", "Quadratic", "rows and box", (DENSE,)),
    ("InteriorPoint", "Quadratic", "rows and box", (DENSE, CSC)),
    ("OperatorSplitting", "Quadratic", "rows and box", (DENSE, CSC)),
    ("ConstrainedWorkingSet", "LeastSquares", "L1, rows", (DENSE, CSC)),
]
BACK_END = (
    "sparseopt",
    "InteriorPoint, OperatorSplitting, ActiveSet",
    "Quadratic",
    "rows and box",
    f"{DENSE} and {CSC}",
)
CASES = [
    *(("sparseopt", *combination, storage) for *combination, storages in OURS for storage in storages),
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


def slowest(firsts):
    """Of each figure the slowest of our combinations."""
    rows = [row for row in firsts if row["library"] == "sparseopt"]
    found = []
    for figure in ("cold first s", "warm first s", "warm first - second s"):
        worst = max(rows, key=lambda row: row[figure])
        combination = ", ".join(worst[part] for part in ("solver", "loss", "penalty", "storage"))
        found.append({"figure": figure, "largest": worst[figure], "of": combination, "combinations": len(rows)})
    return found


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description="First calls in new processes.")
    parser.add_argument("--rounds", type=int, default=5, help="processes for each figure (default 5)")
    parser.add_argument("--only", default="", help="only cases that contain this text; nothing is saved then")
    parser.add_argument(
        "--quick", action="store_true", help="one process a figure, our combinations alone, nothing saved"
    )
    options = parser.parse_args()
    chosen = [case for case in CASES if options.only in " ".join(case)]
    if options.quick:
        options.rounds, chosen = 1, [case for case in chosen if case[0] == "sparseopt"]
    firsts = []
    for case in chosen:
        firsts.append(first_solves(case, options.rounds))
        print(markdown(firsts).splitlines()[-1], flush=True)
    if options.only or options.quick:
        return
    tables = {
        "import after numpy, scipy.sparse and numba": imports(options.rounds),
        "slowest of ours": slowest(firsts),
        "a whole back-end": [first_solves(BACK_END, options.rounds)],
        "first solves": firsts,
    }
    print(markdown(tables["import after numpy, scipy.sparse and numba"]))
    print(markdown(tables["slowest of ours"]))
    save("latency", tables)


if __name__ == "__main__":
    main()
