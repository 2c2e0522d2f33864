"""What can be said of a point of a problem whose functions may be anything: residuals of first order, and no bound.

    minimise f(w) + g(w)   subject to   lower <= c(w) <= upper,  w in a box,  perhaps at most k nonzeros

With multipliers y of the rows, positive where the upper side pulls, w is stationary where -(f'(w) + c'(w)'y) is a slope
of g and of the box at w, w satisfies the constraint, and y_i is zero or w is at the side that y_i pulls to. For a
problem that is not convex a minimiser need not be better than others like it, and a stationary point need not be one.
Nothing here is shared with a solver but the question when to stop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Cardinality, Duals, LinearConstraint, NonlinearConstraint, Simplex
from sparseopt.forms import SeparableForm
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.penalties import Penalty
from sparseopt.problem import is_priced, parts_of, without_price
from sparseopt.programs.constraint_rows import ConstraintRows, bounds_of, joined
from sparseopt.proofs.multipliers import balanced_multipliers

# Length of the prox step, over the size of w, that measures slopes of penalties whose formulas are not known here.
_SHORT = 1e-7
# Within this of a side a row is taken to be at it, where multipliers are to be found from w.
_ACTIVITY = 1e-6


@dataclass(frozen=True, eq=False)
class FirstOrder:
    """Residuals of first order at a point with multipliers."""

    stationarity: float
    complementarity: float
    duals: Duals


def covers(problem) -> bool:
    """Whether only first order is known of the problem: it has a function of the user's, or a support under rows."""
    parts = parts_of(problem.constraint)
    if not problem.loss.is_compiled or any(isinstance(part, NonlinearConstraint) for part in parts):
        return True
    # of quadratics the tree of a branch and bound knows more
    has_rows = any(isinstance(part, LinearConstraint | Simplex) for part in parts)
    return has_rows and problem.chooses_support and not isinstance(problem.loss, LeastSquares | Quadratic)


def first_order(problem, w, duals=None) -> FirstOrder:
    """Residuals at w; multipliers are found by least squares on what is active where none are given."""
    rows = ConstraintRows.of(problem)
    values = rows.values(w)
    lower, upper = rows.sides(values)
    J, c = rows.jacobian(w, values), joined(values)
    slope = np.asarray(problem.loss.gradient(w), dtype=np.float64)
    y = _recovered(problem, w, slope, J, (c, lower, upper)) if duals is None else np.asarray(duals.rows)
    # a multiplier that pulls to an infinite side is none
    y = np.where(np.isfinite(np.where(y > 0.0, upper, lower)), y, 0.0)
    total = slope + J.T @ y
    slack = np.where(y > 0.0, np.abs(upper - c), np.where(y < 0.0, np.abs(c - lower), 0.0))
    return FirstOrder(
        stationarity=float(np.max(slope_distance(problem, w, total), initial=0.0)),
        complementarity=float(np.max(np.minimum(np.abs(y), slack), initial=0.0)),
        duals=Duals(y, bound_pulls(problem, w, total)),
    )


def slope_distance(problem, w, slope):
    """Distance of -slope to the slopes of penalty, box and count of nonzeros at w, for each coefficient.

    Where nonzeros are priced, or k of them are counted and there, a coefficient at zero has every slope. For penalties
    whose formula is not known it is the length of a proximal step over its own length, which is short.
    """
    lower, upper = bounds_of(problem)
    penalty = problem.penalty
    form = convex_form(without_price(penalty), w.size)
    if isinstance(form, SeparableForm):
        form = replace(form, lower=np.maximum(form.lower, lower), upper=np.minimum(form.upper, upper))
        distance = form.subgradient_distance(w, slope)
    else:
        distance = _prox_distance(problem, w, slope, lower, upper)
    counts = [part.k for part in parts_of(problem.constraint) if isinstance(part, Cardinality)]
    if is_priced(penalty) or any(np.count_nonzero(w) >= k for k in counts):
        return np.where(w == 0.0, 0.0, distance)
    return distance


def _prox_distance(problem, w, slope, lower, upper):
    term = problem.penalty if isinstance(problem.penalty, Penalty) or problem.proximal is None else problem.proximal
    step = short_step(w, slope)
    nearest, v = np.empty_like(w), w - step * slope
    if isinstance(term, Penalty):
        for j in range(w.size):
            nearest[j] = term.prox_at(j, v[j], step)
    else:
        term.private(w.size).prox_into(v, step, nearest)
    return np.abs(w - np.clip(nearest, lower, upper)) / step


def short_step(w, slope):
    """A proximal step so short that its length over the step is a distance of slopes."""
    size = max(1.0, float(np.max(np.abs(w), initial=0.0)))
    return _SHORT * size / max(1.0, float(np.max(np.abs(slope), initial=0.0)))


def bound_pulls(problem, w, total):
    """Multipliers of the box and of the penalty's own bounds: what the penalty leaves of the slope where w is at one."""
    lower, upper = bounds_of(problem)
    form = convex_form(without_price(problem.penalty), w.size)
    if isinstance(form, SeparableForm):
        lower, upper = np.maximum(form.lower, lower), np.minimum(form.upper, upper)
    if not (np.any(np.isfinite(lower)) or np.any(np.isfinite(upper))):
        return np.zeros_like(w)
    if not isinstance(form, SeparableForm):
        return np.where((w <= lower) | (w >= upper), -total, 0.0)
    rest = -total - form.b * w
    rest = rest - np.where(w == 0.0, np.clip(rest, -form.a, form.a), form.a * np.sign(w))
    return np.where(w <= lower, np.minimum(rest, 0.0), 0.0) + np.where(w >= upper, np.maximum(rest, 0.0), 0.0)


def _recovered(problem, w, slope, J, sides):
    """Multipliers of w: those of active rows that balance the slope best, by least squares."""
    c, lower, upper = sides
    with np.errstate(invalid="ignore"):
        at_upper = c >= upper - _ACTIVITY * np.maximum(1.0, np.abs(upper))
        at_lower = c <= lower + _ACTIVITY * np.maximum(1.0, np.abs(lower))
    y = np.zeros(c.size)
    active = np.flatnonzero(at_upper | at_lower)
    if active.size:
        least, most = np.where(at_lower[active], -np.inf, 0.0), np.where(at_upper[active], np.inf, 0.0)
        y[active] = balanced_multipliers(J[active].T, *_absorbed(problem, w, slope), (least, most))
    return y


def _absorbed(problem, w, slope):
    """The slope with that of the penalty, and least and largest pull that penalty, box and count take up by themselves."""
    lower, upper = bounds_of(problem)
    form = convex_form(without_price(problem.penalty), w.size)
    alpha = form.a if isinstance(form, SeparableForm) else np.zeros(w.size)
    curved = form.b * w if isinstance(form, SeparableForm) else 0.0
    is_zero = w == 0.0
    least, most = np.where(is_zero, -alpha, np.sign(w) * alpha), np.where(is_zero, alpha, np.sign(w) * alpha)
    counted = is_priced(problem.penalty) or any(isinstance(part, Cardinality) for part in parts_of(problem.constraint))
    least = np.where((w <= lower) | (is_zero & counted), -np.inf, least)
    most = np.where((w >= upper) | (is_zero & counted), np.inf, most)
    return slope + curved, (least, most)
