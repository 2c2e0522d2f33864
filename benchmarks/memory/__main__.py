"""Peak memory of a solve over that of X, for each solver, in new processes.

Run it by ``python -m benchmarks.memory [--shapes NxP,...]``.
"""

import argparse

from benchmarks.measure import in_new_process
from benchmarks.report import markdown, save

GROWTH = "import sys; from benchmarks.memory.growth import main; main(*sys.argv[1:])"
SOLVERS = ("CoordinateDescent", "ProximalGradient", "HardThresholding")


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Peak memory of a solve.")
    parser.add_argument("--shapes", default="2000x5000,4000x10000", help="rows x columns of X, comma-separated")
    options = parser.parse_args()
    rows = []
    for shape in options.shapes.split(","):
        n, p = shape.split("x")
        for solver in SOLVERS:
            for loss in ("LeastSquares", "Logistic"):
                for intercept in (False, True):
                    found = in_new_process(GROWTH, solver, loss, intercept, n, p)
                    rows.append({
                        "solver": solver, "loss": loss, "intercept": intercept, "X": shape,
                        "X MB": found["X"] / 1e6, "growth % of X": 100 * found["growth"] / found["X"], "status": found["status"],
                    })  # fmt: skip
                    print(markdown(rows).splitlines()[-1], flush=True)
    save("memory", {"growth of the peak": rows})


if __name__ == "__main__":
    main()
