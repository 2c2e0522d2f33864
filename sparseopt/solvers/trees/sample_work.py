"""The point at which a branch and bound under a loss on samples stands, and the model around it: see `sample_relaxation`.

The kernel knows no loss: what a point is worth under one, and the curvature of the samples there, are computed here, as
are the products of new members, which BLAS does best.
"""

from __future__ import annotations

import numpy as np

from sparseopt.designs import held_curvature
from sparseopt.kernels import sample_nodes as kernels
from sparseopt.kernels.perspective import relaxed_costs
from sparseopt.kernels.sample_nodes import scale_columns, work_on_node
from sparseopt.solvers.trees.tree import FREE, IN

# Members for which there is room at first, and at most.
_ROOM, _MOST_ROOM = 64, 4096
# Halvings of a step that does not bring the objective down as it should (Armijo, 1966), and what rounding may hide.
_HALVINGS, _ARMIJO, _SLACK = 30, 1e-4, 1e-14
# Least curvature of a sample, as a part of the largest, where steps succeed; its first value where one does not; growth.
_LEAST, _DAMPED, _GROWTH = 1e-8, 1e-3, 10.0
# Part of its price that a member is worth, or it is forgotten with the old curvature.
_USEFUL = 0.9
# Sizes of columns up to this, and from its inverse, go into float32 as they are.
_TAME = 1e12
_NOTHING = np.empty(0, dtype=np.intp)


class SampleWork:
    """What all nodes work on: the present point, what is known of it, and the model around it."""

    def __init__(self, view, subset, curve, lower, upper, intercept):
        p, n = view.rows.shape
        self.view, self.curve, self.lower, self.upper = view, curve, lower, upper
        self.w, self.pull, self.gains, self.intercept = np.zeros(p), np.zeros(p), np.zeros(p), intercept
        self.image = np.zeros(n)
        self.live, self.heap = np.empty(p, dtype=np.int64), np.empty(min(subset.k, p) + 1)
        self.numbers, self.counts = np.zeros(18), np.zeros(10, dtype=np.int64)
        self.slots, self.joining = np.full(p, -1), np.empty(p, dtype=np.int64)
        # columns of one size where units are far apart, so that float32 holds the model
        sizes = np.where(view.norms > 0.0, view.norms, 1.0)
        self.is_tame = bool(np.min(sizes, initial=1.0) >= 1.0 / _TAME and np.max(sizes, initial=1.0) <= _TAME)
        self.scales = np.ones(p) if self.is_tame else 1.0 / sizes
        #: Least curvature of a sample, as a part of the largest, and how far the last step has moved the samples.
        self.damping, self.spread = _LEAST, 0.0
        self.move_to(view.point(np.full(n, intercept)))
        height, alpha = self.point.height, float(subset.alpha)
        numbers = self.numbers
        numbers[kernels.ORIGIN], numbers[kernels.LEAST] = height, max(alpha, 1e-9 * height / max(subset.k, 1))
        numbers[kernels.PRICE], numbers[kernels.ALPHA], numbers[kernels.L1] = -1.0, alpha, subset.l1
        self.counts[kernels.MOST], self.counts[kernels.CENTRED] = subset.k, view.loss.intercept
        self._make_room(_ROOM)
        self._begin_with(_NOTHING)

    def move_to(self, point):
        """Take a point at which the samples stand."""
        self.point, numbers = point, self.numbers
        self.raw = self.view.s * point.raw
        self.mass = self.raw if point.slopes is point.raw else self.view.s * point.slopes
        base, size = point.conjugate(self.view, self.mass)
        numbers[kernels.HEIGHT], numbers[kernels.BASE], numbers[kernels.SIZE] = point.height, base, size
        numbers[kernels.NORM], numbers[kernels.IMBALANCE] = float(np.sqrt(self.mass @ self.mass)), point.imbalance
        self.counts[kernels.STALE] = 1

    def place(self):
        """Make the point of the coefficients."""
        self.move_to(self.view.point(self.view.fitted(self.w, self.intercept)))

    def drop(self, gone, eta=None):
        """Take features out of the coefficients, in place, whose fitted values are those of the point where none are given."""
        eta = (self.point.eta if eta is None else eta) - self.w[gone] @ self.view.rows[gone]
        self.w[gone] = 0.0
        self.move_to(self.view.point(eta))

    def _make_room(self, size):
        """Room for so many members."""
        self.members, self.states = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int8)
        self.gram, self.table = np.empty((size, size)), np.empty((9, size))
        self.scaled = np.empty((size, self.image.size), dtype=np.float32)

    def _grow(self, size):
        """Room for so many members, beside those there are."""
        m, members, gram, table, scaled = (
            int(self.counts[kernels.MEMBERS]), self.members, self.gram, self.table, self.scaled
        )  # fmt: skip
        self._make_room(size)
        self.members[:m], self.gram[:m, :m], self.scaled[:m] = members[:m], gram[:m, :m], scaled[:m]
        self.table[kernels.CENTRES, :m] = table[kernels.CENTRES, :m]

    def renew(self, status):
        """Take the curvature of the present point; of the members only those stay that may be of use."""
        self._begin_with(self._useful(self.members[: self.counts[kernels.MEMBERS]], status, _USEFUL), status)

    def admit(self, features, status):
        """Make features members; where they are many beside those there are, with the curvature of the present point.

        Then as many others join that gain most, for which later rounds would ask one by one.
        """
        if 2 * features.size < self.counts[kernels.MEMBERS]:
            self.join(features, status)
            return
        held = np.concatenate([self._useful(self.members[: self.counts[kernels.MEMBERS]], status, _USEFUL), features])
        self._begin_with(np.union1d(held, self.worthy(2 * held.size)), status)

    def _useful(self, among, status, part):
        """Those of some features that are in, not zero, or gain so much of the price."""
        bar, states = part * (self.numbers[kernels.PRICE] - self.numbers[kernels.ALPHA]), status[among]
        is_held = (states == IN) | (self.w[among] != 0.0)
        return among[is_held | ((states == FREE) & (self.gains[among] > bar))]

    def _begin_with(self, features, status=None):
        """Take the curvature of the present point, with these features as members."""
        self.slots.fill(-1)
        self.counts[kernels.MEMBERS] = 0
        self.bends = self.view.bends(self.point, self.damping, self.spread)
        self.total = float(np.sum(self.bends))
        # in units of the largest, so that float32 holds it
        self.unit = float(np.max(self.bends)) or 1.0
        self.root = np.sqrt(self.bends / self.unit).astype(np.float32)
        if features.size:
            self.join(features, status)

    def join(self, features, status):
        """Make features members: their columns under the curvature, and the products with the other members."""
        first = int(self.counts[kernels.MEMBERS])
        count, size = first + features.size, self.members.size
        if size < count <= _MOST_ROOM:
            self._grow(count + count // 4)
        elif count > size:
            # without those of old nodes
            features = np.union1d(features, np.flatnonzero((status == IN) | (self.w != 0.0)))
            if size < 2 * features.size:
                self._make_room(2 * features.size)
            self._begin_with(_NOTHING)
            first, count = 0, features.size
        slots = slice(first, count)
        means, scaled = self.table[kernels.CENTRES, slots], self.scaled[slots]
        total = self.total if self.view.loss.intercept else 0.0
        scale_columns(self.view.rows, features, self.scales, self.bends, self.root, total, means, scaled)
        self.slots[features], self.members[slots] = np.arange(first, count), features
        # the same array twice: BLAS does half of the work
        own = np.multiply(scaled @ scaled.T, self._units(features, features), out=self.gram[slots, slots])
        if first:
            # few columns take BLAS less time than few rows
            units = self._units(self.members[:first], features)
            beside = np.multiply(self.scaled[:first] @ scaled.T, units, out=self.gram[:first, slots])
            self.gram[slots, :first] = beside.T
        if total > 0.0:
            bends = np.einsum("ii->i", own)
            bends[:] = held_curvature(bends, means, self.total)
        self.counts[kernels.MEMBERS] = count

    def _units(self, some, others):
        """What products of scaled columns are in units of."""
        if self.is_tame:
            return self.unit
        return self.unit / np.multiply.outer(self.scales[some], self.scales[others])

    def worthy(self, count):
        """So many features that gain most at the present point, if there are so many."""
        live = self.live[: self.counts[kernels.LIVE]]
        return live[np.argpartition(-self.gains[live], count)[:count]] if live.size > count else live

    def call(self, status, looks):
        """A round; returns why it ended."""
        self.counts[kernels.LOOKS] = looks
        view = self.view
        return work_on_node(
            view.rows, view.norms, self.curve, self.lower, self.upper, status, self.w, self.mass, self.raw, self.pull, self.gains,
            self.live, self.heap, self.slots, self.members, self.gram, self.table, self.states, self.joining, self.image,
            self.numbers, self.counts,
        )  # fmt: skip

    def step(self, status):
        """Go the step that the kernel has planned, or a part of it; whether another can be tried."""
        numbers, image, m = self.numbers, self.image, int(self.counts[kernels.MEMBERS])
        before, after, step = self.table[kernels.BEFORE, :m], self.table[kernels.VALUES, :m], 1.0
        height, shift = self.point.height, 0.0
        cost, at_start = float(numbers[kernels.COST]), float(numbers[kernels.COST_BEFORE])
        gain = float(numbers[kernels.GAIN]) + cost - at_start
        if self.view.loss.intercept:
            shift = -(float(self.bends @ image) + self.point.imbalance) / self.total if self.total > 0.0 else 0.0
            gain += shift * self.point.imbalance
            image += shift
        for _ in range(_HALVINGS):
            point = self.view.point(self.point.eta + (image if step == 1.0 else step * image))
            fall = height - point.height + at_start - cost
            if fall >= -_ARMIJO * step * min(gain, 0.0) - _SLACK * (abs(height) + at_start):
                break
            step /= 2.0
            cost = relaxed_costs(before + step * (after - before), *self._terms(m))[0]
        else:
            step, point = 0.0, self.point
        if step < 1.0:
            self.w[self.members[:m]] = before + step * (after - before)
        spread = step * float(self.view.s @ np.abs(image))
        self.intercept += step * shift
        self.move_to(point)
        return self._learn(step, spread, status)

    def _terms(self, m):
        curves, lower, upper = (self.table[row, :m] for row in (kernels.CURVES, kernels.LOWER, kernels.UPPER))
        return curves, self.numbers[kernels.L1], lower, upper, self.states[:m], self.numbers[kernels.PRICE]

    def _learn(self, step, spread, status):
        """Less damping after whole steps, more after short ones (zero: one that failed); whether there is any more."""
        self.spread = spread
        if step == 1.0:
            self.damping = max(_LEAST, self.damping / _GROWTH)
            return True
        can_go_on = step > 0.0 or self.damping < 1.0
        if step < 0.5:
            self.damping = min(max(_DAMPED, _GROWTH * self.damping), 1.0)
        self.renew(status)
        return can_go_on
