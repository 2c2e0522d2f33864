"""Huber's loss: quadratic near zero, linear beyond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.inputs import as_number
from sparseopt.losses.samples import SampleLoss, prepare


@dataclass(frozen=True, eq=False)
class Huber(SampleLoss):
    """Weighted mean of r**2 / 2 where |r| <= delta, delta |r| - delta**2 / 2 beyond (Huber, 1964).

    r_i = x_i w + b + offset_i - y_i. Parameters are those of `LeastSquares`, and

    Parameters
    ----------
    delta : float > 0, default 1.35
        In the units of y. Huber's 1.345 keeps 95 % efficiency for normal errors of unit scale.
    """

    delta: float = 1.35

    def __post_init__(self):
        object.__setattr__(self, "delta", as_number(self.delta, "delta", above=0.0))
        prepare(self, self.X, self.y)

    def value(self, y, z):
        a = abs(z - y)
        inner = np.minimum(a, self.delta)
        return inner * (a - inner / 2)

    def slope(self, y, z):
        return np.minimum(np.maximum(z - y, -self.delta), self.delta)

    def curvature(self, y, z):
        return 1.0 * (abs(z - y) <= self.delta)

    def smoothness(self):
        return 1.0
