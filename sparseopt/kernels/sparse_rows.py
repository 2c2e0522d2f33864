"""What certificates ask of sparse linear rows: their pull on the coefficients, and the bounds that they imply."""

import math

import numpy as np

from sparseopt._jit import brief_kernel

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


@brief_kernel
def pull(starts, rows, values, y, out):
    """The product A'y into `out`, from CSC arrays."""
    for j in range(out.size):
        total = 0.0
        for t in range(starts[j], starts[j + 1]):
            total += values[t] * y[rows[t]]
        out[j] = total


def add_up_rows(starts, rows, values, lower, upper, sums, infinities):
    """Least and most of each row within bounds, in `sums`, with infinite terms counted apart; both are zero before."""
    for j in range(lower.size):
        for t in range(starts[j], starts[j + 1]):
            if values[t] != 0.0:
                ends = _extremes(values[t], lower[j], upper[j])
                for end in (_LEAST, _MOST):
                    if math.isinf(ends[end]):
                        infinities[end, rows[t]] += 1.0
                    else:
                        sums[end, rows[t]] += ends[end]


def implied(a, row_lower, row_upper, low, high, sums, infinities, i):
    """Bounds that row i implies for a coefficient between low and high, of which it has `a`, given the bounds of the others."""
    ends = _extremes(a, low, high)
    least, below = _without(sums[_LEAST, i], infinities[_LEAST, i], ends[_LEAST])
    most, above = _without(sums[_MOST, i], infinities[_MOST, i], ends[_MOST])
    first = -math.inf if above > 0.0 else (row_lower - most) / a
    second = math.inf if below > 0.0 else (row_upper - least) / a
    return (first, second) if a > 0.0 else (-math.inf if below > 0.0 else second, math.inf if above > 0.0 else first)


@brief_kernel
def imply_bounds(starts, rows, values, sides, bounds, sums, infinities, found):
    """Tighten the bounds in `found` by what the rows imply, in place, from CSC arrays; `sums` and `infinities` are zero.

    Lower ones come first, of `sides` of rows, of `bounds` and of `found`.
    """
    add_up_rows(starts, rows, values, bounds[0], bounds[1], sums, infinities)
    for j in range(bounds.shape[1]):
        for t in range(starts[j], starts[j + 1]):
            if values[t] != 0.0:
                i = rows[t]
                first, second = implied(
                    values[t], sides[0, i], sides[1, i], bounds[0, j], bounds[1, j], sums, infinities, i
                )
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
        side = upper[i] if multipliers[i] > 0.0 else lower[i]
        if abs(side) < math.inf:
            support += multipliers[i] * side
            size += abs(multipliers[i] * side)
        else:
            multipliers[i] = 0.0
    return violation, support, size


def paid_by_rows(A, row_lower, row_upper, lower, upper, rest, j, sums, infinities):
    """What a coefficient without a bound where rest_j pulls it to pays for it at a bound that some row implies; -inf where none does."""
    found = -math.inf
    for t in range(U(A.indptr[j]), U(A.indptr[j + 1])):
        i = U(A.indices[t])
        if A.data[t] != 0.0:
            first, second = implied(A.data[t], row_lower[i], row_upper[i], lower[j], upper[j], sums, infinities, i)
            found = max(found, first if rest[j] > 0.0 else -second)
    # a little less than computed
    return abs(rest[j]) * (found - 1e-9 * abs(found)) if found > -math.inf else found


def pay(Q, A, row_lower, row_upper, lower, upper, ridge, w, rest, sums, infinities):
    """What coefficients without a bound pay for the rest, the size of the terms, and whether that is all.

    rest . d + d'Hd / 2 >= -rest' H^-1 rest / 2 for d = z - w, which is exact where coefficients stand alone in H.
    """
    add_up_rows(A.indptr, A.indices, A.data, lower, upper, sums, infinities)
    total, size, is_alone = 0.0, 0.0, True
    for j in range(w.size):
        if rest[j] == 0.0 or abs(lower[j] if rest[j] > 0.0 else upper[j]) < math.inf:
            continue
        term = paid_by_rows(A, row_lower, row_upper, lower, upper, rest, j, sums, infinities)
        if term == -math.inf:
            own = ridge[j]
            for t in range(U(Q.indptr[j]), U(Q.indptr[j + 1])):
                own += Q.data[t] if Q.indices[t] == j else 0.0
            if not own > 0.0:
                return -math.inf, size, True
            # others may be as flat as that, and then it does not matter what is coupled
            is_alone = is_alone and Q.indptr[j + 1] - Q.indptr[j] <= 1
            term = rest[j] * w[j] - rest[j] * rest[j] / own
            size += abs(rest[j] * w[j])
        total += term
        size += abs(term)
    return total, size, is_alone


@brief_kernel
def look_at_sparse_rows(Q, A, c, row_lower, row_upper, lower, upper, alpha, ridge, w, y, v, slope, rest, image, sums,
                        infinities):  # fmt: skip
    """What multipliers y and v prove of w under sparse rows, in place of proofs/kkt.py: see `Residuals` there.

    Returns objective, violation, dual residual and dual objective, what is paid for the rest, the size of all that was
    summed up, and whether all of the rest is paid. The rest is left in `rest`; `sums` and `infinities` are zero before.
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
            if abs(side) < math.inf:
                paid += rest[j] * side
                size += abs(rest[j] * side)
            else:
                is_unpaid = True
    objective = value + slopes + curved
    dual_objective = value - pull - curved - support - support_of_bounds
    size += abs(objective) + curved
    is_paid = True
    if is_unpaid:
        more, size_of_more, is_paid = pay(Q, A, row_lower, row_upper, lower, upper, ridge, w, rest, sums, infinities)
        paid += more
        size += size_of_more
    return objective, max(violation, beyond), most, dual_objective, paid, size, is_paid
