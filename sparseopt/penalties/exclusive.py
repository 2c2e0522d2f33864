"""The exclusive lasso: competition within groups, so that each keeps a few of its coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparseopt.forms import ConvexForm
from sparseopt.inputs import as_number
from sparseopt.penalties.base import ProximalTerm
from sparseopt.penalties.partitions import as_partition


@dataclass(frozen=True, eq=False)
class ExclusiveLasso(ProximalTerm):
    """alpha / 2 sum over groups of (sum of |w_j| in the group)**2 (Zhou, Jin and Hoi, 2010).

    Parameters
    ----------
    alpha : float >= 0
        Curvature of the penalty in a group's L1 norm.
    groups : int, list of index arrays, or array of labels
        The size of neighbouring groups; or the coefficients of each group, in any order; or one
        label a coefficient. Each coefficient is in one group.
    """

    alpha: float
    groups: Any
    is_convex = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_number(self.alpha, "alpha", least=0.0))
        object.__setattr__(self, "groups", as_partition(self.groups))

    def rejects_size(self, p):
        return self.groups.rejects_size(p)

    def convex_form(self, p):
        return ExclusiveForm(self.alpha, self.groups.spread(np.arange(self.groups.count(p)), p).astype(np.int64))

    def evaluate(self, w):
        total = 0.0
        for g in range(self.groups.count(w.size)):
            size = 0.0
            for k in range(self.groups.start(g), self.groups.start(g + 1)):
                size += abs(w[self.groups.member(k)])
            total += size * size
        return 0.5 * self.alpha * total

    def prox_into(self, v, step, out):
        for g in range(self.groups.count(v.size)):
            threshold = self.threshold(v, step * self.alpha, self.groups.start(g), self.groups.start(g + 1))
            for k in range(self.groups.start(g), self.groups.start(g + 1)):
                j = self.groups.member(k)
                if abs(v[j]) <= threshold:
                    out[j] = 0.0
                else:
                    out[j] = v[j] - threshold if v[j] > 0.0 else v[j] + threshold

    def threshold(self, v, c, first, last):
        """c s with s = sum of (|v_j| - c s)_+, the L1 norm of the result (Kowalski, 2009).

        Newton steps from s = 0: the difference of both sides is concave and rises, so they never
        pass the root, and end where the set of nonzero terms grows no smaller. Rounding may make it larger.
        """
        threshold, count = 0.0, last - first + 1
        while True:
            total, above = 0.0, 0
            for k in range(first, last):
                size = abs(v[self.groups.member(k)])
                if not size <= threshold:
                    total += size
                    above += 1
            if above == 0 or above >= count:
                return threshold
            threshold, count = c * (total / (1.0 + c * above)), above


@dataclass(frozen=True, eq=False)
class ExclusiveForm(ConvexForm):
    """alpha / 2 sum over groups of squared L1 norms; its conjugate has squared largest entries."""

    alpha: float
    numbers: np.ndarray
    is_homogeneous = False

    def value(self, w):
        return 0.5 * self.alpha * float(np.sum(self._norms(w) ** 2))

    def conjugate(self, t):
        largest = np.zeros(self.numbers.max() + 1)
        np.maximum.at(largest, self.numbers, np.abs(t))
        if self.alpha == 0.0:
            return np.inf if np.any(largest > 0.0) else 0.0
        return float(np.sum(largest**2)) / (2.0 * self.alpha)

    def largest_scale(self, t):
        return 1.0

    def nearest_slope(self, t):
        return t

    def stuck(self, t):
        found = (t != 0.0) & (self.alpha == 0.0)
        return found if found.any() else None

    def subgradient_distance(self, w, slope):
        slopes = self.alpha * self._norms(w)[self.numbers]
        inside = np.where(w == 0.0, np.clip(-slope, -slopes, slopes), slopes * np.sign(w))
        return np.abs(-slope - inside)

    def _norms(self, w):
        return np.bincount(self.numbers, weights=np.abs(w))
