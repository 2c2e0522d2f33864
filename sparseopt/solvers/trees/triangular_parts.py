"""Cholesky factors of large matrices, their inverses and largest eigenvalues, in parts short enough for a time limit.

One call of LAPACK takes a second and more where there are thousands of rows, and nothing interrupts it. Each function
is a generator that yields between products of matrices of some hundredths of a second, and returns what it is for.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import blas, lapack

# Multiplications that are made at once, and the fewest columns of a block.
_PRODUCTS, _NARROWEST = 1 << 28, 64
# Columns of a block that is inverted by itself, at most: what is beside it is left to products.
_INVERTED = 64
# Steps of Lanczos' method at most, and those after which it is asked what they have found.
_STEPS, _OFTEN = 60, 4


def copied(matrix, copy):
    """Copy a symmetric matrix in C order into one in Fortran order; returns that. Fresh memory takes its time."""
    for block in _blocks(len(matrix)):
        copy[:, block] = matrix[block].T
        yield
    return copy


def cholesky(matrix):
    """Put the lower Cholesky factor of a matrix in Fortran order into its lower half; returns whether there is one."""
    blocks = _blocks(len(matrix))
    if len(blocks) == 1:
        # in place, without copies
        fault = lapack.dpotrf(matrix, lower=1, overwrite_a=1, clean=0)[1]
        yield
        return fault == 0
    for block in blocks:
        first, last = block.start, block.stop
        if first:
            matrix[first:, block] -= matrix[first:, :first] @ matrix[block, :first].T
            yield
        own, fault = lapack.dpotrf(matrix[block, block], lower=1)
        if fault:
            return False
        matrix[block, block] = own
        if last < len(matrix):
            matrix[last:, block] = blas.dtrsm(1.0, own, matrix[last:, block], side=1, lower=1, trans_a=1)
        yield
    return True


def inverse_diagonal(factor):
    """The diagonal of (L L')**-1, for L in the lower half of `factor`: squares of the columns of L**-1, a block at a time."""
    size = len(factor)
    blocks, diagonal = _blocks(size, _INVERTED), np.empty(size)
    inverses = [lapack.dtrtri(np.tril(factor[block, block]), lower=1)[0] for block in blocks]
    for at, block in enumerate(blocks):
        columns = np.zeros((size - block.start, block.stop - block.start), order="F")
        columns[: block.stop - block.start] = inverses[at]
        for below, inverse in zip(blocks[at + 1 :], inverses[at + 1 :], strict=True):
            first, last = below.start - block.start, below.stop - block.start
            columns[first:last] = -inverse @ (factor[below, block.start : below.start] @ columns[:first])
            yield
        diagonal[block] = np.vecdot(columns.T, columns.T)
        yield
    return diagonal


def largest_eigenpair(apply, size, tolerance):
    """The largest eigenvalue of a positive semidefinite matrix, nearly, and its vector, by Lanczos' method from equal entries."""
    basis = np.zeros((_STEPS + 1, size))
    basis[0] = 1.0 / np.sqrt(size)
    diagonal, beside = [], []
    for step in range(_STEPS):
        image = apply(basis[step])
        yield
        diagonal.append(float(basis[step] @ image))
        # twice, so that rounding leaves nothing of the others
        for _ in range(2):
            image -= (basis[: step + 1] @ image) @ basis[: step + 1]
        rest = float(np.linalg.norm(image))
        is_over = not rest > tolerance * max(diagonal) or step + 1 == _STEPS
        if is_over or step % _OFTEN == _OFTEN - 1:
            # below the last entry beside the diagonal, LAPACK asks for room for one more
            values, vectors, _ = lapack.dstev(np.array(diagonal), np.array(beside or [0.0]))
            value, error = float(values[-1]), rest * abs(float(vectors[-1, -1]))
            if is_over or error <= tolerance * value:
                break
        beside.append(rest)
        basis[step + 1] = image / rest
    return value, vectors[:, -1] @ basis[: step + 1]


def _blocks(size, most=None):
    """Slices of rows or columns, so that the products with one take no more than what is made at once."""
    width = max(_NARROWEST, 4 * _PRODUCTS // max(size * size, 1))
    width = width if most is None else min(width, most)
    return [slice(first, min(first + width, size)) for first in range(0, size, width)]
