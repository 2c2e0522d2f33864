"""Quantile regression, smoothed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparseopt.inputs import as_number
from sparseopt.losses.samples import SampleLoss, prepare

# By default smoothing takes at most this part off the pinball loss of the best constant.
_DIFFERENCE = 0.03


@dataclass(frozen=True, eq=False)
class Quantile(SampleLoss):
    """Weighted mean of the smoothed pinball loss: a Huber-like surrogate of quantile regression, not the same problem.

    With r_i = y_i - x_i w - b - offset_i the pinball loss is quantile * r for r > 0 and (quantile - 1) * r below
    (Koenker and Bassett, 1978). Its kink is rounded by Nesterov's smoothing (2005):

        phi = max over q in [quantile - 1, quantile] of q r - smoothing q**2 / 2

    so it is a parabola around r = 0 and the pinball loss less a constant elsewhere. For every w

        f(w) <= pinball(w) <= f(w) + smoothing * max(quantile, 1 - quantile)**2 / 2

    The certificate is that of the smoothed problem. Its lower bound is one for the exact problem as well, so
    `pinball(w)` + penalty(w) - lower_bound bounds how far w is from the best of quantile regression itself.

    Parameters are those of `LeastSquares`, and

    Parameters
    ----------
    quantile : float in (0, 1), default 0.5
        0.5 is least absolute deviations.
    smoothing : float > 0, optional
        Width of the parabola, in the units of y. By default one with which f and pinball differ by at most 3 % of
        the pinball loss of the best constant. A smaller one is nearer to the pinball loss and slower.
    """

    quantile: float = 0.5
    smoothing: float | None = None
    has_conjugate: ClassVar[bool] = True

    def __post_init__(self):
        quantile = as_number(self.quantile, "quantile", above=0.0)
        if quantile >= 1.0:
            raise ValueError(f"quantile must be less than 1, got {quantile:g}; the median is 0.5.")
        object.__setattr__(self, "quantile", quantile)
        prepare(self, self.X, self.y)
        width = self._default_width() if self.smoothing is None else as_number(self.smoothing, "smoothing", above=0.0)
        object.__setattr__(self, "smoothing", width)

    def value(self, y, z):
        r = y - z
        q = np.minimum(np.maximum(r / self.smoothing, self.quantile - 1.0), self.quantile)
        return q * (r - self.smoothing * q / 2)

    def slope(self, y, z):
        return -np.minimum(np.maximum((y - z) / self.smoothing, self.quantile - 1.0), self.quantile)

    def curvature(self, y, z):
        return 1.0 / self.smoothing * (abs((y - z) / self.smoothing - (self.quantile - 0.5)) <= 0.5)

    def smoothness(self):
        return 1.0 / self.smoothing

    def conjugate(self, v):
        """Smoothing * v**2 / 2 + y v for v in [-quantile, 1 - quantile]."""
        is_slope = (v >= -self.quantile * (1 + 1e-15)) & (v <= (1.0 - self.quantile) * (1 + 1e-15))
        return np.where(is_slope, self.smoothing * v * v / 2 + self.y.astype(np.float64) * v, np.inf)

    def slope_scale(self, v):
        below, above = -float(np.min(v, initial=0.0)), float(np.max(v, initial=0.0))
        return min(
            1.0, self.quantile / max(below, self.quantile), (1.0 - self.quantile) / max(above, 1.0 - self.quantile)
        )

    def pinball(self, w):
        """The pinball loss itself at w, with the intercept of the smoothed one."""
        r = self.y - self.predict(np.asarray(w, dtype=np.float64))
        return float(np.sum(self.sample_weight.values * np.maximum(self.quantile * r, (self.quantile - 1.0) * r)))

    def _default_width(self):
        y = self.offset.taken_from(self.y).astype(np.float64)
        weights = np.broadcast_to(self.sample_weight.values, y.size).astype(np.float64)
        order = np.argsort(y, kind="stable")
        reached = np.cumsum(weights[order])
        best = y[order[min(np.searchsorted(reached, self.quantile * reached[-1]), y.size - 1)]]
        r = y - best
        loss = float(np.sum(weights * np.maximum(self.quantile * r, (self.quantile - 1.0) * r)))
        # a constant y has no scale but its size
        scale = loss or float(np.max(np.abs(y))) or 1.0
        return _DIFFERENCE * 2.0 * scale / max(self.quantile, 1.0 - self.quantile) ** 2
