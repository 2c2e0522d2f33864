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

from sparseopt.designs import copies_of, held_curvature
from sparseopt.kernels.columns import cast_columns, pull_columns
from sparseopt.losses.first_look import is_worth_a_sketch
from sparseopt.solvers.working.column_sketch import ColumnSketch
from sparseopt.solvers.working.curved_model import CurvedModel
from sparseopt.solvers.working.gram_model import GramModel
from sparseopt.solvers.working.working_model import WorkingModel

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
    """Models with the Gram matrix of the weighted columns in memory.

    With `single` they are float32, and a sketch of X in 16 bits says which features are worth a look.
    """

    def __init__(self, loss, v, *, single):
        self._design, self._has_intercept = loss.X, loss.intercept
        n, p = self._design.shape
        self._shift, self._sketch = np.zeros(p), None
        self.is_single = single and self._take_sketch(loss.sample_weight.values, v)
        self._dtype = np.dtype(np.float32 if self.is_single else np.float64)
        self._memory, self._size, self._ones = np.empty((0, n), dtype=self._dtype), 0, np.ones(n)

    def _take_sketch(self, weights, v):
        """Make a sketch of X, with the slopes on the way; whether it and float32 can tell the columns apart."""
        copies = copies_of(self._design)
        if "sketch" not in copies:
            # an intercept takes off any constant, and then the slopes v sum to zero: what the entries of a column
            # have in common needs no digits
            sketch = ColumnSketch(self._design.values, weights, v, is_centred=self._has_intercept)
            self.slopes_at_start = sketch.exact
            copies["sketch"] = sketch if sketch.is_faithful else None
        self._sketch = copies["sketch"]
        if self._sketch is not None:
            self._shift = self._sketch.means
        return self._sketch is not None

    @staticmethod
    def prefer_single(loss):
        """Whether float32 and a sketch pay."""
        X = loss.X
        if not is_worth_a_sketch(X):
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
            self.model.anchor(self._exact_slopes(v))
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
        if self._sketch is None:
            return np.asarray(self._design.rmatvec(v), dtype=np.float64)
        return self._sketch.pull(v)

    @property
    def _columns(self):
        """The columns of the working set, one a row."""
        return self._memory[: self._size]

    def _append(self, features):
        """Take columns of X into memory that is kept from model to model: fresh memory is slower than the copy."""
        first, size = self._size, self._size + features.size
        if size > len(self._memory):
            grown = np.empty(
                (min(max(size, 2 * len(self._memory)), self._design.shape[1]), self._ones.size), dtype=self._dtype
            )
            grown[:first] = self._memory[:first]
            self._memory = grown
        cast_columns(self._design.values, self._shift, self._ones, features, self._memory[first:size].T)
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

    def _exact_slopes(self, v):
        """Products of the columns of X itself with v."""
        out = np.empty(self.model.size)
        pull_columns(self._design, self.model.features, v, out)
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
