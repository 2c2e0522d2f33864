"""A convex quadratic for solvers that fix features: constant - q'w + w'Gw / 2, with G at hand in parts.

G is formed at once where it is no larger than X; otherwise only the part that belongs to features
in use is, and the pull q - Gw of all others is a product with X. All in float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from scipy import sparse

from sparseopt.kernels.gram import gather
from sparseopt.kernels.perspective import subtract_rows
from sparseopt.losses import LeastSquares

# Entries of a block of rows of X from which a part of its Gram matrix is made.
_BLOCK = 1 << 20
# Up to this many features, G is formed at once also where it is larger than X.
_FEW = 200
# Features in use of which parts of G are kept.
_KEPT = 1500


class GramModel(ABC):
    """The quadratic.

    Attributes
    ----------
    linear : array of shape (p,)
        q.
    bends : array of shape (p,)
        Diagonal of G.
    sizes : array of shape (p,)
        What rounding of a product with feature j is relative to.
    constant : float
    rounding : float
        Relative error of such products.
    """

    linear: np.ndarray
    bends: np.ndarray
    sizes: np.ndarray
    constant: float
    rounding: float

    @property
    def n_features(self):
        return self.linear.size

    @abstractmethod
    def block(self, features):
        """The part of G that belongs to some features, as a new matrix."""

    @abstractmethod
    def pull(self, features, w, out):
        """q - Gw into `out`, for a w that is zero outside of `features`, of which `block` was asked for last."""


class WholeGram(GramModel):
    """G in memory."""

    def __init__(self, gram, linear, constant, sizes, rounding):
        self.gram, self.linear, self.constant = gram, linear, constant
        self.bends = gram.diagonal().copy()
        self.sizes, self.rounding = sizes, rounding

    def block(self, features):
        block = np.empty((features.size, features.size))
        gather(self.gram, features, features, block)
        return block

    def pull(self, features, w, out):
        out[:] = self.linear
        subtract_rows(self.gram, features, w, out)


class WideGram(GramModel):
    """G of a wide X, of which only the features in use are kept."""

    def __init__(self, loss):
        self.design, weights = loss.X, np.asarray(loss.sample_weight.values, dtype=np.float64)
        n, p = self.design.shape
        self.root = np.broadcast_to(np.sqrt(weights), n)
        self.target = self.root * loss.target
        self.linear = np.asarray(self.design.rmatvec(self.root * self.target), dtype=np.float64)
        self.constant = 0.5 * float(self.target @ self.target)
        self.bends = np.asarray(loss.curvatures(), dtype=np.float64)
        self.sizes = sizes_of(self.design, self.bends)
        self.rounding = rounding_of(n)
        self._slot = np.full(p, -1, dtype=np.intp)
        self._features = np.empty(0, dtype=np.intp)
        self._columns, self._gram = np.empty((64, n)), np.empty((64, 64))

    def block(self, features):
        fresh = features[self._slot[features] < 0]
        if fresh.size:
            self._admit(features, fresh)
        places = self._slot[features]
        block = np.empty((features.size, features.size))
        gather(self._gram, places, places, block)
        return block

    def pull(self, features, w, out):
        rest = self.target - w @ self._columns[self._slot[features]]
        out[:] = self.design.rmatvec(self.root * rest)

    def _admit(self, features, fresh):
        """Columns of new features, and their products with those that are kept."""
        if self._features.size + fresh.size > max(_KEPT, features.size):
            self._keep(features[self._slot[features] >= 0])
        held, size = self._features.size, self._features.size + fresh.size
        if size > len(self._gram):
            room = max(size, 2 * len(self._gram))
            columns, gram = np.empty((room, self._columns.shape[1])), np.empty((room, room))
            columns[:held], gram[:held, :held] = self._columns[:held], self._gram[:held, :held]
            self._columns, self._gram = columns, gram
        self._columns[held:size] = self.design.columns_as_rows(fresh) * self.root
        products = self._columns[held:size] @ self._columns[:size].T
        self._gram[held:size, :size] = products
        self._gram[:held, held:size] = products[:, :held].T
        self._slot[fresh] = np.arange(held, size)
        self._features = np.concatenate([self._features, fresh])

    def _keep(self, features):
        """Forget all features but these."""
        places, size = self._slot[features], features.size
        self._columns[:size] = self._columns[places]
        self._gram[:size, :size] = self._gram[np.ix_(places, places)]
        self._slot[self._features] = -1
        self._slot[features] = np.arange(size)
        self._features = features


def gram_model(loss):
    """The model of least squares or of a `Quadratic`."""
    if isinstance(loss, LeastSquares):
        n, p = loss.X.shape
        return whole_gram(loss) if p <= max(n, _FEW) else WideGram(loss)
    gram = loss.Q.to_array()
    sizes = np.sqrt(gram.diagonal())
    linear = -np.asarray(loss.c, dtype=np.float64)
    return WholeGram(np.ascontiguousarray(gram), linear, 0.0, sizes, rounding_of(1))


def whole_gram(loss):
    """The model of an X that is read once: in blocks of rows, or as sparse products."""
    design, target = loss.X, loss.target.astype(np.float64)
    n, p = design.shape
    weights = np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), n)
    constant = 0.5 * float(np.sum(weights * target * target))
    means = getattr(design, "means", np.zeros(p)).astype(np.float64)
    if sparse.issparse(design.matrix):
        matrix = design.matrix.astype(np.float64)
        gram = (matrix.T @ (matrix.multiply(weights[:, None]))).toarray() - np.outer(means, means)
        linear = np.asarray(design.rmatvec(weights * target), dtype=np.float64)
    else:
        gram, linear, root = np.zeros((p, p)), np.zeros(p), np.sqrt(weights)
        rows = max(1, _BLOCK // max(p, 1))
        for first in range(0, n, rows):
            part = slice(first, first + rows)
            block = (design.matrix.T[:, part] - means[:, None]) * root[part]
            gram += block @ block.T
            linear += block @ (root[part] * target[part])
    return WholeGram(gram, linear, constant, sizes_of(design, gram.diagonal()), rounding_of(n))


def sizes_of(design, bends):
    """Lengths of the columns, with what centring took off."""
    means = getattr(design, "means", None)
    return np.sqrt(bends if means is None else bends + 2.0 * np.square(means, dtype=np.float64))


def rounding_of(n):
    """Relative error of a sum of n products in float64, with room to spare."""
    return float(np.finfo(np.float64).eps) * (16.0 + np.sqrt(n))
