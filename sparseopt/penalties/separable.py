"""Penalties on one coefficient at a time: value and proximal operator."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparseopt.inputs import as_number, as_strength
from sparseopt.penalties.base import Penalty


@dataclass(frozen=True)
class Zero(Penalty):
    """No penalty."""

    is_convex = True
    is_symmetric = True

    def value(self, w):
        return 0.0

    def prox(self, v, step):
        return v


@dataclass(frozen=True)
class L1(Penalty):
    """alpha |w| (lasso: Tibshirani, 1996).

    Parameters
    ----------
    alpha : float >= 0
        Weight, in the units of the loss's slope. With the 1/(2n) scale of the losses it is
        scikit-learn's `alpha`.
    """

    alpha: float
    is_convex = True
    is_symmetric = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_strength(self.alpha))

    def value(self, w):
        return self.alpha * abs(w)

    def prox(self, v, step):
        threshold = step * self.alpha
        if abs(v) <= threshold:
            return 0.0
        return v - math.copysign(threshold, v)


@dataclass(frozen=True)
class L0(Penalty):
    """alpha for each nonzero coefficient (Natarajan, 1995).

    Parameters
    ----------
    alpha : float >= 0
        Price of one nonzero, in the units of the loss.
    """

    alpha: float
    is_symmetric = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_strength(self.alpha))

    def value(self, w):
        return self.alpha if w != 0.0 else 0.0

    def prox(self, v, step):
        return 0.0 if v * v <= 2.0 * step * self.alpha else v


@dataclass(frozen=True)
class L0L1(Penalty):
    """alpha for each nonzero coefficient, and beta |w| (Hazimeh and Mazumder, 2020).

    The shrinkage keeps a subset from fitting noise where the signal is weak (Mazumder, Radchenko and Dedieu,
    2023); ``Ridged(L0(alpha), beta)`` shrinks by a ridge instead.

    Parameters
    ----------
    alpha : float >= 0
        Price of one nonzero, in the units of the loss.
    beta : float >= 0
        Weight of the L1 norm, in the units of the loss's slope.
    """

    alpha: float
    beta: float
    is_symmetric = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_strength(self.alpha))
        object.__setattr__(self, "beta", as_number(self.beta, "beta", least=0.0))

    def value(self, w):
        return self.alpha + self.beta * abs(w) if w != 0.0 else 0.0

    def prox(self, v, step):
        rest = abs(v) - step * self.beta
        # what is left of v is worth rest**2 / 2
        if rest <= 0.0 or rest * rest <= 2.0 * step * self.alpha:
            return 0.0
        return math.copysign(rest, v)


@dataclass(frozen=True)
class MCP(Penalty):
    """Minimax concave penalty (Zhang, 2010): slope alpha at 0, flat beyond gamma alpha.

    Parameters
    ----------
    alpha : float >= 0
        Slope at zero.
    gamma : float > 0, default 3
        Where it turns flat, in multiples of alpha; 3 is Zhang's and skglm's choice. The
        smaller, the closer to L0.
    """

    alpha: float
    gamma: float = 3.0
    is_symmetric = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_strength(self.alpha))
        object.__setattr__(self, "gamma", as_number(self.gamma, "gamma", above=0.0))

    def value(self, w):
        a = min(abs(w), self.gamma * self.alpha)
        return self.alpha * a - a * a / (2.0 * self.gamma)

    def prox(self, v, step):
        a = abs(v)
        if step >= self.gamma:
            # the scalar problem is concave up to gamma alpha: keep or kill
            return 0.0 if a <= self.alpha * math.sqrt(self.gamma * step) else v
        if a <= step * self.alpha:
            return 0.0
        if a > self.gamma * self.alpha:
            return v
        return math.copysign((a - step * self.alpha) / (1.0 - step / self.gamma), v)


@dataclass(frozen=True)
class SCAD(Penalty):
    """Smoothly clipped absolute deviation (Fan and Li, 2001): L1, then fading to flat.

    Parameters
    ----------
    alpha : float >= 0
        Slope at zero.
    gamma : float > 2, default 3.7
        Where it turns flat, in multiples of alpha; 3.7 is Fan and Li's choice.
    """

    alpha: float
    gamma: float = 3.7
    is_symmetric = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_strength(self.alpha))
        object.__setattr__(self, "gamma", as_number(self.gamma, "gamma", above=2.0))

    def value(self, w):
        a, alpha, gamma = abs(w), self.alpha, self.gamma
        if a <= alpha:
            return alpha * a
        if a <= gamma * alpha:
            return (2.0 * gamma * alpha * a - a * a - alpha * alpha) / (2.0 * (gamma - 1.0))
        return alpha * alpha * (gamma + 1.0) / 2.0

    def prox(self, v, step):
        a, alpha, gamma = abs(v), self.alpha, self.gamma
        if step < gamma - 1.0:
            if a <= step * alpha:
                return 0.0
            if a <= (1.0 + step) * alpha:
                return math.copysign(a - step * alpha, v)
            if a <= gamma * alpha:
                return math.copysign(((gamma - 1.0) * a - step * gamma * alpha) / (gamma - 1.0 - step), v)
            return v
        # concave between alpha and gamma alpha: the best point of the inner piece or of the flat one
        inner = min(max(a - step * alpha, 0.0), alpha)
        outer = max(a, gamma * alpha)
        cost_inner = step * alpha * inner + (inner - a) ** 2 / 2.0
        cost_outer = step * alpha * alpha * (gamma + 1.0) / 2.0 + (outer - a) ** 2 / 2.0
        best = inner if cost_inner <= cost_outer else outer
        return 0.0 if best == 0.0 else math.copysign(best, v)
