"""Sets with a cheap projection: gradients and coordinates beside interior points, on dense data.

Run it by ``python -m benchmarks.quadratic_programs.simple_sets [--quick]``.
"""

import argparse

import numpy as np

from benchmarks.measure import race
from benchmarks.report import markdown, save

SIZES = (1000, 3000, 10_000)
# A run that takes longer than this is not repeated, and larger ones of its kind are left out.
LONG = 6.0


def losses(n, rng):
    """Least squares with a quarter of n samples, and risks: a few factors and little else, up to n = 3,000."""
    import sparseopt as so

    X = rng.standard_normal((n // 4, n))
    yield "least squares", so.LeastSquares(X, X[:, :10].sum(axis=1) + rng.standard_normal(len(X)))
    if n > 3000:
        return
    for kind, noise in (("risk of noisy assets", 0.1), ("risk of factors", 1e-4)):
        F = rng.standard_normal((n, 20))
        yield kind, so.Quadratic(F @ F.T / 20 + np.diag(noise * rng.random(n)), 0.1 * rng.standard_normal(n))


def rows_of(n, tol, rng, skipped):
    """One row for each loss, set and solver."""
    import sparseopt as so

    sets = {"box": so.Box(0.0, 10.0 / n), "simplex": so.Simplex(), "L1 ball": so.L1Ball(2.0)}
    for kind, loss in losses(n, rng):
        for name, constraint in sets.items():
            problem = so.Problem(loss, constraint=constraint)
            default = so.default_solver(problem)
            for solver in {repr(s): s for s in (default, so.ProximalGradient(), so.InteriorPoint())}.values():
                key = kind, name, type(solver).__name__, tol
                if solver.rejects(problem) or key in skipped:
                    continue
                found = so.solve(problem, solver, tol=tol)
                times = race({"": lambda: so.solve(problem, solver, tol=tol)}, 1 if found.seconds > LONG else 3)  # noqa: B023
                if min(times[""]) > LONG:
                    skipped.add(key)
                yield {
                    "n": n,
                    "loss": kind,
                    "set": name,
                    "tol": tol,
                    "solver": type(solver).__name__ + (", default" if solver is default else ""),
                    "status": found.status.name,
                    "iterations": found.iterations,
                    "relative gap": found.certificate.relative_gap,
                    "CPU s": min(times[""]),
                }


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quadratic_programs.simple_sets")
    parser.add_argument("--quick", action="store_true", help="small, saves nothing")
    options = parser.parse_args()
    rows, skipped = [], set()
    for tol in (1e-6, 1e-9):
        for n in (200,) if options.quick else SIZES:
            for row in rows_of(n, tol, np.random.default_rng(n), skipped):
                rows.append(row)
                print(markdown([row]).splitlines()[-1], flush=True)
    if not options.quick:
        save("quadratic_programs-simple_sets", {"simple sets": rows})


if __name__ == "__main__":
    main()
