"""Convex terms as certificates see them: value, conjugate and range of slopes, in numpy.

Written apart from the compiled terms on purpose: a certificate shares no code with the
solver whose work it judges.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np


class ConvexForm(ABC):
    """A convex term g by what a dual bound needs of it.

    The range of slopes is where the conjugate g* is finite: a closed convex set that holds zero
    wherever g is bounded from below.
    """

    @property
    @abstractmethod
    def is_homogeneous(self) -> bool:
        """Whether g(k w) = k g(w) for k > 0: the conjugate is then zero where it is finite."""

    @abstractmethod
    def value(self, w) -> float:
        """g(w), infinite outside of its domain."""

    @abstractmethod
    def conjugate(self, t) -> float:
        """sup over w of t.w - g(w); infinite where t leaves the range of slopes."""

    @abstractmethod
    def largest_scale(self, t) -> float:
        """Largest factor up to 1 that brings t into the range of slopes."""

    @abstractmethod
    def nearest_slope(self, t):
        """t in the range of slopes, for a t that is outside by rounding only."""

    def conjugate_near(self, t):
        """The conjugate at the slope nearest to a t that is outside of the range by rounding only."""
        return self.conjugate(self.nearest_slope(t))

    def stuck(self, t):
        """Where t has a sign that no slope of g has, or None: scaling cannot mend it, unlike too large a size."""
        return None

    def free_directions(self):
        """Basis, as columns, of directions along which g is constant: slopes have no part in them; None for none.

        A form has such directions or stuck coordinates, but not both.
        """
        return None

    def subgradient_distance(self, w, slope):
        """Distance of -slope to the subdifferential of g at w, for each coefficient; None where no formula is known."""
        return None


class DualRay(ABC):
    """The multiples k u, 0 <= k <= 1, of a slope u of F: each bounds F(X w) + g(w) by -F*(k u) - g*(-k X'u)."""

    #: X'u, one number a coefficient.
    slope: np.ndarray

    @abstractmethod
    def conjugate(self, scale):
        """F*(scale u) or more, and the size of the terms that it sums up, as a measure of its rounding."""

    def best_scale(self, largest):
        """The factor with the smallest conjugate, or a good one."""
        return largest


@dataclass(frozen=True, eq=False)
class SeparableForm(ConvexForm):
    """g_j(w) = a_j |w| + b_j w**2 / 2 on [l_j, u_j], for all coefficients at once."""

    a: np.ndarray
    b: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @cached_property
    def is_plain(self):
        """Whether g_j(w) = a_j |w| and no more, as for the lasso, whose formulas are short."""
        is_free = self.lower.max(initial=-np.inf) == -np.inf and self.upper.min(initial=np.inf) == np.inf
        return bool(is_free and not self.b.any())

    @cached_property
    def holds_zero(self):
        """Whether zero is within the bounds: g is zero there."""
        return self.is_plain or bool(self.lower.max(initial=0.0) <= 0.0 <= self.upper.min(initial=0.0))

    @cached_property
    def is_homogeneous(self):
        """Whether g(k w) = k g(w) for k > 0: the conjugate is then zero where it is finite."""
        if self.is_plain:
            return True
        lower, upper = self.lower, self.upper
        is_cone = ((lower == 0.0) | (lower == -np.inf)) & ((upper == 0.0) | (upper == np.inf))
        return bool(np.all((self.b == 0.0) & is_cone))

    def value(self, w):
        """g(w), infinite outside of the bounds."""
        if self.is_plain:
            return float(np.add.reduce(self.a * np.abs(w)))
        if (w < self.lower).any() or (w > self.upper).any():
            return np.inf
        return float(np.sum(self.a * np.abs(w) + self.b * w * w / 2))

    def conjugate_near(self, t):
        # at its nearest slope the conjugate of a norm is zero
        return 0.0 if self.is_plain else self.conjugate(self.nearest_slope(t))

    def conjugate(self, t):
        """sup over w of t.w - g(w); infinite where t leaves the range of slopes."""
        if self.is_plain:
            return 0.0 if (np.abs(t) <= self.a).all() else np.inf
        excess = np.sign(t) * np.maximum(np.abs(t) - self.a, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            free = np.where(excess == 0.0, 0.0, excess / self.b)
        # the objective is concave in one dimension: the best point of an interval is the nearest one
        best = np.clip(free, self.lower, self.upper)
        if not np.all(np.isfinite(best)):
            return np.inf
        return float(np.sum(t * best - self.a * np.abs(best) - self.b * best * best / 2))

    @cached_property
    def can_stick(self):
        """Whether slopes of some sign are missing anywhere."""
        least, largest = self.slope_range
        return not (least.all() and largest.all())

    def stuck(self, t):
        if not self.can_stick:
            return None
        least, largest = self.slope_range
        found = ((t > 0.0) & (largest == 0.0)) | ((t < 0.0) & (least == 0.0))
        return found if found.any() else None

    def largest_scale(self, t):
        if self.is_plain and not self.can_stick:
            return float(np.minimum.reduce(self.a / np.maximum(np.abs(t), self.a), initial=1.0))
        least, largest = self.slope_range
        outside = (t > largest) | (t < least)
        if not outside.any():
            return 1.0
        ends = np.where(t > 0.0, largest, least)
        return float((ends[outside] / t[outside]).min())

    def nearest_slope(self, t):
        least, largest = self.slope_range
        return np.minimum(np.maximum(t, least), largest)

    def restrict(self, features):
        """The form on some coefficients."""
        part = SeparableForm(self.a[features], self.b[features], self.lower[features], self.upper[features])
        if self.is_plain:
            part.__dict__["is_plain"] = True
        if self.__dict__.get("can_stick") is False:
            part.__dict__["can_stick"] = False
        return part

    @cached_property
    def slope_range(self):
        """Smallest and largest t with a finite conjugate, for each coefficient."""
        if self.is_plain:
            return -self.a, self.a
        is_linear = self.b == 0.0
        least = np.where(is_linear & np.isinf(self.lower), -self.a, -np.inf)
        largest = np.where(is_linear & np.isinf(self.upper), self.a, np.inf)
        return least, largest

    def subgradient_distance(self, w, slope):
        """Distance of -slope to the subdifferential of g at w, for each coefficient."""
        if self.is_plain:
            at_zero = np.maximum(np.abs(slope) - self.a, 0.0)
            return np.where(w == 0.0, at_zero, np.abs(slope + np.copysign(self.a, w)))
        t = -slope - self.b * w
        nearest = np.where(w == 0.0, np.clip(t, -self.a, self.a), self.a * np.sign(w))
        rest = t - nearest
        # a bound takes up any force that pushes outwards
        rest = np.where(w <= self.lower, np.maximum(rest, 0.0), rest)
        return np.abs(np.where(w >= self.upper, np.minimum(rest, 0.0), rest))
