"""Peak memory of a solve over that of X, for each solver, in new processes.

Run it by ``python -m benchmarks.memory [--shapes NxP,...]``.
"""

import argparse

from benchmarks.measure import in_new_process
from benchmarks.report import markdown, save

GROWTH = "import sys; from benchmarks.memory.growth import main; main(*sys.argv[1:])"
DENSE, CSC = "dense", "CSC"
#: Solver, loss, penalty, storage, and whether there is an intercept.
CASES = [
    *(
        (solver, loss, "L1", DENSE, intercept)
        for solver in ("CoordinateDescent", "ProximalGradient", "HardThresholding")
        for loss in ("LeastSquares", "Logistic")
        for intercept in (False, True)
    ),
    *(
        (solver, loss, penalty, storage, intercept)
        for solver, loss, penalty in (
            ("WorkingSet", "LeastSquares", "L1"),
            ("WorkingSet", "LeastSquares", "MCP"),
            ("ProxNewton", "Logistic", "L1"),
            ("BlockDescent", "LeastSquares", "GroupLasso"),
            ("BlockDescent", "Logistic", "GroupLasso"),
        )
        for storage in (DENSE, CSC)
        for intercept in (False, True)
    ),
    *(
        (solver, loss, penalty, storage, False)
        for solver, loss, penalty in (
            ("RowDescent", "MultiResponse", "GroupLasso of rows"),
            ("CoupledNewton", "Cox", "L1"),
            ("CoupledNewton", "Multinomial", "L1"),
            ("SlopeWorkingSet", "LeastSquares", "SLOPE"),
        )
        for storage in (DENSE, CSC)
    ),
    ("ProximalGradient", "LeastSquares", "L1", CSC, False),
    ("CoordinateDescent", "LeastSquares", "L1", CSC, False),
    ("Splitting", "LeastSquares", "TrendFiltering", DENSE, False),
]
# Its factor is a matrix of features by features: it is for few of them.
TALL = {"Splitting": ("20000x200",)}


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Peak memory of a solve.")
    parser.add_argument("--shapes", default="2000x5000,4000x10000", help="rows x columns of X, comma-separated")
    parser.add_argument("--only", default="", help="only cases that contain this text; nothing is saved then")
    options = parser.parse_args()
    rows = []
    for case in (case for case in CASES if options.only in " ".join(map(str, case))):
        for shape in TALL.get(case[0], options.shapes.split(",")):
            try:
                found = in_new_process(GROWTH, *case, *shape.split("x"))
            except RuntimeError as failure:
                found = {"X": None, "growth": None, "status": str(failure).splitlines()[-1]}
            is_measured = found["X"] is not None
            rows.append({
                **dict(zip(("solver", "loss", "penalty", "storage", "intercept"), case, strict=True)), "shape": shape,
                "X MB": found["X"] / 1e6 if is_measured else None,
                "growth % of X": 100 * found["growth"] / found["X"] if is_measured else None, "status": found["status"],
            })  # fmt: skip
            print(markdown(rows).splitlines()[-1], flush=True)
    if not options.only:
        save("memory", {"growth of the peak": rows})


if __name__ == "__main__":
    main()
