"""Penalties on groups of coefficients, which enter and leave together.

Each is a sum over groups of a penalty on the Euclidean norm of the group, and perhaps of
one on its coefficients:

    g(w) = sum_g [ c_g**2 penalty(norm(w_g) / c_g) + ridge norm(w_g)**2 / 2 ] + resistance sum_j |w_j|

For L1, MCP and SCAD the first term is the penalty of norm(w_g) with c_g alpha for alpha. A group
of weight c_g = 0 is not penalised by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sparseopt._jit import Term
from sparseopt.inputs import as_number
from sparseopt.kernels.block_minimum import by_gradient, by_norm, norm_of
from sparseopt.penalties.base import Penalty, ProximalTerm
from sparseopt.penalties.group_form import GroupForm
from sparseopt.penalties.partitions import EqualGroups, as_partition
from sparseopt.penalties.separable import L1, MCP, SCAD

# Halvings that find a factor to the last bit.
_HALVINGS = 60


@dataclass(frozen=True)
class RootOfNorm(Term):
    """The minimum over a block of a quadratic plus a multiple of the norm, by a root in one dimension."""

    def minimise(self, penalty, g, d, slope, x, vectors, place, values, first, scratch):
        """x <- a minimiser over z of slope.(z - x) + (z - x)'H(z - x) / 2 + the penalty of group g at z.

        H has the eigenvalues values[first:] and the eigenvectors vectors[place:], one after another;
        where place < 0 it is diagonal. All is of the first d entries; rows 2 to 4 of scratch are overwritten.
        """
        kink = penalty.alpha * penalty.weight_of(g)
        by_norm(d, slope, x, vectors, place, values, first, penalty.ridge, kink, scratch[2], scratch[3])


@dataclass(frozen=True)
class GradientSteps(Term):
    """The same for any penalty of a block, by proximal gradient steps on the block alone."""

    def minimise(self, penalty, g, d, slope, x, vectors, place, values, first, scratch):
        """As `RootOfNorm.minimise`."""
        by_gradient(penalty, g, d, slope, x, vectors, place, values, first, scratch[2], scratch[3], scratch[4])


class BlockPenalty(ProximalTerm):
    """A penalty on groups of coefficients; `BlockDescent`, `CoupledNewton` and `ProximalGradient` take it.

    A subclass is final. Its fields are those annotated here: the partition, one weight for all
    groups or one a group, the curvature of a ridge, the part of alpha on each coefficient, whether
    negative coefficients are forbidden, the penalty of the norm of a group of weight 1, and how a
    block is minimised.
    """

    alpha: float
    groups: Any
    weights: Any
    ridge: float
    resistance: float
    nonnegative: bool
    penalty: Penalty
    block: Term

    def weight_of(self, g):
        """Weight of group g."""
        return self.weights[g % self.weights.size]

    def value_of_norm(self, g, norm):
        """Penalty of the norm of group g."""
        c = self.weight_of(g)
        curved = 0.5 * self.ridge * norm * norm
        return curved + (c * c * self.penalty.value(norm / c) if c > 0.0 else 0.0)

    def prox_of_norm(self, g, norm, step):
        """Minimiser over x >= 0 of step * value_of_norm(g, x) + (x - norm)**2 / 2."""
        c, shrink = self.weight_of(g), 1.0 / (1.0 + step * self.ridge)
        return c * self.penalty.prox(shrink * norm / c, shrink * step) if c > 0.0 else shrink * norm

    def prox_inside(self, v, step):
        """Prox of what bears on each coefficient; that of the norm comes after (Simon et al., 2013)."""
        if abs(v) <= step * self.resistance or (self.nonnegative and v <= 0.0):
            return 0.0
        return v - math.copysign(step * self.resistance, v)

    def prox_block(self, g, d, v, step, out):
        """Prox of the coefficients of group g, the first d entries of v, into `out`."""
        for i in range(d):
            out[i] = self.prox_inside(v[i], step)
        norm = norm_of(d, out)
        scale = self.prox_of_norm(g, norm, step) / norm if norm != 0.0 else 1.0
        for i in range(d):
            out[i] = scale * out[i] if scale != 0.0 else 0.0

    def prox_into(self, v, step, out):
        for g in range(self.groups.count(v.size)):
            first, last = self.groups.start(g), self.groups.start(g + 1)
            top, squares = 0.0, 0.0
            for k in range(first, last):
                j = self.groups.member(k)
                out[j] = self.prox_inside(v[j], step)
                top = max(abs(out[j]), top)
            for k in range(first, last):
                squares += (out[self.groups.member(k)] / top) ** 2 if top != 0.0 else 0.0
            norm = top * math.sqrt(squares)
            scale = self.prox_of_norm(g, norm, step) / norm if norm != 0.0 else 1.0
            for k in range(first, last):
                j = self.groups.member(k)
                out[j] = scale * out[j] if scale != 0.0 else 0.0

    def values_of_norms(self, groups, norms):
        """`value_of_norm` of several groups, in numpy."""
        if isinstance(self.penalty, L1):
            return self.penalty.alpha * self.weight_of(groups) * norms + 0.5 * self.ridge * norms * norms
        return np.array([self.value_of_norm(g, norm) for g, norm in zip(groups, norms.tolist(), strict=True)])

    def prox_of_norms(self, groups, norms, steps):
        """`prox_of_norm` of several groups, in numpy."""
        if isinstance(self.penalty, L1):
            left = norms - steps * self.penalty.alpha * self.weight_of(groups)
            return np.maximum(left, 0.0) / (1.0 + steps * self.ridge)
        each = zip(groups, norms.tolist(), steps.tolist(), strict=True)
        return np.array([self.prox_of_norm(g, norm, step) for g, norm, step in each])

    def prox_rows(self, groups, V, steps):
        """Prox of groups of one size, a row of V and a step each, in numpy."""
        sizes = np.maximum((V if self.nonnegative else np.abs(V)) - self.resistance * steps[:, None], 0.0)
        norms = norms_of_rows(sizes)
        scales = np.divide(self.prox_of_norms(groups, norms, steps), norms, out=np.zeros(norms.size), where=norms > 0.0)
        return np.copysign(scales[:, None] * sizes, V) + 0.0  # a negative zero becomes a zero

    def prox(self, v, step):
        """`prox_into` in numpy."""
        out, sizes = np.empty(v.size), self.groups.sizes(v.size)
        for d in np.unique(sizes):
            groups = np.flatnonzero(sizes == d)
            places = self.groups.member(self.groups.start(groups)[:, None] + np.arange(d))
            out[places] = self.prox_rows(groups, v[places], np.full(groups.size, step))
        return out

    def value_rows(self, groups, W):
        """Penalty of groups of one size, a row of W each, in numpy."""
        if self.nonnegative and np.any(W < 0.0):
            return math.inf
        value = float(self.values_of_norms(groups, norms_of_rows(W)).sum())
        return value + self.resistance * float(np.abs(W).sum())

    def evaluate(self, w):
        total = 0.0
        for g in range(self.groups.count(w.size)):
            first, last = self.groups.start(g), self.groups.start(g + 1)
            top, squares = 0.0, 0.0
            for k in range(first, last):
                x = w[self.groups.member(k)]
                top = max(abs(x), top)
                if self.nonnegative and x < 0.0:
                    return math.inf
                total += self.resistance * abs(x)
            for k in range(first, last):
                squares += (w[self.groups.member(k)] / top) ** 2 if top != 0.0 else 0.0
            total += self.value_of_norm(g, top * math.sqrt(squares))
        return total

    def convex_form(self, p):
        if not self.is_convex:
            return None
        return GroupForm(self.groups, self.thresholds(p), self.ridge, self.resistance, self.nonnegative)

    def thresholds(self, p):
        """The pull at which each of the groups of p coefficients leaves zero."""
        return self.penalty.alpha * np.broadcast_to(self.weights, self.groups.count(p))

    def pulls(self, t):
        """How strongly t = -f'(w) pulls at each group: the norm of what its coefficients do not resist."""
        if self.resistance == 0.0 and not self.nonnegative:
            return self.groups.norms(t)
        rest = (t if self.nonnegative else np.abs(t)) - self.resistance
        return self.groups.norms(np.maximum(rest, 0.0))

    def measure(self, w):
        """g(w) in numpy, which is quick where most groups are zero."""
        if self.nonnegative and np.any(w < 0.0):
            return math.inf
        norms = self.groups.norms(w)
        active = np.flatnonzero(norms)
        return math.fsum(self.values_of_norms(active, norms[active])) + self.resistance * float(np.abs(w).sum())

    def vanishing_factor(self, t):
        """The factor of alpha from which on t = -f'(0) moves no group that is penalised."""
        thresholds = self.thresholds(t.size)
        held = self.groups.spread(thresholds + self.resistance > 0.0, t.size) > 0.0
        t = np.where(held, t if not self.nonnegative else np.maximum(t, 0.0), 0.0)
        if self.resistance == 0.0:
            norms = self.groups.norms(t)
            return float(np.max(norms[norms > 0.0] / thresholds[norms > 0.0], initial=0.0))
        low, high = 0.0, float(np.max(np.abs(t), initial=0.0)) / self.resistance
        for _ in range(_HALVINGS):
            factor = (low + high) / 2
            rest = np.maximum(np.abs(t) - factor * self.resistance, 0.0)
            low, high = (low, factor) if np.all(self.groups.norms(rest) <= factor * thresholds) else (factor, high)
        return high

    def strengthened(self, factor):
        """The same penalty with factor times its alpha."""
        return replace(self, alpha=factor * self.alpha)

    def restricted(self, groups):
        """The same penalty on some of the groups, whose members follow one another."""
        sizes = np.array([self.groups.start(g + 1) - self.groups.start(g) for g in groups])
        if np.all(sizes == sizes[0]):
            partition = EqualGroups(int(sizes[0]))
        else:
            partition = as_partition(np.repeat(np.arange(sizes.size), sizes))
        weights = self.weights if self.weights.size == 1 else self.weights[groups]
        return replace(self, groups=partition, weights=weights)

    def rejects_size(self, p):
        reason = self.groups.rejects_size(p)
        if reason is None and self.weights.size not in (1, self.groups.count(p)):
            reason = f"there are {self.weights.size} weights for {self.groups.count(p)} groups; give one a group"
        return reason and f"{type(self).__name__}: {reason}"

    def _settle(self, penalty, resistance=0.0, is_root=False):
        """Canonical fields, for constructors."""
        groups = as_partition(self.groups)
        canonical = {
            "groups": groups,
            "weights": _as_group_weights(self.weights, groups),
            "ridge": as_number(self.ridge, "ridge", least=0.0),
            "resistance": resistance,
            "penalty": penalty,
            "block": RootOfNorm() if is_root and not self.nonnegative else GradientSteps(),
        }
        if not isinstance(self.nonnegative, bool | np.bool_):
            raise TypeError(f"nonnegative must be True or False, got {self.nonnegative!r}.")
        for name, value in canonical.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, eq=False)
class GroupLasso(BlockPenalty):
    """alpha sum_g c_g norm(w_g): whole groups are zero (Yuan and Lin, 2006).

    Parameters
    ----------
    alpha : float >= 0
        Weight, in the units of the loss's slope.
    groups : int, list of index arrays, or array of labels
        The size of neighbouring groups; or the coefficients of each group, in any order; or one
        label a coefficient. Each coefficient is in one group; see `overlapping_groups`.
    weights : array, optional
        The c_g, nonnegative: one for all groups or one a group (of labels, in sorted order). By
        default the root of the group's size, so that large groups are not favoured (Yuan and
        Lin, 2006). A group of weight zero is not penalised.
    nonnegative : bool, default False
        Forbid negative coefficients.
    ridge : float >= 0, default 0
        Add ridge norm(w)**2 / 2: the elastic net of groups.
    """

    alpha: float
    groups: Any
    weights: Any = None
    nonnegative: bool = field(default=False, kw_only=True)
    ridge: float = field(default=0.0, kw_only=True)
    resistance: float = field(init=False, repr=False, default=0.0)
    penalty: Penalty = field(init=False, repr=False)
    block: Term = field(init=False, repr=False)
    is_convex = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_number(self.alpha, "alpha", least=0.0))
        self._settle(L1(self.alpha), is_root=True)


@dataclass(frozen=True, eq=False)
class SparseGroupLasso(BlockPenalty):
    """alpha (l1_ratio |w|_1 + (1 - l1_ratio) sum_g c_g norm(w_g)) (Simon et al., 2013).

    Zeros within the groups that are not zero as a whole.

    Parameters
    ----------
    alpha : float >= 0
        Weight, in the units of the loss's slope.
    groups : int, list of index arrays, or array of labels
        As in `GroupLasso`.
    l1_ratio : float in [0, 1], default 0.5
        Part of alpha on single coefficients; 0 is the group lasso, 1 the lasso.
    weights, nonnegative, ridge
        As in `GroupLasso`.
    """

    alpha: float
    groups: Any
    l1_ratio: float = field(default=0.5, metadata={"compiled": False})
    weights: Any = None
    nonnegative: bool = field(default=False, kw_only=True)
    ridge: float = field(default=0.0, kw_only=True)
    resistance: float = field(init=False, repr=False)
    penalty: Penalty = field(init=False, repr=False)
    block: Term = field(init=False, repr=False)
    is_convex = True

    def __post_init__(self):
        alpha = as_number(self.alpha, "alpha", least=0.0)
        ratio = as_number(self.l1_ratio, "l1_ratio", least=0.0)
        if ratio > 1.0:
            raise ValueError(f"l1_ratio must be at most 1, got {ratio:g}: it is the part of alpha on coefficients.")
        object.__setattr__(self, "alpha", alpha)
        object.__setattr__(self, "l1_ratio", ratio)
        self._settle(L1((1.0 - ratio) * alpha), ratio * alpha)


@dataclass(frozen=True, eq=False)
class GroupMCP(BlockPenalty):
    """The MCP of each group's norm, with c_g alpha for alpha (Breheny and Huang, 2015).

    Parameters
    ----------
    alpha : float >= 0
        Slope at zero of a group of weight 1.
    groups, weights
        As in `GroupLasso`.
    gamma : float > 0, default 3
        Where it turns flat, in multiples of c_g alpha.
    """

    alpha: float
    groups: Any
    weights: Any = None
    gamma: float = 3.0
    ridge: float = field(init=False, repr=False, default=0.0)
    nonnegative: bool = field(init=False, repr=False, default=False)
    resistance: float = field(init=False, repr=False, default=0.0)
    penalty: Penalty = field(init=False, repr=False)
    block: Term = field(init=False, repr=False)

    def __post_init__(self):
        penalty = MCP(self.alpha, self.gamma)
        object.__setattr__(self, "alpha", penalty.alpha)
        object.__setattr__(self, "gamma", penalty.gamma)
        self._settle(penalty)


@dataclass(frozen=True, eq=False)
class GroupSCAD(BlockPenalty):
    """The SCAD of each group's norm, with c_g alpha for alpha (Breheny and Huang, 2015).

    Parameters
    ----------
    alpha : float >= 0
        Slope at zero of a group of weight 1.
    groups, weights
        As in `GroupLasso`.
    gamma : float > 2, default 3.7
        Where it turns flat, in multiples of c_g alpha.
    """

    alpha: float
    groups: Any
    weights: Any = None
    gamma: float = 3.7
    ridge: float = field(init=False, repr=False, default=0.0)
    nonnegative: bool = field(init=False, repr=False, default=False)
    resistance: float = field(init=False, repr=False, default=0.0)
    penalty: Penalty = field(init=False, repr=False)
    block: Term = field(init=False, repr=False)

    def __post_init__(self):
        penalty = SCAD(self.alpha, self.gamma)
        object.__setattr__(self, "alpha", penalty.alpha)
        object.__setattr__(self, "gamma", penalty.gamma)
        self._settle(penalty)


def norms_of_rows(V):
    """Euclidean norm of each row."""
    return EqualGroups(V.shape[1]).norms(V.ravel())


def _as_group_weights(weights, groups):
    """Weights as a read-only vector; the roots of the sizes where none are given."""
    if weights is None:
        sizes = [groups.size] if isinstance(groups, EqualGroups) else np.diff(groups.starts)
        weights = np.sqrt(sizes)
    weights = np.array(weights, dtype=np.float64, ndmin=1)
    if weights.ndim != 1 or weights.size == 0 or not np.all(np.isfinite(weights)) or np.any(weights < 0):
        raise ValueError("weights of groups must be finite nonnegative numbers, one for all groups or one a group.")
    weights.flags.writeable = False
    return weights
