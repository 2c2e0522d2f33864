"""What certificates ask of sparse linear rows: their pull on the coefficients, and the bounds that they imply."""

import math

from sparseopt._jit import kernel

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
