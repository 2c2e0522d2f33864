"""What multipliers prove of a point of a small dense quadratic program, in one call from the data.

It shares no code with the kernels of solvers; proofs/kkt.py says the same in numpy, and settles what is left open here.
"""

import math

import numpy as np

from sparseopt._jit import brief_kernel, strict_kernel
from sparseopt.kernels.lapack import cholesky, solve_lower

# Unsigned indices spare numba the test for negative ones.
U = np.uint64
_EPS = 2.220446049250313e-16
# Curvature above minus this part of the largest entry of the diagonal is rounding.
_FLAT = 1e-9
# Times this, a number falls into two halves whose products are exact (Veltkamp, 1968).
_SPLIT = 134217729.0


def is_definite(Q, ridge, scale, shift, H):
    """Whether Q + scale * ridge + shift has a Cholesky factor, which becomes the lower triangle of H."""
    p = U(ridge.size)
    for j in range(p):
        for i in range(j, p):
            H[j, i] = Q[j, i]
        H[j, j] += scale * ridge[j] + shift
    return cholesky(H) == 0


def support_of(multiplier, lower, upper):
    """Largest multiplier * z over lower <= z <= upper; zero where that is infinite, as the multiplier then is."""
    side = upper if multiplier > 0.0 else lower
    return multiplier * side if abs(side) < math.inf else 0.0


def is_pulling(multiplier, lower, upper):
    """Whether the side that a multiplier pulls on is finite."""
    return abs(upper if multiplier > 0.0 else lower) < math.inf


def largest_of_others(A, lower, upper, i, j, sign):
    """Largest value within the bounds of sign times row i without its entry j; may be infinite."""
    total = 0.0
    for k in range(U(lower.size)):
        a = sign * A[k, i]
        if a != 0.0 and k != j:
            total += a * (upper[k] if a > 0.0 else lower[k])
            if total == math.inf:
                return total
    return total


def implied(A, row_lower, row_upper, lower, upper, j, sign):
    """The least sign * w_j that some row implies, given the bounds of the others, a little less than computed; -inf if none does."""
    found = -math.inf
    for i in range(U(row_lower.size)):
        a = sign * A[j, i]
        if a == 0.0:
            continue
        # abs(a) * sign * w_j is the row, or what it lacks of zero, less the others
        turn, side = (1.0, row_lower[i]) if a > 0.0 else (-1.0, -row_upper[i])
        if side > -math.inf:
            found = max(found, (side - largest_of_others(A, lower, upper, i, j, turn)) / abs(a))
    return found - 1e-9 * abs(found) if found > -math.inf else found


def cost_of_unpaid(Q, ridge, rest, shift, H):
    """rest' (Q + ridge)^-1 rest / 2 or more; inf where the matrix may be singular. Where rest stands alone, it is exact."""
    p, total, stands_alone = U(rest.size), 0.0, True
    for j in range(p):
        if rest[j] != 0.0:
            own = Q[j, j] + ridge[j]
            if not own > 0.0:
                return math.inf
            total += rest[j] * rest[j] / own
            for i in range(p):
                stands_alone = stands_alone and (i == j or Q[j, i] == 0.0)
    if stands_alone:
        return total
    # what rounding may have added to the smallest eigenvalue is taken off
    if not is_definite(Q, ridge, 1.0, -shift, H):
        return math.inf
    solve_lower(H, rest, False)
    # twice the cost is far more than the rounding of the solve
    total = 0.0
    for j in range(p):
        total += rest[j] * rest[j]
    return total


def slope_of(Q, c, w, slope, size):
    """Q w + c into `slope`, and the sizes of its terms into `size`."""
    p = U(w.size)
    for j in range(p):
        slope[j], size[j] = c[j], abs(c[j])
    for j in range(p):
        if w[j] != 0.0:
            for i in range(p):
                term = w[j] * Q[j, i]
                slope[i] += term
                size[i] += abs(term)


def look_at_sides(A, row_lower, row_upper, lower, upper, w, y, v):
    """Violation, and the support of the multipliers with the sum of the sizes of its terms."""
    violation, support, size = 0.0, 0.0, 0.0
    for j in range(U(w.size)):
        violation = max(violation, w[j] - upper[j], lower[j] - w[j])
        term = support_of(v[j], lower[j], upper[j])
        support += term
        size += abs(term)
    for i in range(U(y.size)):
        at = 0.0
        for j in range(U(w.size)):
            at += A[j, i] * w[j]
        violation = max(violation, at - row_upper[i], row_lower[i] - at)
        term = support_of(y[i], row_lower[i], row_upper[i])
        support += term
        size += abs(term)
    return violation, support, size


def unbalanced(A, row_lower, row_upper, lower, upper, alpha, slope, y, v, j):
    """What no allowed multiplier balances of the slope in w_j, and the size of the terms of all of them."""
    left, size = slope, 0.0
    for i in range(U(y.size)):
        if is_pulling(y[i], row_lower[i], row_upper[i]):
            term = y[i] * A[j, i]
            left += term
            size += abs(term)
    if is_pulling(v[j], lower[j], upper[j]):
        left += v[j]
        size += abs(v[j])
    return left - min(max(left, -alpha[j]), alpha[j]), size


def scales(Q, ridge):
    """Largest entry of Q and of the ridge together, and largest one of the diagonal of Q, or 1 where that is zero."""
    largest, bent, diagonal = 0.0, 0.0, 0.0
    for j in range(U(ridge.size)):
        diagonal, bent = max(diagonal, abs(Q[j, j])), max(bent, ridge[j])
        for i in range(U(ridge.size)):
            largest = max(largest, abs(Q[j, i]))
    return largest + bent, diagonal if diagonal > 0.0 else 1.0


@brief_kernel
def look_at_rows(Q, c, A, row_lower, row_upper, lower, upper, alpha, ridge, w, y, v, is_convex, space, H):
    """Objective, violation, dual residual and lower bound of w with multipliers y and v; a digit; whether all is proven.

    The digit is the last one of the terms of the dual residual; proven is what is finite, of a convex loss. `space` has two vectors of coefficients, H a matrix of them.
    """
    slope, rest, last_digit = space[0], space[1], 0.0
    slope_of(Q, c, w, slope, rest)
    violation, support, size = look_at_sides(A, row_lower, row_upper, lower, upper, w, y, v)
    value, pull, curved, slopes, most, total, paid, is_unpaid = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, False
    for j in range(U(w.size)):
        value += w[j] * (slope[j] + c[j]) / 2
        pull += slope[j] * w[j]
        curved += ridge[j] * w[j] * w[j] / 2
        slopes += alpha[j] * abs(w[j])
        size += abs(slope[j] * w[j]) + abs(w[j] * (slope[j] + c[j]))
        at = slope[j] + ridge[j] * w[j]
        left, terms = unbalanced(A, row_lower, row_upper, lower, upper, alpha, at, y, v, j)
        last_digit, rest[j] = max(last_digit, _EPS * (terms + rest[j] + abs(ridge[j] * w[j]))), 0.0
        most = max(most, abs(left))
        if left != 0.0:
            # what is left times w_j is no less than at the side that it pulls to
            side = lower[j] if left > 0.0 else -upper[j]
            if side == -math.inf:
                side = implied(A, row_lower, row_upper, lower, upper, j, 1.0 if left > 0.0 else -1.0)
            if side > -math.inf:
                total += abs(left) * side
                paid += abs(left * side)
            else:
                rest[j], is_unpaid = left, True
    objective = value + slopes + curved
    dual_objective = value - pull - curved - support
    largest, diagonal = scales(Q, ridge) if is_unpaid or not is_convex else (0.0, 1.0)
    if not is_convex:
        is_convex = is_definite(Q, ridge, 0.0, _FLAT * diagonal, H)
    if is_unpaid:
        # rest . d + d'Hd / 2 >= -rest' H^-1 rest / 2 for d = z - w
        for j in range(U(w.size)):
            total += rest[j] * w[j]
        total -= cost_of_unpaid(Q, ridge, rest, 4.0 * w.size * _EPS * largest, H)
    bound = dual_objective + total - 8 * _EPS * (size + abs(objective) + curved + paid)
    # multipliers that are no numbers prove nothing
    is_proven = is_convex and abs(dual_objective) < math.inf and most < math.inf
    return objective, violation, most, min(bound, objective), last_digit, is_proven


@strict_kernel
def residuals_with_more_digits(Q, c, A, row_lower, row_upper, lower, upper, alpha, ridge, w, y, v):
    """Violation and dual residual of w with multipliers y and v, by sums of twice the digits (Ogita, Rump and Oishi, 2005).

    Each product and each sum is known with what rounding takes off it, which is summed up beside it.
    """
    p, m = w.size, y.size
    violation, dual = 0.0, 0.0
    for k in range(p + m):
        is_slope = k < p
        i = 0 if is_slope else k - p
        total, rest = c[k] if is_slope else 0.0, 0.0
        for t in range(p + m + 2 if is_slope else p):
            if not is_slope:
                a, b = A[t, i], w[t]
            elif t < p:
                a, b = Q[k, t], w[t]
            elif t < p + m:
                a, b = A[k, t - p], y[t - p]
                # what pulls on a side that is not there counts as absent
                b = b if abs(row_upper[t - p] if b > 0.0 else row_lower[t - p]) < math.inf else 0.0
            elif t == p + m:
                a, b = ridge[k], w[k]
            else:
                a, b = 1.0, v[k]
                b = b if abs(upper[k] if b > 0.0 else lower[k]) < math.inf else 0.0
            if a == 0.0 or b == 0.0:
                continue
            product = a * b
            half, other = a * _SPLIT, b * _SPLIT
            half, other = half - (half - a), other - (other - b)
            lost = (a - half) * (b - other) - (((product - half * other) - (a - half) * other) - half * (b - other))
            whole = total + product
            part = whole - total
            rest += ((total - (whole - part)) + (product - part)) + lost
            total = whole
        if is_slope:
            # of the slopes of |w_k| the one that leaves least
            least = min(max(total + rest, -alpha[k]), alpha[k])
            dual = max(dual, abs((total - least) + rest))
            violation = max(violation, w[k] - upper[k], lower[k] - w[k])
        else:
            violation = max(violation, (total - row_upper[i]) + rest, (row_lower[i] - total) - rest)
    return violation, dual
