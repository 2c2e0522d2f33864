"""The columns of a working set, and a look at all columns that only has to screen."""

from __future__ import annotations

import numpy as np

from sparseopt.designs import CenteredDense, Dense, held_curvature
from sparseopt.kernels.columns import cast_columns, pull_columns, pull_dense
from sparseopt.kernels.sketch import pull_sketch

# Columns that are promised memory at once.
_AT_LEAST = 1024
# Entries that are copied at once, so that they are still near when they are multiplied.
_AT_ONCE = 1 << 15


class WorkingColumns:
    """sqrt(s_i) (x_ij - mean_j) for the features of a working set, dense and side by side.

    With `single` they are float32, and all of X is rounded once to integers of 16 bits: a quarter
    of its memory. That sketch only says which features are worth a look; whatever is proven comes
    from X.
    """

    def __init__(self, loss, *, single):
        design = loss.X
        n = design.shape[0]
        self._root = np.empty(n)
        self._root[:] = np.sqrt(np.asarray(loss.sample_weight.values, dtype=np.float64))
        self._design, self._is_centred = design, loss.intercept
        self._target = self._root * loss.target
        self._means = design.means if isinstance(design, CenteredDense) else np.zeros(design.shape[1])
        self._sketch, self._units = None, None
        if single:
            look = loss.first_look()
            self._sketch, self._units, single = look.sketch, look.units, look.sketch is not None
        # Memory that is not touched is not taken: so many columns can be promised, and are never moved.
        promised = min(design.shape[1], max(4 * n, _AT_LEAST))
        self._matrix = np.empty((n, promised), dtype=np.float32 if single else np.float64, order="F")
        self._size = 0

    @property
    def dtype(self):
        """Precision of the columns."""
        return self._matrix.dtype

    def extend(self, features):
        """Add features; their rows of the Gram matrix, their own columns last."""
        first, size = self._size, self._size + features.size
        if size > self._matrix.shape[1]:
            matrix = np.empty((len(self._root), max(2 * self._matrix.shape[1], size)), dtype=self.dtype, order="F")
            matrix[:, :first] = self._matrix[:, :first]
            self._matrix = matrix
        new = self._matrix[:, first:size]
        if isinstance(self._design, Dense | CenteredDense):
            cast_columns(self._design.values, self._means, self._root, features, new)
        else:
            new[:] = self._root[:, None] * self._design.restrict(features).to_array()
        self._size = size
        # in this order few columns are multiplied by many in hardly more time than it takes to read the many
        rows = np.empty((features.size, size), dtype=self.dtype, order="F")
        np.matmul(new.T, self._matrix[:, :size], out=rows)
        own = rows[:, first:]
        if self._is_centred:
            diagonal = np.einsum("ii->i", own)
            diagonal[:] = held_curvature(diagonal.astype(self._design.dtype), self._design.means[features])
        return rows

    def exact_slopes(self, features, rest):
        """Products of some columns with a vector of one entry a sample, in float64."""
        if isinstance(self._design, Dense | CenteredDense):
            slopes = np.empty(features.size)
            if isinstance(self._design, Dense):
                pull_dense(self._design.values, features, rest, slopes)
            else:
                pull_columns(self._design, features, rest, slopes)
            return slopes
        width = max(1, _AT_ONCE // rest.size)
        blocks = (features[start : start + width] for start in range(0, features.size, width))
        return np.concatenate([np.empty(0), *(self._design.columns_as_rows(block) @ rest for block in blocks)])

    def restrict(self, keep):
        """Leave out columns."""
        columns, kept = self._matrix.T, keep.nonzero()[0].tolist()
        # one after another, each to a place before it: there is no second copy of them
        for place, column in enumerate(kept):
            if place < column:
                columns[place] = columns[column]
        self._size = len(kept)

    def screen(self, w):
        """Slopes of the loss in all features, roughly; None without a sketch of X."""
        if self._sketch is None:
            return None
        rest = self._matrix[:, : self._size] @ w.astype(np.float32) - self._target
        slopes = np.empty(self._units.size)
        pull_sketch(self._sketch, self._units, (self._root * rest).astype(np.float32), slopes)
        return slopes
