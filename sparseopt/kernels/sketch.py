"""A rough copy of a dense matrix in 16-bit integers, made while the matrix is read, and its products with a vector."""

import math

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64
# The length of a column in its own units: no entry is longer, so that none leaves the range of 16 bits.
_LENGTH = 32_000.0
# What makes an entry positive, so that cutting off its fraction rounds it down; and the half that makes it the nearest.
_SHIFT = 32_768


def mean_and_square(values, weights, j):
    """Weighted mean of a column, the weights summing to one, and its sum of squares."""
    mean, rest, square = 0.0, 0.0, 0.0
    for i in range(values.shape[0]):
        mean += weights[U(i)] * values[U(i), j]
        square += values[U(i), j] * values[U(i), j]
    # a second time: what rounding left of a large mean
    for i in range(values.shape[0]):
        rest += weights[U(i)] * (values[U(i), j] - mean)
    return mean + rest, square


@kernel
def read_columns(values, weights, is_centred, u, sketch, means, squares, units, slopes):
    """Round x_ij - mean_j to units_j in `sketch`, and fill what is known of each column; one look at X.

    That is `means`, weighted, if they are to be taken off, `squares` of x_j as it is, and its products with u in `slopes`.
    Returns the sum of squares of what was rounded. A column is read several times while it is near.
    """
    everything = 0.0
    for j in range(values.shape[1]):
        mean, raw = 0.0, 0.0
        if is_centred:
            mean, raw = mean_and_square(values, weights, U(j))
        total, square = 0.0, 0.0
        for i in range(values.shape[0]):
            x = values[U(i), U(j)] - mean
            total += x * u[U(i)]
            square += x * x
        length = math.sqrt(square)
        inverse = _LENGTH / length if length > 0.0 else 0.0
        for i in range(values.shape[0]):
            sketch[U(i), U(j)] = np.int32((values[U(i), U(j)] - mean) * inverse + (_SHIFT + 0.5)) - np.int32(_SHIFT)
        means[U(j)], squares[U(j)], units[U(j)] = mean, raw if is_centred else square, length / _LENGTH
        slopes[U(j)] = total
        everything += square
    return everything


@kernel
def pull_sketch(sketch, units, u, out):
    """Products of the columns of a sketch with u, which is float32, into `out`.

    Four columns far from one another are read together: memory answers to several streams sooner than to one.
    """
    # the last quarters overlap where there is no fourth of all
    quarter = (out.size + 3) // 4
    last = out.size - quarter
    for k in range(quarter):
        one, two, three, four = U(k), U(k + min(quarter, last)), U(k + min(2 * quarter, last)), U(k + last)
        a, b, c, d = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for i in range(u.size):
            entry = u[U(i)]
            a += np.float32(sketch[U(i), one]) * entry
            b += np.float32(sketch[U(i), two]) * entry
            c += np.float32(sketch[U(i), three]) * entry
            d += np.float32(sketch[U(i), four]) * entry
        out[one], out[two], out[three], out[four] = units[one] * a, units[two] * b, units[three] * c, units[four] * d


@kernel
def multiply_sketch(sketch, features, out):
    """Products of the columns of each group with one another, in their units; `features` has a row for each group.

    Sums are exact: none leaves 32 bits, since no column is longer than `_LENGTH`, but for the rounding of its entries.
    """
    for g in range(features.shape[0]):
        for a in range(features.shape[1]):
            j = U(features[g, a])
            for b in range(a + 1):
                k, total = U(features[g, b]), np.int32(0)
                for i in range(sketch.shape[0]):
                    total = np.int32(total + np.int32(sketch[U(i), j]) * np.int32(sketch[U(i), k]))
                out[g, a, b] = total
                out[g, b, a] = total
