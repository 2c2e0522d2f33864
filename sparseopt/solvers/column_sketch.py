"""A rough copy of a dense matrix that only screens: 16 bits an entry, a quarter of its memory."""

from __future__ import annotations

import numpy as np

from sparseopt.kernels.sketch import pull_sketch, sketch_and_pull

# Part of the largest slope by which those of a sketch may be off.
_FAITHFUL = 5e-3


class ColumnSketch:
    """The columns x_j - shift_j, each rounded in units of its length.

    Making it takes one look at X, which also gives the exact products of the columns with a vector u.
    """

    def __init__(self, values, shift, u):
        n, p = values.shape
        self._integers, self._units = np.empty((n, p), dtype=np.int16, order="F"), np.empty(p)
        #: Products with u.
        self.exact = np.empty(p)
        sketch_and_pull(values, shift, np.ones(n), u, self._integers, self._units, self.exact)
        # the roundings, of less than a unit an entry, add up like noise
        error = np.max(self._units, initial=0.0) * np.linalg.norm(u)
        #: Whether such products are good enough to choose features by: not where columns are nearly the same.
        self.is_faithful = bool(error <= _FAITHFUL * np.max(np.abs(self.exact), initial=0.0))

    def pull(self, u):
        """Rough products of the columns with u."""
        # relative to the largest, so that float32 holds them
        unit = float(np.max(np.abs(u), initial=0.0)) or 1.0
        out = np.empty(self._units.size)
        pull_sketch(self._integers, self._units, (u / unit).astype(np.float32), out)
        out *= unit
        return out
