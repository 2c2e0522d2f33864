"""Sparse columns of a dense matrix, and a dense matrix of sparse columns."""

from sparseopt._jit import kernel


@kernel
def compress(full, starts, rows, values):
    """Entries of each column full[j] that are not zero, into the last three, in place, which have room for all."""
    count = 0
    for j in range(full.shape[0]):
        starts[j] = count
        for i in range(full.shape[1]):
            if full[j, i] != 0.0:
                rows[count], values[count] = i, full[j, i]
                count += 1
    starts[full.shape[0]] = count


@kernel
def fill(design, full):
    """Entries of a CSC design into an array of its columns, which has zeros before, in place."""
    for j in range(full.shape[0]):
        for t in range(design.indptr[j], design.indptr[j + 1]):
            full[j, design.indices[t]] = design.data[t]
