"""What weights of the losses prove of a worst case: the mean of the losses is never above the worst one.

For weights lambda in the simplex

    min over w of max over g of L_g(w) + penalty(w)  >=  min over w of sum_g lambda_g L_g(w) + penalty(w)

and the right side is a problem with one loss, which duality bounds from any point. Everything is computed from the data,
the point and the weights; where these are not given they are found from the point, by nonnegative least squares on the
conditions of optimality.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box
from sparseopt.forms import SeparableForm
from sparseopt.problem import Problem, parts_of, without_price

# Of the row that makes weights sum to one, relative to the others.
_HEAVY = 1e4


def mixed(problem, weights):
    """The problem with the mean of the losses in place of the worst one, and what baselines take off its objective."""
    loss = problem.loss
    return Problem(loss.mixture(weights), problem.penalty, problem.constraint), float(weights @ loss.baselines)


def bound_by_weights(problem, w, weights, dual_bound):
    """The bound that some weights prove, from the point w; -inf where none is known."""
    weights = np.maximum(np.asarray(weights, dtype=np.float64), 0.0)
    weights = weights / weights.sum()
    inner, shift = mixed(problem, weights)
    slope = np.asarray(inner.loss.gradient(w), dtype=np.float64)
    size = float(weights @ np.abs(problem.loss.baselines))
    return dual_bound(inner, w, slope) - shift - 1e-15 * size


def distance_by_weights(problem, w, weights):
    """Distance of the mean slope to the slopes of the penalty, on the support where one is chosen."""
    form = form_of(problem)
    if form is None:
        return np.nan
    loss = problem.loss
    slope = loss.slopes(w, loss.intercept_at(w)) @ weights
    distance = form.subgradient_distance(w, slope)
    if problem.chooses_support:
        distance = distance[w != 0.0]
    return float(np.max(distance, initial=0.0))


def weights_at(problem, w):
    """Weights of the losses that come nearest to proving w optimal, on its support where one is chosen."""
    loss, form = problem.loss, form_of(problem)
    b = loss.intercept_at(w)
    slopes, values = loss.slopes(w, b), loss.values(w)
    if form is None:
        return np.eye(values.size)[np.argmax(values)]
    # what the penalty pulls with, where that is one number; elsewhere it may be anything in a range
    is_bound = (w <= form.lower) | (w >= form.upper)
    is_exact = ~is_bound & ((w != 0.0) | (form.a == 0.0))
    if problem.chooses_support:
        is_exact &= w != 0.0
    rows = slopes[is_exact]
    target = -(form.a * np.sign(w) + form.b * w)[is_exact]
    if loss.intercept:
        pull = loss.per_loss(loss.derivatives(loss.stack.A @ w + b)[1])
        rows, target = np.vstack([rows, pull]), np.append(target, 0.0)
    scale = max(float(np.max(np.abs(rows), initial=0.0)), float(np.max(np.abs(target), initial=0.0)), 1e-300)
    lack = (np.max(values) - values) / max(np.max(np.abs(values)), 1e-300)
    matrix = np.vstack([rows / scale, np.diag(lack), np.full(values.size, _HEAVY)])
    right = np.concatenate([target / scale, np.zeros(values.size), [_HEAVY]])
    weights = scipy.optimize.nnls(matrix, right)[0]
    return weights / weights.sum() if weights.sum() > 0.0 else np.eye(values.size)[np.argmax(values)]


def form_of(problem):
    """The convex form of the penalty within the box, on nonzeros where these have a price; None where it has none."""
    form = convex_form(without_price(problem.penalty), problem.n_features)
    if not isinstance(form, SeparableForm):
        return None
    for part in parts_of(problem.constraint):
        if isinstance(part, Box):
            lower, upper = part.bounds(problem.n_features)
            form = replace(form, lower=np.maximum(form.lower, lower), upper=np.minimum(form.upper, upper))
    return form
