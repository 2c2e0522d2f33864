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
def square_columns(data, indices, indptr, weights, out):
    """sum_i weights_i x_ij**2 for each column of a CSC matrix into `out`."""
    for j in range(out.size):
        total = 0.0
        for q in range(U(indptr[j]), U(indptr[j + 1])):
            total += weights[U(indices[q])] * data[q] * data[q]
        out[j] = total


@kernel
def read_sparse(data, indices, indptr, weights, u, squares, slopes):
    """sum_i weights_i x_ij**2 and x_j . u of each column of a CSC matrix into `squares` and `slopes`; one look at X.

    One weight stands for that of all samples.
    """
    is_one, share = weights.size == 1, weights[0]
    for j in range(squares.size):
        square, total = 0.0, 0.0
        if is_one:
            for q in range(U(indptr[U(j)]), U(indptr[U(j + 1)])):
                square += data[q] * data[q]
                total += u[U(indices[q])] * data[q]
            square *= share
        else:
            for q in range(U(indptr[U(j)]), U(indptr[U(j + 1)])):
                i, x = U(indices[q]), data[q]
                square += weights[i] * x * x
                total += u[i] * x
        squares[U(j)], slopes[U(j)] = square, total


@kernel
def pull_columns(design, columns, u, out):
    """The products x_j . u of some columns into `out`."""
    for k in range(columns.size):
        out[U(k)] = design.pull(columns[U(k)], u)


@kernel
def pull_dense(values, columns, u, out):
    """The products x_j . u of some columns of a dense matrix into `out`.

    Four columns are read together: memory answers to several streams sooner than to one.
    """
    last = columns.size - 1
    for q in range((columns.size + 3) // 4):
        # what is left at the end is filled up with the last column
        k, r, s, t = U(4 * q), U(min(4 * q + 1, last)), U(min(4 * q + 2, last)), U(min(4 * q + 3, last))
        one, two, three, four = U(columns[k]), U(columns[r]), U(columns[s]), U(columns[t])
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for i in range(u.size):
            entry = u[U(i)]
            a += values[U(i), one] * entry
            b += values[U(i), two] * entry
            c += values[U(i), three] * entry
            d += values[U(i), four] * entry
        out[k], out[r], out[s], out[t] = a, b, c, d


@kernel
def combine_dense(values, columns, factors, out):
    """The sum of some columns of a dense matrix, each times its factor, into `out`; their number is a multiple of four.

    Four columns are read together: memory answers to several streams sooner than to one.
    """
    for i in range(out.size):
        out[U(i)] = 0.0
    for q in range(columns.size // 4):
        k = U(4) * U(q)
        j, s, t, v = U(columns[k]), U(columns[k + U(1)]), U(columns[k + U(2)]), U(columns[k + U(3)])
        a, b, c, d = factors[k], factors[k + U(1)], factors[k + U(2)], factors[k + U(3)]
        for i in range(out.size):
            out[U(i)] += a * values[U(i), j] + b * values[U(i), s] + c * values[U(i), t] + d * values[U(i), v]


@kernel
def combine_sparse(data, indices, indptr, columns, factors, out):
    """The sum of some columns of a CSC matrix, each times its factor, into `out`."""
    for i in range(out.size):
        out[U(i)] = 0.0
    for k in range(columns.size):
        j, factor = U(columns[U(k)]), factors[U(k)]
        for q in range(U(indptr[j]), U(indptr[j + U(1)])):
            out[U(indices[q])] += factor * data[q]


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


@kernel
def cast_columns(values, means, root, columns, out):
    """root_i (x_ij - mean_j) of some columns into `out`, in its precision; returns the least and largest sum of squares.

    Four columns are read together, as by `pull_dense`.
    """
    least, most, last = np.inf, 0.0, columns.size - 1
    for q in range((columns.size + 3) // 4):
        k, r, s, t = U(4 * q), U(min(4 * q + 1, last)), U(min(4 * q + 2, last)), U(min(4 * q + 3, last))
        one, two, three, four = U(columns[k]), U(columns[r]), U(columns[s]), U(columns[t])
        a, b, c, d = means[one], means[two], means[three], means[four]
        aa, bb, cc, dd = 0.0, 0.0, 0.0, 0.0
        for i in range(values.shape[0]):
            e, f = root[U(i)] * (values[U(i), one] - a), root[U(i)] * (values[U(i), two] - b)
            g, h = root[U(i)] * (values[U(i), three] - c), root[U(i)] * (values[U(i), four] - d)
            out[U(i), k], out[U(i), r], out[U(i), s], out[U(i), t] = e, f, g, h
            aa += e * e
            bb += f * f
            cc += g * g
            dd += h * h
        for square in (aa, bb, cc, dd):
            least = min(least, square) if square > 0.0 else least
            most = max(most, square)
    return least, most


@kernel
def multiply_blocks(data, indices, indptr, weights, features, scratch, blocks, sums):
    """Weighted products of the columns of each group with one another, and their sums, for a CSC matrix.

    `features` has a row of columns for each group; `scratch` has an entry a row, and is zero before and after.
    """
    for g in range(features.shape[0]):
        for b in range(features.shape[1]):
            j, total = U(features[g, b]), 0.0
            for q in range(U(indptr[j]), U(indptr[j + U(1)])):
                i = U(indices[q])
                entry = weights[i] * data[q]
                scratch[i] = entry
                total += entry
            sums[g, b] = total
            for a in range(b + 1):
                j2, product = U(features[g, a]), 0.0
                for q in range(U(indptr[j2]), U(indptr[j2 + U(1)])):
                    product += data[q] * scratch[U(indices[q])]
                blocks[g, a, b] = product
                blocks[g, b, a] = product
            for q in range(U(indptr[j]), U(indptr[j + U(1)])):
                scratch[U(indices[q])] = 0.0
