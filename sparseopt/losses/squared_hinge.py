"""The squared hinge loss of support vector machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparseopt.losses.logistic import as_labels
from sparseopt.losses.samples import SampleLoss, prepare


@dataclass(frozen=True, eq=False)
class SquaredHinge(SampleLoss):
    """Half the weighted mean of max(1 - y_i z_i, 0)**2 with y_i in {-1, 1} and z_i = x_i w + b + offset_i.

    The loss of L2-SVMs (Chang, Hsieh and Lin, 2008). Parameters are those of `LeastSquares`; y may also be 0/1 or
    boolean. Scikit-learn's LinearSVC with C and without an intercept is Ridged(Zero(), 1 / (2 C n)), with
    penalty="l1" it is L1(1 / (2 C n)).
    """

    has_conjugate: ClassVar[bool] = True

    def __post_init__(self):
        prepare(self, self.X, self.y)
        as_labels(self)

    def value(self, y, z):
        lack = np.maximum(1 - y * z, 0)
        return lack * lack / 2

    def slope(self, y, z):
        one = y * y  # in the type of the data: y is -1 or 1
        return -y * np.maximum(one - y * z, one * 0)

    def curvature(self, y, z):
        return 1.0 * (y * z < 1)

    def smoothness(self):
        return 1.0

    def conjugate(self, v):
        """v**2 / 2 + y v where y v <= 0."""
        margin = self.y.astype(np.float64) * v
        return np.where(margin <= 0.0, v * v / 2 + margin, np.inf)

    def slope_scale(self, v):
        return 1.0 if np.all(self.y * v <= 0.0) else 0.0
