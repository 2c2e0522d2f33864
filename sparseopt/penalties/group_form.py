"""Group penalties as certificates see them: value, conjugate and range of slopes, in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.forms import ConvexForm
from sparseopt.penalties.partitions import Partition

# Halvings that find a factor to the last bit.
_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class GroupForm(ConvexForm):
    """g(w) = sum_g a_g norm(w_g) + c sum_j |w_j| + b norm(w)**2 / 2, on w >= 0 where nonnegative.

    The conjugate at t is that of the rest of t, what the second term and the signs do not take up:
    sum_g max(norm(rest_g) - a_g, 0)**2 / (2 b).
    """

    groups: Partition
    a: np.ndarray
    b: float
    c: float
    nonnegative: bool

    @property
    def is_homogeneous(self):
        """Whether g(k w) = k g(w) for k > 0: the conjugate is then zero where it is finite."""
        return self.b == 0.0

    def value(self, w):
        if self.nonnegative and np.any(w < 0.0):
            return np.inf
        if not np.any(w):
            return 0.0
        norms = self.groups.norms(w)
        total = self.a @ norms + self.b * np.sum(norms * norms) / 2
        return float(total + self.c * np.sum(np.abs(w)) if self.c else total)

    def conjugate(self, t):
        excess = self._excess(t)
        if self.b > 0.0:
            return float(np.sum(excess * excess) / (2.0 * self.b))
        return np.inf if np.any(excess > 1e-12 * self.a) else 0.0

    def conjugate_near(self, t):
        # at its nearest slope the conjugate of a norm is zero
        return 0.0 if self.is_homogeneous else self.conjugate(t)

    def stuck(self, t):
        if self.b > 0.0 or self.c > 0.0 or np.all(self.a):
            return None
        found = (self.groups.spread(self.a, t.size) == 0.0) & (self._rest(t) != 0.0)
        return found if found.any() else None

    def largest_scale(self, t):
        """Per group norm(rest(k t)) <= a is asked of a factor k: the norm increases with k, so halving finds it."""
        if self.b > 0.0:
            return 1.0
        norms = self.groups.norms(self._rest(t))
        is_steep = norms > self.a
        if not np.any(is_steep):
            return 1.0
        if self.c == 0.0:
            return float(np.min(self.a[is_steep] / norms[is_steep]))
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if np.any(self._excess(middle * t) > 0.0) else (middle, high)
        return low

    def nearest_slope(self, t):
        if self.b > 0.0:
            return t
        rest = self._rest(t)
        norms = self.groups.norms(rest)
        with np.errstate(divide="ignore", invalid="ignore"):
            shrink = np.where(norms > self.a, self.a / norms, 1.0)
        return t - rest * (1.0 - self.groups.spread(shrink, t.size))

    def subgradient_distance(self, w, slope):
        """Distance of -slope to the subdifferential of g at w, for each coefficient."""
        t = -slope - self.b * w
        norms = self.groups.norms(w)
        rest = self._rest(t)
        pulls = self.groups.norms(rest)
        with np.errstate(divide="ignore", invalid="ignore"):
            kept = np.where(pulls > self.a, 1.0 - self.a / pulls, 0.0)
            bent = self.groups.spread(np.where(norms > 0.0, self.a / norms, 0.0), w.size) * w
        if rest is t:
            return np.abs(t * self.groups.spread(np.where(norms > 0.0, 1.0, kept), w.size) - bent)
        at_zero = rest * self.groups.spread(kept, w.size)
        inside = np.where(w == 0.0, rest, t - bent - self.c * np.sign(w))
        return np.abs(np.where(self.groups.spread(norms, w.size) > 0.0, inside, at_zero))

    def _rest(self, t):
        if self.nonnegative:
            return np.maximum(t - self.c, 0.0)
        if self.c == 0.0:
            return t
        return np.sign(t) * np.maximum(np.abs(t) - self.c, 0.0)

    def _excess(self, t):
        return np.maximum(self.groups.norms(self._rest(t)) - self.a, 0.0)
