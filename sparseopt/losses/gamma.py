"""Gamma regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.losses.log_link import LogConstant, LogLink, prepare_log_link


@dataclass(frozen=True, eq=False)
class Gamma(LogLink):
    """Half the weighted mean deviance of positive y_i with means exp(z_i), z_i = x_i w + b + offset_i.

    phi = y exp(-z) + z - log y - 1, zero where the mean is y; scikit-learn's GammaRegressor has the same
    scale. Parameters are those of `LeastSquares`; y is positive.

    The curvature has no bound (`has_bounded_curvature` is False). Below z = -230 (-40 for float32) the
    exponential is continued by its tangent.

    Raises
    ------
    ValueError
        Also where y has an entry that is not positive.
    """

    def __post_init__(self):
        prepare_log_link(self)
        if np.any(self.y <= 0):
            i = int(np.flatnonzero(self.y <= 0)[0])
            raise ValueError(
                f"y is {self.y[i]:g} in row {i}; Gamma takes positive targets: drop such rows, or model them apart."
            )
        if self.intercept:
            object.__setattr__(self, "constant", LogConstant(0.0, 1.0))

    def value(self, y, z):
        # with d = z - log y it is expm1(-d) + d, which keeps its digits near a perfect fit
        d = z - np.log(y)
        near = np.maximum(d, -1.0)
        return (d >= -1.0) * (np.expm1(-near) + near) + (d < -1.0) * (y * self.total_growth(-z) + d - 1.0)

    def slope(self, y, z):
        return 1 - y * self.growth(-z)

    def curvature(self, y, z):
        return y * self.growth(-z)

    def curvature_between(self, y, a, b):
        return y * self.growth(-min(a, b))

    def mass_at(self, i):
        return self.sample_weight.at(i) * self.y[i]

    def conjugate(self, v):
        """(1 - v) log(1 - v) + v + v log y for v <= 1."""
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = np.where(v < 1.0, (1.0 - v) * np.log1p(-v), 0.0)
        return np.where(v <= 1.0, entropy + v + v * np.log(self.y.astype(np.float64)), np.inf)

    def slope_scale(self, v):
        return 1.0 / max(float(np.max(v, initial=1.0)), 1.0)
