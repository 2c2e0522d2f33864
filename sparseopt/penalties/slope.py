"""SLOPE: the sorted L1 norm, whose weights go to the largest coefficients first.

    g(w) = alpha_1 |w|_(1) + ... + alpha_p |w|_(p),   |w|_(1) >= ... >= |w|_(p)

With alpha_1 >= ... >= alpha_p >= 0 it is convex, and it makes coefficients equal in size: clusters.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy

from sparseopt.forms import ConvexForm
from sparseopt.inputs import as_count, as_number
from sparseopt.penalties.base import ProximalTerm

# Relative excess over the range of slopes that sums of floats may show.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class SLOPE(ProximalTerm):
    """sum_k alphas_k |w|_(k), sizes in decreasing order (Bogdan et al., 2015).

    The prox sorts and pools, in p log p operations.

    Parameters
    ----------
    alphas : array of shape (p,)
        Nonnegative and not increasing, in the units of the loss's slope. All equal is L1.

    Raises
    ------
    ValueError
        Where they increase, or are negative or not finite.
    """

    alphas: np.ndarray
    #: Working memory: places in order of size and a second row for the sort; sums of pools.
    order: np.ndarray = field(init=False, repr=False, metadata={"memory": True})
    sums: np.ndarray = field(init=False, repr=False, metadata={"memory": True})
    is_convex = True

    def __post_init__(self):
        alphas = np.array(self.alphas, dtype=np.float64)
        if alphas.ndim != 1 or alphas.size == 0:
            raise ValueError(f"alphas of SLOPE must be a vector, one a coefficient; got shape {alphas.shape}.")
        if not np.all(np.isfinite(alphas)) or alphas[-1] < 0.0:
            raise ValueError("alphas of SLOPE must be finite and nonnegative.")
        rises = np.flatnonzero(np.diff(alphas) > 0.0)
        if rises.size:
            k = int(rises[0])
            raise ValueError(
                f"alphas of SLOPE must not increase, but alphas[{k}] = {alphas[k]:g} < alphas[{k + 1}] = "
                f"{alphas[k + 1]:g}; sort them in decreasing order."
            )
        alphas.flags.writeable = False
        object.__setattr__(self, "alphas", alphas)
        object.__setattr__(self, "order", np.zeros((2, alphas.size), dtype=np.int64))
        object.__setattr__(self, "sums", np.zeros(alphas.size))

    @classmethod
    def benjamini_hochberg(cls, alpha, p, *, q=0.1):
        """alpha times the normal quantiles at 1 - k q / (2 p): false discovery rate q for orthogonal designs."""
        alpha, p = as_number(alpha, "alpha", least=0.0), as_count(p, "p", least=1)
        q = as_number(q, "q", above=0.0)
        if q >= 1.0:
            raise ValueError(f"q is a rate of false discoveries, below 1; got {q:g}.")
        return cls(alpha * scipy.special.ndtri(1.0 - q * np.arange(1, p + 1) / (2 * p)))

    @classmethod
    def oscar(cls, alpha, beta, p):
        """alpha + beta (p - k) for the k-th largest (OSCAR: Bondell and Reich, 2008)."""
        alpha, beta = as_number(alpha, "alpha", least=0.0), as_number(beta, "beta", least=0.0)
        return cls(alpha + beta * np.arange(as_count(p, "p", least=1) - 1, -1, -1.0))

    def private(self, p):
        return SLOPE(self.alphas)

    def rejects_size(self, p):
        if self.alphas.size != p:
            return f"SLOPE has {self.alphas.size} alphas for {p} coefficients; their lengths must match"
        return None

    def convex_form(self, p):
        return SortedForm(self.alphas)

    def evaluate(self, w):
        sort_by_size(w, self.order)
        total = 0.0
        for k in range(w.size):
            total += self.alphas[k] * abs(w[self.order[0, k]])
        return total

    def prox_into(self, v, step, out):
        order, sums = self.order, self.sums
        sort_by_size(v, order)
        # pools of equal results: order[1] holds where each begins, sums the total of |v| - step alpha
        pools = 0
        for k in range(v.size):
            first, total = k, abs(v[order[0, k]]) - step * self.alphas[k]
            while pools > 0 and not sums[pools - 1] * (k + 1 - first) > total * (first - order[1, pools - 1]):
                pools -= 1
                total += sums[pools]
                first = order[1, pools]
            order[1, pools], sums[pools] = first, total
            pools += 1
        last = v.size
        for pool in range(pools - 1, -1, -1):
            first = order[1, pool]
            size = sums[pool] / (last - first)
            for k in range(first, last):
                j = order[0, k]
                out[j] = 0.0 if size <= 0.0 else (size if v[j] > 0.0 else -size)
            last = first


def sort_by_size(v, order):
    """order[0] = places of v from large to small |v|, in place, by merging runs; order[1] is overwritten."""
    n = v.size
    for k in range(n):
        order[0, k] = k
    width, here = 1, 0
    while width < n:
        for low in range(0, n, 2 * width):
            merge(v, order[here], order[1 - here], low, min(low + width, n), min(low + 2 * width, n))
        width, here = 2 * width, 1 - here
    if here == 1:
        for k in range(n):
            order[0, k] = order[1, k]


def merge(v, runs, merged, low, middle, high):
    """merged[low:high] = the two sorted runs from low and from middle, in place."""
    i, j = low, middle
    for k in range(low, high):
        if j >= high or (i < middle and abs(v[runs[i]]) >= abs(v[runs[j]])):
            merged[k] = runs[i]
            i += 1
        else:
            merged[k] = runs[j]
            j += 1


@dataclass(frozen=True, eq=False)
class SortedForm(ConvexForm):
    """The sorted L1 norm: t is a slope where no k entries of |t| sum to more than the first k alphas."""

    alphas: np.ndarray
    is_homogeneous = True

    def value(self, w):
        return float(self.alphas @ np.sort(np.abs(w))[::-1])

    def conjugate(self, t):
        return 0.0 if self.largest_scale(t) >= 1.0 - _ROUNDING else np.inf

    def largest_scale(self, t):
        sizes, allowed = np.cumsum(np.sort(np.abs(t))[::-1]), np.cumsum(self.alphas)
        over = sizes > allowed
        return float(np.min(allowed[over] / sizes[over], initial=1.0))

    def nearest_slope(self, t):
        return t * self.largest_scale(t)

    def stuck(self, t):
        found = (t != 0.0) & (self.alphas[0] == 0.0)
        return found if found.any() else None

    def subgradient_distance(self, w, slope):
        """The same number for all: the least largest entry of -slope - s over subgradients s.

        Subgradients on a cluster form a base polytope, on the zeros a polymatroid. A box of
        radius d around a point meets them where no sum of k entries, less k d, exceeds its bound.
        """
        sizes = np.abs(w)
        t = np.where(w == 0.0, np.abs(slope), -slope * np.sign(w))
        order = np.lexsort((-t, -sizes))
        sizes, t = sizes[order], t[order]
        starts = np.flatnonzero(np.append(True, np.diff(sizes) != 0.0))
        lasts = np.append(starts[1:], w.size)
        # of a cluster of one that is not zero the only subgradient is its alpha
        alone = starts[(lasts - starts == 1) & (sizes[starts] > 0.0)]
        farthest = float(np.max(np.abs(t[alone] - self.alphas[alone]), initial=0.0))
        is_more = (lasts - starts > 1) | (sizes[starts] == 0.0)
        for first, last in zip(starts[is_more], lasts[is_more], strict=True):
            inside, allowed = t[first:last], self.alphas[first:last]
            counts = np.arange(1, last - first + 1)
            farthest = max(farthest, float(np.max((np.cumsum(inside) - np.cumsum(allowed)) / counts)))
            if sizes[first] > 0.0:
                missing = np.cumsum(allowed[::-1]) - np.cumsum(inside[::-1])
                farthest = max(farthest, float(np.max(missing / counts)))
        return np.full(w.size, farthest)
