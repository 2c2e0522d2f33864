"""The minimiser of a quadratic plus relaxed prices on the features in use.

Coordinate descent, which finds the piece of each price quickly; where it stalls, Newton steps on these
pieces, between which it looks for better ones.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from sparseopt.kernels.perspective import descend_perspective, relaxed_costs

# Epochs between two Newton steps, and the most of these.
_EPOCHS, _STEPS = 25, 40
# What is added to the diagonal, relative to it, of a matrix that may be singular.
_RIDGE = 1e-13


def minimise_relaxed(block, linear, w, bends, costs, tol):
    """Minimise w'Bw / 2 - linear.w + relaxed costs from w, in place; returns the pull linear - B w.

    `costs` are curve, l1, lower, upper, is_in and price as kernels take them. Ends where an epoch gains less
    than `tol`.
    """
    pull = linear - block @ w
    for _ in range(_STEPS):
        if descend_perspective(block, w, pull, bends, *costs, _EPOCHS, tol) < _EPOCHS:
            break
        better = _newton_step(block, linear, w, pull, costs)
        if better is not None:
            w[:] = better
        pull[:] = linear - block @ w
    return pull


def _newton_step(block, linear, w, pull, costs):
    """The minimiser on the pieces in which w lies, cut off at their ends; None where it is no better than w."""
    curve, l1, lower, upper, is_in, price = costs
    limit = np.where(w > 0.0, upper, -lower)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        end = np.where(is_in, 0.0, np.fmin(limit, np.sqrt(2.0 * price / curve)))
        steepness = np.where(end > 0.0, price / end + 0.5 * curve * end, 0.0)
    size, sign = np.abs(w), np.sign(w)
    is_curved = size >= end
    moving = np.flatnonzero((w != 0.0) & (size < limit))
    if moving.size == 0:
        return None
    slope = np.where(is_curved, curve * size, steepness)[moving] + l1
    H = block[np.ix_(moving, moving)]
    diagonal = H.diagonal()
    H[np.diag_indices(moving.size)] += np.where(is_curved, curve, 0.0)[moving] + _RIDGE * diagonal
    step, fault = lapack.dposv(H, pull[moving] - sign[moving] * slope, lower=1)[1:]
    if fault or not np.all(np.isfinite(step)):
        return None
    least = np.where(is_curved, end, 0.0)[moving]
    most = np.where(is_curved, limit, end)[moving]
    best, value = None, _value(block, linear, w, costs)
    for part in (1.0, 0.1):
        new = w.copy()
        new[moving] = sign[moving] * np.clip(size[moving] + part * sign[moving] * step, least, most)
        if _value(block, linear, new, costs) < value:
            best = new
            break
    return best


def _value(block, linear, w, costs):
    return 0.5 * float(w @ (block @ w)) - float(linear @ w) + relaxed_costs(w, *costs)[0]
