"""The curvature of a Newton model: a full matrix, or products with the columns of X where the matrix would be large.

    H = sum_i bend_i (x_i - mean)(x_i - mean)' + sum_k a_k a_k'

over samples, and over the rows a_k of a constraint that pull, times the roots of their penalties.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse


class ModelCurvature(ABC):
    """H by what a model needs of it."""

    @abstractmethod
    def with_rows(self, rows):
        """H plus the products of rows with themselves."""

    @abstractmethod
    def product(self, v):
        """H v."""

    @abstractmethod
    def diagonal(self):
        """The curvature of each coefficient."""

    @abstractmethod
    def roots(self, E):
        """Images of the columns of E, whose products are E'HE; None where only these are known."""

    @abstractmethod
    def gram(self, E):
        """E'HE."""


@dataclass(frozen=True, eq=False)
class FullCurvature(ModelCurvature):
    """A matrix, dense or sparse."""

    H: np.ndarray | sparse.csc_array

    def with_rows(self, rows):
        if rows.shape[0] == 0:
            return self
        return FullCurvature(np.asarray(self.H + rows.T @ rows))

    def product(self, v):
        return self.H @ v

    def diagonal(self):
        return self.H.diagonal()

    def roots(self, E):
        return None

    def gram(self, E):
        product = E.T @ (self.H @ E)
        return product.toarray() if sparse.issparse(product) else product


@dataclass(frozen=True, eq=False)
class FactorCurvature(ModelCurvature):
    """A'A with A = rooted - left mean', and rows."""

    #: X times the roots of the bends.
    rooted: np.ndarray | sparse.csc_array
    left: np.ndarray
    mean: np.ndarray
    rows: np.ndarray

    def with_rows(self, rows):
        return replace(self, rows=rows)

    def product(self, v):
        u = self.rooted @ v - self.left * (self.mean @ v)
        return self.rooted.T @ u - self.mean * (self.left @ u) + self.rows.T @ (self.rows @ v)

    def diagonal(self):
        A = self.rooted
        squares = np.asarray((A.multiply(A) if sparse.issparse(A) else A * A).sum(axis=0)).ravel()
        # the columns of A have the mean zero where left is the root of the bends
        centred = squares - self.mean**2 * (self.left @ self.left)
        return np.maximum(centred, 0.0) + np.sum(self.rows * self.rows, axis=0)

    def roots(self, E):
        image = self.rooted @ E
        image = image.toarray() if sparse.issparse(image) else np.asarray(image)
        return np.vstack([image - np.outer(self.left, E.T @ self.mean), self.rows @ E])

    def gram(self, E):
        image = self.roots(E)
        return image.T @ image
