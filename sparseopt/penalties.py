"""Penalties: value and proximal operator of one coefficient, and rules that build new ones.

A penalty of your own is a frozen dataclass with `value` and `prox` in plain Python; every
solver takes it. `sparseopt.testing.check_penalty` tells whether the two belong together.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparseopt._jit import Term
from sparseopt.inputs import as_number


class ProximalTerm(Term):
    """A term g with a prox on whole vectors, for penalties that tie coefficients together.

    Groups, sorted entries (SLOPE) and differences (total variation) are such terms. `ProximalGradient`
    takes them; a term on one coefficient at a time is a `Penalty`, which every solver takes.
    """

    #: g is convex.
    is_convex: ClassVar[bool] = False

    @abstractmethod
    def evaluate(self, w):
        """The number g(w)."""

    @abstractmethod
    def prox_into(self, v, step, out):
        """A minimiser over w of step * g(w) + norm(w - v)**2 / 2, into `out`."""

    def rejects_size(self, p):
        """Why the term cannot be applied to p coefficients, or None."""
        return None


class Penalty(ProximalTerm):
    """A penalty on one coefficient at a time: g(w) = sum_j value(w_j).

    Facts that solvers and rules may rely on are declared as class attributes.
    """

    #: value(-w) = value(w), and value does not decrease with |w|.
    is_symmetric: ClassVar[bool] = False

    @abstractmethod
    def value(self, w):
        """Penalty of one coefficient."""

    @abstractmethod
    def prox(self, v, step):
        """A minimiser over w of step * value(w) + (w - v)**2 / 2, for every step > 0."""

    def value_at(self, j, w):
        """Penalty of coefficient j; rules that tell coefficients apart replace it."""
        return self.value(w)

    def prox_at(self, j, v, step):
        """Prox of coefficient j; rules that tell coefficients apart replace it."""
        return self.prox(v, step)

    def prox_into(self, v, step, out):
        """Prox of a whole vector, into `out`."""
        for j in range(v.size):
            out[j] = self.prox_at(j, v[j], step)

    def evaluate(self, w):
        """g(w), the sum over all coefficients."""
        total = 0.0
        for j in range(w.size):
            total += self.value_at(j, w[j])
        return total


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
        object.__setattr__(self, "alpha", as_number(self.alpha, "alpha", least=0.0))

    def value(self, w):
        return self.alpha * abs(w)

    def prox(self, v, step):
        threshold = step * self.alpha
        if abs(v) <= threshold:
            return 0.0
        return v - math.copysign(threshold, v)


@dataclass(frozen=True)
class L0(Penalty):
    """alpha for each nonzero coefficient.

    Parameters
    ----------
    alpha : float >= 0
        Price of one nonzero, in the units of the loss.
    """

    alpha: float
    is_symmetric = True

    def __post_init__(self):
        object.__setattr__(self, "alpha", as_number(self.alpha, "alpha", least=0.0))

    def value(self, w):
        return self.alpha if w != 0.0 else 0.0

    def prox(self, v, step):
        return 0.0 if v * v <= 2.0 * step * self.alpha else v


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
        object.__setattr__(self, "alpha", as_number(self.alpha, "alpha", least=0.0))
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
        object.__setattr__(self, "alpha", as_number(self.alpha, "alpha", least=0.0))
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


@dataclass(frozen=True)
class Ridged(Penalty):
    """penalty(w) + beta w**2 / 2: elastic net from L1, L0L2 from L0.

    Parameters
    ----------
    penalty : Penalty
    beta : float >= 0
        Curvature of the ridge. scikit-learn's ElasticNet(alpha, l1_ratio) is
        ``Ridged(L1(alpha * l1_ratio), alpha * (1 - l1_ratio))``.
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
    """penalty(w) for w >= 0, infinite below.

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


def _check_penalty(penalty, rule):
    if not isinstance(penalty, Penalty):
        raise TypeError(f"{rule} takes a penalty, got {type(penalty).__name__}; for example {rule}(L1(0.1), ...).")
