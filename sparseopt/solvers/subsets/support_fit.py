"""The best coefficients on one support: a linear system, or a small convex problem where bounds or an L1 norm bind."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from sparseopt.solvers.subsets.relaxed_minimum import minimise_relaxed

# A pivot below this part of its diagonal entry is none: least squares then find a solution of least norm.
_PIVOT = 1e-10
# A slope above this part of the largest is none of rounding.
_REST = 1e-8


def best_on_support(model, subset, support):
    """The least objective with coefficients on `support` alone, and all coefficients."""
    w = np.zeros(model.n_features)
    block, linear = model.block(support), model.linear[support]
    block.flat[:: support.size + 1] += subset.ridge
    values = _solved(block, linear)
    lower = np.full(support.size, -np.inf) if subset.lower is None else subset.lower[support]
    upper = np.full(support.size, np.inf) if subset.upper is None else subset.upper[support]
    is_out = np.any(values < lower) or np.any(values > upper)
    if subset.l1 or is_out or (subset.has_bounds and _falls_further(block, linear, values)):
        values = _bounded(block, linear, subset.l1, lower, upper, np.clip(values, lower, upper))
    w[support] = values
    smooth = 0.5 * float(values @ (block @ values)) - float(linear @ values)
    # a required feature pays also where zero is best for it: then the least objective is not attained
    pays = values != 0.0
    if subset.required.size:
        pays |= np.isin(support, subset.required)
    count = np.count_nonzero(pays)
    price = subset.alpha * count + subset.l1 * float(np.sum(np.abs(values)))
    return model.constant + smooth + price, w


def _solved(block, linear):
    if linear.size == 0:
        return linear
    factor, values, fault = lapack.dposv(block, linear, lower=1)
    pivots = np.diagonal(factor) ** 2
    if fault or np.any(pivots < _PIVOT * np.diagonal(block)) or not np.all(np.isfinite(values)):
        return np.linalg.lstsq(block, linear, rcond=1e-12)[0]
    return values


def _falls_further(block, linear, values):
    """Whether a quadratic falls along a direction without curvature, so that only bounds end it."""
    return np.max(np.abs(linear - block @ values), initial=0.0) > _REST * np.max(np.abs(linear), initial=0.0)


def _bounded(block, linear, l1, lower, upper, w):
    """The minimiser under bounds, in place."""
    status = np.ones(linear.size, dtype=np.int8)
    costs = (np.zeros(linear.size), l1, lower, upper, status, 0.0)
    tol = 1e-18 * max(float(np.abs(linear) @ np.abs(w)), np.finfo(np.float64).tiny)
    minimise_relaxed(block, linear, w, linear - block @ w, block.diagonal().copy(), costs, tol)
    return w
