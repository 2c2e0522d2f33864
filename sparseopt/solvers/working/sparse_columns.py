"""Rows of a Gram matrix from the columns of a sparse X."""

from __future__ import annotations

import numpy as np

from sparseopt.designs import held_curvature
from sparseopt.kernels.sparse_gram import multiply_sparse

# Entries that are turned at once: they stay in the nearest memory but one.
_AT_ONCE = 1 << 15


class SparseColumns:
    """The features of a working set, whose columns stay where they are in a sparse X; what is multiplied is float64."""

    #: Precision of the products.
    dtype = np.dtype(np.float64)

    def __init__(self, loss):
        self._design, self._is_centred = loss.X, loss.intercept
        self._weights = np.empty(loss.X.shape[0])
        self._weights[:] = loss.sample_weight.values
        self._features = np.empty(0, dtype=np.intp)

    def extend(self, features):
        """Add features; their rows of the Gram matrix, their own columns last."""
        first, X = self._features.size, self._design
        self._features = everything = np.concatenate([self._features, features])
        places, last = X.indptr[everything].astype(np.intp), X.indptr[everything + 1].astype(np.intp)
        entries, n = int(np.sum(last - places)), self._weights.size
        block = min(n, 1 + n * _AT_ONCE // max(entries, 1))
        # no more entries than a block of rows has places; memory that is not touched is not taken
        room = min(block * everything.size, entries)
        rows = np.empty((features.size, everything.size))
        multiply_sparse(
            X.data, X.indices, places, last, self._weights, first,
            np.empty(block, dtype=np.intp), np.empty(room, dtype=np.int32), np.empty(room), rows,
        )  # fmt: skip
        own = rows[:, first:]
        own += np.tril(own, -1).T
        if self._is_centred:
            means = X.means.astype(np.float64)
            rows -= np.outer(means[features], means[everything])
            diagonal = np.einsum("ii->i", own)
            diagonal[:] = held_curvature(diagonal, means[features])
        return rows

    def restrict(self, keep):
        """Leave out columns."""
        self._features = self._features[keep]

    def screen(self, w):
        """There is no sketch to screen with."""
        return None
