"""The columns of a working set, and a look at all columns that only has to screen."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dsyrk, ssyrk

from sparseopt.designs import CenteredDense, Dense, held_curvature
from sparseopt.kernels.columns import cast_columns
from sparseopt.kernels.sketch import pull_sketch, sketch_and_pull

# Entries of X from which a sketch saves time, and up to which it may take memory (half a gigabyte).
_WORTH_A_SKETCH, _TOO_LARGE = 1e5, 2**28
# Mean curvature of a feature, and squares of y, within which products in float32 neither overflow nor vanish.
_LEAST, _MOST = 1e-20, 1e20
# Part of the largest slope by which those of a sketch may be off.
_FAITHFUL = 5e-3
# Columns that are promised memory at once.
_AT_LEAST = 1024
# As many times as large as the working set X must be for exact slopes on the set alone to save a look at all of it.
_FEW = 1500
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
        self._sketch = None
        self.slopes_at_zero = None
        if single:
            single = self._take_sketch(design)
        # Memory that is not touched is not taken: so many columns can be promised, and are never moved.
        promised = min(design.shape[1], max(4 * n, _AT_LEAST))
        self._matrix = np.empty((n, promised), dtype=np.float32 if single else np.float64, order="F")
        self._size = 0

    def _take_sketch(self, design):
        """Make the sketch, and the slopes at zero on the way; whether it and float32 will do for this data."""
        p = design.shape[1]
        sketch, self._units = np.empty(design.shape, dtype=np.int16, order="F"), np.empty(p)
        self.slopes_at_zero = np.empty(p)
        squares = sketch_and_pull(
            design.values, self._means, self._root, -self._target, sketch, self._units, self.slopes_at_zero
        )
        if not (_LEAST < squares / p < _MOST and float(self._target @ self._target) < _MOST):
            return False
        rough = np.empty(p)
        pull_sketch(sketch, self._units, -self._target.astype(np.float32), rough)
        largest = np.abs(self.slopes_at_zero).max()
        # far from zero, columns are nearly the same: 16 bits cannot tell them apart, and float32 has few digits left
        if not np.abs(rough - self.slopes_at_zero).max() <= _FAITHFUL * largest:
            return False
        self._sketch = sketch
        return True

    @staticmethod
    def prefer_single(design):
        """Whether a sketch pays."""
        return isinstance(design, Dense | CenteredDense) and _WORTH_A_SKETCH <= design.n_entries <= _TOO_LARGE

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
        rows = np.empty((features.size, size), dtype=self.dtype)
        rows[:, :first] = new.T @ self._matrix[:, :first]
        # of their products with each other, half is enough
        own = (ssyrk if self.dtype == np.float32 else dsyrk)(1.0, new, trans=1, lower=1)
        if self._is_centred:
            diagonal = np.einsum("ii->i", own)
            diagonal[:] = held_curvature(diagonal.astype(self._design.dtype), self._design.means[features])
        rows[:, first:] = own + np.tril(own, -1).T
        return rows

    def are_rough(self, size):
        """Whether exact slopes of the working set are worth their time: they are few, and those at hand rounded to float32."""
        return self.dtype == np.float32 and _FEW * size <= self._design.shape[1]

    def exact_slopes(self, features, rest):
        """Products of some columns with a vector of one entry a sample, in float64."""
        width = max(1, _AT_ONCE // rest.size)
        blocks = (features[start : start + width] for start in range(0, features.size, width))
        return np.concatenate([self._design.columns_as_rows(block) @ rest for block in blocks])

    def restrict(self, keep):
        """Leave out columns."""
        size = int(np.count_nonzero(keep))
        self._matrix[:, :size] = self._matrix[:, : self._size][:, keep]
        self._size = size

    def screen(self, w):
        """Slopes of the loss in all features, roughly; None without a sketch of X."""
        if self._sketch is None:
            return None
        rest = self._matrix[:, : self._size] @ w.astype(np.float32) - self._target.astype(np.float32)
        slopes = np.empty(self._units.size)
        pull_sketch(self._sketch, self._units, rest, slopes)
        return slopes
