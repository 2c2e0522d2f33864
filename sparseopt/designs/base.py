"""What a design is: products with a matrix and with its columns, and copies of it that a run may keep."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager

import numpy as np

from sparseopt._jit import Term

# The least curvature of a column, relative to the square of its mean, in units of rounding.
_HELD = 100.0
# Entries up to which a product with all of X is over before its columns are chosen.
SMALL = 10_000


class Design(Term):
    """A matrix X with one row a sample and one column a feature."""

    @abstractmethod
    def pull(self, j, u):
        """The product x_j . u."""

    @abstractmethod
    def push(self, j, step, weight, u):
        """u += step * weight * x_j, in place."""

    @abstractmethod
    def push_through(self, j, step, loss, eta, u):
        """eta += step * x_j, and u is the slope of the loss at eta, in place."""

    @abstractmethod
    def forward(self, w, eta):
        """eta = X w, in place; columns with a zero coefficient are not read."""

    @abstractmethod
    def adjoint(self, u, out):
        """out = X' u, in place."""

    @property
    @abstractmethod
    def shape(self):
        """Rows and columns."""

    @property
    @abstractmethod
    def dtype(self):
        """float32 or float64."""

    @property
    @abstractmethod
    def n_entries(self):
        """Stored entries."""

    @property
    @abstractmethod
    def matrix(self):
        """The matrix before any centring, as numpy or scipy knows it; not a copy."""

    @abstractmethod
    def matvec(self, w):
        """X w, in the larger of the two types; w may have several columns."""

    @abstractmethod
    def rmatvec(self, u):
        """X' u, in the larger of the two types; u may have several columns."""

    @abstractmethod
    def restrict(self, columns):
        """The design of some columns, copied."""

    @abstractmethod
    def weighted_squares(self, weights):
        """sum_i weights_i x_ij**2 for each column j."""

    @abstractmethod
    def to_array(self):
        """The matrix, centred if it is, as a dense float64 array; for a few columns."""

    @abstractmethod
    def columns_as_rows(self, columns):
        """Some columns, centred if the matrix is, one a row of a new dense float64 array."""


def held_curvature(squares, means, total=1.0):
    """Squares of centred columns, no less than what keeps rounding harmless; `total` is the sum of the weights.

    Of a column that is constant, centring leaves rounding. Its slope is rounding too, of the size of its mean, and
    divided by so little it would be a step without end.
    """
    return np.maximum(squares, _HELD * np.finfo(squares.dtype).eps * total * means * means).astype(squares.dtype)


@contextmanager
def keeping_copies(design):
    """While this lasts, what a solver copies from the design is there for the next one: runs on a path are many."""
    object.__setattr__(design, "_copies", {})
    try:
        yield
    finally:
        design.__dict__.pop("_copies", None)


def copies_of(design):
    """The copies that are kept with the design, by name; an empty dictionary of no consequence where none are."""
    return design.__dict__.get("_copies", {})


def few_nonzeros(w):
    """The nonzero places (rows, of a matrix) of w where they are so few that a copy of their columns is cheaper than all of X."""
    # of numbers, numpy finds the nonzeros several times more slowly than of truth values
    columns = ((w != 0.0) if w.ndim == 1 else w.any(axis=1)).nonzero()[0]
    return columns if 2 * columns.size <= len(w) else None
