"""A rough copy of a dense matrix that only screens: 16 bits an entry, a quarter of its memory."""

from __future__ import annotations

import numpy as np

from sparseopt.kernels.sketch import pull_sketch, read_columns
from sparseopt.losses.first_look import is_faithful


class ColumnSketch:
    """The columns of X, or x_j - mean_j with `is_centred`, each rounded in units of its length.

    Making it takes one look at X, which also gives the exact products of the columns with a vector u.
    """

    def __init__(self, values, weights, u, *, is_centred):
        n, p = values.shape
        self._integers = np.empty((n, p), dtype=np.int16, order="F")
        #: Weighted means of the columns if they are taken off, zeros else, and products with u.
        self.means, self.exact = np.empty((2, p))
        squares, self._units = np.empty((2, p))
        rows = np.empty(n)
        rows[:] = weights
        scaled, unit = _in_units(u)
        read_columns(values, rows, is_centred, scaled, self._integers, self.means, squares, self._units, self.exact)
        #: Whether such products are good enough to choose features by.
        self.is_faithful = is_faithful(self._units, scaled, self.exact)
        self.exact *= unit

    def pull(self, u):
        """Rough products of the columns with u."""
        scaled, unit = _in_units(u)
        out = np.empty(self._units.size)
        pull_sketch(self._integers, self._units, scaled.astype(np.float32), out)
        out *= unit
        return out


def _in_units(u):
    """u relative to its largest entry, so that float32 holds it, and that entry."""
    unit = float(np.max(np.abs(u), initial=0.0)) or 1.0
    return u / unit, unit
