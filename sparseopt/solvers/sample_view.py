"""A loss on samples seen through the rows of its features: points, slopes, bounds by duality, curvature of a few.

Features are rows in float64 here, so that a look at some of them reads memory in order. With an intercept
their means are taken off: slopes are made to sum to zero, and products with them keep their digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sparseopt.conjugates import loss_conjugate
from sparseopt.designs import Dense, centered, held_curvature

# Entries up to which a sparse matrix is kept dense: a gigabyte.
_LARGEST = 2**27
# Relative error of sums in float64, with room to spare.
ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class SamplePoint:
    """Where the samples stand: fitted values with offset, value of the loss, and its slopes, which sum to zero with an intercept."""

    z: np.ndarray
    height: float
    slopes: np.ndarray
    mass: np.ndarray
    #: Slope in the intercept.
    imbalance: float


class SampleView:
    """A loss on samples with its features as rows, and the curvature of those that were asked for."""

    def __init__(self, loss, features=None):
        self.loss, self.y = loss, loss.y.astype(np.float64)
        n, p = loss.X.shape
        self.features = np.arange(p) if features is None else features
        self.s = np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), n)
        design = centered(loss.X, loss.sample_weight.values) if loss.intercept else loss.X
        self.means = design.means.astype(np.float64) if loss.intercept else np.zeros(p)
        self.rows = np.ascontiguousarray(design.columns_as_rows(self.features))
        self.norms = np.sqrt(np.vecdot(self.rows, self.rows))
        self.renew(np.ones(n))

    @cached_property
    def squares(self):
        """Squares of all entries, for the curvature of every feature."""
        return self.rows * self.rows

    def restrict(self, kept):
        """The view of some of the features, by position."""
        part = object.__new__(SampleView)
        part.__dict__.update(self.__dict__)
        part.__dict__.pop("squares", None)
        part.features, part.rows, part.norms = self.features[kept], self.rows[kept], self.norms[kept]
        part.renew(self._bends)
        return part

    def point(self, w, intercept):
        """The point of coefficients w of the features."""
        on = np.flatnonzero(w)
        return self.point_of(w[on] @ self.rows[on] + intercept)

    def point_of(self, eta):
        loss, y, s = self.loss, self.y, self.s
        z = loss.offset.added_to(eta)
        slopes = np.asarray(loss.slope(y, z), dtype=np.float64)
        height = float(s @ loss.value(y, z))
        imbalance = 0.0
        if loss.intercept:
            imbalance = float(s @ slopes)
            slopes = balanced(slopes, s)
        return SamplePoint(z, height, slopes, s * slopes, imbalance)

    def settled(self, w):
        """The best intercept at w."""
        on = np.flatnonzero(w)
        return float(self.loss.constant.settled(self.loss, w[on] @ self.rows[on]))

    def raw_intercept(self, w, intercept):
        """The intercept that goes with features whose means are not taken off."""
        return float(intercept - self.means[self.features] @ w)

    def pulls(self, point):
        """Minus the slope of the loss in each feature."""
        return -(self.rows @ point.mass)

    def conjugate(self, point):
        """Minus the sum of the conjugates at the slopes of a point, and the size of its terms."""
        terms = self.s * loss_conjugate(self.loss, point.slopes)
        terms = np.where(self.s > 0.0, terms, 0.0)
        return -float(terms.sum()), float(np.abs(terms).sum())

    def bends(self, point, damping):
        """Weighted curvature of the samples, each at least a part of the largest."""
        bends = np.asarray(self.loss.curvature(self.y, point.z), dtype=np.float64)
        bound = self.loss.smoothness()
        return self.s * np.maximum(bends, damping * (bound if np.isfinite(bound) else np.max(bends)))

    def renew(self, bends):
        """Forget all curvature and begin again with that of the samples."""
        self._bends, self._total = bends, float(np.sum(bends))
        self._slot = np.full(self.features.size, -1)
        self._count, self._scaled, self._gram = 0, np.empty((0, bends.size)), np.empty((0, 0))
        self._centre = np.empty(0)

    def gram(self, positions):
        """Weighted Gram matrix of some features, the intercept minimised out, and their weighted means."""
        new = positions[self._slot[positions] < 0]
        if new.size:
            self._extend(new)
        slots = self._slot[positions]
        return self._gram[np.ix_(slots, slots)], self._centre[slots]

    def curve(self, image):
        """What the slope in the intercept changes by with the fitted values."""
        return float(self._bends @ image), self._total

    def _extend(self, new):
        first, count = self._count, self._count + new.size
        if count > len(self._gram):
            size = max(2 * len(self._gram), count, 64)
            gram, scaled, centre = np.empty((size, size)), np.empty((size, self._bends.size)), np.empty(size)
            gram[:first, :first], scaled[:first] = self._gram[:first, :first], self._scaled[:first]
            centre[:first] = self._centre[:first]
            self._gram, self._scaled, self._centre = gram, scaled, centre
        rows, means = self.rows[new], np.zeros(new.size)
        if self.loss.intercept and self._total > 0.0:
            means = rows @ self._bends / self._total
            rows = rows - means[:, None]
        self._centre[first:count] = means
        scaled = np.multiply(rows, np.sqrt(self._bends), out=self._scaled[first:count])
        block = scaled @ self._scaled[:count].T
        own = np.einsum("ii->i", block[:, first:])
        own[:] = held_curvature(own, means, self._total)
        self._gram[first:count, :count] = block
        self._gram[:first, first:count] = block[:, :first].T
        self._slot[new], self._count = np.arange(first, count), count


def balanced(slopes, s):
    """Slopes whose weighted sum is zero: the heavier of their signs is scaled down, which keeps them slopes."""
    mass = s * slopes
    above, below = float(np.sum(mass[mass > 0.0])), -float(np.sum(mass[mass < 0.0]))
    if above <= 0.0 or below <= 0.0:
        return np.zeros_like(slopes)
    if above > below:
        return np.where(slopes > 0.0, slopes * (below / above), slopes)
    return np.where(slopes < 0.0, slopes * (above / below), slopes)


def fits_memory(loss):
    """Whether the features of a loss may be kept as dense rows."""
    n, p = loss.X.shape
    return isinstance(loss.X, Dense) or n * p <= _LARGEST
