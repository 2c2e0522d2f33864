"""A loss on samples seen through its features as rows: points, slopes, conjugates, and the curvature of a few features.

Rows are in float64, so that a look at some features reads memory in order. With an intercept their means are
taken off: slopes are made to sum to zero there, and products with them keep their digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sparseopt.conjugates import loss_conjugate
from sparseopt.designs import CenteredDense, Dense, centered
from sparseopt.losses.samples import Offset

# Entries up to which a sparse matrix is kept dense: half a gigabyte.
_LARGEST = 2**26
# Entries that are centred at once.
_AT_ONCE = 1 << 21
# Relative error of sums in float64, with room to spare.
ROUNDING = 1e-14
# Imbalance of slopes, as a part of them, that costs a bound nothing.
_BALANCED = 1e-9
# Differences of slopes over less than this, relative to the fitted values, are rounding.
_NARROW = 1e-8


@dataclass(frozen=True, eq=False)
class SamplePoint:
    """Where the samples stand."""

    #: Fitted values with the intercept, without offset.
    eta: np.ndarray
    #: Weighted sum of phi.
    height: float
    #: Slopes of phi, and these with an intercept scaled down on one side, so that their weighted sum is zero.
    raw: np.ndarray
    slopes: np.ndarray
    #: Slope of the loss in the intercept, and the least factor of a slope.
    imbalance: float
    shrunk: float

    def conjugate(self, view, mass):
        """Minus the weighted sum of the conjugates at the slopes, or a little less, and the size of its terms.

        phi*(v) = v z - phi(z) at a slope v of z; at one that is scaled by c it is at most c times that, for no phi here
        goes below zero. `mass` are the slopes with their weights.
        """
        if 1.0 - self.shrunk <= _BALANCED:
            total = self.height - float(mass @ self.eta)
            size = self.height + float(np.abs(mass) @ np.abs(self.eta))
            return total - 2.0 * (1.0 - self.shrunk) * size, size
        terms = np.where(view.s > 0.0, view.s * loss_conjugate(view.loss, self.slopes), 0.0)
        return -float(terms.sum()), float(np.abs(terms).sum())


class SampleView:
    """A loss on samples with its features as rows."""

    def __init__(self, loss):
        for _ in self._parts(loss):
            pass

    @classmethod
    def in_parts(cls, loss):
        """The view, made in parts: a generator that returns it."""
        view = object.__new__(cls)
        yield from view._parts(loss)
        return view

    def _parts(self, loss):
        self.loss, self.y = loss, loss.y.astype(np.float64)
        n, p = loss.X.shape
        self.s = np.full(n, loss.sample_weight.values, dtype=np.float64)
        self.is_whole = bool(np.all(self.s > 0.0))
        self.offset = loss.offset.values.astype(np.float64) if isinstance(loss.offset, Offset) else None
        design = centered(loss.X, loss.sample_weight.values) if loss.intercept else loss.X
        self.features = np.arange(p)
        self.means = design.means.astype(np.float64) if loss.intercept else np.zeros(p)
        yield
        self.rows = yield from _rows(design)
        yield
        if not loss.intercept and isinstance(design, Dense) and design.dtype == np.float64:
            # the door has asked for them
            self.norms = np.sqrt(design.squares)
        else:
            # of the columns as they were lent, whose rounding the means carry over
            self.norms = np.sqrt(np.vecdot(self.rows, self.rows) + n * self.means**2)

    @staticmethod
    def fits_memory(loss):
        """Whether the features of a loss may be kept as dense rows."""
        n, p = loss.X.shape
        return isinstance(loss.X, Dense) or n * p <= _LARGEST

    def fitted(self, w, intercept):
        """Fitted values without offset, at coefficients of the features."""
        on = np.flatnonzero(w)
        return w[on] @ self.rows[on] + intercept

    def point(self, eta):
        """The point with these fitted values."""
        loss, y, s = self.loss, self.y, self.s
        z = eta if self.offset is None else eta + self.offset
        # a trial point may be so far out that the loss is beyond all numbers
        with np.errstate(over="ignore", invalid="ignore"):
            values, raw = loss.value_and_slope(y, z)
            slopes, imbalance, shrunk = _balanced(raw, s) if loss.intercept else (raw, 0.0, 1.0)
            return SamplePoint(eta, float(s @ values), raw, slopes, imbalance, shrunk)

    def settled(self, eta):
        """What has to be added to fitted values for the best intercept."""
        return float(self.loss.constant.settled(self.loss, eta))

    def pulls(self, point):
        """Minus the slope of the loss in each feature."""
        return -(self.rows @ (self.s * point.slopes))

    def bends(self, point, damping, spread=0.0):
        """Weighted curvature of the samples, each at least a part of the largest there may be.

        It is the mean on both sides as far as `spread`, which tells a loss with kinks in its slope how many samples
        a step will carry across them.
        """
        loss, y = self.loss, self.y
        z = point.eta if self.offset is None else point.eta + self.offset
        with np.errstate(over="ignore", invalid="ignore"):
            if spread > _NARROW * float(np.max(np.abs(z))):
                bends = (loss.slope(y, z + spread) - loss.slope(y, z - spread)) / (2.0 * spread)
            else:
                bends = np.asarray(loss.curvature(y, z), dtype=np.float64)
        bound, bends = loss.smoothness(), bends if self.is_whole else np.where(self.s > 0.0, bends, 0.0)
        return self.s * np.maximum(bends, damping * (bound if np.isfinite(bound) else np.max(bends)))

    @cached_property
    def squares(self):
        """Squares of all entries, for the curvature in every feature."""
        return self.rows * self.rows


def _balanced(slopes, s):
    """Slopes with weighted sum zero: the heavier of their signs is scaled down, which keeps them slopes; their sum before, the factor."""
    mass = s * slopes
    total, size = float(mass.sum()), float(np.abs(mass).sum())
    above, below = (size + total) / 2, (size - total) / 2
    if above <= 0.0 or below <= 0.0:
        return np.zeros_like(slopes), total, 0.0
    factor = min(above, below) / max(above, below)
    heavy = slopes > 0.0 if above > below else slopes < 0.0
    return np.where(heavy, factor * slopes, slopes), total, factor


def _rows(design):
    """All features of a design as rows in float64: a generator that returns them."""
    if isinstance(design, CenteredDense):
        rows = np.empty(design.shape[::-1])
        few = max(1, _AT_ONCE // design.shape[0])
        for low in range(0, len(rows), few):
            part = slice(low, low + few)
            np.subtract(design.values.T[part], design.means[part, None], out=rows[part], dtype=np.float64)
            yield
        return rows
    if isinstance(design, Dense):
        return np.ascontiguousarray(design.values.T, dtype=np.float64)
    return np.ascontiguousarray(design.to_array().T)
