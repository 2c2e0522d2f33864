"""Problems with linear rows as their proofs read them: rows, bounds, and the L1 and ridge terms beside a smooth loss.

    minimise f(w) + sum_j alpha_j |w_j| + ridge_j w_j**2 / 2
    subject to lower <= w <= upper and row_lower <= A w <= row_upper

Multipliers of rows and bounds are positive where the upper side pulls. Nothing here is shared with a solver.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box, Intersection, LinearConstraint, Simplex
from sparseopt.losses.base import kept


@dataclass(frozen=True, eq=False)
class Form:
    """The parts of the problem in the module's notation."""

    alpha: np.ndarray
    ridge: np.ndarray
    A: np.ndarray | sparse.csc_array
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def form_of(problem):
    """The parts of the problem, read once."""
    return kept(problem, "_rows_and_bounds", lambda: _read(problem))


def _read(problem):
    p = problem.n_features
    separable = convex_form(problem.penalty, p)
    rows, bounds = [], [(separable.lower, separable.upper)]
    parts = problem.constraint.parts if isinstance(problem.constraint, Intersection) else (problem.constraint,)
    for part in parts:
        match part:
            case LinearConstraint():
                rows.append((part.A, part.lower, part.upper))
            case Simplex():
                rows.append((np.ones((1, p)), np.array([part.total]), np.array([part.total])))
                bounds.append((np.zeros(p), np.full(p, np.inf)))
            case Box():
                bounds.append(part.bounds(p))
    A, row_lower, row_upper = rows[0] if len(rows) == 1 else _stacked(rows, p)
    lower, upper = bounds[0]
    for low, high in bounds[1:]:
        lower, upper = np.maximum(lower, low), np.minimum(upper, high)
    return Form(separable.a, separable.b, A, row_lower, row_upper, lower, upper)


def _stacked(rows, p):
    """Several groups of rows, or none, as one."""
    if not rows:
        return np.zeros((0, p)), np.zeros(0), np.zeros(0)
    matrices, lower, upper = zip(*rows, strict=True)
    if any(sparse.issparse(A) for A in matrices):
        A = sparse.csc_array(sparse.vstack([sparse.csr_array(A) for A in matrices]))
    else:
        A = np.vstack(matrices)
    return A, np.concatenate(lower), np.concatenate(upper)


def is_polyhedron(constraint):
    """Whether a constraint is made of linear rows and bounds."""
    match constraint:
        case None | Box() | Simplex() | LinearConstraint():
            return True
        case Intersection():
            return all(is_polyhedron(part) for part in constraint.parts)
    return False


def pulling(multipliers, lower, upper):
    """Multipliers without those that pull on an infinite side."""
    return np.where(np.isfinite(np.where(multipliers > 0, upper, lower)), multipliers, 0.0)


def support(multipliers, lower, upper):
    """Largest multipliers . z over lower <= z <= upper."""
    used = multipliers.nonzero()[0]
    multipliers = multipliers[used]
    return float(multipliers @ np.where(multipliers > 0, upper[used], lower[used]))


def largest(vector):
    """Largest size of an entry; zero of none."""
    return float(np.max(np.abs(vector), initial=0.0))
