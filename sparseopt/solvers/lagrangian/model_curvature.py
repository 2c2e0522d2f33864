"""The curvature of a Newton model: a full matrix, or products with the columns of X where the matrix would be large.

    H = sum_i bend_i (x_i - mean)(x_i - mean)' + sum_k a_k a_k'

over samples, and over the rows a_k of a constraint that pull, times the roots of their penalties.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import sparse


class SystemSize(NamedTuple):
    """What a system is made of: numbers in memory, and multiplications."""

    numbers: float
    work: float


class ModelCurvature(ABC):
    """H by what a model needs of it."""

    rows: np.ndarray

    @property
    @abstractmethod
    def n_entries(self):
        """Numbers that one product with H reads."""

    @abstractmethod
    def system_size(self, m):
        """Size of the system of as many numbers as E has columns, or as A has rows where these are fewer."""

    def with_rows(self, rows):
        """H with these rows in place of its own."""
        return replace(self, rows=rows)

    @property
    @abstractmethod
    def rank(self):
        """Rows of the factor A of H = A'A; infinite where there is none."""

    @abstractmethod
    def product(self, v):
        """H v."""

    @abstractmethod
    def diagonal(self):
        """The curvature of each coefficient."""

    @abstractmethod
    def gram(self, E):
        """E'HE."""


@dataclass(frozen=True, eq=False)
class FullCurvature(ModelCurvature):
    """A matrix, dense or sparse, and rows."""

    H: np.ndarray | sparse.csc_array
    rows: np.ndarray

    @property
    def n_entries(self):
        return _stored(self.H) + 2 * self.rows.size

    @property
    def rank(self):
        return np.inf

    def system_size(self, m):
        filled = 0 if sparse.issparse(self.H) else len(self.H) * m
        return SystemSize(m * m + filled, m**3 / 3.0 + m * m * len(self.rows) + filled)

    def matrix(self):
        """H as one dense matrix."""
        return (self.H.toarray() if sparse.issparse(self.H) else self.H) + self.rows.T @ self.rows

    def product(self, v):
        return self.H @ v + self.rows.T @ (self.rows @ v)

    def diagonal(self):
        return self.H.diagonal() + np.sum(self.rows * self.rows, axis=0)

    def gram(self, E):
        inner, pulls = E.T @ (self.H @ E), self.rows @ E
        return (inner.toarray() if sparse.issparse(inner) else inner) + pulls.T @ pulls


@dataclass(frozen=True, eq=False)
class FactorCurvature(ModelCurvature):
    """A'A with A = rooted - left mean', and rows."""

    #: X times the roots of the bends.
    rooted: np.ndarray | sparse.csc_array
    left: np.ndarray
    mean: np.ndarray
    rows: np.ndarray

    @property
    def n_entries(self):
        return 2 * (_stored(self.rooted) + self.rows.size)

    @property
    def rank(self):
        return self.left.size + len(self.rows)

    def system_size(self, m):
        few, many = min(m, self.rank), max(m, self.rank)
        return SystemSize(few * many + few * few, few**3 / 3.0 + few * few * many)

    def image(self, v):
        """A v."""
        return np.append(self.rooted @ v - self.left * (self.mean @ v), self.rows @ v)

    def roots(self, E):
        """A E."""
        image = self.rooted @ E
        image = image.toarray() if sparse.issparse(image) else image
        return np.vstack([image - np.outer(self.left, E.T @ self.mean), self.rows @ E])

    def product(self, v):
        u = self.rooted @ v - self.left * (self.mean @ v)
        return self.rooted.T @ u - self.mean * (self.left @ u) + self.rows.T @ (self.rows @ v)

    def diagonal(self):
        A = self.rooted
        squares = np.asarray((A.multiply(A) if sparse.issparse(A) else A * A).sum(axis=0)).ravel()
        # the mean of a column, weighed by the squares of left, comes off its square
        centred = squares - self.mean**2 * (self.left @ self.left)
        return np.maximum(centred, 0.0) + np.sum(self.rows * self.rows, axis=0)

    def gram(self, E):
        image = self.roots(E)
        return image.T @ image


def _stored(matrix):
    """Numbers that a matrix is stored as."""
    return matrix.nnz if sparse.issparse(matrix) else matrix.size
