"""The lasso under linear rows: our working set and interior points beside what CVXPY's solvers make of it.

Run it by ``python -m benchmarks.quadratic_programs.constrained_lasso [--rows sum-to-zero] [--solver CLARABEL ...]``.

Error is the largest of the violation of the rows and of |objective - optimum| over the optimum, whose lower bound
ours has proven to 1e-12. CVXPY's solvers are asked for absolute and relative tolerances of the target first, and for
a hundredth of it where that does not reach it. Their time is that of `problem.solve`, what CVXPY itself takes included.
"""

import argparse
import time
import warnings

import numpy as np
from scipy import sparse

from benchmarks.measure import cpu_seconds
from benchmarks.report import markdown, save

LIMIT = 150.0


def data(n, p, kind):
    """X, y, rows A w = b (A w >= b for monotone coefficients), and the least alpha of an empty support without rows."""
    rng = np.random.default_rng(3)
    X = np.asfortranarray(rng.standard_normal((n, p)))
    w = np.zeros(p)
    on = rng.choice(p, 50, replace=False)
    w[on] = rng.standard_normal(50)
    if kind == "monotone":
        w = np.repeat([-0.1, 0.0, 0.05, 0.2], p // 4)
        A = sparse.diags_array([-np.ones(p - 1), np.ones(p - 1)], offsets=[0, 1], shape=(p - 1, p)).tocsc()
    elif kind == "sum-to-zero":
        w[on] -= w[on].mean()
        A = np.ones((1, p))
    else:
        A = rng.standard_normal((10, p))
    y = X @ w + np.linalg.norm(w) / 3 * rng.standard_normal(n)
    return X, y, A, np.zeros(p - 1) if kind == "monotone" else A @ w, float(np.max(np.abs(X.T @ y)) / n)


def settings(name, tol):
    """What users of a solver set for a tolerance."""
    both = {"eps_abs": tol, "eps_rel": tol}
    return {
        "CLARABEL": {"tol_gap_abs": tol, "tol_gap_rel": tol, "tol_feas": tol, "max_threads": 1, "time_limit": LIMIT},
        "OSQP": both | {"polishing": True, "max_iter": 50_000, "time_limit": LIMIT},
        "SCS": both | {"max_iters": 100_000, "time_limit_secs": LIMIT},
        "PIQP": both,
        "ECOS": {"abstol": tol, "reltol": tol, "feastol": tol},
    }[name]


def by_cvxpy(name, X, y, A, b, alpha, tol):
    """The call, which gives w."""
    import cvxpy

    def call():
        w = cvxpy.Variable(X.shape[1])
        value = cvxpy.sum_squares(X @ w - y) / (2 * y.size) + alpha * cvxpy.norm1(w)
        rows = cvxpy.diff(w) >= 0 if len(b) == w.size - 1 else A @ w == b
        problem = cvxpy.Problem(cvxpy.Minimize(value), [rows])
        try:
            problem.solve(solver=name, **settings(name, tol))
        except cvxpy.SolverError:
            return np.full(X.shape[1], np.nan)
        return np.full(X.shape[1], np.nan) if w.value is None else w.value

    return call


def rows_of(kind, n, p, part, targets, peers):
    """One row for each target and solver."""
    import sparseopt as so

    X, y, A, b, largest = data(n, p, kind)
    alpha = part * largest
    is_monotone = kind == "monotone"
    rows = so.LinearConstraint(A, b, np.inf if is_monotone else b)

    def ours(solver, tol):
        return so.solve(so.Problem(so.LeastSquares(X, y), so.L1(alpha), rows), solver, tol=tol)

    best = ours(None, 1e-12)
    solvers = [so.MonotoneWorkingSet()] if is_monotone else [so.ConstrainedWorkingSet(), so.InteriorPoint()]
    for solver in solvers:
        ours(solver, 1e-6)  # the first call compiles
    optimum = best.certificate.lower_bound

    def error(w):
        value = float(np.sum((X @ w - y) ** 2) / (2 * n) + alpha * np.abs(w).sum())
        excess = b - A @ w if is_monotone else np.abs(A @ w - b)
        return float(max(np.max(excess), abs(value - optimum) / optimum))

    for target in targets:
        for solver in solvers:
            times = [cpu_seconds(lambda: ours(solver, target)) for _ in range(3)]  # noqa: B023
            found = ours(solver, target)
            yield _row(kind, part, target, f"ours: {type(solver).__name__}", target, min(times), error(found.w))
        for name in peers:
            for tol in (target, target / 100):
                start = time.process_time()
                w = by_cvxpy(name, X, y, A, b, alpha, tol)()
                seconds = time.process_time() - start
                yield _row(kind, part, target, name, tol, seconds, error(w))
                if error(w) <= target or seconds > LIMIT:
                    break


def _row(kind, part, target, solver, tol, seconds, error):
    return {
        "rows": kind,
        "alpha / largest": part,
        "target": target,
        "solver": solver,
        "asked for": tol,
        "error": error,
        "reached": bool(error <= target),
        "CPU s": seconds,
    }


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quadratic_programs.constrained_lasso")
    parser.add_argument("--rows", nargs="+", default=["sum-to-zero", "ten rows"])
    parser.add_argument("--solver", nargs="*", default=["SCS", "CLARABEL", "OSQP", "PIQP", "ECOS"])
    parser.add_argument("--alpha", type=float, nargs="+", default=[0.1, 0.03])
    parser.add_argument("--target", type=float, nargs="+", default=[1e-6, 1e-9])
    parser.add_argument("--size", type=int, nargs=2, default=[1000, 5000])
    parser.add_argument("--name", default="quadratic_programs-constrained_lasso")
    parser.add_argument("--quick", action="store_true", help="small, saves nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    size, rows = (50, 200) if options.quick else options.size, []
    for kind in options.rows:
        for part in options.alpha:
            for row in rows_of(kind, *size, part, options.target, options.solver):
                rows.append(row)
                print(markdown([row]).splitlines()[-1], flush=True)
                if not options.quick:  # a peer may take longer than one has
                    save(options.name, {"constrained lasso": rows})


if __name__ == "__main__":
    main()
