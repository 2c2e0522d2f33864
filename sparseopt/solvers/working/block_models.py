"""Quadratic models of the loss on some groups of coefficients, and how they are minimised with a penalty.

A model holds the coefficients of its groups side by side. `WholeModel` goes through the loss itself.
`ColumnModel` has the columns of X in 16 bits, or copies of them in float32 or float64, and is anchored where the
slopes are exact: it minimises

    slopes.(w - w_0) + |A (w - w_0)|**2 / 2 + g(w),

through the columns of A or, once that is cheaper, through the Gram matrix A'A, in float32 or float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from sparseopt.designs import CenteredDense
from sparseopt.kernels.blocks import descend_blocks
from sparseopt.kernels.columns import cast_columns
from sparseopt.kernels.sketch import multiply_sketch
from sparseopt.solvers.working.block_curvature import by_size, products_of_neighbours, unknown
from sparseopt.solvers.working.block_terms import ColumnBlocks, GramBlocks, SketchBlocks, WholeBlocks
from sparseopt.solvers.working.curved_samples import height_of, slopes_of

# An epoch on one of so many features costs next to nothing beside a look at all of them.
_FEW = 20
# Points that an extrapolation combines.
_MEMORY = 5
# Products that a Gram matrix takes in the time of one of descent through columns: one core of 2026, its neighbours busy,
# multiplies matrices at 50 per ns, and streams columns at 7; a matrix with its own transpose takes 0.6 of the time.
# Columns in 16 bits are streamed twice as quickly.
_PACE, _OWN, _SKETCHED = 7.0, 0.6, 0.5
# Epochs that are expected when the method is chosen first.
_EXPECTED = 14
# Mean square of a column, and square of y, within which products in float32 neither overflow nor vanish.
_LEAST, _MOST = 1e-20, 1e20


class BlockModel(ABC):
    """What block descent needs of a model: its groups, its point, and epochs."""

    #: Whether it goes through a Gram matrix.
    has_gram = False

    def __init__(self, partition, p):
        self.partition = partition
        self.curvature = unknown(partition, p)
        #: Groups that are cycled, and where the coefficients of each group begin.
        self.order = np.empty(0, dtype=np.intp)
        self.where = np.full(self.curvature.sizes.size, -1)
        self.features = np.empty(0, dtype=np.intp)
        self.w = np.empty(0)
        self.running = np.empty(0)
        self.epochs = 0

    @property
    @abstractmethod
    def term(self):
        """The model as kernels see it."""

    @property
    @abstractmethod
    def is_quick(self):
        """Whether epochs cost next to nothing beside a look at all of X."""

    @abstractmethod
    def begin(self, loss, groups, w, slopes):
        """Cycle these groups from now on, at a point with its slopes, both of all coefficients; whether that is safe."""

    @abstractmethod
    def is_coarse(self, loss):
        """Whether the model has less precision than the loss."""

    @abstractmethod
    def slopes_at(self, loss, w):
        """Slopes in all coefficients where the model has been minimised, perhaps up to its rounding."""

    @abstractmethod
    def height(self, w, running):
        """Value of the model, up to a constant."""

    @abstractmethod
    def account(self) -> str:
        """The method and the work so far, in words."""

    @abstractmethod
    def reconsider(self, epochs, *, is_over):
        """After so many more epochs, which may have been the last, go on another way where that pays by now."""

    def descend(self, penalty, goal, part, epochs, *, accelerated=True):
        """Epochs until no move exceeds `goal`, or a part of the first largest; returns that one and the last."""
        c, start, first, last = self.curvature, self.epochs, np.inf, 0.0
        points = np.empty((_MEMORY + 1, self.w.size))
        while (left := epochs - (self.epochs - start)) > 0:
            count = min(left, _MEMORY + 1)
            images = np.empty((_MEMORY + 1, self.running.size), self.running.dtype)
            largest, last, done = descend_blocks(
                self.term, penalty, self.w, self.running, self.order, self.where, c.sizes, c.firsts,
                c.places, c.vectors, c.values, c.scratch, points[:count], images[:count], goal, part,
            )  # fmt: skip
            self.epochs += done
            first = largest if first == np.inf else first
            is_over = last <= max(goal, part * first) or done <= _MEMORY
            # at the pace of these epochs the next ones end without
            if accelerated and not is_over and last * last > goal * largest:
                self._extrapolate(penalty, points, images)
            self.reconsider(done, is_over=is_over)
            if is_over:
                break
        return first, last

    def distance(self, penalty, slopes):
        """The largest move of a coefficient by a prox step on its group alone, times the curvature there.

        `slopes` are those of the coefficients of the model.
        """
        c, farthest = self.curvature, 0.0
        for d, groups in by_size(self.order, c.sizes):
            here = self.where[groups][:, None] + np.arange(d)
            bends = np.max(c.values[c.firsts[groups][:, None] + np.arange(d)], axis=1)
            bends[bends == 0.0] = 1.0  # any will do where the loss is flat
            old = self.w[here]
            new = penalty.prox_rows(groups, old - slopes[here] / bends[:, None], 1.0 / bends)
            farthest = max(farthest, float(np.max(bends * np.max(np.abs(new - old), axis=1))))
        return farthest

    def _extrapolate(self, penalty, points, images):
        """Go to the affine combination of the last points with the least residual, if it is lower (Anderson, 1965).

        The points are of epochs one after another; the residual is the difference of two. All is affine
        in them, the running vector of a quadratic too.
        """
        moves = np.diff(points, axis=0)
        largest = np.max(np.abs(moves))
        if largest == 0.0:
            return
        moves /= largest
        products = moves @ moves.T
        factors = np.linalg.solve(products + 1e-12 * np.trace(products) * np.eye(_MEMORY), np.ones(_MEMORY))
        factors /= np.sum(factors)
        w, running = factors @ points[1:], (factors.astype(images.dtype) @ images[1:])
        if self._total(penalty, w, running) < self._total(penalty, self.w, self.running):
            self.w[:], self.running[:] = w, running

    def _total(self, penalty, w, running):
        total = self.height(w, running)
        for d, groups in by_size(self.order, self.curvature.sizes):
            total += penalty.value_rows(groups, w[self.where[groups][:, None] + np.arange(d)])
        return total


class WholeModel(BlockModel):
    """A quadratic loss itself; the groups may change from one cycle to the next."""

    def __init__(self, loss, partition, p):
        super().__init__(partition, p)
        self._loss, self._term = loss, None

    @property
    def is_quick(self):
        return _FEW * self.features.size <= self.curvature.values.size

    @property
    def term(self):
        return self._term

    def account(self):
        return f"residuals of {self.w.size} coefficients, {self.epochs} epochs"

    def begin(self, loss, groups, w, slopes):
        self.cycle(loss, groups, w, loss.start(w))
        return True

    def cycle(self, loss, groups, w, running):
        """From now on cycle these groups, at the point w with its running vector."""
        self._loss, self.order = loss, groups
        self.curvature.learn(loss, self.partition, groups)
        sizes = self.curvature.sizes[groups]
        self.where[groups] = np.cumsum(sizes) - sizes
        self.features = members_of(self.partition, groups, self.curvature.sizes)
        self.w, self.running = w[self.features].astype(np.float64), running
        self._term = WholeBlocks(loss, self.features)

    def is_coarse(self, loss):
        return False

    def reconsider(self, epochs, *, is_over):
        """There is no other way."""

    def slopes_at(self, loss, w):
        return slopes_of(loss, self.running)

    def height(self, w, running):
        return height_of(self._loss, self.features, w, running)


class ColumnModel(BlockModel):
    """Least squares on a working set of groups, which grows, through columns: those of a sketch, or copies of them.

    Parameters
    ----------
    sketch : FirstLook or None
        A look that has made a sketch of X; only where samples have the same weight.
    single : bool
        Copy columns in float32, the Gram matrix too, where there is no sketch or once it has come to its end.
    """

    def __init__(self, loss, partition, *, sketch, single):
        design = loss.X
        n, p = design.shape
        super().__init__(partition, p)
        self._design, self._sketch = design, sketch
        self._means = design.means.astype(np.float64) if isinstance(design, CenteredDense) else np.zeros(p)
        weights = np.asarray(loss.sample_weight.values, dtype=np.float64)
        self._root = np.sqrt(np.broadcast_to(weights, n))
        size = float(np.sum(weights * loss.target * loss.target))
        #: Nothing in float32 leaves the range of numbers.
        self.is_safe = not single or size == 0.0 or _LEAST < size < _MOST
        self.dtype = np.float32 if single else np.float64
        # copies of the first `_copied` columns of the working set
        self._matrix, self._copied = np.empty((n, 0), dtype=self.dtype, order="F"), 0
        self._gram, self._in_gram = np.empty((0, 0), dtype=self.dtype), 0
        self.has_gram = False
        # products that descent through columns has taken: what they cost would have paid for a Gram matrix
        self._spent = 0.0
        self._start, self._slopes = np.empty(0), np.empty(0)

    @property
    def columns(self):
        """The copied columns of the working set."""
        return self._matrix[:, : self.features.size]

    @property
    def term(self):
        if self.has_gram:
            return GramBlocks(self._gram)
        if self._sketch is None:
            return ColumnBlocks(self.columns, self._slopes)
        return SketchBlocks(self._sketch.sketch, self._units(self.features), self.features, self._slopes)

    def _units(self, features):
        """What an entry of the sketch stands for, in some columns times the root of the weight of a sample."""
        return self._root[0] * self._sketch.units[features]

    def account(self):
        method = "Gram matrix" if self.has_gram else "columns"
        kind = "float32" if self.dtype == np.float32 else "float64"
        if self._sketch is not None and not self.has_gram:
            kind = "16 bits"
        return f"{method} of {self.features.size} coefficients in {kind}, {self.epochs} epochs"

    @property
    def is_quick(self):
        return self.has_gram

    def is_coarse(self, loss):
        return self._sketch is not None or self.dtype != loss.dtype

    def finer(self, loss):
        """The same with more precision, once this one has come to its end; nothing in float64 is beyond its range."""
        is_sketched = self._sketch is not None and not self.has_gram
        return ColumnModel(loss, self.partition, sketch=None, single=is_sketched and self.is_safe)

    def begin(self, loss, groups, w, slopes):
        if self.is_safe:
            self._extend(groups)
        if self.is_safe:
            self._anchor(w, slopes, groups)
        return self.is_safe

    def slopes_at(self, loss, w):
        return np.array(loss.gradient(w.astype(np.float64)), dtype=np.float64)

    def _extend(self, groups):
        """Let groups into the working set."""
        new = groups[self.where[groups] < 0]
        if new.size == 0:
            return
        sizes = self.curvature.sizes[new]
        self.where[new] = self.features.size + np.cumsum(sizes) - sizes
        self.features = np.concatenate([self.features, members_of(self.partition, new, self.curvature.sizes)])
        if self._sketch is None:
            self._copy()

    def _copy(self):
        """Copy the columns of the working set that are not copied yet."""
        first, size = self._copied, self.features.size
        if size > self._matrix.shape[1]:
            matrix = np.empty((self._root.size, min(max(2 * first, size), self.curvature.values.size)), self.dtype, "F")
            matrix[:, :first] = self._matrix[:, :first]
            self._matrix = matrix
        columns = self._matrix[:, first:size]
        least, most = cast_columns(self._design.matrix, self._means, self._root, self.features[first:], columns)
        self._copied = size
        if self.dtype == np.float32 and not (least > _LEAST and most < _MOST):
            self.is_safe = False

    def _anchor(self, w, slopes, groups):
        """Go to a point with its exact slopes."""
        self.order = groups
        self.w, self._start, self._slopes = (np.array(v[self.features], dtype=np.float64) for v in (w, w, slopes))
        self._choose()
        self.curvature.learn_columns(groups, self)
        self.running = self._slopes.copy() if self.has_gram else np.zeros(self._root.size, dtype=self.dtype)

    def columns_of(self, g):
        """The columns of one group."""
        start, end = self.where[g], self.where[g] + self.curvature.sizes[g]
        if self._sketch is None or self.has_gram:
            return self._matrix[:, start:end]
        features = self.features[start:end]
        return self._sketch.sketch[:, features] * self._units(features).astype(self.dtype)

    def products_within(self, groups, d):
        """Products of the columns of each group with one another, for some groups of d columns."""
        places = self.where[groups]
        rows = places[:, None] + np.arange(d)
        if self.has_gram:
            return self._gram[rows[:, :, None], rows[:, None, :]].astype(np.float64)
        if self._sketch is None:
            return products_of_neighbours(self.columns, places, d).astype(np.float64)
        features, blocks = self.features[rows], np.empty((groups.size, d, d))
        multiply_sketch(self._sketch.sketch, features, blocks)
        units = self._units(features)
        blocks *= units[:, :, None] * units[:, None, :]
        return blocks

    def _choose(self):
        """Take the Gram matrix of the working set where it costs no more than what descent through columns has cost so far."""
        # once descent has begun, what it has cost is known
        expected = 0.0 if self._spent else _EXPECTED * self._epoch_price
        self.has_gram = self._gram_price <= self._spent + expected
        if self.has_gram:
            self._multiply()

    @property
    def _epoch_price(self):
        """Products of an epoch through columns."""
        return 2.0 * self._root.size * float(self.curvature.sizes[self.order].sum())

    @property
    def _gram_price(self):
        """Such products in the time of those that the Gram matrix lacks."""
        n, k, known = self._root.size, self.features.size, self._in_gram
        if k == known or k >= 2 * n:
            return 0.0 if k == known else np.inf
        pace = _PACE if self._sketch is None else _SKETCHED * _PACE
        return n * (k - known) * (known + _OWN * (k - known)) / pace

    def _multiply(self):
        """Let the Gram matrix grow to the working set."""
        k, known = self.features.size, self._in_gram
        if k == known:
            return
        if k > len(self._gram):
            gram = np.zeros((max(k, 2 * known),) * 2, dtype=self.dtype)
            gram[:known, :known] = self._gram[:known, :known]
            self._gram = gram
        if self._copied < k:
            self._copy()
        A = self.columns
        self._gram[:known, known:k] = A[:, :known].T @ A[:, known:]
        self._gram[known:k, :known] = self._gram[:known, known:k].T
        self._gram[known:k, known:k] = A[:, known:].T @ A[:, known:]
        self._in_gram = k

    def reconsider(self, epochs, *, is_over):
        if self.has_gram:
            return
        self._spent += epochs * self._epoch_price
        if is_over or self._gram_price > self._spent:
            return
        self.has_gram = True
        self._multiply()
        k = self.features.size
        self.running = self._slopes + self._gram[:k, :k] @ (self.w - self._start).astype(self.dtype)
        # those of a sketch are not quite those of the matrix
        self.curvature.forget()
        self.curvature.learn_columns(self.order, self)

    def height(self, w, running):
        move = w - self._start
        if self.has_gram:
            return float((running + self._slopes) @ move) / 2
        running = running.astype(np.float64)
        return float(self._slopes @ move + running @ running / 2)


def members_of(partition, groups, sizes):
    """The coefficients of some groups, one group after another."""
    sizes = sizes[groups]
    starts = np.cumsum(sizes) - sizes
    positions = np.repeat(partition.start(groups) - starts, sizes) + np.arange(int(sizes.sum()))
    return partition.member(positions)
