"""CVXPY: our solvers for its quadratic programs, and our convex problems as its problems.

problem.solve(solver=SPARSEOPT())          # an instance: CVXPY finds names of its own solvers only
as_cvxpy(Problem(LeastSquares(X, y), L1(0.1), rows)).solve()
"""

from __future__ import annotations

import cvxpy
import cvxpy.settings as s
import numpy as np
from cvxpy.reductions.solution import Solution, failure_solution
from cvxpy.reductions.solvers import utilities
from cvxpy.reductions.solvers.qp_solvers.qp_solver import QpSolver

from sparseopt.adapters.quadratic_programs import multipliers_of, problem_of
from sparseopt.conjugates import convex_form
from sparseopt.constraints import Intersection, L1Ball
from sparseopt.forms import SeparableForm
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.problem import parts_of
from sparseopt.solution import Status
from sparseopt.solve import solve
from sparseopt.solvers.interior_point import InteriorPoint
from sparseopt.solvers.quadratic.quadratic_program import linear_terms

_STATUSES = {
    Status.CONVERGED: s.OPTIMAL,
    Status.STALLED: s.OPTIMAL_INACCURATE,
    Status.INFEASIBLE: s.INFEASIBLE,
    Status.UNBOUNDED: s.UNBOUNDED,
    Status.ITERATION_LIMIT: s.USER_LIMIT,
    Status.TIME_LIMIT: s.USER_LIMIT,
}


class SPARSEOPT(QpSolver):
    """Quadratic programs of CVXPY by `sparseopt.solve`.

    Options of `problem.solve` that are handed on: `tol` (1e-9 by default: largest absolute residual),
    `max_iter`, `time_limit`. `problem.solver_stats.extra_stats` is our `Solution`; its certificate
    holds the ray of a problem that has no solution.

    Parameters
    ----------
    solver : Solver, default InteriorPoint()
    """

    MIP_CAPABLE = False
    BOUNDED_VARIABLES = True
    REQUIRES_CONSTR = False

    def __init__(self, solver=None):
        self.solver = solver or InteriorPoint()

    def name(self):
        """Name in CVXPY's messages."""
        return "SPARSEOPT"

    def import_solver(self):
        """Nothing is left to import."""

    def cite(self, _data):
        """Return how to cite the solver."""
        return "sparseopt: sparse solutions with a certificate."

    def solve_via_data(self, data, warm_start, verbose, solver_opts, solver_cache=None):
        """Solve what CVXPY made of a problem; the last solution is the start where `warm_start` is asked for."""
        options = {"tol": 1e-9} | solver_opts
        if unknown := options.keys() - {"tol", "max_iter", "time_limit"}:
            raise ValueError(f"unknown option {min(unknown)!r}; give tol, max_iter or time_limit.")
        problem = problem_of(
            data[s.P],
            data[s.Q],
            equalities=(data[s.A], data[s.B]),
            inequalities=(data[s.F], data[s.G]),
            bounds=(data[s.LOWER_BOUNDS], data[s.UPPER_BOUNDS]),
        )
        last = None if solver_cache is None or not warm_start else solver_cache.get(self.name())
        start = last.w if last is not None and last.w.size == problem.n_features else None
        solution = solve(problem, self.solver, start, progress=verbose, **options)
        if solver_cache is not None:
            solver_cache[self.name()] = solution
        return solution

    def invert(self, solution, inverse_data):
        """Return our solution as CVXPY's."""
        attributes = {
            s.NUM_ITERS: solution.iterations,
            s.SOLVE_TIME: solution.seconds,
            s.EXTRA_STATS: solution,
        }
        status = _STATUSES.get(solution.status, s.SOLVER_ERROR)
        if status not in s.SOLUTION_PRESENT:
            return failure_solution(status, attributes)
        dims = inverse_data[self.DIMS]
        y, z, _ = multipliers_of(solution, dims.zero, dims.nonneg)
        duals = utilities.get_dual_values(y, utilities.extract_dual_value, inverse_data[self.EQ_CONSTR])
        duals |= utilities.get_dual_values(z, utilities.extract_dual_value, inverse_data[self.NEQ_CONSTR])
        value = solution.certificate.objective + inverse_data[s.OFFSET]
        return Solution(status, value, {inverse_data[self.VAR_ID]: solution.w}, duals, attributes)


def as_cvxpy(problem):
    """Return a convex problem of ours as one of CVXPY: the same, by somebody else's hand.

    Takes `LeastSquares` and `Quadratic` with penalties a|w| + b w^2/2 within bounds (Zero, L1,
    weighted, nonnegative, ridged) under linear rows, boxes, simplices and L1 balls. The variable of the
    coefficients is named "w", that of an intercept "intercept".
    """
    loss, p = problem.loss, problem.n_features
    form = convex_form(problem.penalty, p)
    if not isinstance(loss, LeastSquares | Quadratic) or not isinstance(form, SeparableForm):
        raise TypeError(
            f"{type(loss).__name__} with {type(problem.penalty).__name__} is not translated; "
            "give LeastSquares or Quadratic with Zero or L1 and rules on them."
        )
    w = cvxpy.Variable(p, name="w")
    if isinstance(loss, Quadratic):
        objective = cvxpy.quad_form(w, cvxpy.psd_wrap(loss.Q.matrix)) / 2 + loss.c @ w
    else:
        fitted = loss.X.matrix @ w
        if loss.intercept:
            fitted = fitted + cvxpy.Variable(name="intercept")
        root = np.sqrt(np.broadcast_to(loss.sample_weight.values, loss.X.shape[0]))
        objective = cvxpy.sum_squares(cvxpy.multiply(root, fitted - loss.target)) / 2
    objective = objective + cvxpy.norm1(cvxpy.multiply(form.a, w)) + cvxpy.sum_squares(
        cvxpy.multiply(np.sqrt(form.b), w)
    ) / 2  # fmt: skip
    balls = [part for part in parts_of(problem.constraint) if isinstance(part, L1Ball)]
    rest = Intersection(*(part for part in parts_of(problem.constraint) if not isinstance(part, L1Ball)))
    A, row_lower, row_upper, lower, upper = linear_terms(rest, p)
    sides = [cvxpy.norm1(w) <= ball.radius for ball in balls]
    sides += _sides(A, w, row_lower, row_upper)
    sides += _sides(None, w, np.maximum(lower, form.lower), np.minimum(upper, form.upper))
    return cvxpy.Problem(cvxpy.Minimize(objective), sides)


def _sides(A, w, lower, upper):
    """Equalities and inequalities of A w, or of w itself; sides at infinity are left out."""
    same = lower == upper
    found = []
    for rows, relation in (
        (same, lambda value, at: value == lower[at]),
        (np.isfinite(lower) & ~same, lambda value, at: value >= lower[at]),
        (np.isfinite(upper) & ~same, lambda value, at: value <= upper[at]),
    ):
        at = np.flatnonzero(rows)
        if at.size:
            found.append(relation(w[at] if A is None else A[at] @ w, at))
    return found
