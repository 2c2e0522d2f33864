"""A quadratic model of the loss on some groups of coefficients, minimised with a penalty on the groups.

Epochs of block descent find the groups that are not zero. On these the penalty is smooth, with the second
derivative a_g / norm(w_g) (I - u u') in a group of direction u, so that Newton steps take over.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from sparseopt.kernels.blocks import descend_blocks
from sparseopt.kernels.gram import image_into
from sparseopt.solvers.working.block_terms import GramBlocks
from sparseopt.solvers.working.newton import conjugate_gradients

# Rounds of epochs and Newton steps at most, epochs in a round, and those in which the groups keep still before Newton steps.
_ROUNDS, _EPOCHS, _PATIENCE = 60, 30, 2
# Parts of a Newton step that are tried.
_PARTS = (1.0, 0.5, 0.25, 0.1, 0.01)
# Parts of the way to where the first group would be zero that are tried last: just beyond, and short of it.
_REACHES = (1.0 + 1e-9, 0.9)
# Newton steps in a round, at first and at most.
_STEPS, _MOST_STEPS = 4, 32
# Largest number of coefficients whose matrix is factored; beyond it conjugate gradients are quicker.
_DIRECT = 600
# They end at this part of their first residual, or after so many steps.
_CG_ACCURACY, _CG_STEPS = 1e-3, 200
# Largest group whose curvature is decomposed; a larger one is bounded by its largest sum of a row.
_LARGEST_BLOCK = 500
# Eigenvalues below this part of the largest are rounding.
_ROUNDING = {np.float32: 1e-7, np.float64: 1e-13}


class GroupModel:
    """The model with its matrix in memory, float32 or float64; point and slope are float64 always."""

    def __init__(self, penalty, form, gram):
        self._penalty, self._form, self._gram = penalty, form, gram
        groups, size = penalty.groups, len(gram)
        self._sizes = sizes = groups.sizes(size)
        #: Where the coefficients of each group begin, once they stand side by side.
        self._starts = starts = np.concatenate([[0], np.cumsum(sizes)])
        #: Coefficients of the groups of each size, a row for each group.
        self._alike = []
        self.w, self.slope = np.zeros(size), np.zeros(size)
        everything = np.arange(size)
        self._members = members = np.concatenate([everything[groups.columns(g)] for g in range(sizes.size)])
        self._blocks = GramBlocks(gram if np.array_equal(members, everything) else gram[np.ix_(members, members)])
        self._offsets = np.concatenate([[0], np.cumsum(np.where(sizes <= _LARGEST_BLOCK, sizes * sizes, 0))])
        self._places, self._values = np.full(sizes.size, -1), np.empty(size)
        self._vectors, self._scratch = np.empty(self._offsets[-1]), np.empty((5, int(sizes.max(initial=1))))
        for d in np.unique(sizes):
            alike = np.flatnonzero(sizes == d)
            places = starts[alike][:, None] + np.arange(d)
            index = members[places]
            self._alike.append(index)
            self._learn(alike, places, gram[index[:, :, None], index[:, None, :]])

    def _learn(self, alike, places, blocks):
        """Decompose the curvature of groups of one size."""
        blocks = blocks.astype(np.float64)
        d = places.shape[1]
        if d > _LARGEST_BLOCK:
            self._values[places] = np.max(np.sum(np.abs(blocks), axis=2), axis=1)[:, None]
            return
        values, vectors = np.linalg.eigh(blocks)
        self._values[places] = np.where(values > _ROUNDING[self._gram.dtype.type] * values[:, -1:], values, 0.0)
        self._places[alike] = self._offsets[alike]
        self._vectors[self._offsets[alike][:, None] + np.arange(d * d)] = vectors.transpose(0, 2, 1).reshape(-1, d * d)

    def place(self, w, slope):
        """Go to a point at which the slope is exact."""
        self.w[:], self.slope[:] = w, slope

    def minimise(self, tol, rounds=_ROUNDS):
        """Until the distance to stationarity is within `tol`, or a limit."""
        order = np.arange(self._places.size)
        for k in range(rounds):
            if self._descend(order, tol) <= tol:
                return
            for _ in range(min(_STEPS << k, _MOST_STEPS)):
                if not self._newton():
                    break
                if self._distance() <= tol:
                    return

    def _distance(self):
        return float(np.max(self._form.subgradient_distance(self.w, self.slope)))

    def _descend(self, order, tol):
        """Epochs until no move reaches `tol` or the groups that are zero stay so; returns the last move."""
        still, move, members = 0, np.inf, self._members
        w, slope, (points, images) = self.w[members], self.slope[members], np.empty((2, 1, members.size))
        is_zero = self._penalty.groups.norms(self.w) == 0.0
        for _ in range(_EPOCHS):
            _, move, _ = descend_blocks(
                self._blocks, self._penalty, w, slope, order, self._starts, self._sizes, self._starts,
                self._places, self._vectors, self._values, self._scratch, points, images, tol, 0.0,
            )  # fmt: skip
            self.w[members] = w
            last, is_zero = is_zero, self._penalty.groups.norms(self.w) == 0.0
            still = still + 1 if np.array_equal(last, is_zero) else 0
            if move <= tol or still >= _PATIENCE:
                break
        self.slope[members] = slope
        return move

    def _newton(self):
        """A Newton step on the nonzero coefficients, or part of one; whether the model fell."""
        free = np.flatnonzero(self.w)
        if free.size == 0:
            return False
        bend = _PenaltyBend(self._form, self.w, self._alike)
        x = self.w[free]
        direction = self._solve(bend, free, -(self.slope[free] + bend.slope[free]))
        if direction is None or not np.all(np.isfinite(direction)):
            return False
        for step in self._parts(bend, free, direction):
            new = self.w.copy()
            new[free] = x + step * direction
            # a group that the step would carry across the kink at zero stops there
            ahead = (self._penalty.groups.sums(bend.units * new) > 0.0) | (self._form.a == 0.0)
            new = np.where(self._penalty.groups.spread(ahead, new.size) > 0.0, new, 0.0)
            if self._form.c > 0.0 or self._form.nonnegative:
                new = np.where(new * self.w < 0.0, 0.0, new)
            move, image = new - self.w, np.empty(self.w.size)
            image_into(self._gram, move, image)
            change = self._form.value(new) - self._form.value(self.w)
            if change + move @ self.slope + move @ image / 2 < 0.0:
                self.w[:] = new
                self.slope += image
                return True
        return False

    def _parts(self, bend, free, direction):
        """Parts of a step to try: the last are for groups that are all but zero and that the step would carry across."""
        full, sums = np.zeros(self.w.size), self._penalty.groups.sums
        full[free] = direction
        with np.errstate(divide="ignore", invalid="ignore"):
            reaches = sums(bend.units * self.w) / -sums(bend.units * full)
        nearest = float(np.min(reaches[reaches > 0.0], initial=np.inf))
        return (*_PARTS, *(part * nearest for part in _REACHES if nearest < _PARTS[-1]))

    def _solve(self, bend, free, right):
        """Solution d of (H + bend) d = right on the free coefficients."""
        gram = self._gram
        if free.size <= _DIRECT:
            matrix = gram[np.ix_(free, free)].astype(np.float64)
            bend.add_to(matrix, free)
            factor, fault = lapack.dpotrf(matrix, lower=1)
            return None if fault else lapack.dpotrs(factor, right, lower=1)[0]
        full = np.zeros(self.w.size)

        def multiply(d):
            full[free] = d
            return ((gram @ full.astype(gram.dtype)) + bend.times(full))[free]

        return conjugate_gradients(multiply, bend.inverse_near(gram, free), right, _CG_ACCURACY, _CG_STEPS)


class _PenaltyBend:
    """Slope and second derivative of the penalty of groups at a point, where it is smooth."""

    def __init__(self, form, w, alike):
        self._alike = alike
        norms = form.groups.norms(w)
        with np.errstate(divide="ignore", invalid="ignore"):
            bends = np.where(norms > 0.0, form.a / norms, 0.0)
            self.units = np.where(w != 0.0, w / form.groups.spread(norms, w.size), 0.0)
        self._bends = form.groups.spread(bends, w.size)
        self._ridge = form.b
        self.slope = self._bends * w + form.c * np.sign(w) + form.b * w

    def times(self, d):
        """Its product with d."""
        out = self._ridge * d
        for index in self._alike:
            part, units = d[index], self.units[index]
            along = np.sum(units * part, axis=1)[:, None]
            out[index] += self._bends[index] * (part - units * along)
        return out

    def _blocks(self, index):
        """The blocks of groups of one size."""
        units = self.units[index]
        own = np.eye(index.shape[1]) - units[:, :, None] * units[:, None, :]
        return self._bends[index[:, :1]][:, :, None] * own + self._ridge * np.eye(index.shape[1])

    def add_to(self, matrix, free):
        """Add it to a matrix of the free coefficients, in place."""
        places = np.full(self.units.size, -1)
        places[free] = np.arange(free.size)
        for index in self._alike:
            blocks, own = self._blocks(index), places[index]
            g, i, j = np.nonzero((own[:, :, None] >= 0) & (own[:, None, :] >= 0))
            matrix[own[g, i], own[g, j]] += blocks[g, i, j]

    def inverse_near(self, gram, free):
        """The inverse of its blocks and those of a matrix as a function on free coefficients."""
        is_free = np.zeros(self.units.size, dtype=bool)
        is_free[free] = True
        inverses = []
        for index in self._alike:
            blocks = gram[index[:, :, None], index[:, None, :]].astype(np.float64) + self._blocks(index)
            held = ~is_free[index]
            blocks[held] = 0.0
            blocks.transpose(0, 2, 1)[held] = 0.0
            blocks += held[:, :, None] * np.eye(index.shape[1])
            inverses.append((index, np.linalg.inv(blocks)))

        def apply(r):
            full = np.zeros(is_free.size)
            full[free] = r
            for index, inverse in inverses:
                full[index] = np.matmul(inverse, full[index][:, :, None])[:, :, 0]
            return full[free]

        return apply
