"""The columns of a working set, and a look at all columns that only has to screen."""

from __future__ import annotations

import numpy as np

from sparseopt.designs import CenteredDense, Dense
from sparseopt.kernels.gram import cast_and_pull

# Entries of X from which a copy in float32 saves time, and up to which it may take memory (1 GB).
_WORTH_A_COPY, _TOO_LARGE = 1e5, 2**28
# Mean curvature of a feature, and squares of y, within which products in float32 neither overflow nor vanish.
_LEAST, _MOST = 1e-20, 1e20
# Columns that are promised memory at once.
_AT_LEAST = 1024


class WorkingColumns:
    """sqrt(s_i) (x_ij - mean_j) for the features of a working set, dense and side by side.

    With `single`, X is copied once in float32: half of its memory. That copy serves the Gram
    matrix and screening, which may be a little off; whatever is proven comes from X.
    """

    def __init__(self, loss, *, single):
        design = loss.X
        n = design.shape[0]
        self._root = np.empty(n)
        self._root[:] = np.sqrt(np.asarray(loss.sample_weight.values, dtype=np.float64))
        self._design = design
        self._shadow = None
        self.slopes_at_zero = None
        if single:
            self._shadow = np.empty(design.shape, dtype=np.float32, order="F")
            self.slopes_at_zero = np.empty(design.shape[1])
            means = design.means if isinstance(design, CenteredDense) else np.zeros(design.shape[1])
            self._target = self._root * loss.target
            squares = cast_and_pull(design.values, means, self._root, -self._target, self._shadow, self.slopes_at_zero)
            single = _LEAST < squares / design.shape[1] < _MOST and float(self._target @ self._target) < _MOST
        if not single:
            self._shadow = None
        # Memory that is not touched is not taken: so many columns can be promised, and are never moved.
        promised = min(design.shape[1], max(4 * n, _AT_LEAST))
        self._matrix = np.empty((n, promised), dtype=np.float32 if single else np.float64, order="F")
        self._size = 0

    @staticmethod
    def prefer_single(design):
        """Whether a copy in float32 pays."""
        return isinstance(design, Dense | CenteredDense) and _WORTH_A_COPY <= design.n_entries <= _TOO_LARGE

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
        if self._shadow is not None:
            new[:] = self._shadow[:, features]
        elif features.size == self._design.shape[1] and isinstance(self._design, Dense):
            np.multiply(self._design.values, self._root[:, None], out=new)
        else:
            np.multiply(self._design.restrict(features).to_array(), self._root[:, None], out=new)
        self._size = size
        return new.T @ self._matrix[:, :size]

    def screen(self, w):
        """Slopes of the loss in all features, in float32; None without a copy of X."""
        if self._shadow is None:
            return None
        rest = self._matrix[:, : self._size] @ w.astype(np.float32) - self._target.astype(np.float32)
        return np.vecdot(self._shadow.T, rest).astype(np.float64)
