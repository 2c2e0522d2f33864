"""qpsolvers: our solvers of quadratic programs by the name "sparseopt".

>>> from sparseopt.adapters.qpsolvers import register
>>> register()
>>> import numpy as np, qpsolvers
>>> qpsolvers.solve_qp(np.eye(2), np.array([-2.0, 1.0]), lb=np.zeros(2), solver="sparseopt")
array([2., 0.])
"""

from __future__ import annotations

import time

import numpy as np
import qpsolvers
from qpsolvers.solvers import solve_function

from sparseopt.adapters.quadratic_programs import is_solved, multipliers_of, problem_of
from sparseopt.choice import has_few_sides
from sparseopt.solve import solve
from sparseopt.solvers.interior_point import InteriorPoint

NAME = "sparseopt"


def register() -> None:
    """Make `qpsolvers.solve_qp(..., solver="sparseopt")` and `solve_problem` run our solvers; may be called again."""
    solve_function[NAME] = solve_problem
    for names in (qpsolvers.available_solvers, qpsolvers.dense_solvers, qpsolvers.sparse_solvers):
        if NAME not in names:
            names.append(NAME)


def solve_problem(
    problem, initvals=None, verbose=False, *, solver=None, tol=1e-9, max_iter=None, time_limit=np.inf
) -> qpsolvers.Solution:
    """Solve a problem of qpsolvers.

    Parameters
    ----------
    problem : qpsolvers.Problem
    initvals : array of shape (n,), optional
        Start, for solvers that use one.
    verbose : bool, default False
        Show progress on stderr.
    solver : Solver, optional
        By default `ActiveSet()` for a dense program of few rows and coefficients, and `InteriorPoint()` for others.
    tol : float, default 1e-9
        Largest absolute residual, which is what qpsolvers measures.
    max_iter, time_limit
        As in `sparseopt.solve`.

    Returns
    -------
    qpsolvers.Solution
        With `found` where the tolerance was met; `extras["solution"]` is ours, whose certificate holds
        the ray of a problem without a solution.
    """
    start = time.perf_counter()
    P, q, G, h, A, b, lower, upper = problem.unpack()
    ours = problem_of(P, q, equalities=(A, b), inequalities=(G, h), bounds=(lower, upper))
    built = time.perf_counter()
    solution = solve(
        ours, solver or _default(ours), initvals, tol=tol, max_iter=max_iter, time_limit=time_limit, progress=verbose
    )
    y, z, z_box = multipliers_of(solution, 0 if b is None else len(b), 0 if h is None else len(h))
    return qpsolvers.Solution(
        problem,
        extras={"solution": solution},
        found=is_solved(solution),
        obj=solution.certificate.objective,
        x=solution.w,
        y=y,
        z=z,
        z_box=np.zeros(0) if lower is None and upper is None else z_box,
        build_time=built - start,
        solve_time=time.perf_counter() - built,
    )


def _default(problem):
    """The solver of a problem of qpsolvers: `solve` chooses among few rows, where all its choices have multipliers of bounds."""
    return None if has_few_sides(problem) else InteriorPoint()
