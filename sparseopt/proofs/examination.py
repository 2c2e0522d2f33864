"""What a problem with a prox says of a point: its objective, the slope of the loss, and the best bound by duality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.conjugates import convex_form, penalty_value, sample_slopes
from sparseopt.constraints import L1Ball
from sparseopt.forms import SeparableForm
from sparseopt.losses import LeastSquares, Quadratic, SampleLoss
from sparseopt.losses.base import kept
from sparseopt.losses.samples import remembered, slope_at_zero
from sparseopt.penalties import Ridged, Zero
from sparseopt.problem import Problem, is_priced
from sparseopt.proofs.duality import ROUNDING, dual_bound
from sparseopt.proofs.lasso_bound import examine_lasso

# Part of the objective that a point as good as optimal may be above it.
NEXT_TO_NOTHING = 1e-9
# Part of the product of their lengths that two orthogonal vectors may seem to have in common.
_ROUNDED = 1e-14
# Slopes in the middle of a ball that are so small a part of those at zero are times its radius what a bound lacks.
_LOOSE = 1e-6


@dataclass(frozen=True, eq=False)
class Examination:
    """What a problem with a prox says of a point: objective, slope of the loss, best bound by duality, maybe `stationarity`."""

    objective: float
    slope: np.ndarray
    bound: float
    distance: float | None = None


def examine(problem, w):
    """The examination of a float64 point from the data; that of the last one is kept, since a run ends where it was proven."""
    return remembered(problem, "_examination", w, lambda w: examine_once(problem, w))


def examine_once(problem, w):
    """The examination of a point that is looked at once."""
    if type(problem.loss) is LeastSquares and problem.proximal is not None:
        form = convex_form(problem.proximal, w.size)
        if type(form) is SeparableForm and form.is_plain and not form.can_stick:
            objective, slope, bound, distance = examine_lasso(problem.loss, form.a, w, ROUNDING)
            if distance * np.abs(w).sum() <= NEXT_TO_NOTHING * objective < objective - bound:
                # a strength below the rounding of the slopes scales every bound to nothing: that of the loss alone is left
                bound = max(bound, dual_bound(Problem(problem.loss, Zero()), w, slope))
            return Examination(objective, slope, max(-np.inf, bound), distance)
    slope = np.asarray(problem.loss.gradient(w), dtype=np.float64)
    objective = problem.loss.evaluate(w) + penalty_value(problem.penalty, w)
    bound = dual_bound(problem, w, slope)
    is_open = objective - bound > NEXT_TO_NOTHING * objective
    if is_open and (_is_loose(problem, w, slope) or _are_rounding(problem, w, slope)):
        # where the slopes are rounding, a strength below them scales every bound to nothing, too
        bound = max(bound, dual_bound(Problem(problem.loss, Zero()), w, slope))
    # in this order of the two, a bound that is no number is none
    return Examination(objective, slope, max(-np.inf, bound))


def _is_loose(problem, w, slope):
    """Whether a point is in the middle of an L1 ball, and nearly a minimum of the loss: the ball may as well be none."""
    ball = problem.constraint
    if not isinstance(ball, L1Ball) or not np.sum(np.abs(w)) < ball.radius:
        return False
    return bool(np.max(np.abs(slope)) <= _LOOSE * np.max(np.abs(slope_at_zero(problem.loss))))


def _are_rounding(problem, w, slope):
    """Whether the slopes of a loss on samples, beside a norm, are no more than the rounding of the sums they are."""
    loss, term = problem.loss, problem.proximal
    form = None if term is None else convex_form(term, w.size)
    if not isinstance(loss, SampleLoss) or form is None or not form.is_homogeneous:
        return False
    weights = np.asarray(loss.sample_weight.values, dtype=np.float64)
    v, sizes = sample_slopes(loss, w), np.abs(slope)
    unit, steepest = _ROUNDED * np.sqrt(float(np.sum(weights * v * v))), float(np.max(sizes, initial=0.0))
    # mostly the steepest column says no, and no other is read
    column = loss.X.columns_as_rows(np.argmax(sizes, keepdims=True))[0]
    if not steepest <= unit * np.sqrt(float(np.sum(weights * column * column))):
        return False
    return steepest <= unit * np.sqrt(float(np.max(loss.X.weighted_squares(loss.sample_weight.values))))


def objective_at_zero(problem):
    """The objective at w = 0, computed once."""
    return kept(problem, "_objective_at_zero", lambda: problem.loss.value_at_zero() + _penalty_at_zero(problem))


def size_at_zero(problem):
    """Size of the objective at w = 0; of a quadratic, which is zero there, the most that one coefficient takes off.

    Where none takes off anything by itself, it is the price of a nonzero.
    """
    if not isinstance(problem.loss, Quadratic):
        return abs(objective_at_zero(problem))
    bends, slopes = problem.loss.curvatures(), problem.loss.c.astype(np.float64)
    gains = np.divide(slopes * slopes, 2.0 * bends, out=np.zeros(slopes.size), where=bends > 0.0)
    most = float(np.maximum.reduce(gains, initial=0.0))
    if most == 0.0 and is_priced(problem.penalty):
        priced = problem.penalty.penalty if isinstance(problem.penalty, Ridged) else problem.penalty
        most = float(priced.alpha)
    return max(abs(objective_at_zero(problem)), most)


def _penalty_at_zero(problem):
    form = None if problem.proximal is None else convex_form(problem.proximal, problem.n_features)
    if form is not None and (form.is_homogeneous or (type(form) is SeparableForm and form.holds_zero)):
        return 0.0
    return penalty_value(problem.penalty, np.zeros(problem.n_features))
