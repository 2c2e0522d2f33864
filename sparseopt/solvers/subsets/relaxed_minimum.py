"""The minimiser of a quadratic plus relaxed prices on the features in use.

Coordinate descent, which finds the piece of each price quickly; where it stalls, Newton steps on these
pieces, between which it looks for better ones.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from sparseopt.kernels.perspective import descend_perspective, relaxed_costs, subtract_rows

IN = 1  # of a status, as in `tree`
# Epochs between two Newton steps, and the most of these.
_EPOCHS, _STEPS = 25, 40
# Multiplications of a call, beyond which it ends early: it cannot be interrupted.
_PRODUCTS = 1 << 33
# What is added to the diagonal, relative to it, of a matrix that may be singular.
_RIDGE = 1e-13


def minimise_relaxed(gram, linear, w, pull, bends, costs, tol):
    """Minimise w'Gw / 2 - linear.w + relaxed costs from w, in place, as well as the pull linear - G w.

    `costs` are curve, l1, lower, upper, status and price as kernels take them. Ends where an epoch gains less
    than `tol`, or after so many Newton steps as many features allow. Returns their number, and how often pulls were changed.
    """
    most, changes = max(1, min(_STEPS, _PRODUCTS // max(w.size, 1) ** 3)), 0
    for step in range(most):
        epochs, steps = descend_perspective(gram, w, pull, bends, *costs, _EPOCHS, tol)
        changes += steps
        if epochs < _EPOCHS:
            return step, changes
        _newton_step(gram, linear, w, pull, costs)
        changes += w.size
    return most, changes


def _newton_step(gram, linear, w, pull, costs):
    """Go to the minimiser on the pieces in which w lies, cut off at their ends, in place; nowhere if that is no better."""
    used = np.flatnonzero(w)
    part, value = w[used], 0.5 * float((linear + pull)[used] @ w[used])
    curve, lower, upper, status = (costs[i][used] for i in (0, 2, 3, 4))
    l1, price = costs[1], costs[5]
    is_in, size, sign = status == IN, np.abs(part), np.sign(part)
    limit = np.where(part > 0.0, upper, -lower)
    inner = np.maximum(np.where(part > 0.0, lower, -upper), 0.0)  # where the bounds leave out zero
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        end = np.where(is_in, 0.0, np.fmin(limit, np.sqrt(2.0 * price / curve)))
        steepness = np.where(end > 0.0, price / end + 0.5 * curve * end, 0.0)
    is_curved = size >= end
    block = gram[np.ix_(used, used)].astype(np.float64, copy=False)
    moving = np.flatnonzero(size < limit)
    if moving.size == 0:
        return
    slope = np.where(is_curved, curve * size, steepness)[moving] + l1
    H = block[np.ix_(moving, moving)]
    H[np.diag_indices(moving.size)] += np.where(is_curved, curve, 0.0)[moving] + _RIDGE * H.diagonal()
    step, fault = lapack.dposv(H, pull[used][moving] - sign[moving] * slope, lower=1)[1:]
    if fault or not np.all(np.isfinite(step)):
        return
    least = np.where(is_curved, np.maximum(end, inner), 0.0)[moving]
    most = np.where(is_curved, limit, end)[moving]
    costs = (curve, l1, lower, upper, status, price)
    best = relaxed_costs(part, *costs)[0] - value
    for length in (1.0, 0.1):
        new = part.copy()
        new[moving] = sign[moving] * np.clip(size[moving] + length * sign[moving] * step, least, most)
        if 0.5 * float(new @ (block @ new)) - float(linear[used] @ new) + relaxed_costs(new, *costs)[0] < best:
            subtract_rows(gram, used, new - part, pull)
            w[used] = new
            return
