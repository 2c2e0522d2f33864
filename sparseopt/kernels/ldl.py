"""LDL' of a sparse symmetric quasi-definite matrix, row by row (Davis, 2005).

The matrix comes as its diagonal and its upper triangle without it in CSC, already ordered; L has a
unit diagonal, which is not stored. No pivoting: a quasi-definite matrix has the factorisation in any order.
"""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


@kernel
def elimination_tree(indptr, indices, parent, counts, seen):
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


def factorise_rows(indptr, indices, data, diagonal, parent, starts, rows, values, pivots, filled, row, path, seen, first,
              work):  # fmt: skip
    """L into `rows` and `values` at `starts`, D into `pivots`, from row `first` on; returns the next row.

    Stops after about `work` operations, to be called again, or at a zero pivot, whose row -k - 1 it
    returns. The four arrays before are work space: counts of filled entries, the row in the making,
    the columns that it meets, and marks.
    """
    size = parent.size
    if first == 0:
        for k in range(size):
            filled[k], row[k], seen[k] = 0, 0.0, -1
    for k in range(first, size):
        if work < 0:
            return k
        seen[k] = k
        top = U(size)
        for t in range(U(indptr[k]), U(indptr[k + 1])):
            i = U(indices[t])
            row[i] += data[t]
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
        pivot = diagonal[k]
        for t in range(top, U(size)):
            i = U(path[t])
            entry = row[i]
            row[i] = 0.0
            last = U(starts[i] + filled[i])
            for s in range(U(starts[i]), last):
                row[U(rows[s])] -= values[s] * entry
            work -= filled[i]
            scaled = entry / pivots[i]
            rows[last], values[last] = k, scaled
            pivot -= scaled * entry
            filled[i] += 1
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
