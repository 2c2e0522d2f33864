"""The smooth terms as functions of w, for peers that have only the prox of a penalty."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import svds
from scipy.special import expit


@dataclass(frozen=True)
class MeanSquare:
    """|X w - y|**2 / (2 n)."""

    X: object
    y: np.ndarray

    def value(self, w):
        residual = self.X @ w - self.y
        return residual @ residual / (2 * self.y.size)

    def slope(self, w):
        return self.X.T @ (self.X @ w - self.y) / self.y.size

    def value_and_slope(self, w):
        residual = self.X @ w - self.y
        return residual @ residual / (2 * self.y.size), self.X.T @ residual / self.y.size

    def longest_step(self):
        """The inverse of the largest curvature."""
        return self.y.size / svds(self.X, k=1, return_singular_vectors=False)[0] ** 2


@dataclass(frozen=True)
class MeanLogistic:
    """Mean of log(1 + exp(-y X w)), y in {-1, 1}."""

    X: object
    y: np.ndarray

    def value(self, w):
        return np.logaddexp(0.0, -self.y * (self.X @ w)).mean()

    def slope(self, w):
        return self.X.T @ (-self.y * expit(-self.y * (self.X @ w))) / self.y.size

    def value_and_slope(self, w):
        z = self.y * (self.X @ w)
        return np.logaddexp(0.0, -z).mean(), self.X.T @ (-self.y * expit(-z)) / self.y.size

    def longest_step(self):
        """The inverse of the largest curvature: the logistic curve bends by a quarter at most."""
        return 4 * self.y.size / svds(self.X, k=1, return_singular_vectors=False)[0] ** 2
