"""A little dense matrix, which stays near once it was read: one look tells all that a door and a solver ask for first."""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


@kernel
def read_little(values, y, is_centred, means, squares, slopes, target):
    """Fill what is known of each column of X, and `target`, in place.

    `means` are zero, and `target` is y, unless they are to be taken off; `squares` are those of X as it is, `slopes` the
    products of the columns of X with minus the target over n. Returns the largest entry of y, the mean of y, the sum of
    squares of the target, and the least, the largest and the sum of `squares`: a sum is no number where a part is none.
    """
    n = U(y.size)
    share = 1.0 / y.size
    size, mean, rest, total = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        size = abs(y[i]) if abs(y[i]) > size else size
        mean += y[i]
    mean = mean * share if is_centred else 0.0
    # a second time: what rounding left of a large mean
    for i in range(n):
        rest += y[i] - mean
    rest = rest * share if is_centred else 0.0
    for i in range(n):
        left = (y[i] - mean) - rest
        target[i] = left
        total += left * left
    least, most, everything = np.inf, 0.0, 0.0
    for j in range(U(squares.size)):
        square, middle, rest, slope = 0.0, 0.0, 0.0, 0.0
        for i in range(n):
            square += values[i, j] * values[i, j]
            middle += values[i, j]
        middle = middle * share if is_centred else 0.0
        for i in range(n):
            rest += values[i, j] - middle
            slope -= (values[i, j] - middle) * target[i]
        # the targets sum to zero where columns are centred: the rest does not matter to the slope
        means[j], squares[j], slopes[j] = middle + (rest * share if is_centred else 0.0), square, slope * share
        least = square if square < least else least
        most = square if square > most else most
        everything += square
    return size, mean, total, least, most, everything
