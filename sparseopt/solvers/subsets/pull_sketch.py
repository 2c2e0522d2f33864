"""Products of all columns with a vector from a sketch of X in 16 bits, with a bound on how far they are off."""

from __future__ import annotations

import numpy as np

from sparseopt.kernels.sketch import pull_sketch
from sparseopt.losses import LeastSquares
from sparseopt.losses.first_look import is_worth_a_sketch

# How far rounding takes an entry of a sketch from what it stands for, and how long a column may be, in its units.
_HALF, _LENGTH = 0.501, 1.1 * 32_000.0
# Relative rounding of float32.
_SINGLE = float(np.finfo(np.float32).eps) / 2.0


class PullSketch:
    """The sketch that the loss has made while X was read.

    Parameters
    ----------
    look : FirstLook
    sizes : array of shape (p,)
        In which errors are measured.
    is_flat : array of shape (p,)
        Columns that count as zeros.
    """

    def __init__(self, look, sizes, is_flat):
        self.integers, self.units, self.is_flat = look.sketch, look.units, is_flat
        #: The largest unit, in sizes.
        self.unit = float(np.max(look.units[~is_flat] / sizes[~is_flat], initial=0.0))

    @staticmethod
    def of(loss, sizes, is_flat):
        """The sketch of a loss; None where there is none, or it says little."""
        if not isinstance(loss, LeastSquares) or not is_worth_a_sketch(loss.X):
            return None
        look = loss.first_look()
        return None if look.sketch is None else PullSketch(look, sizes, is_flat)

    def pulls(self, u):
        """Products of the columns with u, and how far they are off at most, in sizes of columns.

        An entry of the sketch is off by half a unit, and a sum of products in float32, in any order, by one rounding
        for each of them, relative to the lengths of both.
        """
        scale = float(np.max(np.abs(u), initial=0.0)) or 1.0
        u = u / scale
        pulls = np.empty(self.units.size)
        pull_sketch(self.integers, self.units, u.astype(np.float32), pulls)
        pulls *= scale
        pulls[self.is_flat] = 0.0
        rounded = _LENGTH * (u.size + 4) * _SINGLE * float(np.linalg.norm(u))
        return pulls, scale * self.unit * (_HALF * float(np.sum(np.abs(u))) + rounded)
