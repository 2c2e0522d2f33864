"""The best coefficients on one support under rows and bounds: a dual active-set method for few coefficients.

    minimise  w'Hw / 2 - q'w   over  row_lower <= A w <= row_upper,  lower <= w <= upper

Goldfarb and Idnani (1983): from the minimiser without constraints, the one that is violated most comes in, and those whose
multipliers would turn go, so that each point is optimal for the constraints that are in. Sides are numbered: lower
and upper sides of the rows, then of the coefficients. A side is n'w >= b with n = sign * row or sign * unit vector.
"""

from sparseopt._jit import kernel
from sparseopt.kernels.perspective import U

# Relative to the sides: a constraint that is violated by less is met.
_MET = 1e-12
# A direction in which what is in leaves no more than this part of a constraint leaves nothing.
_DEPENDENT = 1e-11


def invert(H, s, factor, inverse):  # noqa: PLR0912 (two triangular loops)
    """The inverse of the leading s rows and columns of H into `inverse`; False where they are not positive definite."""
    for i in range(s):
        for j in range(i + 1):
            total = H[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if i == j:
                if not total > 1e-14 * H[i, i]:
                    return False
                factor[i, i] = total**0.5
            else:
                factor[i, j] = total / factor[j, j]
    # the inverse of the factor, on and above the diagonal of `inverse`, as rows
    for j in range(s):
        for i in range(j, s):
            total = 1.0 if i == j else 0.0
            for k in range(j, i):
                total -= factor[i, k] * inverse[j, k]
            inverse[j, i] = total / factor[i, i]
    for i in range(s):
        for j in range(i + 1):
            total = 0.0
            for k in range(i, s):
                total += inverse[i, k] * inverse[j, k]
            factor[i, j] = total
    for i in range(s):
        for j in range(i + 1):
            inverse[i, j] = factor[i, j]
            inverse[j, i] = factor[i, j]
    return True


def side_slack(c, A, row_lower, row_upper, lower, upper, s, w):
    """n'w - b of a side, and the size of its terms."""
    m = row_lower.size
    if c < 2 * m:
        i = c if c < m else c - m
        side = row_lower[i] if c < m else row_upper[i]
        total, size = 0.0, abs(side)
        for j in range(s):
            total += A[i, j] * w[j]
            size += abs(A[i, j] * w[j])
        return (total - side if c < m else side - total), size
    j = c - 2 * m
    if j < s:
        return w[j] - lower[j], abs(lower[j]) + abs(w[j])
    return upper[j - s] - w[j - s], abs(upper[j - s]) + abs(w[j - s])


def normal_entry(c, A, m, s, k):
    """Entry k of the normal of a side."""
    if c < m:
        return A[c, k]
    if c < 2 * m:
        return -A[c - m, k]
    j = c - 2 * m
    if j < s:
        return 1.0 if k == j else 0.0
    return -1.0 if k == j - s else 0.0


def curved_normal(c, A, m, s, inverse, out):
    """H^-1 n of a side into `out`."""
    j = c - 2 * m
    if j >= 0:
        i, sign = (j, 1.0) if j < s else (j - s, -1.0)
        for k in range(s):
            out[k] = sign * inverse[i, k]
        return
    i, sign = (c, 1.0) if c < m else (c - m, -1.0)
    for k in range(s):
        total = 0.0
        for p in range(s):
            total += inverse[k, p] * A[i, p]
        out[k] = sign * total


def most_violated(A, row_lower, row_upper, lower, upper, s, w, is_active):
    """The side that is violated most, relative to its terms; equalities first. -1 where all are met."""
    m = row_lower.size
    worst, found = -_MET, -1
    for c in range(2 * m + 2 * s):
        if is_active[c]:
            continue
        slack, size = side_slack(c, A, row_lower, row_upper, lower, upper, s, w)
        if slack < -_MET * size and slack < worst:
            worst, found = slack, c
    return found


def solve_active(active, count, A, m, s, curved, gram, right, out):  # noqa: PLR0912 (two triangular loops)
    """(N'H^-1 N)^-1 of the active sides times N' `right`, into `out`; gram is scratch. False where they depend on each other."""
    for i in range(count):
        for j in range(i + 1):
            total = 0.0
            for k in range(s):
                total += normal_entry(active[i], A, m, s, k) * curved[j, k]
            gram[i, j] = total
        total = 0.0
        for k in range(s):
            total += normal_entry(active[i], A, m, s, k) * right[k]
        out[i] = total
    for i in range(count):
        for j in range(i + 1):
            total = gram[i, j]
            for k in range(j):
                total -= gram[i, k] * gram[j, k]
            if i == j:
                if not total > 0.0:
                    return False
                gram[i, i] = total**0.5
            else:
                gram[i, j] = total / gram[j, j]
        for k in range(i):
            out[i] -= gram[i, k] * out[k]
        out[i] /= gram[i, i]
    for i in range(count - 1, -1, -1):
        for k in range(i + 1, count):
            out[i] -= gram[k, i] * out[k]
        out[i] /= gram[i, i]
    return True


def minimise_dual(  # noqa: PLR0912 (a famous algorithm in one piece)
    H, q, A, row_lower, row_upper, lower, upper, s, most, factor, inverse, w, active, is_active, multipliers, curved, gram, z, step, direction
):  # fmt: skip
    """The minimiser into w, active sides and their multipliers; returns how many are active.

    -1 where the sides exclude each other: then the last entries of `active` and `multipliers`, as many as the second
    number says, prove it. -2 where H is not positive definite or the numbers do not allow it.
    """
    m = row_lower.size
    if not invert(H, s, factor, inverse):
        return -2, 0
    for i in range(s):
        total = 0.0
        for k in range(s):
            total += inverse[i, k] * q[k]
        w[i] = total
    for c in range(2 * m + 2 * s):
        is_active[c] = 0
    count = 0
    for _ in range(most):
        new = most_violated(A, row_lower, row_upper, lower, upper, s, w, is_active)
        if new < 0:
            return count, 0
        own = 0.0
        while True:
            curved_normal(new, A, m, s, inverse, z)
            whole = 0.0
            for k in range(s):
                whole += normal_entry(new, A, m, s, k) * z[k]
            if not solve_active(active, count, A, m, s, curved, gram, z, step):
                return -2, 0
            bend = 0.0
            for k in range(s):
                total = z[k]
                for i in range(count):
                    total -= curved[i, k] * step[i]
                direction[k] = total
                bend += normal_entry(new, A, m, s, k) * total
            # the first multiplier that turns; a row whose sides agree is an equality, whose multiplier may
            longest, leaving = 1e300, -1
            for i in range(count):
                c = active[i]
                is_equal = c < 2 * m and row_lower[c % m] == row_upper[c % m]
                if step[i] > 1e-14 and not is_equal and multipliers[i] < longest * step[i]:
                    longest, leaving = multipliers[i] / step[i], i
            slack, _ = side_slack(new, A, row_lower, row_upper, lower, upper, s, w)
            is_free = bend > _DEPENDENT * whole
            if not is_free and leaving < 0:
                # n = N step: minus the step on what is in and one on the new side prove it
                for i in range(count):
                    multipliers[i] = -step[i]
                active[count], multipliers[count] = new, 1.0
                return -1, count + 1
            length = longest
            if is_free and -slack < longest * bend:
                length, leaving = -slack / bend, -1
            for i in range(count):
                multipliers[i] -= length * step[i]
            own += length
            if is_free:
                for k in range(s):
                    w[k] += length * direction[k]
            if leaving < 0:
                active[count], multipliers[count] = new, own
                for k in range(s):
                    curved[count, k] = z[k]
                is_active[new] = 1
                count += 1
                break
            is_active[active[leaving]] = 0
            for i in range(leaving, count - 1):
                active[i], multipliers[i] = active[i + 1], multipliers[i + 1]
                for k in range(s):
                    curved[i, k] = curved[i + 1, k]
            count -= 1
    return -2, 0


minimise_on_support = kernel(minimise_dual)


def value_of(H, q, A, row_lower, row_upper, s, w):
    """-q'w + w'Hw / 2 of a point that meets the rows; nan of one that does not."""
    value = 0.0
    for i in range(s):
        total = -q[i]
        for k in range(s):
            total += 0.5 * H[i, k] * w[k]
        value += w[i] * total
    for i in range(row_lower.size):
        total, size = 0.0, 1.0
        for k in range(s):
            total += A[i, k] * w[k]
            size = max(size, abs(A[i, k] * w[k]))
        if total < row_lower[i] - 1e-9 * size or total > row_upper[i] + 1e-9 * size:
            return 0.0 * 1e400
    return value


@kernel
def value_supports(
    gram, ridge, linear, rows, row_lower, row_upper, lower, upper, supports, values,
    H, q, A, low, high, factor, inverse, w, active, is_active, multipliers, curved, work, z, step, direction,
):  # fmt: skip
    """The least value of -linear'w + w'(gram + ridge) w / 2 on each row of `supports`, into `values`: inf where there is no point.

    nan where the numbers do not allow it.
    """
    s, m = supports.shape[1], row_lower.size
    for t in range(values.size):
        is_empty = False
        for i in range(s):
            a = U(supports[t, i])
            for k in range(s):
                H[i, k] = gram[a, U(supports[t, k])]
            H[i, i] += ridge
            q[i], low[i], high[i] = linear[a], lower[a], upper[a]
            is_empty |= low[i] > high[i]
            for k in range(m):
                A[k, i] = rows[U(k), a]
        if is_empty:
            values[t] = 1e400
            continue
        count, _ = minimise_dual(
            H, q, A, row_lower, row_upper, low, high, s, 20 * (s + m) + 50, factor, inverse, w, active, is_active, multipliers,
            curved, work, z, step, direction,
        )  # fmt: skip
        if count == -1:
            values[t] = 1e400
        elif count == -2:
            values[t] = 0.0 * 1e400
        else:
            values[t] = value_of(H, q, A, row_lower, row_upper, s, w)
