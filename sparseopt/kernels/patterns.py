"""Patterns of sparse symmetric matrices that are made of blocks: joined, and split into triangles.

A pattern holds both halves without the diagonal, by columns.
"""

import numpy as np

from sparseopt._jit import brief_kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


def count_block(indptr, indices, below, counts):
    """Add the entries of a block that stands `below` rows under the diagonal block to the counts of columns.

    A symmetric block stands at 0; its diagonal is left out.
    """
    for j in range(indptr.size - 1):
        others = 0
        for t in range(U(indptr[j]), U(indptr[j + 1])):
            i = below + indices[t]
            if i != j:
                counts[U(i)] += 1
                others += 1
        if below > 0:
            counts[j] += others


def place_block(indptr, indices, data, below, ends, joined, values):
    """Put the entries of a block at the ends of its columns and rows, which move on."""
    for j in range(indptr.size - 1):
        for t in range(U(indptr[j]), U(indptr[j + 1])):
            i = U(below + indices[t])
            if i == j:
                continue
            to = U(ends[i])
            joined[to], values[to] = j, data[t]
            ends[i] += 1
            if below > 0:
                to = U(ends[j])
                joined[to], values[to] = i, data[t]
                ends[j] += 1


@brief_kernel
def join(size, below_second, below_third, first_starts, first_rows, first_values, second_starts, second_rows,
         second_values, third_starts, third_rows, third_values, ends, starts, joined, values):  # fmt: skip
    """Both halves of a symmetric matrix of three blocks, the first on its diagonal, by columns, into the last three.

    The others stand so many rows under it. `ends` is work space.
    """
    for k in range(size):
        ends[k] = 0
    count_block(first_starts, first_rows, 0, ends)
    count_block(second_starts, second_rows, below_second, ends)
    count_block(third_starts, third_rows, below_third, ends)
    starts[0] = 0
    for k in range(size):
        starts[k + 1] = starts[k] + ends[k]
        ends[k] = starts[k]
    place_block(first_starts, first_rows, first_values, 0, ends, joined, values)
    place_block(second_starts, second_rows, second_values, below_second, ends, joined, values)
    place_block(third_starts, third_rows, third_values, below_third, ends, joined, values)


@brief_kernel
def add_up(counts, starts):
    """Starts of columns with these counts; the counts become the starts as well."""
    starts[0] = 0
    for k in range(counts.size):
        starts[k + 1] = starts[k] + counts[k]
        counts[k] = starts[k]


def split(indptr, indices, data, place, sign, starts, rows, values):
    """The entries above (sign 1) or below (-1) the diagonal once row and column k stand at place[k], by columns."""
    n = place.size
    for k in range(n + 1):
        starts[k] = 0
    for j in range(n):
        own, count = sign * place[j], 0
        for t in range(U(indptr[j]), U(indptr[j + 1])):
            count += sign * place[U(indices[t])] < own
        starts[place[j] + 1] = count
    for k in range(n):
        starts[k + 1] += starts[k]
    for j in range(n):
        own, to = sign * place[j], U(starts[place[j]])
        for t in range(U(indptr[j]), U(indptr[j + 1])):
            i = place[U(indices[t])]
            if sign * i < own:
                rows[to], values[to] = i, data[t]
                to += U(1)


@brief_kernel
def triangle(indptr, indices, data, place, sign, starts, rows, values):
    """`split`, by itself."""
    split(indptr, indices, data, place, sign, starts, rows, values)


@brief_kernel
def own_diagonal(indptr, indices, data, ridge, n, own):
    """Diagonal of [P F' A'; F -I 0; A 0 0] into `own`, where F has n rows; P is its entries and a ridge."""
    p = ridge.size
    for k in range(own.size):
        own[k] = ridge[k] if k < p else (-1.0 if k < p + n else 0.0)
    for j in range(indptr.size - 1):
        for t in range(indptr[j], indptr[j + 1]):
            if indices[t] == j:
                own[j] += data[t]


@brief_kernel
def is_canonical(matrix, smallest, largest):
    """Whether a CSC design is sound: pointers and rows that increase within bounds, and entries that are zero or of sizes in this range."""
    indptr, indices, data = matrix.indptr, matrix.indices, matrix.data
    if indptr[0] != 0 or indptr[indptr.size - 1] != data.size or indices.size != data.size:
        return False
    # loops without a way out take a fifth of the time
    outside, falls = 0, 0
    for t in range(data.size):
        size = abs(data[t])
        outside += (size != 0.0) * ((not size >= smallest) + (not size <= largest))
    for t in range(data.size):
        outside += (indices[t] < 0) + (indices[t] >= matrix.n_rows)
    for t in range(1, data.size):
        falls += indices[t] <= indices[t - 1]
    # rows may fall from one column to the next, but nowhere else
    for j in range(1, indptr.size):
        start, end = indptr[j - 1], indptr[j]
        if end < start or end > data.size:
            return False
        if 0 < start < end:
            falls -= indices[start] <= indices[start - 1]
    return outside == 0 and falls == 0


@brief_kernel
def symmetry(matrix, unread, diagonal, margins):
    """Whether a sorted CSC design is its transpose, entry by entry: 0 no, 1 yes, 2 with a diagonal only.

    Each diagonal entry goes into `diagonal`, and less the sizes of the others of its column into `margins`; `unread` is
    work space. Both are complete where the answer is yes.
    """
    indptr, indices, data, found = matrix.indptr, matrix.indices, matrix.data, 2
    for j in range(unread.size):
        unread[j], diagonal[j], margins[j] = indptr[j + 1], 0.0, 0.0
        for t in range(indptr[j], indptr[j + 1]):
            i = indices[t]
            margins[j] += data[t] if i == j else -abs(data[t])
            if i == j:
                diagonal[j] = data[t]
            elif i > j:
                unread[j] = min(unread[j], t)
            else:
                # what column i has at row j must be the first of its entries that nothing has matched yet
                k, found = unread[i], 1
                if k == indptr[i + 1] or indices[k] != j or data[k] != data[t]:
                    return 0
                unread[i] += 1
    for j in range(unread.size):
        if unread[j] != indptr[j + 1]:
            return 0
    return found
