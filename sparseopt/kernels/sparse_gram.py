"""Products of a few sparse columns with one another, through blocks of rows.

In a row that holds c of the columns there are c**2 / 2 products, whatever the number of columns is. So many rows are
turned at once as stay near: columns are read once, in order, and nothing is written far away.
"""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


def turn_rows(data, indices, places, last, begin, ends, ids, values):
    """The entries of some columns in a block of rows, row by row, into `ids` and `values`; `ends` says where rows end.

    Columns are read from `places` on, which move to the first entry beyond the block.
    """
    size = U(ends.size)
    for r in range(size):
        ends[r] = 0
    for k in range(places.size):
        q, stop = U(places[U(k)]), U(last[U(k)])
        while q < stop and U(indices[q]) - begin < size:
            ends[U(indices[q]) - begin] += 1
            q += U(1)
    total = 0
    for r in range(size):
        count = ends[r]
        ends[r] = total
        total += count
    for k in range(places.size):
        q, stop = U(places[U(k)]), U(last[U(k)])
        while q < stop and U(indices[q]) - begin < size:
            r = U(indices[q]) - begin
            ids[U(ends[r])], values[U(ends[r])] = k, data[q]
            ends[r] += 1
            q += U(1)
        places[U(k)] = q


@kernel
def multiply_sparse(data, indices, places, last, weights, first, ends, ids, values, out):
    """sum_i weights_i x_ij x_ik into `out` for columns j from `first` on, a row each, and k up to j.

    The entries of column k of a CSC matrix stand from places_k to last_k; `places` change. `ends`, as long as a block of
    rows, `ids` and `values`, as long as its entries, are scratch.
    """
    for j in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[U(j), U(k)] = 0.0
    for begin in range(0, weights.size, ends.size):
        turn_rows(data, indices, places, last, U(begin), ends, ids, values)
        start = U(0)
        for r in range(min(ends.size, weights.size - begin)):
            stop, q = U(ends[U(r)]), U(ends[U(r)])
            while q > start and ids[q - U(1)] >= first:
                q -= U(1)
                j, entry = U(ids[q]) - U(first), weights[U(begin + r)] * values[q]
                for m in range(start, q + U(1)):
                    out[j, U(ids[m])] += entry * values[m]
            start = stop
