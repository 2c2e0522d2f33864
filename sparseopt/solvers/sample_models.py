"""Quadratic models of a loss on samples on a working set: the curvature of each sample is a weight.

At a point where the samples have the slopes v_i and the curvatures h_i, the model of a change d of
the coefficients is

    sum_i v_i x_i d + h_i (x_i d - m d)**2 / 2

with m the means of the columns under the weights h where there is an intercept, zero otherwise:
so the intercept is minimised out. The curvatures may be those of an earlier point. The model bends
a little wrong then, but its slopes are right, so that steps to its minimiser still go down.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from sparseopt.designs import Dense, copies_of, held_curvature
from sparseopt.kernels.gram import cast_and_pull
from sparseopt.solvers.curved_model import CurvedModel
from sparseopt.solvers.working_model import GramModel, WorkingModel

# Entries of X from which a copy in float32 saves time, and up to which it may take memory (1 GB).
_WORTH_A_COPY, _TOO_LARGE = 1e5, 2**28
# Features from which a Gram matrix takes too much memory: a gigabyte in float32.
_LARGEST_GRAM = 16_384
# Entries of a matrix that stay in the cache of a core: a megabyte in float32.
_CACHED = 1 << 18
# Squares of columns from which float32 has too little range.
_EXTREME = 1e24


class SampleModels(ABC):
    """The models of one run, one after another, and the products with X that go with them."""

    #: The present one.
    model: WorkingModel | None = None
    #: Slopes of the loss at the start of the run, where a look at X has shown them already.
    slopes_at_start: np.ndarray | None = None
    #: Whether the models are float32, though X is not.
    is_single = False
    #: How many times as many features may enter at once as where each costs a row of a Gram matrix.
    eagerness = 1

    @abstractmethod
    def renew(self, features, w, v, weights):
        """A new model on the features, with the curvatures `weights` of the samples."""

    @abstractmethod
    def extend(self, features, w, v):
        """Add features to the model, which keeps its curvatures."""

    @abstractmethod
    def place(self, w, v, *, is_exact):
        """Bring the model to the point w where the samples have the slopes v; float32 will do if not `is_exact`."""

    @abstractmethod
    def image(self, move):
        """What the fitted values gain by the move that the model has made, less the intercept."""

    @abstractmethod
    def is_full(self, size):
        """Whether a working set of this size takes too much memory."""

    @abstractmethod
    def cost(self):
        """What a new model costs, in steps of the present one."""

    @abstractmethod
    def screen(self, v):
        """Slopes of all features, good enough to choose features by."""


class DenseModels(SampleModels):
    """Models with the Gram matrix of the weighted columns in memory; all in float32, if `single`."""

    def __init__(self, loss, v, *, single):
        self._values, self._has_intercept = loss.X.values, loss.intercept
        self._shadow = None
        n, p = self._values.shape
        self.is_single = single
        self._dtype = np.dtype(np.float32 if single else np.float64)
        self._memory, self._size = np.empty((0, n), dtype=self._dtype), 0
        if single:
            self._shadow = copies_of(loss.X).get("single")
        if single and self._shadow is None:
            self._shadow = np.empty((n, p), dtype=np.float32, order="F")
            self.slopes_at_start = np.empty(p)
            means, root = np.zeros(p), np.ones(n)
            cast_and_pull(self._values, means, root, v, self._shadow, self.slopes_at_start)
            copies_of(loss.X)["single"] = self._shadow

    @staticmethod
    def prefer_single(loss):
        """Whether a copy in float32 pays."""
        X = loss.X
        if not isinstance(X, Dense) or X.dtype != np.float64 or not _WORTH_A_COPY <= X.n_entries <= _TOO_LARGE:
            return False
        sizes = X.squares[X.squares > 0.0]
        return bool(np.all((sizes > 1.0 / _EXTREME) & (sizes < _EXTREME)))

    def renew(self, features, w, v, weights):
        # relative to the largest, so that float32 holds them
        self._unit = float(np.max(weights)) or 1.0
        self._weights = (weights / self._unit).astype(self._dtype)
        self._size = 0
        self._append(features)
        self.model = GramModel(self._dtype)
        self.model.extend(features, self._in_units(self._products(0)), w, self._slopes(self._columns, v))

    def extend(self, features, w, v):
        first = self._size
        self._append(features)
        self.model.extend(features, self._in_units(self._products(first)), w, self._slopes(self._columns[first:], v))

    def place(self, w, v, *, is_exact):
        self.model.w[:] = w
        if is_exact and self.is_single:
            self.model.anchor(self._exact_slopes(self.model.features, v))
        else:
            self.model.anchor(self._slopes(self._columns, v))

    def image(self, move):
        moved, columns = np.flatnonzero(move), self._columns
        if 2 * moved.size > move.size:
            return (move.astype(self._dtype) @ columns).astype(np.float64)
        total = np.zeros(columns.shape[1])
        for block in _blocks(moved.size, columns.shape[1]):
            total += move[moved[block]].astype(self._dtype) @ columns[moved[block]]
        return total

    def is_full(self, size):
        return size > _LARGEST_GRAM

    def cost(self):
        return 8.0

    def screen(self, v):
        return self._slopes((self._values if self._shadow is None else self._shadow).T, v)

    @property
    def _columns(self):
        """The columns of the working set, one a row."""
        return self._memory[: self._size]

    def _append(self, features):
        """Take columns of X into memory that is kept from model to model: fresh memory is slower than the copy."""
        first, size = self._size, self._size + features.size
        if size > len(self._memory):
            grown = np.empty(
                (min(max(size, 2 * len(self._memory)), self._values.shape[1]), self._values.shape[0]), dtype=self._dtype
            )
            grown[:first] = self._memory[:first]
            self._memory = grown
        rows = (self._values if self._shadow is None else self._shadow).T
        for block in _blocks(features.size, rows.shape[1]):
            new = features[block]
            self._memory[first + block.start : first + block.start + new.size] = rows[new]
        self._size = size

    def _products(self, first):
        """Weighted products of the columns from `first` on with all of them, the means taken off with an intercept."""
        columns, weights = self._columns, self._weights
        if self._has_intercept:
            # before the products: as a difference of squares it would lose the digits of columns far from zero
            means = columns @ weights / np.sum(weights)
            columns = columns - means[:, None]
        if first == 0:
            # the same matrix twice: BLAS does half of the work
            half = columns * np.sqrt(weights)
            total = half @ half.T
        else:
            total = (columns[first:] * weights) @ columns.T
        if self._has_intercept:
            own = np.einsum("ii->i", total[:, first:])
            own[:] = held_curvature(own, means[first:], np.sum(weights))
        return total

    def _slopes(self, rows, v):
        unit = float(np.max(np.abs(v), initial=0.0)) or 1.0
        return np.vecdot(rows, (v / unit).astype(self._dtype)).astype(np.float64) * unit

    def _exact_slopes(self, features, v):
        """Products of columns of X itself with v, some columns at a time."""
        out = np.empty(features.size)
        for block in _blocks(features.size, v.size):
            out[block] = np.vecdot(self._values.T[features[block]], v)
        return out

    def _in_units(self, rows):
        return rows * self._dtype.type(self._unit)


def _blocks(count, size):
    """Slices of `count` things of this size, each with entries that fit a cache."""
    width = max(1, _CACHED // max(size, 1))
    return [slice(first, first + width) for first in range(0, count, width)]


class SparseModels(SampleModels):
    """Models through the columns of a sparse X, in float64."""

    eagerness = 5

    def __init__(self, loss):
        self._design = loss.X
        self.model = CurvedModel(loss.X, has_intercept=loss.intercept)

    def renew(self, features, w, v, weights):
        self.model.renew(features, w, v, weights)

    def extend(self, features, w, v):
        self.model.extend(features)

    def place(self, w, v, *, is_exact):
        self.model.place(w, v)

    def image(self, move):
        return self.model.image()

    def is_full(self, size):
        return False

    def cost(self):
        # one look at the columns of the set, where a step takes a few epochs on them
        return 0.3

    def screen(self, v):
        return np.asarray(self._design.rmatvec(v), dtype=np.float64)
