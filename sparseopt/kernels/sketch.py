"""A rough copy of a dense matrix in 16-bit integers, and its products with a vector."""

import math

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64
# The length of a column in its own units: no entry is longer, so that none leaves the range of 16 bits.
_LENGTH = 32_000.0


@kernel
def sketch_and_pull(values, means, root, u, out, units, slopes):
    """Round root_i (x_ij - mean_j) to units_j in `out`, and fill `slopes` with its exact products with u; one look at X.

    Returns the sum of squares.
    """
    squares = 0.0
    for j in range(values.shape[1]):
        mean, total, square = means[U(j)], 0.0, 0.0
        for i in range(values.shape[0]):
            entry = root[U(i)] * (values[U(i), U(j)] - mean)
            total += entry * u[U(i)]
            square += entry * entry
        length = math.sqrt(square)
        inverse = _LENGTH / length if length > 0.0 else 0.0
        for i in range(values.shape[0]):
            out[U(i), U(j)] = np.int32(root[U(i)] * (values[U(i), U(j)] - mean) * inverse)
        units[U(j)], slopes[U(j)] = length / _LENGTH, total
        squares += square
    return squares


@kernel
def pull_sketch(sketch, units, u, out):
    """Products of the columns of a sketch with u, which is float32, into `out`."""
    for j in range(out.size):
        total = np.float32(0.0)
        for i in range(u.size):
            total += np.float32(sketch[U(i), U(j)]) * u[U(i)]
        out[U(j)] = units[U(j)] * total
