"""Whether anything satisfies the constraints of a program, asked without its objective, which may fall for ever where nothing does.

Iterates then follow the objective to where rounding is larger than what rows lack, and say nothing of these any more.
"""

import numpy as np
from scipy import sparse

from sparseopt.constraints import Box, Intersection, LinearConstraint
from sparseopt.losses import Quadratic
from sparseopt.problem import Problem
from sparseopt.solution import Status

# Iterations after which nothing more is expected.
_LIMIT = 200


def judge_by_constraints(solver, state, d, tol, n_features):
    """Set the status of a program whose objective falls for ever along d, in pieces, where its constraints alone have a solution or none."""
    whole = state.presolved.whole
    p, m = whole.q.size, whole.row_lower.size
    Q = sparse.csc_array((p, p)) if whole.is_sparse else np.zeros((p, p))
    rows = (LinearConstraint(whole.A, whole.row_lower, whole.row_upper),) if m else ()
    problem = Problem(Quadratic(Q, np.zeros(p)), constraint=Intersection(*rows, Box(whole.lower, whole.upper)))
    inner = solver.init(problem, np.zeros(p))
    while inner.status is None and inner.iterations < _LIMIT:
        inner.is_final, inner.tolerance = True, tol
        inner = solver.step(problem, inner, tol, _LIMIT - inner.iterations)
        yield
    if inner.status is Status.CONVERGED:
        state.status, state.ray = Status.UNBOUNDED, state.presolved.descending(d)[:n_features]
    elif inner.status is Status.INFEASIBLE:
        state.status, state.ray = Status.INFEASIBLE, inner.ray[: m + n_features]
