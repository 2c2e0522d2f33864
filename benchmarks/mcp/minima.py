"""Whose minima are lower: `python -m benchmarks.mcp.minima`.

Ours and both orders of skglm from zero, to one thousandth of the tolerance of the races, over designs and strengths.
The table has a row a problem, and the last lines count: nobody promises the lowest minimum of such a penalty.
"""

import argparse
import time

import numpy as np
import sparseopt
from skglm.datafits import Quadratic
from skglm.penalties import MCPenalty
from skglm.solvers import AndersonCD

from benchmarks.data import correlated, noisy, real, signal, standardized
from benchmarks.mcp.objective import GAMMA, Objective
from benchmarks.report import markdown

SHAPES = ((200, 500), (500, 1000), (500, 2000), (1000, 2000))
CORRELATIONS = (0.5, 0.9)
LEVELS = (5, 10, 20, 30, 50)
LARGE = ((1000, 5000, 0.5), (1000, 5000, 0.95))
SOURCES = (("diabetes", 3), ("breast_cancer", 2), ("digits", 2))
TOLERANCE = 1e-7


def designs(seeds):
    """Names, X and y: small designs for each seed, the suite's large ones and real data."""
    shapes = [(n, p, rho, seed) for n, p in SHAPES for rho in CORRELATIONS for seed in range(1, seeds + 1)]
    for n, p, rho, seed in (*shapes, *((*shape, 0) for shape in LARGE)):
        rng = np.random.default_rng(seed)
        X = correlated(n, p, rho, rng)
        yield f"{n} x {p}, rho {rho}, seed {seed}", standardized(X), noisy(signal(X, 50, rng), rng)
    for source, degree in SOURCES:
        X, y = real(source, degree)
        yield f"{source}, degree {degree}", X, 2.0 * (y == 8) - 1.0 if source == "digits" else y


def ours(problem):
    """The coefficients of `solve`, from zero."""
    model = sparseopt.Problem(
        sparseopt.LeastSquares(problem["X"], problem["y"]), sparseopt.MCP(problem["alpha"], GAMMA)
    )
    return sparseopt.solve(model, tol=TOLERANCE * problem["alpha"] / problem["alpha_max"]).w


def theirs(problem, order):
    """The coefficients of skglm's working sets in one of their orders, from zero."""
    solver = AndersonCD(max_iter=200, tol=TOLERANCE * problem["alpha"], fit_intercept=False, ws_strategy=order)
    return solver.solve(problem["X"], problem["y"], Quadratic(), MCPenalty(problem["alpha"], GAMMA))[0]


def compared(name, X, y, over):
    """One row: objectives relative to the better one of skglm's, and CPU seconds."""
    objective = Objective.get_instance(alpha_max_over=over)
    objective.set_data(X=X, y=y)
    problem = objective.get_objective()
    row, values = {"dataset": name, "alpha": f"max / {over}"}, {}
    for solver, fit in (
        ("ours", ours),
        ("fixpoint", lambda problem: theirs(problem, "fixpoint")),
        ("subdiff", lambda problem: theirs(problem, "subdiff")),
    ):
        start = time.process_time()
        w = fit(problem)
        row[f"{solver} s"] = time.process_time() - start
        values[solver] = objective.evaluate_result(w)
    row["ours above fixpoint"] = values["ours"]["value"] / values["fixpoint"]["value"] - 1.0
    row["ours above subdiff"] = values["ours"]["value"] / values["subdiff"]["value"] - 1.0
    row["stationarity"] = values["ours"]["stationarity"]
    return row


def main():
    """Print the table and the counts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mcp.minima", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the small designs (default 3)")
    parser.add_argument("--dataset", default="", metavar="TEXT", help="datasets whose name contains this")
    options = parser.parse_args()
    rows = []
    for name, X, y in designs(options.seeds):
        if options.dataset in name:
            rows += [compared(name, X, y, over) for over in LEVELS]
    print(markdown(rows))
    for rival in ("fixpoint", "subdiff"):
        above = np.array([row[f"ours above {rival}"] for row in rows])
        print(
            f"{rival}: ours is higher by more than 1e-9 in {np.count_nonzero(above > 1e-9)} of {above.size}, "
            f"lower in {np.count_nonzero(above < -1e-9)}; mean {np.mean(above):+.2%}, "
            f"from {np.min(above):+.2%} to {np.max(above):+.2%}"
        )


if __name__ == "__main__":
    main()
