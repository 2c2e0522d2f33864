"""How far a point is from a stationary one, for convex and other penalties, and where nonzeros are counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box, Cardinality, Intersection, LinearConstraint
from sparseopt.forms import SeparableForm
from sparseopt.kernels.gram import fixed_point_distances
from sparseopt.losses import Quadratic
from sparseopt.penalties import BlockPenalty, Penalty, concavity
from sparseopt.problem import Problem, is_priced, parts_of, without_price
from sparseopt.programs.row_subsets import RowSubset
from sparseopt.proofs import kkt
from sparseopt.proofs.multipliers import recover_duals


def stationarity(problem, w, slope):
    """Distance of w to a stationary point, in the units of the slope of f, which is given.

    For a convex form it is the distance of -f'(w) to the subdifferential of g. Otherwise it is
    L |w - prox(w - f'(w) / L, 1 / L)| with L the curvature in each coefficient: a fixed point of
    coordinate descent (of a gradient step, where the term ties coefficients together, or groups of them). Where nonzeros are
    counted, it is that distance on the support; and for at most k of them it is, off the support, what a
    step of size 1/L would gain entry (Beck and Eldar, 2013).
    """
    if problem.chooses_support and problem.proximal is None:
        return _sparse_stationarity(problem, w, slope)
    term = problem.proximal
    form = None if term is None else convex_form(term, w.size)
    distance = None if form is None else form.subgradient_distance(w, slope)
    if distance is not None:
        return float(np.maximum.reduce(distance, initial=0.0))
    limits = np.finfo(np.float64)
    curvatures = np.maximum(np.asarray(problem.loss.curvatures_near(w), dtype=np.float64), limits.tiny)
    if isinstance(term, BlockPenalty):
        # where the curvature exceeds the concavity, all steps up to 1/L have the same fixed points: L may be the sum of the
        # curvatures, which is at least the largest in any direction, and that takes many products with X
        is_bent = float(np.max(curvatures, initial=0.0)) > concavity(term.penalty)
        curvature = max(float(np.sum(curvatures)) if is_bent else problem.loss.lipschitz_near(w), limits.tiny)
        nearest = term.prox(w - slope / curvature, 1.0 / curvature)
        return float(curvature * np.max(np.abs(w - nearest), initial=0.0))
    if not isinstance(term, Penalty):
        # a linear loss has none, and its slope over next to nothing is no number
        least = max(limits.tiny, limits.eps * float(np.max(np.abs(slope), initial=0.0)))
        curvature, nearest = max(problem.loss.lipschitz_near(w), least), np.empty_like(w)
        term.private(w.size).prox_into(w - slope / curvature, 1.0 / curvature, nearest)
        return float(curvature * np.max(np.abs(w - nearest), initial=0.0))
    moved = np.empty(w.size)
    fixed_point_distances(term, w, slope, curvatures, moved)
    return float(np.max(moved, initial=0.0))


def _sparse_stationarity(problem, w, slope):
    if RowSubset.has_rows(problem):
        return _row_stationarity(problem, w, slope)
    form = _form_of_nonzeros(problem, w.size)
    if not isinstance(form, SeparableForm):
        return np.nan
    on = w != 0.0
    distance = form.subgradient_distance(w, slope)
    if not isinstance(problem.constraint, Cardinality) or is_priced(problem.penalty):
        return float(np.max(distance[on], initial=0.0))
    if np.count_nonzero(on) < problem.constraint.k:
        return float(np.max(distance, initial=0.0))
    inside, outside = float(np.max(distance[on], initial=0.0)), float(np.max(distance[~on], initial=0.0))
    smallest, ridge = float(np.min(np.abs(w[on]), initial=np.inf)), float(np.max(form.b, initial=0.0))
    # the largest curvature, which takes many products with X, is at least that of any one coefficient
    if outside <= (float(np.max(problem.loss.curvatures_near(w), initial=0.0)) + ridge) * smallest:
        return inside
    curvature = max(problem.loss.lipschitz_near(w) + ridge, np.finfo(np.float64).tiny)
    return max(inside, outside - curvature * smallest, 0.0)


def _row_stationarity(problem, w, slope):
    """The residual of the optimality conditions on the support of w, under the rows and bounds there."""
    subset, on = RowSubset.of(problem), np.flatnonzero(w)
    if isinstance(subset, str):
        return np.nan
    lower, upper = subset.lower[on], subset.upper[on]
    if on.size == 0 or np.any(lower > upper):
        return 0.0 if on.size == 0 else np.nan
    rows = LinearConstraint(subset.A[:, on], subset.row_lower, subset.row_upper)
    # a linear loss has the slope at w everywhere
    there = Problem(
        Quadratic(np.zeros((on.size, on.size)), slope[on]),
        without_price(problem.penalty),
        Intersection(rows, Box(lower, upper)),
    )
    return kkt.kkt_residuals(there, w[on], recover_duals(there, w[on])).dual


def _form_of_nonzeros(problem, p):
    """The convex form of the penalty on nonzero coefficients, whose price does not vary, within the box."""
    form = convex_form(without_price(problem.penalty), p)
    for part in parts_of(problem.constraint):
        if isinstance(part, Box) and isinstance(form, SeparableForm):
            lower, upper = part.bounds(p)
            form = replace(form, lower=np.maximum(form.lower, lower), upper=np.minimum(form.upper, upper))
    return form
