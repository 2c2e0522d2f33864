"""The models of this suite: each a loss with its dual bound, and a norm with its dual.

A loss f(Z) of the fitted values Z = X W has the slope U = f'(Z), and for each part s in [0, 1] the lower
bound -f*(-s U) where s X'U is within alpha times the unit ball of the dual norm.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, xlogy

# the part of the Benjamini-Hochberg sequence that SLOPE takes (Bogdan et al., 2015)
FALSE_DISCOVERIES = 0.1
# Huber's losses bend at this residual, in units of y's standard deviation.
HUBER_DELTA = 0.5


class Model(ABC):
    """A loss and a norm; coefficients have a column for each column of Y."""

    def prepared(self, y):
        """The matrix or vector Y that the formulas need."""
        return y

    @abstractmethod
    def value(self, Y, Z):
        """f(Z)."""

    @abstractmethod
    def slope(self, Y, Z):
        """f'(Z)."""

    @abstractmethod
    def bound(self, Y, Z, limit):
        """The largest known -f*(-s f'(Z)) with 0 <= s <= limit."""

    def norm(self, W):
        """The penalty of alpha = 1: L1 where nothing else is said."""
        return float(np.abs(W).sum())

    def dual_norm(self, V):
        """The least alpha whose ball holds V."""
        return float(np.abs(V).max())

    def largest_alpha(self, X, y):
        """The least alpha whose solution is zero."""
        Y = self.prepared(y)
        return self.dual_norm(X.T @ self.slope(Y, np.zeros(Y.shape)))

    def grade(self, X, y, W, alpha):
        """Value and relative duality gap."""
        Y = self.prepared(y)
        Z = X @ W
        value = self.value(Y, Z) + alpha * self.norm(W)
        largest = self.dual_norm(X.T @ self.slope(Y, Z))
        bound = self.bound(Y, Z, alpha / largest if largest > 0 else np.inf)
        return float(value), float((value - bound) / value)


@dataclass(frozen=True)
class Poisson(Model):
    """Mean of half the deviance of counts with means exp(z)."""

    def value(self, Y, Z):
        return np.mean(np.exp(Z) - Y - Y * Z + xlogy(Y, Y))

    def slope(self, Y, Z):
        return (np.exp(Z) - Y) / len(Y)

    def bound(self, Y, Z, limit):
        s = min(1.0, limit)
        q = s * np.exp(Z) + (1 - s) * Y
        return np.mean(q - xlogy(q, q) - Y + xlogy(Y, Y))


@dataclass(frozen=True)
class Huber(Model):
    """Mean of (z - y)**2 / 2, linear beyond delta."""

    delta: float = HUBER_DELTA

    def value(self, Y, Z):
        far = np.abs(Z - Y)
        near = np.minimum(far, self.delta)
        return np.mean(near * (far - near / 2))

    def slope(self, Y, Z):
        return np.clip(Z - Y, -self.delta, self.delta) / len(Y)

    def bound(self, Y, Z, limit):
        U = np.clip(Z - Y, -self.delta, self.delta)
        square = U @ U
        # the best multiple, as far as it is a slope
        s = np.clip(-(U @ Y) / square, 0.0, min(limit, self.delta / np.abs(U).max())) if square > 0 else 0.0
        return -np.mean(s * s * U * U / 2 + s * U * Y)


@dataclass(frozen=True)
class Cox(Model):
    """Breslow's negative partial log-likelihood over n; Y has the times, which differ, and whether each is an event.

    Its slope is a sum over events of (chances of all at risk) - (the one that failed), so that a part s
    of it belongs to the chances s q + (1 - s) e, whose entropies make the bound.
    """

    def at_risk(self, Y, Z):
        """Fitted values and events in the order of decreasing time, and log of the sum over those at risk."""
        order = np.argsort(-Y[:, 0])
        z = Z[order]
        return order, z, Y[order, 1] > 0, np.logaddexp.accumulate(z)

    def value(self, Y, Z):
        _, z, event, total = self.at_risk(Y, Z)
        return np.sum(total[event] - z[event]) / len(Y)

    def slope(self, Y, Z):
        order, z, event, total = self.at_risk(Y, Z)
        shares = np.cumsum(np.where(event, np.exp(-total), 0.0)[::-1])[::-1]
        slope = np.empty(len(Y))
        slope[order] = (np.exp(z) * shares - event) / len(Y)
        return slope

    def largest_alpha(self, X, y):
        return self.dual_norm(X.T @ self.slope(y, np.zeros(len(y))))

    def bound(self, Y, Z, limit):
        s = min(1.0, limit)
        _, z, event, total = self.at_risk(Y, Z)
        top = z.max()
        mean = np.cumsum(np.exp(z - top) * z) / np.exp(total - top)
        own = s * np.exp(z - total)
        # sum of s q log(s q) over those at risk, with the share 1 - s added to the one that failed
        entropies = xlogy(s, s) + s * (mean - total) - xlogy(own, own) + xlogy(own + 1 - s, own + 1 - s)
        return -np.sum(entropies[event]) / len(Y)


class Chances(Model):
    """Mean of log sum exp z_i - z_i,y_i, a column of coefficients for each class."""

    def prepared(self, y):
        return (y[:, None] == np.unique(y)).astype(np.float64)

    def value(self, Y, Z):
        return np.mean(logsumexp(Z, axis=1) - np.sum(Y * Z, axis=1))

    def slope(self, Y, Z):
        return (np.exp(Z - logsumexp(Z, axis=1, keepdims=True)) - Y) / len(Y)

    def bound(self, Y, Z, limit):
        s = min(1.0, limit)
        q = s * np.exp(Z - logsumexp(Z, axis=1, keepdims=True)) + (1 - s) * Y
        return -np.sum(xlogy(q, q)) / len(Y)


@dataclass(frozen=True)
class Multinomial(Chances):
    """Classes, and the L1 norm."""


@dataclass(frozen=True)
class GroupedMultinomial(Chances):
    """Classes, and the sum of the norms of the rows of W."""

    def norm(self, W):
        return norm_of_rows(W)

    def dual_norm(self, V):
        return float(np.linalg.norm(V, axis=1).max())


class SquaredResidual(Model):
    """|Z - Y|**2 / (2 n), whose best multiple may be above one."""

    def value(self, Y, Z):
        return np.sum((Z - Y) ** 2) / (2 * len(Y))

    def slope(self, Y, Z):
        return (Z - Y) / len(Y)

    def bound(self, Y, Z, limit):
        residual = Y - Z
        square = np.vdot(residual, residual)
        s = np.clip(np.vdot(residual, Y) / square, -limit, limit) if square > 0 else 0.0
        rest = Y - s * residual
        return (np.vdot(Y, Y) - np.vdot(rest, rest)) / (2 * len(Y))


@dataclass(frozen=True)
class MultiResponse(SquaredResidual):
    """Least squares with several responses, and the sum of the norms of the rows of W."""

    def norm(self, W):
        return norm_of_rows(W)

    def dual_norm(self, V):
        return float(np.linalg.norm(V, axis=1).max())


@dataclass(frozen=True)
class SLOPE(SquaredResidual):
    """Least squares with the sorted L1 norm."""

    def norm(self, W):
        return float(np.sort(np.abs(W))[::-1] @ slope_sequence(W.size))

    def dual_norm(self, V):
        return float(np.max(np.cumsum(np.sort(np.abs(V))[::-1]) / np.cumsum(slope_sequence(V.size))))


def norm_of_rows(W):
    """Sum of the Euclidean norms of the rows."""
    return float(np.linalg.norm(W, axis=1).sum())


def slope_sequence(p):
    """The Benjamini-Hochberg sequence, its first entry one."""
    from scipy.stats import norm

    sequence = norm.ppf(1 - FALSE_DISCOVERIES * np.arange(1, p + 1) / (2 * p))
    return sequence / sequence[0]


MODELS = {
    "Poisson": Poisson(),
    "Huber": Huber(),
    "Cox": Cox(),
    "multinomial": Multinomial(),
    "grouped multinomial": GroupedMultinomial(),
    "multi-response": MultiResponse(),
    "SLOPE": SLOPE(),
}
