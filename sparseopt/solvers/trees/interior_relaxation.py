"""The perspective relaxation of a few features by an interior-point method, which ill-conditioned data does not slow down.

With z_j the part by which feature j is in, the best coefficients are w = K(z)^-1 q, K(z) = G + diag(curve / z), and what
is left is smooth and convex (Bertsimas and Van Parys, 2020):

    minimise  constant - q'K(z)^-1 q / 2 + alpha sum z    over  0 <= z <= 1,  sum z <= room

At the w of any z the pull of feature j is curve_j w_j / z_j, so that each step has its own lower bound.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

# Newton steps, by what the weight of the barrier falls from one to the next, and how much of the way to the boundary is gone.
_STEPS, _FALL, _FRACTION = 40, 0.2, 0.95
# Where a start is kept from the boundary.
_INSIDE = 0.02
# The least weight of the barrier, relative to the constant: parts stay off the boundary.
_LEAST = 1e-15
# Parts are no nearer to none or whole.
_TINY = 1e-12


def interior_parts(gram, linear, curve, is_in, room, alpha, parts, constant, threshold, known):
    """Coefficients and parts z of the relaxation; None where the numbers do not allow it.

    Ends where the bound reaches the threshold, or is known to `known` of what is missing. `parts` is where z begins;
    those that are in have z = 1.
    """
    free = np.flatnonzero(~is_in)
    counted = free.size > room
    z = np.ones(linear.size)
    z[free] = np.clip(parts[free], _INSIDE, 1.0 - _INSIDE)
    if counted:
        z[free] *= min(1.0, (1.0 - _INSIDE) * room / z[free].sum())
    mu, found = 0.0, None
    if linear.size == 0:
        return linear, z
    for step in range(_STEPS):
        K = gram.copy()
        K[np.diag_indices(z.size)] += curve / z
        factor, fault = lapack.dpotrf(K, lower=1, overwrite_a=1, clean=0)
        if fault:
            return found
        w = lapack.dpotrs(factor, linear, lower=1)[0]
        gains = 0.5 * curve * np.square(w / z)
        smooth = constant - 0.5 * float(w @ linear)
        value = smooth + alpha * float(z.sum())
        profits = np.maximum(gains[free] - alpha, 0.0)
        if counted:
            profits = -np.partition(-profits, room - 1)[:room] if room else profits[:0]
        base = smooth + float(gains @ z)  # constant - w'Gw / 2
        bound = base - float(np.sum(gains[is_in] - alpha)) - float(profits.sum())
        found = w, z.copy()
        if bound >= threshold or value - bound <= max(known * (threshold - bound), 1e-11 * constant) or free.size == 0:
            break
        mu = (
            0.1 * (value - bound) / free.size
            if step == 0
            else max(min(mu, (value - bound) / free.size) * _FALL, _LEAST * constant)
        )
        inverse = lapack.dpotri(factor, lower=1, overwrite_c=1)[0]
        direction = _direction(inverse, free, w, z, curve, gains, room if counted else np.inf, alpha, mu)
        if direction is None:
            break
        z[free] += _longest(direction, z[free], room if counted else np.inf) * direction
        z[free] = np.clip(z[free], _TINY, 1.0 - _TINY)
    return found


def _direction(inverse, free, w, z, curve, gains, room, alpha, mu):
    """The Newton step of the barrier problem in the free parts."""
    z, push = z[free], (curve * w / np.square(z))[free]
    slack = max(room - z.sum(), _TINY)
    slope = alpha - gains[free] - mu / z + mu / (1.0 - z) + (mu / slack if slack < np.inf else 0.0)
    H = inverse if free.size == len(inverse) else inverse[np.ix_(free, free)]
    H = -(push[:, None] * H * push)  # the lower triangle is what is read
    if slack < np.inf:
        H += mu / slack**2
    H[np.diag_indices(free.size)] += 2.0 * gains[free] / z + mu / np.square(z) + mu / np.square(1.0 - z)
    direction, fault = lapack.dposv(H, -slope, lower=1, overwrite_a=1)[1:]
    return None if fault or not np.all(np.isfinite(direction)) else direction


def _longest(direction, z, room):
    """The step that stays inside, at most 1."""
    with np.errstate(divide="ignore"):
        limits = np.where(direction < 0.0, -z / direction, (1.0 - z) / direction)
    longest = _FRACTION * float(np.min(limits, where=direction != 0.0, initial=np.inf))
    if (total := direction.sum()) > 0.0 and room < np.inf:
        longest = min(longest, _FRACTION * (room - z.sum()) / total)
    return min(1.0, longest)
