"""Rules that build penalties of penalties: a ridge, weights, signs and bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from sparseopt.inputs import as_number
from sparseopt.penalties.base import Penalty
from sparseopt.penalties.concave import LogSum
from sparseopt.penalties.separable import L0, L0L1, L1, MCP, SCAD, Zero


@dataclass(frozen=True)
class Ridged(Penalty):
    """penalty(w) + beta w**2 / 2: elastic net from L1 (Zou and Hastie, 2005), L0L2 from L0.

    Parameters
    ----------
    penalty : Penalty
    beta : float >= 0
        Curvature of the ridge. scikit-learn's ElasticNet(alpha, l1_ratio) is `elastic_net`.
    """

    penalty: Penalty
    beta: float

    def __post_init__(self):
        _check_penalty(self.penalty, "Ridged")
        object.__setattr__(self, "beta", as_number(self.beta, "beta", least=0.0))

    @property
    def is_convex(self):
        return self.penalty.is_convex

    @property
    def is_symmetric(self):
        return self.penalty.is_symmetric

    def value(self, w):
        return self.penalty.value(w) + 0.5 * self.beta * w * w

    def prox(self, v, step):
        shrink = 1.0 / (1.0 + step * self.beta)
        return self.penalty.prox(shrink * v, shrink * step)

    def value_at(self, j, w):
        return self.penalty.value_at(j, w) + 0.5 * self.beta * w * w

    def prox_at(self, j, v, step):
        shrink = 1.0 / (1.0 + step * self.beta)
        return self.penalty.prox_at(j, shrink * v, shrink * step)

    def rejects_size(self, p):
        return self.penalty.rejects_size(p)


def elastic_net(alpha, l1_ratio=0.5):
    """alpha (l1_ratio |w| + (1 - l1_ratio) w**2 / 2), as in scikit-learn's ElasticNet (Zou and Hastie, 2005).

    A `Ridged` `L1`, or `L1` alone where there is no ridge; rules go around it as around any penalty.

    Parameters
    ----------
    alpha : float >= 0
    l1_ratio : float in [0, 1], default 0.5
        Part of alpha on abs(w).

    Returns
    -------
    Penalty

    Examples
    --------
    >>> from sparseopt import elastic_net
    >>> elastic_net(0.5, 0.25)
    Ridged(penalty=L1(alpha=0.125), beta=0.375)
    """
    if not 0.0 <= as_number(l1_ratio, "l1_ratio") <= 1.0:
        raise ValueError(f"l1_ratio must lie in [0, 1], got {l1_ratio!r}: it is the part of alpha on |w|.")
    alpha = as_number(alpha, "alpha", least=0.0)
    return L1(alpha) if l1_ratio == 1.0 else Ridged(L1(alpha * l1_ratio), alpha * (1.0 - l1_ratio))


@dataclass(frozen=True, eq=False)
class Weighted(Penalty):
    """weights_j * penalty(w_j): adaptive lasso (Zou, 2006), unpenalised coefficients (weight 0).

    Parameters
    ----------
    penalty : Penalty
    weights : array of shape (p,)
        Nonnegative factor of each coefficient's penalty.
    """

    penalty: Penalty
    weights: np.ndarray

    def __post_init__(self):
        _check_penalty(self.penalty, "Weighted")
        weights = np.array(self.weights, dtype=np.float64)
        if weights.ndim != 1 or not np.all(np.isfinite(weights)) or np.any(weights < 0):
            raise ValueError("weights of Weighted must be a vector of finite nonnegative numbers, one a coefficient.")
        weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)

    @property
    def is_convex(self):
        return self.penalty.is_convex

    @property
    def is_symmetric(self):
        return self.penalty.is_symmetric

    def value(self, w):
        return self.penalty.value(w)

    def prox(self, v, step):
        return self.penalty.prox(v, step)

    def value_at(self, j, w):
        value = self.penalty.value_at(j, w)
        # a weight of zero frees the coefficient, also from a bound
        return self.weights[j] * value if self.weights[j] > 0.0 else 0.0

    def prox_at(self, j, v, step):
        if self.weights[j] == 0.0:
            return v
        return self.penalty.prox_at(j, v, step * self.weights[j])

    def rejects_size(self, p):
        if self.weights.size != p:
            return f"Weighted has {self.weights.size} weights for {p} coefficients; their lengths must match"
        return self.penalty.rejects_size(p)


@dataclass(frozen=True)
class Nonnegative(Penalty):
    """penalty(w) for w >= 0, infinite below (Slawski and Hein, 2013).

    Right for a penalty that is convex (the prox of its restriction is the clipped prox) or
    symmetric (the prox of a negative v is 0); any other is refused.
    """

    penalty: Penalty

    def __post_init__(self):
        _check_penalty(self.penalty, "Nonnegative")
        if not (self.penalty.is_convex or self.penalty.is_symmetric):
            raise ValueError(
                f"Nonnegative({self.penalty!r}): no right formula is known, because the penalty is declared "
                "neither convex nor symmetric; set is_convex or is_symmetric on its class if it is."
            )

    @property
    def is_convex(self):
        return self.penalty.is_convex

    def value(self, w):
        return self.penalty.value(w) if w >= 0.0 else math.inf

    def prox(self, v, step):
        return max(self.penalty.prox(v, step), 0.0)

    def value_at(self, j, w):
        return self.penalty.value_at(j, w) if w >= 0.0 else math.inf

    def prox_at(self, j, v, step):
        return max(self.penalty.prox_at(j, v, step), 0.0)

    def rejects_size(self, p):
        return self.penalty.rejects_size(p)


@dataclass(frozen=True, eq=False)
class Boxed(Penalty):
    """A convex penalty restricted to lower_j <= w_j <= upper_j; what `Box` makes of a penalty.

    In one dimension the prox of the restriction is the clipped prox.
    """

    penalty: Penalty
    lower: np.ndarray
    upper: np.ndarray

    @property
    def is_convex(self):
        return self.penalty.is_convex

    def value(self, w):
        return self.penalty.value(w)

    def prox(self, v, step):
        return self.penalty.prox(v, step)

    def value_at(self, j, w):
        return self.penalty.value_at(j, w) if self.lower[j] <= w <= self.upper[j] else math.inf

    def prox_at(self, j, v, step):
        return min(max(self.penalty.prox_at(j, v, step), self.lower[j]), self.upper[j])


def strengthened(penalty, factor):
    """The penalty with its alpha times `factor`; None for a penalty that is not ours."""
    match penalty:
        case Zero():
            return penalty
        case L1() | L0() | L0L1() | MCP() | SCAD():
            return replace(penalty, alpha=factor * penalty.alpha)
        case LogSum():
            return replace(penalty, alpha=factor * penalty.alpha)
        case Ridged() | Weighted() | Nonnegative() | Boxed():
            inner = strengthened(penalty.penalty, factor)
            return None if inner is None else replace(penalty, penalty=inner)
    return None


def straightened(penalty, factor):
    """The penalty with its concavity divided by `factor` and its slope at zero as it is; None where that is not known.

    At factor inf it is convex: L1 in place of MCP, SCAD and LogSum.
    """
    match penalty:
        case Zero() | L1():
            return penalty
        case MCP(alpha, gamma):
            return L1(alpha) if factor == math.inf else MCP(alpha, factor * gamma)
        case SCAD(alpha, gamma):
            return L1(alpha) if factor == math.inf else SCAD(alpha, 1.0 + factor * (gamma - 1.0))
        case LogSum(alpha, eps):
            return L1(alpha / eps) if factor == math.inf else LogSum(factor * alpha, factor * eps)
        case Ridged() | Weighted() | Nonnegative():
            inner = straightened(penalty.penalty, factor)
            return None if inner is None else replace(penalty, penalty=inner)
    return None


def concavity(penalty):
    """The largest -g'' of a penalty that `straightened` knows."""
    match penalty:
        case MCP(_, gamma):
            return 1.0 / gamma
        case SCAD(_, gamma):
            return 1.0 / (gamma - 1.0)
        case LogSum(alpha, eps):
            return alpha / eps / eps
        case Ridged(inner, beta):
            return max(concavity(inner) - beta, 0.0)
        case Weighted(inner, weights):
            return float(np.max(weights, initial=0.0)) * concavity(inner)
        case Nonnegative(inner):
            return concavity(inner)
    return 0.0


def _check_penalty(penalty, rule):
    if not isinstance(penalty, Penalty):
        raise TypeError(f"{rule} takes a penalty, got {type(penalty).__name__}; for example {rule}(L1(0.1), ...).")
