"""What weights of the losses prove of a worst case: the mean of the losses is never above the worst one.

For weights lambda in the simplex

    min over w of max over g of L_g(w) + penalty(w)  >=  min over w of sum_g lambda_g L_g(w) + penalty(w)

and the right side is a problem with one loss, which duality bounds from any point. Of `Perturbed` least squares it is the
length rho(w) + sum_j radius_j |w_j| that is bounded: with u_g a vector of weighted length 1 or less in group g, the residuals
have the norm u_g.r_g at least, so that

    max over g of rho_g(w) + c.|w|  >=  mu.y - X'mu.w + c.|w|,    mu_i = lambda_g s_i u_i

where the part in w is zero at least if |X'mu| <= c. Everything is computed from the data, the point and the weights; where
these are not given they are found from the point, by nonnegative least squares on the conditions of optimality.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box
from sparseopt.forms import SeparableForm
from sparseopt.losses import Perturbed
from sparseopt.penalties import Zero
from sparseopt.problem import Problem, parts_of, without_price

# Of the row that makes weights sum to one, relative to the others.
_HEAVY = 1e4
_ROUNDING = 1e-14
# Of the largest coefficient.
_NEARLY = 1e-6


def bound_by_weights(problem, w, weights, dual_bound):
    """The bound that some weights prove, from the point w; -inf where none is known."""
    weights = np.maximum(np.asarray(weights, dtype=np.float64), 0.0)
    weights = weights / weights.sum()
    if isinstance(problem.loss, Perturbed):
        return max(length_bound(problem.loss, form_of(problem), w, weights), 0.0) ** 2 / 2.0
    loss = problem.loss
    inner = Problem(loss.mixture(weights), problem.penalty, problem.constraint)
    slope = np.asarray(inner.loss.gradient(w), dtype=np.float64)
    size = float(weights @ np.abs(loss.baselines))
    return dual_bound(inner, w, slope) - float(weights @ loss.baselines) - 1e-15 * size


def length_bound(loss, form, w, weights):
    """A lower bound of rho + sum of radius_j |w_j| for `Perturbed` least squares, from the residuals at w."""
    stack, starts = loss.loss.stack, loss.loss.stack.starts
    y = stack.y - stack.offset
    b, mass = loss.intercept_at(w), stack.weights * np.repeat(weights, np.diff(starts))
    u = y - stack.A @ w - b
    sizes = np.sqrt(np.add.reduceat(stack.weights * u * u, starts[:-1]))
    u = u / np.repeat(np.where(sizes > 0.0, sizes, 1.0), np.diff(starts))
    least, largest = form.slope_range
    fixed = np.flatnonzero((least == 0.0) & (largest == 0.0))
    if fixed.size or loss.intercept:
        # what no radius and no bound holds must not pull at all
        A = stack.A[:, fixed]
        A = A.toarray() if scipy.sparse.issparse(A) else A
        A = np.column_stack([A, np.ones(len(u))]) if loss.intercept else A
        root = np.sqrt(mass)
        for _ in range(2):  # the second time takes off the rounding of the first
            u = u - A @ np.linalg.lstsq(root[:, None] * A, root * u, rcond=None)[0]
    sizes = np.sqrt(np.add.reduceat(stack.weights * u * u, starts[:-1]))
    u = u / max(1.0, float(np.max(sizes[weights > 0.0])) * (1.0 + _ROUNDING))
    mu = mass * u
    t = stack.A.T @ mu
    t[fixed] = 0.0
    if form.stuck(t) is not None:
        return 0.0
    scale = form.largest_scale(t)
    taken = form.conjugate_near(scale * t)
    size = float(np.abs(mu) @ np.abs(y))
    return scale * float(mu @ y) - taken - _ROUNDING * (size + abs(taken))


def distance_by_weights(problem, w, weights):
    """Distance of the mean slope to the slopes of the penalty, on the support where one is chosen."""
    form = form_of(problem)
    if form is None:
        return np.nan
    _, slopes, _, unit = _losses_at(problem.loss, w)
    distance = unit * form.subgradient_distance(w, slopes @ weights)
    if problem.chooses_support:
        distance = distance[w != 0.0]
    return float(np.max(distance, initial=0.0))


def weights_at(problem, w):
    """Weights of the losses that come nearest to proving w optimal, on its support where one is chosen."""
    form = form_of(problem)
    values, slopes, pull, _ = _losses_at(problem.loss, w)
    if form is None:
        return np.eye(values.size)[np.argmax(values)]
    # what the penalty pulls with, where that is one number; elsewhere it may be anything in a range
    is_bound = (w <= form.lower) | (w >= form.upper)
    # in a point that is not quite solved, what is nearly zero says nothing
    is_exact = ~is_bound & ((np.abs(w) > _NEARLY * np.max(np.abs(w), initial=0.0)) | (form.a == 0.0))
    if problem.chooses_support:
        is_exact &= w != 0.0
    rows = slopes[is_exact]
    target = -(form.a * np.sign(w) + form.b * w)[is_exact]
    if problem.loss.intercept:
        rows, target = np.vstack([rows, pull]), np.append(target, 0.0)
    scale = max(float(np.max(np.abs(rows), initial=0.0)), float(np.max(np.abs(target), initial=0.0)), 1e-300)
    lack = (np.max(values) - values) / max(np.max(np.abs(values)), 1e-300)
    matrix = np.vstack([rows / scale, np.diag(lack), np.full(values.size, _HEAVY)])
    right = np.concatenate([target / scale, np.zeros(values.size), [_HEAVY]])
    weights = scipy.optimize.nnls(matrix, right)[0]
    return weights / weights.sum() if weights.sum() > 0.0 else np.eye(values.size)[np.argmax(values)]


def _losses_at(loss, w):
    """Values of the losses, their slopes in w and in the intercept, and what a slope is worth in units of the loss.

    Of `Perturbed` ones it is the norms of the residuals that the weights belong to.
    """
    inner = loss.loss if isinstance(loss, Perturbed) else loss
    b, values = inner.intercept_at(w), inner.values(w)
    slopes = inner.slopes(w, b)
    pull = inner.per_loss(inner.derivatives(inner.stack.A @ w + b)[1])
    if inner is loss:
        return values, slopes, pull, 1.0
    norms = np.sqrt(np.maximum(2.0 * values, np.finfo(np.float64).tiny))
    return norms, slopes / norms, pull / norms, loss.length(w)


def form_of(problem):
    """The convex form of the penalty within the box, on nonzeros where these have a price; None where it has none.

    Of a `Perturbed` loss it is that of radius_j |w_j|, to which no other penalty may be added.
    """
    form = convex_form(without_price(problem.penalty), problem.n_features)
    if not isinstance(form, SeparableForm):
        return None
    if isinstance(problem.loss, Perturbed):
        if not isinstance(problem.penalty, Zero):
            return None
        form = SeparableForm(problem.loss.radius, form.b, form.lower, form.upper)
    for part in parts_of(problem.constraint):
        if isinstance(part, Box):
            lower, upper = part.bounds(problem.n_features)
            form = replace(form, lower=np.maximum(form.lower, lower), upper=np.minimum(form.upper, upper))
    return form
