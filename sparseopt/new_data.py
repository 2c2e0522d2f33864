"""The same quadratic program with other vectors, under the names of `DataSlopes`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box, Intersection, LinearConstraint
from sparseopt.inputs import as_targets
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.losses.base import rebuilt
from sparseopt.penalties import L1, Weighted, Zero
from sparseopt.problem import Problem
from sparseopt.solvers.quadratic.quadratic_program import linear_terms

_SIDES = ("row_lower", "row_upper", "lower", "upper")


def with_data(problem, **data):
    """The problem with some of its vectors replaced; `alpha` may also be a number."""
    p, loss, penalty, constraint = problem.n_features, problem.loss, problem.penalty, problem.constraint
    if "linear" in data:
        if not isinstance(loss, Quadratic):
            raise TypeError(f"{type(loss).__name__} has no linear term to give; give targets.")
        loss = rebuilt(loss, c=as_targets(data["linear"], p, loss.dtype, "linear"))
    if "targets" in data:
        if not isinstance(loss, LeastSquares):
            raise TypeError(f"{type(loss).__name__} has no targets to give; give linear.")
        loss = replace(loss, y=data["targets"])
    if "alpha" in data:
        if not isinstance(penalty, Zero | L1 | Weighted) or not _is_plain(penalty, p):
            raise TypeError(f"{type(penalty).__name__} is more than an L1 term; alpha is given to L1 and Weighted(L1).")
        alpha = np.asarray(data["alpha"], dtype=np.float64)
        penalty = L1(float(alpha)) if alpha.ndim == 0 else Weighted(L1(1.0), alpha)
    if data.keys() & set(_SIDES):
        A, *sides = linear_terms(constraint, p)
        row_lower, row_upper, lower, upper = (data.get(name, side) for name, side in zip(_SIDES, sides, strict=True))
        constraint = Intersection(LinearConstraint(A, row_lower, row_upper), Box(lower, upper))
    return Problem(loss, penalty, constraint)


def _is_plain(penalty, p):
    form = convex_form(penalty, p)
    return form is not None and form.is_plain
