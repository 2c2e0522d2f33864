"""Losses with several outputs for each sample, and how their matrices lie in one vector.

The coefficients W have a row for each of p features and a column for each of q outputs. Solvers
see them as one vector in C order: W_jk is w[j q + k], so that a row is a group of neighbours.
An image, such as X W, is q blocks of n + 1 entries, one an output: the vectors that a `Design`
knows, with their spare entry. A loss may append scratch entries to its images.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term
from sparseopt.designs import Design
from sparseopt.losses.base import DualLoss, kept, rebuilt
from sparseopt.losses.samples import fitted, remembered


@dataclass(frozen=True)
class Grid(Term):
    """All coefficients of a matrix with q columns, in C order."""

    q: int

    def feature(self, c):
        """Row of coefficient c."""
        return np.int64(c) // self.q

    def output(self, c):
        """Column of coefficient c."""
        return np.int64(c) % self.q

    def matrix(self, w, p):
        """The matrix of p rows that w stands for."""
        return w.reshape(p, self.q)

    def vector(self, W):
        """Its entries, in order."""
        return W.ravel()

    def shape(self, p):
        """Shape in which users see p rows of coefficients."""
        return p, self.q


@dataclass(frozen=True, eq=False)
class Places(Term):
    """Some coefficients of a matrix with q columns; the others are zero."""

    rows: np.ndarray
    columns: np.ndarray
    q: int

    def feature(self, c):
        """Row of coefficient c."""
        return self.rows[c]

    def output(self, c):
        """Column of coefficient c."""
        return self.columns[c]

    def matrix(self, w, p):
        """The matrix of p rows that w stands for."""
        W = np.zeros((p, self.q), dtype=w.dtype)
        W[self.rows, self.columns] = w.ravel()
        return W

    def vector(self, W):
        """Its entries, in order."""
        return W[self.rows, self.columns]

    def shape(self, p):
        """Shape in which users see these coefficients: there is no matrix of them."""
        return (self.rows.size,)


@dataclass(frozen=True, eq=False)
class OutputsLoss(DualLoss):
    """A loss of X W, with several outputs for each sample; a subclass says how they are judged."""

    X: Design
    y: np.ndarray = field(metadata={"compiled": False})
    sample_weight: Term | None = None
    intercept: bool = field(default=False, metadata={"compiled": False})
    #: What the outputs should be, as an image.
    target: np.ndarray = field(init=False, repr=False)
    places: Term = field(init=False, repr=False)
    names: tuple | None = field(init=False, default=None, repr=False, metadata={"compiled": False})

    @abstractmethod
    def output_slopes(self, W):
        """Slope of each sample's loss in its outputs at W, shape (n, q), before weighing."""

    @abstractmethod
    def predict(self, w):
        """Outputs X W + b, shape (n, q)."""

    @abstractmethod
    def bound_outputs(self, Z):
        """H Z for a matrix H that bounds the second derivative in the outputs everywhere, before weighing by samples."""

    @abstractmethod
    def largest_bend(self):
        """Upper bound on the second derivative of a sample's loss in one output."""

    def at(self, i):
        """Weight of row i in a move of a fitted value."""
        return self.target.dtype.type(1)

    def coordinate_slope(self, running, j):
        m = self.target.size // self.places.q
        first = self.places.output(j) * m
        return self.X.pull(self.places.feature(j), running[first : first + m])

    def forward(self, w, eta):
        m = self.target.size // self.places.q
        for i in range(eta.size):
            eta[i] = 0
        for c in range(w.size):
            if w[c] != 0:
                first = self.places.output(c) * m
                self.X.push(self.places.feature(c), w[c], self, eta[first : first + m])
        for k in range(self.places.q):
            z = eta[k * m : (k + 1) * m]
            for i in range(m - 1):
                z[i] -= z[m - 1]
            z[m - 1] = 0

    def pull_all(self, u, slope):
        """Slopes in all coefficients, from those in the fitted values."""
        for c in range(slope.size):
            slope[c] = self.coordinate_slope(u, c)

    @property
    def shape(self):
        return self.places.shape(self.X.shape[1])

    @property
    def n_features(self):
        return int(np.prod(self.shape))

    @property
    def n_entries(self):
        return self.X.n_entries * self.places.q

    @property
    def image_size(self):
        return self.target.size

    @property
    def weights(self):
        """Weights of the samples as a column, or the one number that they all have."""
        values = self.sample_weight.values
        return values if np.ndim(values) == 0 else values[:, None]

    @property
    def targets(self):
        """What the outputs should be, shape (n, q); a view."""
        return self.target.reshape(self.places.q, -1)[:, :-1].T

    def matrix_of(self, w):
        """w with a row for each column of X."""
        return self.places.matrix(np.asarray(w), self.X.shape[1])

    def fitted(self, w):
        """X W, shape (n, q)."""
        return fitted(self, self.matrix_of(w))

    def as_image(self, Z):
        """The image that holds a matrix of shape (n, q)."""
        image = np.zeros(self.image_size, dtype=self.dtype)
        image[: self.target.size].reshape(self.places.q, -1)[:, :-1] = Z.T
        return image

    def image(self, w):
        return self.as_image(self.fitted(w))

    def pulled(self, U):
        """X'U in the order of the coefficients."""
        return self.places.vector(self.X.rmatvec(U))

    def gradient(self, w):
        return remembered(self, "_gradient", w, lambda w: self.pulled(self.weights * self.output_slopes(w)))

    def curvatures(self):
        return kept(self, "_curvatures", self._curvatures)

    def _curvatures(self):
        rows = self.largest_bend() * self.X.weighted_squares(self.sample_weight.values)
        return self.places.vector(np.repeat(rows, self.places.q).reshape(-1, self.places.q).astype(self.dtype))

    def hessian_bound(self, d):
        Z = self.bound_outputs(self.X.matvec(self.matrix_of(d)))
        return self.pulled((self.weights * Z).astype(self.dtype)).astype(self.dtype)

    def restrict(self, columns):
        columns = np.asarray(columns, dtype=np.int64)
        everything = np.arange(self.X.shape[1] * self.places.q).reshape(-1, self.places.q)
        index = self.places.vector(everything)[columns]
        rows, place = np.unique(index // self.places.q, return_inverse=True)
        places = Places(place, index % self.places.q, self.places.q)
        return rebuilt(self, X=self.X.restrict(rows), places=places, names=None)
