"""LDL' of a sparse symmetric quasi-definite matrix, row by row (Davis, 2005).

The matrix comes as its diagonal and its upper triangle without it in CSC, already ordered; L has a
unit diagonal, which is not stored. No pivoting: a quasi-definite matrix has the factorisation in any order.
"""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


def tree(indptr, indices, parent, counts, seen):
    """Parent of each column, and the entries of each column of L, into `parent` and `counts`."""
    for k in range(parent.size):
        parent[k], counts[k], seen[k] = -1, 0, k
        for t in range(U(indptr[k]), U(indptr[k + 1])):
            i = U(indices[t])
            # each column on the way from i to the root has an entry in row k
            while seen[i] != k:
                if parent[i] < 0:
                    parent[i] = k
                counts[i] += 1
                seen[i] = k
                i = U(parent[i])


@kernel
def elimination_tree(indptr, indices, parent, counts, seen):
    """`tree`, by itself."""
    tree(indptr, indices, parent, counts, seen)


def find_rows(indptr, indices, parent, starts, rows, columns, ends, filled, path, seen):
    """The pattern of L: rows of each column, and columns of each row in the order of the tree, into `rows` and `columns`.

    Row k has its columns before ends[k]. The three arrays after that are work space.
    """
    size, end = parent.size, 0
    for k in range(size):
        filled[k], seen[k] = starts[k], -1
    for k in range(size):
        seen[k] = k
        top = U(size)
        for t in range(U(indptr[k]), U(indptr[k + 1])):
            i = U(indices[t])
            length = U(0)
            while seen[i] != k:
                path[length] = i
                length += U(1)
                seen[i] = k
                i = U(parent[i])
            # the columns are met in the order of the tree: later paths come first
            while length > U(0):
                length -= U(1)
                top -= U(1)
                path[top] = path[length]
        for t in range(top, U(size)):
            i = U(path[t])
            columns[U(end)] = i
            rows[U(filled[i])] = k
            filled[i] += 1
            end += 1
        ends[k] = end


def factorise_rows(
    indptr, indices, data, diagonal, starts, rows, columns, ends, values, pivots, filled, row, first, work
):
    """L into `values` at the pattern of `find_rows`, D into `pivots`, from row `first` on; returns the next row.

    Stops after about `work` operations, to be called again, or at a zero pivot, whose row -k - 1 it
    returns. The two arrays before are work space: ends of filled entries, and the row in the making.
    Two columns in one pass would take a fifth less time, but dependent rows, which cancel where both take the same
    operations in the same order, would do so no more.
    """
    size = pivots.size
    if first == 0:
        for k in range(size):
            filled[k], row[k] = starts[k], 0.0
    for k in range(first, size):
        if work < 0:
            return k
        for t in range(U(indptr[k]), U(indptr[k + 1])):
            row[U(indices[t])] += data[t]
        pivot = diagonal[k]
        for t in range(U(ends[k - 1] if k > 0 else 0), U(ends[k])):
            i = U(columns[t])
            entry = row[i]
            row[i] = 0.0
            begin, last = U(starts[i]), U(filled[i])
            work -= filled[i] - starts[i]
            for s in range(begin, last):
                row[U(rows[s])] -= values[s] * entry
            scaled = entry / pivots[i]
            values[last] = scaled
            pivot -= scaled * entry
            filled[i] = last + U(1)
        pivots[k] = pivot
        if pivot == 0.0:
            return -k - 1
    return size


def solve_in_place(starts, rows, values, pivots, x):
    """Solution of L D L' x = x, in place."""
    for k in range(x.size):
        known = x[k]
        for s in range(U(starts[k]), U(starts[k + 1])):
            x[U(rows[s])] -= values[s] * known
    for k in range(x.size):
        x[k] /= pivots[k]
    for k in range(x.size - 1, -1, -1):
        total = x[k]
        for s in range(U(starts[k]), U(starts[k + 1])):
            total -= values[s] * x[U(rows[s])]
        x[k] = total
