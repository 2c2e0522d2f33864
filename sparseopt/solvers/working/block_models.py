"""Quadratic models of the loss on some groups of coefficients, and how they are minimised with a penalty.

A model holds the coefficients of its groups side by side. `WholeModel` goes through the loss itself.
`CopiedModel` has a copy of the columns of X, perhaps in float32, and is anchored where the slopes are
exact: it minimises

    slopes.(w - w_0) + |A (w - w_0)|**2 / 2 + g(w),

through the columns of A or, once that is cheaper, through the Gram matrix A'A.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from sparseopt._jit import Term
from sparseopt.designs import CenteredDense
from sparseopt.kernels.blocks import descend_blocks
from sparseopt.kernels.columns import cast_columns
from sparseopt.solvers.working.block_curvature import by_size, unknown
from sparseopt.solvers.working.curved_samples import height_of, slopes_of

# An epoch on one of so many features costs next to nothing beside a look at all of them.
_FEW = 20
# Points that an extrapolation combines.
_MEMORY = 5
# Products that a Gram matrix takes in the time of one of descent through columns: one core of 2026, its neighbours busy,
# multiplies matrices at 50 per ns, and streams columns at 7; a matrix with its own transpose takes 0.6 of the time.
_PACE, _OWN = 7.0, 0.6
# Epochs that are expected when the method is chosen first.
_EXPECTED = 14
# Mean square of a column, and square of y, within which products in float32 neither overflow nor vanish.
_LEAST, _MOST = 1e-20, 1e20


@dataclass(frozen=True, eq=False)
class WholeBlocks(Term):
    """A loss, seen through some of its coefficients."""

    loss: Term
    features: np.ndarray

    def slope_into(self, running, first, d, out):
        """Slopes of the d coefficients from `first` on."""
        for i in range(d):
            out[i] = self.loss.coordinate_slope(running, self.features[first + i])

    def move(self, running, first, d, step):
        """Update the running vector for steps of the d coefficients from `first` on."""
        for i in range(d):
            if step[i] != 0.0:
                self.loss.move(running, self.features[first + i], running.dtype.type(step[i]))
        self.loss.settle(running)


@dataclass(frozen=True, eq=False)
class GramBlocks(Term):
    """A quadratic with the matrix `gram`; its running vector is the slope."""

    gram: np.ndarray

    def slope_into(self, running, first, d, out):
        """Slopes of the d coefficients from `first` on."""
        for i in range(d):
            out[i] = running[first + i]

    def move(self, running, first, d, step):
        """Update the slope, four rows at a time."""
        gram, k = self.gram, 0
        while k + 4 <= d:
            j, s, t, u, v = first + k, step[k], step[k + 1], step[k + 2], step[k + 3]
            for i in range(running.size):
                running[i] += s * gram[j, i] + t * gram[j + 1, i] + u * gram[j + 2, i] + v * gram[j + 3, i]
            k += 4
        while k < d:
            j, s = first + k, step[k]
            for i in range(running.size):
                running[i] += s * gram[j, i]
            k += 1


@dataclass(frozen=True, eq=False)
class ColumnBlocks(Term):
    """A quadratic through columns A; its running vector is A (w - w_0), `slopes` are those at w_0."""

    columns: np.ndarray
    slopes: np.ndarray

    def slope_into(self, running, first, d, out):
        """Slopes of the d coefficients from `first` on, four columns at a time."""
        A, k, zero = self.columns, 0, self.columns.dtype.type(0)
        while k + 4 <= d:
            j, s, t, u, v = first + k, zero, zero, zero, zero
            for i in range(running.size):
                s += A[i, j] * running[i]
                t += A[i, j + 1] * running[i]
                u += A[i, j + 2] * running[i]
                v += A[i, j + 3] * running[i]
            out[k], out[k + 1], out[k + 2], out[k + 3] = s, t, u, v
            k += 4
        while k < d:
            j, s = first + k, zero
            for i in range(running.size):
                s += A[i, j] * running[i]
            out[k] = s
            k += 1
        for i in range(d):
            out[i] += self.slopes[first + i]

    def move(self, running, first, d, step):
        """Update the running vector, four columns at a time."""
        A, k, T = self.columns, 0, self.columns.dtype.type
        while k + 4 <= d:
            j, s, t, u, v = first + k, T(step[k]), T(step[k + 1]), T(step[k + 2]), T(step[k + 3])
            for i in range(running.size):
                running[i] += s * A[i, j] + t * A[i, j + 1] + u * A[i, j + 2] + v * A[i, j + 3]
            k += 4
        while k < d:
            j, s = first + k, T(step[k])
            for i in range(running.size):
                running[i] += s * A[i, j]
            k += 1


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

    def descend(self, penalty, goal, part, epochs, *, accelerated=True):
        """Epochs until no move exceeds `goal`, or a part of the first largest; returns that one and the last."""
        c, start, first, last = self.curvature, self.epochs, np.inf, 0.0
        points, images = (
            np.empty((_MEMORY + 1, self.w.size)),
            np.empty((_MEMORY + 1, self.running.size), self.running.dtype),
        )
        while (left := epochs - (self.epochs - start)) > 0:
            count = min(left, _MEMORY + 1)
            largest, last, done = descend_blocks(
                self.term, penalty, self.w, self.running, self.order, self.where, c.sizes, c.firsts,
                c.places, c.vectors, c.values, c.scratch, points[:count], images[:count], goal, part,
            )  # fmt: skip
            self.epochs += done
            first = largest if first == np.inf else first
            if last <= max(goal, part * first) or done <= _MEMORY:
                break
            # at the pace of these epochs the next ones end without
            if accelerated and last * last > goal * largest:
                self._extrapolate(penalty, points, images)
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

    def slopes_at(self, loss, w):
        return slopes_of(loss, self.running)

    def height(self, w, running):
        return height_of(self._loss, self.features, w, running)


class CopiedModel(BlockModel):
    """Least squares on a working set of groups, which grows, through a copy of their columns."""

    def __init__(self, loss, partition, *, single):
        design = loss.X
        n, p = design.shape
        super().__init__(partition, p)
        self._design = design
        self._means = design.means.astype(np.float64) if isinstance(design, CenteredDense) else np.zeros(p)
        weights = np.asarray(loss.sample_weight.values, dtype=np.float64)
        self._root = np.sqrt(np.broadcast_to(weights, n))
        size = float(np.sum(weights * loss.target * loss.target))
        #: Nothing in float32 leaves the range of numbers.
        self.is_safe = not single or size == 0.0 or _LEAST < size < _MOST
        self.dtype = np.float32 if single else np.float64
        self._matrix = np.empty((n, 0), dtype=self.dtype, order="F")
        self._gram, self._in_gram = np.empty((0, 0), dtype=self.dtype), 0
        self.has_gram = False
        # products that descent through columns has taken: what they cost would have paid for a Gram matrix
        self._spent = 0.0
        self._start, self._slopes = np.empty(0), np.empty(0)

    @property
    def columns(self):
        """The columns of the working set."""
        return self._matrix[:, : self.features.size]

    @property
    def term(self):
        return GramBlocks(self._gram) if self.has_gram else ColumnBlocks(self.columns, self._slopes)

    def account(self):
        method = "Gram matrix" if self.has_gram else "columns"
        kind = "float32" if self.dtype == np.float32 else "float64"
        return f"{method} of {self.features.size} coefficients in {kind}, {self.epochs} epochs"

    @property
    def is_quick(self):
        return self.has_gram

    def is_coarse(self, loss):
        return self.dtype != loss.dtype

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
        first, size = self.features.size, self.features.size + int(sizes.sum())
        self.where[new] = first + np.cumsum(sizes) - sizes
        self.features = np.concatenate([self.features, members_of(self.partition, new, self.curvature.sizes)])
        if size > self._matrix.shape[1]:
            matrix = np.empty((self._root.size, min(max(2 * first, size), self.curvature.values.size)), self.dtype, "F")
            matrix[:, :first] = self._matrix[:, :first]
            self._matrix = matrix
        columns = self._matrix[:, first:size]
        least, most = cast_columns(self._design.matrix, self._means, self._root, self.features[first:], columns)
        if self.dtype == np.float32 and not (least > _LEAST and most < _MOST):
            self.is_safe = False

    def _anchor(self, w, slopes, groups):
        """Go to a point with its exact slopes."""
        self.order = groups
        self.w, self._start, self._slopes = (np.array(v[self.features], dtype=np.float64) for v in (w, w, slopes))
        self._choose()
        gram = self._gram if self.has_gram else None
        self.curvature.learn_columns(groups, self.where, self.columns, gram)
        self.running = self._slopes.copy() if self.has_gram else np.zeros(self._root.size, dtype=self.dtype)

    def _choose(self):
        """Let the Gram matrix grow where it costs no more than what descent through columns has cost so far."""
        n, k, known = self._root.size, self.features.size, self._in_gram
        price = n * (k - known) * (known + _OWN * (k - known)) / _PACE
        # once descent has begun, what it has cost is known
        expected = 0.0 if self._spent else _EXPECTED * 2.0 * n * float(self.curvature.sizes[self.order].sum())
        self.has_gram = k == known or (k < 2 * n and price <= self._spent + expected)
        if not self.has_gram or k == known:
            return
        if k > len(self._gram):
            gram = np.zeros((max(k, 2 * known),) * 2, dtype=self.dtype)
            gram[:known, :known] = self._gram[:known, :known]
            self._gram = gram
        A = self.columns
        self._gram[:known, known:k] = A[:, :known].T @ A[:, known:]
        self._gram[known:k, :known] = self._gram[:known, known:k].T
        self._gram[known:k, known:k] = A[:, known:].T @ A[:, known:]
        self._in_gram = k

    def descend(self, penalty, goal, part, epochs, *, accelerated=True):
        before = self.epochs
        moves = super().descend(penalty, goal, part, epochs, accelerated=accelerated)
        if not self.has_gram:
            self._spent += 2.0 * (self.epochs - before) * self._root.size * self.curvature.sizes[self.order].sum()
        return moves

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
