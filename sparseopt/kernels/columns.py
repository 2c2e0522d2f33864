"""A few columns of a design: scaled, multiplied, measured, without a copy of the rest."""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


@kernel
def scale_columns(data, indices, indptr, columns, root, out, squares, sums):
    """root_i x_ij into `out`, and its sums of squares and of products with root, for some columns of a CSC matrix."""
    for k in range(columns.size):
        j = U(columns[U(k)])
        square, total = 0.0, 0.0
        for q in range(U(indptr[j]), U(indptr[j + U(1)])):
            r = root[U(indices[q])]
            entry = r * data[q]
            out[q] = entry
            square += entry * entry
            total += r * entry
        squares[j] = square
        sums[j] = total


@kernel
def pull_columns(design, columns, u, out):
    """The products x_j . u of some columns into `out`."""
    for k in range(columns.size):
        out[U(k)] = design.pull(columns[U(k)], u)


@kernel
def push_columns(design, columns, move, weight, u):
    """u += weight * (sum of the columns times their moves), in place."""
    for k in range(columns.size):
        if move[U(k)] != 0:
            design.push(columns[U(k)], move[U(k)], weight, u)


@kernel
def penalty_on(penalty, columns, w):
    """The penalty on some coefficients, w being theirs."""
    total = 0.0
    for k in range(columns.size):
        if w[U(k)] != 0:
            total += penalty.value_at(columns[U(k)], w[U(k)])
    return total
