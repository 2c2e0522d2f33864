"""Lower bounds under linear rows by their multipliers, for any loss and penalty whose conjugates are known.

For `Quadratic` and `LeastSquares` with a separable penalty `kkt` knows more; here are groups, sorted and fused norms, and
other losses.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.curvature import least_curvature
from sparseopt.forms import SeparableForm
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.programs.constraint_rows import ConstraintRows, bounds_of
from sparseopt.proofs.duality import RowPull, bound_under_rows
from sparseopt.proofs.rows_and_bounds import is_polyhedron, pulling


def multiplier_bound(problem, w, duals, objective) -> float:
    """The lower bound that multipliers of the rows prove, at most the objective at w; -inf where none is known here."""
    loss, form = problem.loss, _form(problem)
    if form is None or not is_polyhedron(problem.constraint) or not loss.is_compiled:
        return -np.inf
    if isinstance(loss, LeastSquares | Quadratic) and isinstance(form, SeparableForm):
        return -np.inf
    if isinstance(loss, Quadratic) and least_curvature(loss) < 0.0:
        return -np.inf
    slope = np.asarray(loss.gradient(w), dtype=np.float64)
    pull = _pull(problem, w, np.asarray(duals.rows, dtype=np.float64))
    bound = bound_under_rows(loss, form, w, slope, pull)
    # a bound above the objective of a point that violates a row is none of its gap; one that is no number is none
    return max(-np.inf, min(objective, bound))


def _form(problem):
    """The convex form of penalty and box together; None where there is none."""
    form = convex_form(problem.penalty, problem.n_features)
    lower, upper = bounds_of(problem)
    if isinstance(form, SeparableForm):
        return replace(form, lower=np.maximum(form.lower, lower), upper=np.minimum(form.upper, upper))
    is_free = bool(np.all(np.isinf(lower)) and np.all(np.isinf(upper)))
    return form if is_free else None


def _pull(problem, w, y):
    rows = ConstraintRows.of(problem)
    values = rows.values(w)
    lower, upper = rows.sides(values)
    y = pulling(y, lower, upper)
    used = y != 0.0
    parts = y[used] * np.where(y[used] > 0.0, upper[used], lower[used])
    slope = np.asarray(rows.jacobian(w, values).T @ y, dtype=np.float64)
    return RowPull(slope, float(np.sum(parts)), float(np.sum(np.abs(parts)) + np.abs(slope) @ np.abs(w)))
