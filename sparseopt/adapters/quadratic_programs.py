"""Quadratic programs as other libraries state them: equalities, one-sided inequalities and bounds apart."""

import numpy as np
from scipy import sparse

from sparseopt.constraints import Box, Constraint, Intersection, LinearConstraint
from sparseopt.losses import Quadratic
from sparseopt.problem import Problem
from sparseopt.solution import Status


def problem_of(P, q, *, equalities=(None, None), inequalities=(None, None), bounds=(None, None)) -> Problem:
    """Return minimise x'Px/2 + q'x subject to A x = b, G x <= h and lower <= x <= upper.

    Parameters
    ----------
    P : array or sparse matrix of shape (n, n)
        Its symmetric part counts, as it does for x'Px.
    q : array of shape (n,)
    equalities, inequalities : pairs (A, b) and (G, h)
        None where there are none.
    bounds : pair (lower, upper)
        Numbers or arrays of shape (n,); None where there are none.
    """
    (A, b), (G, h), (lower, upper) = equalities, inequalities, bounds
    parts: list[Constraint] = []
    if A is not None and A.shape[0]:
        parts.append(LinearConstraint(A, b, b))
    if G is not None and G.shape[0]:
        parts.append(LinearConstraint(G, np.asarray(-np.inf), h))
    if lower is not None or upper is not None:
        parts.append(
            Box(*(np.asarray(empty if side is None else side) for side, empty in ((lower, -np.inf), (upper, np.inf))))
        )
    constraint = None if not parts else parts[0] if len(parts) == 1 else Intersection(*parts)
    P = sparse.csc_array(P) if sparse.issparse(P) else np.asarray(P, dtype=np.float64)
    return Problem(Quadratic((P + P.T) / 2, q), constraint=constraint)


def multipliers_of(solution, n_equalities, n_inequalities):
    """Multipliers of equalities, inequalities and bounds of a solution of `problem_of`."""
    n = solution.w.size
    duals = solution.duals
    if duals is None:
        return np.zeros(n_equalities), np.zeros(n_inequalities), np.zeros(n)
    rows = np.asarray(duals.rows)
    # an inequality has an upper side only, so that a negative multiplier is rounding
    return rows[:n_equalities], np.maximum(rows[n_equalities:], 0.0), np.asarray(duals.box)


def is_solved(solution) -> bool:
    """Whether the solver met its tolerance."""
    return solution.status is Status.CONVERGED
