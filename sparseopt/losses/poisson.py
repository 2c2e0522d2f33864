"""Poisson regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.losses.log_link import LogConstant, LogLink, prepare_log_link


@dataclass(frozen=True, eq=False)
class Poisson(LogLink):
    """Half the weighted mean deviance of counts y_i with means exp(z_i), z_i = x_i w + b + offset_i.

    phi = exp(z) - y - y (z - log y), zero where the mean is y; scikit-learn's PoissonRegressor has the same
    scale. Parameters are those of `LeastSquares`; y is nonnegative, and need not be whole: for rates per
    exposure, give the exposures as sample_weight, or counts with offset=log(exposure).

    The curvature has no bound (`has_bounded_curvature` is False). Beyond z = 230 (40 for float32) the
    exponential is continued by its tangent.

    Raises
    ------
    ValueError
        Also where y has a negative entry, or is zero everywhere with an intercept.
    """

    def __post_init__(self):
        prepare_log_link(self)
        if np.any(self.y < 0):
            i = int(np.flatnonzero(self.y < 0)[0])
            raise ValueError(f"y is {self.y[i]:g} in row {i}; Poisson takes counts or rates, which are at least 0.")
        if not self.intercept:
            return
        mean = float(np.sum(self.sample_weight.values * self.y, dtype=np.float64))
        if mean == 0.0:
            raise ValueError(
                "y is zero wherever it has weight, so that the intercept would be minus infinity; give a positive count or intercept=False."
            )
        object.__setattr__(self, "constant", LogConstant(float(np.log(mean)), -1.0))

    def value(self, y, z):
        # with d = z - log y it is y (expm1(d) - d), which keeps its digits near a perfect fit; where y is zero or d
        # is large, there is nothing to lose
        d = z - np.log(y + (y == 0))
        near = np.minimum(d, 1.0)
        far = self.total_growth(z) - y * (np.exp(near) + d - near)
        return y * (np.expm1(near) - near) + ((y == 0) | (d > 1.0)) * far

    def slope(self, y, z):
        return self.growth(z) - y

    def curvature(self, y, z):
        return self.growth(z)

    def curvature_between(self, y, a, b):
        return self.growth(max(a, b))

    def mass_at(self, i):
        return self.sample_weight.at(i)

    def conjugate(self, v):
        """(y + v) log(y + v) - (y + v) - y log y + y for v >= -y, in a form that keeps its digits near v = 0."""
        y = self.y.astype(np.float64)
        mean = np.maximum(y + v, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            known = v * np.log(y) + np.where(mean > 0.0, mean * np.log1p(v / y), 0.0) - v
            empty = np.where(mean > 0.0, mean * np.log(mean), 0.0) - v
        return np.where(y + v >= 0.0, np.where(y > 0.0, known, empty), np.inf)

    def slope_scale(self, v):
        y, falls = self.y.astype(np.float64), v < 0.0
        return float(np.min(y[falls] / -v[falls], initial=1.0))
