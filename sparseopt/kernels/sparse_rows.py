"""What certificates ask of sparse linear rows: their pull on the coefficients, and the bounds that they imply."""

import math

import numpy as np

from sparseopt._jit import kernel
from sparseopt.kernels.kkt_look import is_pulling, support_of

# Unsigned indices spare numba the test for negative ones.
U = np.uint64
# Places in `sums` and `infinities`: the least that a row can be, and the most.
_LEAST, _MOST = 0, 1


def _extremes(a, low, high):
    """Least and largest product of a with what lies between low and high."""
    return (a * low, a * high) if a > 0.0 else (a * high, a * low)


def _without(total, count, own):
    """A sum of finite terms and `count` infinite ones without one of the terms; an infinite one counts as 1."""
    if math.isinf(own):
        return total, count - 1
    return total - own, count


@kernel
def pull(starts, rows, values, y, out):
    """The product A'y into `out`, from CSC arrays."""
    for j in range(out.size):
        total = 0.0
        for t in range(starts[j], starts[j + 1]):
            total += values[t] * y[rows[t]]
        out[j] = total


@kernel
def imply_bounds(starts, rows, values, sides, bounds, sums, infinities, found):
    """Tighten the bounds in `found` by what the rows imply, in place, from CSC arrays; `sums` and `infinities` are zero.

    Lower ones come first, of `sides` of rows, of `bounds` and of `found`.
    """
    for j in range(bounds.shape[1]):
        for t in range(starts[j], starts[j + 1]):
            if values[t] != 0.0:
                ends = _extremes(values[t], bounds[0, j], bounds[1, j])
                for end in (_LEAST, _MOST):
                    if math.isinf(ends[end]):
                        infinities[end, rows[t]] += 1.0
                    else:
                        sums[end, rows[t]] += ends[end]
    for j in range(bounds.shape[1]):
        for t in range(starts[j], starts[j + 1]):
            a, i = values[t], rows[t]
            if a == 0.0:
                continue
            ends = _extremes(a, bounds[0, j], bounds[1, j])
            least, below = _without(sums[_LEAST, i], infinities[_LEAST, i], ends[_LEAST])
            most, above = _without(sums[_MOST, i], infinities[_MOST, i], ends[_MOST])
            first = -math.inf if above > 0.0 else (sides[0, i] - most) / a
            second = math.inf if below > 0.0 else (sides[1, i] - least) / a
            if a < 0.0:
                first, second = (-math.inf if below > 0.0 else second), (math.inf if above > 0.0 else first)
            found[0, j], found[1, j] = max(found[0, j], first), min(found[1, j], second)


def products(Q, A, c, w, slope, image):
    """Q w + c into `slope`, and A w into `image`, of CSC designs."""
    for j in range(w.size):
        slope[j] = c[j]
    for i in range(image.size):
        image[i] = 0.0
    for j in range(w.size):
        known = w[j]
        if known != 0.0:
            for t in range(U(Q.indptr[j]), U(Q.indptr[j + 1])):
                slope[U(Q.indices[t])] += Q.data[t] * known
            for t in range(U(A.indptr[j]), U(A.indptr[j + 1])):
                image[U(A.indices[t])] += A.data[t] * known


def look_at_pairs(values, lower, upper, multipliers):
    """Violation and support of pairs of sides, and the size of the terms of the latter; multipliers that pull on none become zero."""
    violation, support, size = 0.0, 0.0, 0.0
    for i in range(values.size):
        violation = max(violation, values[i] - upper[i], lower[i] - values[i])
        if not is_pulling(multipliers[i], lower[i], upper[i]):
            multipliers[i] = 0.0
        term = support_of(multipliers[i], lower[i], upper[i])
        support += term
        size += abs(term)
    return violation, support, size


@kernel
def look_at_sparse_rows(Q, A, c, row_lower, row_upper, lower, upper, alpha, ridge, w, y, v, slope, rest, image):
    """What multipliers y and v prove of w under sparse rows, in place of proofs/kkt.py: see `Residuals` there.

    Returns objective, violation, dual residual and dual objective, what is paid for the rest, the size of all that was
    summed up, and whether some of the rest is not paid. The rest is left in `rest`, the slope of the loss in `slope`.
    """
    products(Q, A, c, w, slope, image)
    violation, support, size = look_at_pairs(image, row_lower, row_upper, y)
    beyond, support_of_bounds, size_of_bounds = look_at_pairs(w, lower, upper, v)
    size += size_of_bounds
    value, pull, curved, slopes, most, paid, is_unpaid = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, False
    for j in range(w.size):
        value += w[j] * (slope[j] + c[j]) / 2
        pull += slope[j] * w[j]
        curved += ridge[j] * w[j] * w[j] / 2
        slopes += alpha[j] * abs(w[j])
        size += abs(slope[j] * w[j]) + abs(w[j] * (slope[j] + c[j]))
        left = slope[j] + ridge[j] * w[j] + v[j]
        for t in range(U(A.indptr[j]), U(A.indptr[j + 1])):
            left += A.data[t] * y[U(A.indices[t])]
        rest[j] = left - min(max(left, -alpha[j]), alpha[j])
        most = max(most, abs(rest[j]))
        if rest[j] != 0.0:
            side = lower[j] if rest[j] > 0.0 else upper[j]
            is_unpaid = is_unpaid or abs(side) == math.inf
            paid += rest[j] * side
            size += abs(rest[j] * side)
    objective = value + slopes + curved
    dual_objective = value - pull - curved - support - support_of_bounds
    size += abs(objective) + curved
    return objective, max(violation, beyond), most, dual_objective, paid, size, is_unpaid
