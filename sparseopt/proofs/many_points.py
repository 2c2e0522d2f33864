"""Many points of a little problem looked at together: on little data a look at one point is mostly calls.

The formulas are those of `duality`, for a loss on samples, or least squares, and penalties a_j |w_j| + b_j w_j**2 / 2 with
a_j > 0. Each row is a point; every sum is over samples or features of that row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparseopt.conjugates import loss_conjugate
from sparseopt.losses import LeastSquares
from sparseopt.proofs.duality import ROUNDING

# Steps of Newton for the intercepts, from near by; part of the slopes that they may leave, which is rounding.
_STEPS, _SETTLED = 6, 1e-14


class ManyLooks(NamedTuple):
    """What is known of each point; nothing is proven where the bound is -inf."""

    objective: np.ndarray
    bound: np.ndarray
    #: Distance to stationarity.
    distance: np.ndarray
    #: The part of the objective that is the loss.
    fit: np.ndarray
    intercept: np.ndarray


def look_at_many(loss, a, b, W, levels):
    """The looks at points in the rows of W, under the a and b in the same rows; with an intercept, the mean fitted values to begin at."""
    image = np.ascontiguousarray(np.asarray(loss.X.matvec(np.asfortranarray(W.T))).T)
    if isinstance(loss, LeastSquares):
        fit, slope, intercept, bound_with = _squares(loss, image, W)
    else:
        fit, slope, intercept, bound_with = _samples(loss, image, levels)
    sizes, bend = np.abs(W), b.any()
    price = np.add.reduce(a * sizes, axis=1)
    steep = np.abs(slope)
    held = a / np.maximum(steep, a)
    pulls = np.abs(slope + np.copysign(a, W))
    if bend:
        price += np.add.reduce(b * W * W, axis=1) / 2
        # where there is curvature, every slope is one of the penalty's
        held[b > 0.0] = 1.0
        pulls = np.abs(slope + b * W + np.copysign(a, W))
    scale = np.minimum.reduce(held, axis=1, initial=1.0)
    value, size, scale = bound_with(scale, may_shrink=not bend)
    if bend:
        excess = np.where(b > 0.0, np.maximum(scale[:, None] * steep - a, 0.0), 0.0)
        conjugate = np.add.reduce(np.divide(excess * excess, 2.0 * b, out=excess, where=b > 0.0), axis=1)
        value, size = value + conjugate, size + conjugate
    off = np.where(W == 0.0, np.maximum(steep - a, 0.0), pulls)
    bound = -value - ROUNDING * size
    # a bound that is no number is none
    bound[np.isnan(bound)] = -np.inf
    return ManyLooks(fit + price, bound, np.maximum.reduce(off, axis=1, initial=0.0), fit, intercept)


def _pulled(loss, mass):
    """X' times each row."""
    return np.asarray(loss.X.rmatvec(np.asfortranarray(mass.T))).T


def _squares(loss, image, W):
    """Of least squares: the loss, its slopes, the intercepts, and how to sum up conjugates."""
    residual = image - loss.target
    mass = loss.sample_weight.values * residual
    squares = np.add.reduce(mass * residual, axis=1)
    products = mass * loss.target
    pull, sizes = np.add.reduce(products, axis=1), np.add.reduce(np.abs(products), axis=1)

    def bound_with(scale, *, may_shrink):
        if may_shrink:
            best = np.divide(-pull, squares, out=np.ones_like(pull), where=squares > 0.0)
            scale = np.minimum(scale, np.maximum(best, 0.0))
        curved = scale * scale * squares / 2
        return curved + scale * pull, curved + scale * sizes, scale

    intercept = np.zeros(len(W))
    if loss.intercept:
        intercept = loss.intercept_on(slice(None), np.zeros(W.shape[1])) - W @ loss.X.means
    return squares / 2, _pulled(loss, mass), intercept, bound_with


def _samples(loss, image, levels):
    """The same of another loss on samples."""
    y, weights = loss.y, loss.sample_weight.values
    intercept = np.zeros(len(image))
    if loss.intercept:
        intercept = levels - np.add.reduce(image, axis=1) / image.shape[1]
        intercept += _settled(loss, image + intercept[:, None])
        image = image + intercept[:, None]
    z = loss.offset.added_to(image)
    v = loss.slope(y, z)
    fit = np.add.reduce(weights * loss.value(y, z), axis=1)
    is_even = np.ones(len(image), dtype=bool)
    if loss.intercept:
        v, is_even = _balanced(v, weights)

    def bound_with(scale, *, may_shrink):  # noqa: ARG001 (of least squares alone, the best factor has a formula)
        terms = weights * loss_conjugate(loss, scale[:, None] * v)
        value = np.where(is_even, np.add.reduce(terms, axis=1), np.inf)
        return value, np.add.reduce(np.abs(terms), axis=1), scale

    return fit, _pulled(loss, weights * v), intercept, bound_with


def _settled(loss, eta):
    """What Newton steps add to the intercepts of rows of fitted values that are near their best."""
    eta, shift = loss.offset.added_to(eta), np.zeros(len(eta))
    for _ in range(_STEPS):
        at = eta + shift[:, None]
        slopes = loss.sample_weight.values * loss.slope(loss.y, at)
        rest = np.add.reduce(slopes, axis=1)
        if np.all(np.abs(rest) <= _SETTLED * np.add.reduce(np.abs(slopes), axis=1)):
            break
        bends = np.add.reduce(loss.sample_weight.values * loss.curvature(loss.y, at), axis=1)
        shift = shift - np.divide(rest, bends, out=np.zeros_like(rest), where=bends > 0.0)
    return shift


def _balanced(v, weights):
    """Slopes with a weighted sum of zero, the heavier sign scaled down; and whether that took no more than rounding."""
    mass = weights * v
    above, below = np.add.reduce(np.maximum(mass, 0.0), axis=1), np.add.reduce(np.maximum(-mass, 0.0), axis=1)
    is_even = np.abs(above - below) <= 100 * _SETTLED * (above + below)
    least = np.minimum(above, below)
    down = np.divide(least, above, out=np.ones_like(above), where=above > 0.0)[:, None]
    up = np.divide(least, below, out=np.ones_like(below), where=below > 0.0)[:, None]
    return v * np.where(v > 0.0, down, up), is_even
