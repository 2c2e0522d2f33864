"""Penalties on the differences of neighbours: total variation and the fused lasso."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from sparseopt.forms import ConvexForm
from sparseopt.inputs import as_number
from sparseopt.penalties.base import ProximalTerm

# Relative excess over the range of slopes that sums of floats may show.
_ROUNDING = 1e-12
_SUM_ROUNDING = 4e-16


@dataclass(frozen=True)
class TotalVariation(ProximalTerm):
    """alpha sum_j |w_{j+1} - w_j|: coefficients in few constant pieces (Rudin, Osher and Fatemi, 1992).

    Parameters
    ----------
    alpha : float >= 0
        Price of a jump of unit height.
    """

    alpha: float
    #: Scratch of the prox; `private` makes it.
    memory: np.ndarray = field(
        default_factory=lambda: np.empty((4, 0)), init=False, repr=False, compare=False, metadata={"memory": True}
    )
    is_convex = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_number(self.alpha, "alpha", least=0.0))

    def private(self, p):
        return with_memory(self, p)

    def convex_form(self, p):
        return FusedForm(p, self.alpha, 0.0)

    def evaluate(self, w):
        return self.alpha * variation(w)

    def prox_into(self, v, step, out):
        flatten(v, step * self.alpha, out, self.memory)


@dataclass(frozen=True)
class FusedLasso(ProximalTerm):
    """alpha sum_j |w_j| + fusion sum_j |w_{j+1} - w_j|: few pieces, most of them zero (Tibshirani et al., 2005).

    Its prox is that of the total variation, soft-thresholded (Friedman et al., 2007).

    Parameters
    ----------
    alpha : float >= 0
        Price of a coefficient's size.
    fusion : float >= 0
        Price of a jump of unit height.
    """

    alpha: float
    fusion: float
    #: Scratch of the prox; `private` makes it.
    memory: np.ndarray = field(
        default_factory=lambda: np.empty((4, 0)), init=False, repr=False, compare=False, metadata={"memory": True}
    )
    is_convex = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_number(self.alpha, "alpha", least=0.0))
        object.__setattr__(self, "fusion", as_number(self.fusion, "fusion", least=0.0))

    def private(self, p):
        return with_memory(self, p)

    def convex_form(self, p):
        return FusedForm(p, self.fusion, self.alpha)

    def evaluate(self, w):
        total = 0.0
        for j in range(w.size):
            total += abs(w[j])
        return self.alpha * total + self.fusion * variation(w)

    def prox_into(self, v, step, out):
        flatten(v, step * self.fusion, out, self.memory)
        threshold = step * self.alpha
        for j in range(v.size):
            # a NaN passes
            out[j] = 0.0 if abs(out[j]) <= threshold else out[j] - math.copysign(threshold, out[j])


def with_memory(term, p):
    """A copy of the term with scratch for p coefficients."""
    copy = replace(term)
    object.__setattr__(copy, "memory", np.empty((4, 2 * p)))
    return copy


def variation(w):
    """Sum of |w_{j+1} - w_j|."""
    total = 0.0
    for j in range(1, w.size):
        total += abs(w[j] - w[j - 1])
    return total


def flatten(v, height, out, memory):
    """out = prox of height times the variation, in place, in O(p) (Johnson, 2013).

    With the best w_1 ... w_{k-1} for each x = w_k, the slope of the cost in x is piecewise linear and
    rises. What w_k passes on to w_{k+1} is that slope clipped to [-height, height], where the bends
    `floor_k` and `ceiling_k` are: w_k is w_{k+1} clipped between them. The bends of the slope are kept
    in increasing order as knots, each with the change of gain and offset of the line there.
    """
    n = v.size
    if height == 0.0:
        for j in range(n):
            out[j] = 0.0 if v[j] == 0.0 else v[j]
        return
    if memory.shape[1] < 2 * n:
        for j in range(n):
            out[j] = math.nan
        return
    knots, gains, offsets, floor = memory[0], memory[1], memory[2], memory[3]
    # a larger height gives the same constant, but swamps v in the sums
    height = min(height, n * spread(v))
    left, right = n, n - 1
    for k in range(n):
        # to the left of all knots the line is x - v_k - height, to the right x - v_k + height
        gain, offset = 1.0, -v[k] - (height if k > 0 else 0.0)
        bottom = -height if k < n - 1 else 0.0
        while left <= right and gain * knots[left] + offset <= bottom:
            gain += gains[left]
            offset += offsets[left]
            left += 1
        lowest = (bottom - offset) / gain
        if k == n - 1:
            out[k] = 0.0 if lowest == 0.0 else lowest
            break
        top_gain, top_offset = 1.0, -v[k] + (height if k > 0 else 0.0)
        while left <= right and top_gain * knots[right] + top_offset >= height:
            top_gain -= gains[right]
            top_offset -= offsets[right]
            right -= 1
        highest = (height - top_offset) / top_gain
        left, right = left - 1, right + 1
        floor[k], out[k] = lowest, highest
        knots[left], gains[left], offsets[left] = lowest, gain, offset + height
        knots[right], gains[right], offsets[right] = highest, -top_gain, height - top_offset
    for k in range(n - 2, -1, -1):
        w = max(min(out[k + 1], out[k]), floor[k])
        out[k] = 0.0 if w == 0.0 else w


def spread(v):
    """Largest minus smallest entry."""
    low, high = v[0], v[0]
    for j in range(1, v.size):
        low, high = min(low, v[j]), max(high, v[j])
    return high - low


@dataclass(frozen=True, eq=False)
class FusedForm(ConvexForm):
    """fusion sum |w_{j+1} - w_j| + alpha sum |w_j|.

    A slope is t with running sums T_j = z_1 + ... + z_j - u_j, where |z| <= alpha, |u| <= fusion
    and u_0 = u_p = 0. There are such z and u where no difference T_j - T_i is larger than the
    bounds on u_i and u_j and the z between them allow.
    """

    size: int
    fusion: float
    alpha: float
    is_homogeneous = True

    def value(self, w):
        return self.fusion * float(np.sum(np.abs(np.diff(w)))) + self.alpha * float(np.sum(np.abs(w)))

    def conjugate(self, t):
        return 0.0 if self.largest_scale(t) >= 1.0 - _ROUNDING else np.inf

    def largest_scale(self, t):
        if self.alpha == 0.0 and self.fusion == 0.0:
            return 0.0 if np.any(t) else 1.0
        sums = np.append(0.0, np.cumsum(t))
        # the constant part of t, where it is rounding, is no slope of a small alpha
        if self.alpha == 0.0 or abs(sums[-1]) <= _SUM_ROUNDING * self.size * np.sum(np.abs(t)):
            sums[-1] = 0.0
        ends = np.full(self.size + 1, self.fusion)
        ends[[0, -1]] = 0.0
        inner = self.alpha * np.arange(self.size + 1)
        ratio = max(
            _largest_ratio(sums, sums, inner + ends, inner - ends),
            _largest_ratio(-sums, -sums, inner + ends, inner - ends),
        )
        return 1.0 / max(ratio, 1.0)

    def nearest_slope(self, t):
        return t * self.largest_scale(t)

    def stuck(self, t):
        found = (t != 0.0) & (self.fusion == 0.0) & (self.alpha == 0.0)
        return found if found.any() else None

    def free_directions(self):
        """The constant, which has no variation."""
        return np.ones((self.size, 1)) if self.alpha == 0.0 and self.fusion > 0.0 else None

    def subgradient_distance(self, w, slope):
        """The same number for all: the least largest entry of -slope - s over subgradients s."""
        sums, place = np.append(0.0, np.cumsum(-slope)), np.arange(self.size + 1.0)
        jumps = np.concatenate([[0.0], np.diff(w), [0.0]])
        room = np.where(jumps == 0.0, self.fusion, 0.0)
        room[[0, -1]] = 0.0
        # -u, which is set where w jumps
        centre = -self.fusion * np.sign(jumps)
        free = np.append(0.0, np.cumsum(np.where(w == 0.0, self.alpha, 0.0)))
        rest = sums - centre - np.append(0.0, np.cumsum(self.alpha * np.sign(w)))
        distance = max(
            _largest_ratio(rest - room - free, rest + room - free, place, place),
            _largest_ratio(-rest - room - free, -rest + room - free, place, place),
        )
        return np.full(self.size, distance)


def _largest_ratio(tops, bottoms, lengths, starts):
    """Largest (tops_j - bottoms_i) / (lengths_j - starts_i) over i < j, at least 0 (Dinkelbach, 1967)."""
    ratio = 0.0
    while True:
        low = bottoms - ratio * starts
        gains = (tops - ratio * lengths)[1:] - np.minimum.accumulate(low)[:-1]
        j = int(np.argmax(gains))
        i = int(np.argmin(low[: j + 1]))
        if not gains[j] > 0.0:
            return ratio
        larger = float((tops[j + 1] - bottoms[i]) / (lengths[j + 1] - starts[i]))
        if not larger > ratio:
            return ratio
        ratio = larger
