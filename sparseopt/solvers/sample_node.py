"""The work on one node of a branch and bound under a loss on samples: see `sample_relaxation`."""

from __future__ import annotations

import numpy as np

from sparseopt.designs import held_curvature
from sparseopt.kernels import sample_nodes as kernels
from sparseopt.kernels.perspective import relaxed_costs
from sparseopt.kernels.sample_nodes import CLOSED, JOIN, KNOWN, MOVED, SLOW, STEP, work_on_node
from sparseopt.solvers.tree import FREE, IN, OUT, Relaxed

# Members for which there is room at first, and at most.
_ROOM, _MOST_ROOM = 64, 4096
# Part of what is unknown to which a model is solved, and how near the shares come to k; how these shrink where steps
# are slow, and the least they become.
_DEPTH, _NEAR = 0.1, 0.02
_DEEPER, _NEARER, _DEEPEST, _NEAREST = 0.03, 0.1, 1e-12, 1e-9
# Halvings of a step that does not bring the objective down as it should (Armijo, 1966), and what rounding may hide.
_HALVINGS, _ARMIJO, _SLACK = 30, 1e-4, 1e-14
# Least curvature of a sample, as a part of the largest, where steps succeed; its first value where one does not; growth.
_LEAST, _DAMPED, _GROWTH = 1e-8, 1e-3, 10.0
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
        # columns of one size, so that float32 holds the model whatever the units
        self.scales = 1.0 / np.where(view.norms > 0.0, view.norms, 1.0)
        #: Least curvature of a sample, as a part of the largest, and how far the last step has moved the samples.
        self.damping, self.spread = _LEAST, 0.0
        self.move_to(view.point(np.full(n, intercept)))
        height, alpha = self.point.height, float(subset.alpha)
        numbers = self.numbers
        numbers[kernels.ORIGIN], numbers[kernels.LEAST] = height, max(alpha, 1e-9 * height / max(subset.k, 1))
        numbers[kernels.PRICE], numbers[kernels.ALPHA], numbers[kernels.L1] = -1.0, alpha, subset.l1
        self.counts[kernels.MOST], self.counts[kernels.CENTRED] = subset.k, view.loss.intercept
        self._make_room(_ROOM)

    def move_to(self, point):
        """Take a point at which the samples stand."""
        self.point, numbers = point, self.numbers
        base, size = point.conjugate(self.view)
        self.raw = self.view.s * point.raw
        self.mass = self.raw if point.slopes is point.raw else self.view.s * point.slopes
        numbers[kernels.HEIGHT], numbers[kernels.BASE], numbers[kernels.SIZE] = point.height, base, size
        numbers[kernels.NORM], numbers[kernels.IMBALANCE] = float(np.sqrt(self.mass @ self.mass)), point.imbalance
        self.counts[kernels.STALE] = 1

    def place(self):
        """Make the point of the coefficients."""
        self.move_to(self.view.point(self.view.fitted(self.w, self.intercept)))

    def drop(self, gone):
        """Take features out of the coefficients, in place."""
        eta = self.point.eta - self.w[gone] @ self.view.rows[gone]
        self.w[gone] = 0.0
        self.move_to(self.view.point(eta))

    def _make_room(self, size):
        """Room for so many members, of which there are none then."""
        self.members, self.states = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int8)
        self.gram, self.table = np.empty((size, size)), np.empty((9, size))
        self.scaled = np.empty((size, self.image.size), dtype=np.float32)
        self.renew()

    def renew(self, status=None):
        """Take the curvature of the present point; of the members only those stay that may be of use."""
        old = self.members[: self.counts[kernels.MEMBERS]] if status is not None else _NOTHING
        if old.size:
            bar = 0.5 * (self.numbers[kernels.PRICE] - self.numbers[kernels.ALPHA])
            states = status[old]
            is_held = (states == IN) | (self.w[old] != 0.0)
            old = old[is_held | ((states == FREE) & (self.gains[old] > bar))]
        self.slots.fill(-1)
        self.counts[kernels.MEMBERS] = 0
        self.bends = self.view.bends(self.point, self.damping, self.spread)
        self.total = float(np.sum(self.bends))
        # in units of the largest, so that float32 holds it
        self.unit = float(np.max(self.bends)) or 1.0
        self.root = np.sqrt(self.bends / self.unit)
        if old.size:
            self.join(old)

    def join(self, features):
        """Make features members: their columns under the curvature, and the products with the other members."""
        first = int(self.counts[kernels.MEMBERS])
        count, size = first + features.size, self.members.size
        if count > size:
            # with room for them all, or without those of old nodes
            used = int(np.count_nonzero(self.w) + self.counts[kernels.INSIDE]) + features.size
            features = np.union1d(self.members[:first], features) if count <= _MOST_ROOM else features
            self._make_room(max(2 * size, 2 * used) if size < max(_MOST_ROOM, 2 * used) else size)
            return self.join(features)
        rows, scales, slots = self.view.rows[features], self.scales[features], slice(first, count)
        is_centred = self.view.loss.intercept and self.total > 0.0
        if is_centred:
            means = rows @ self.bends / self.total
            rows -= means[:, None]
        scaled = np.multiply(rows, np.multiply.outer(scales, self.root), out=self.scaled[slots], casting="same_kind")
        self.slots[features], self.members[slots] = np.arange(first, count), features
        # the same array twice: BLAS does half of the work
        products = scaled @ scaled.T if first == 0 else scaled @ self.scaled[:count].T
        sizes = self.unit / np.multiply.outer(scales, self.scales[self.members[:count]])
        block = np.multiply(products, sizes, out=self.gram[slots, :count])
        if first:
            self.gram[:first, slots] = block[:, :first].T
        self.table[kernels.CENTRES, slots] = means if is_centred else 0.0
        if is_centred:
            own = np.einsum("ii->i", block[:, slots])
            own[:] = held_curvature(own, means, self.total)
        self.counts[kernels.MEMBERS] = count

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

    def step(self):
        """Go the step that the kernel has planned, or a part of it; whether another can be tried."""
        numbers, image, m = self.numbers, self.image, int(self.counts[kernels.MEMBERS])
        height, at_start, gain, shift = self.point.height, float(numbers[kernels.BEFORE_COST]), numbers[kernels.GAIN], 0.0
        if self.view.loss.intercept:
            shift = -(float(self.bends @ image) + self.point.imbalance) / self.total if self.total > 0.0 else 0.0
            gain += shift * self.point.imbalance
            image += shift
        before, after, step = self.table[kernels.BEFORE, :m], self.table[kernels.VALUES, :m], 1.0
        cost = float(numbers[kernels.COST])
        for _ in range(_HALVINGS):
            point = self.view.point(self.point.eta + step * image)
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
        return self._learn(step, spread)

    def _terms(self, m):
        table = self.table
        lower, upper = table[kernels.LOWER, :m], table[kernels.UPPER, :m]
        return table[kernels.CURVES, :m], self.numbers[kernels.L1], lower, upper, self.states[:m], self.numbers[kernels.PRICE]

    def _learn(self, step, spread):
        """Less damping after whole steps, more after short ones (zero: one that failed); whether there is any more."""
        self.spread = spread
        if step == 1.0:
            self.damping = max(_LEAST, self.damping / _GROWTH)
            return True
        can_go_on = step > 0.0 or self.damping < 1.0
        if step < 0.5:
            self.damping = min(max(_DAMPED, _GROWTH * self.damping), 1.0)
        self.renew()
        return can_go_on


class SampleNode:
    """The work on one node: the best bound so far, and at the end where to branch."""

    def __init__(self, relaxation, status, start, threshold):
        self.of, self.work, self.status, self.threshold = relaxation, relaxation.work, status, threshold
        work, numbers, counts = self.work, self.work.numbers, self.work.counts
        self.is_done, self.is_closed, self.unit, self.support, self.likely = False, False, -1, None, _NOTHING
        # the best point of all so far, and its bound, which is no less in this node
        self.best, self.bound = (None, -np.inf) if start is None else start[4:]
        self.points = []
        if start is None or relaxation.last is None or start is not relaxation.last.start:
            self._begin(start)
        elif (gone := np.flatnonzero((status == OUT) & (work.w != 0.0))).size:
            work.drop(gone)
        live = np.flatnonzero(status != OUT)
        work.live[: live.size] = live
        counts[kernels.LIVE], counts[kernels.INSIDE], counts[kernels.ROUNDS] = live.size, np.count_nonzero(status == IN), 0
        numbers[kernels.UNKNOWN], numbers[kernels.DEPTH], numbers[kernels.NEAR] = np.inf, _DEPTH, _NEAR
        #: Where children begin, once that is known.
        self.start = None

    def _begin(self, start):
        """Begin at a point that is known by its coefficients."""
        work = self.work
        work.w[:] = 0.0
        if start is not None:
            features, values, work.intercept, work.numbers[kernels.PRICE] = start[:4]
            work.w[features] = values
        work.w[self.status == OUT] = 0.0
        if self.of.subset.has_bounds:
            np.clip(work.w, work.lower, work.upper, out=work.w)
        work.place()

    @property
    def room(self):
        return int(self.work.counts[kernels.MOST] - self.work.counts[kernels.INSIDE])

    def advance(self):
        """One round: bound, fix, and a step where the node is not known well enough."""
        work, numbers, counts = self.work, self.work.numbers, self.work.counts
        numbers[kernels.THRESHOLD] = self.threshold
        if counts[kernels.INSIDE] == counts[kernels.MOST] and counts[kernels.LIVE] > counts[kernels.INSIDE]:
            self._fill()
        if self.of.keep_points:
            # the checker makes the fitted values from w, without what many steps have left of rounding
            work.place()
            before, point = self.status.copy(), self._point()
        reason = work.call(self.status, True)
        while reason == JOIN and counts[kernels.WHOLLY] < 0:
            work.join(work.joining[: counts[kernels.JOINING]].copy())
            reason = work.call(self.status, True)
        bound = float(numbers[kernels.BOUND]) if counts[kernels.WHOLLY] == 1 else -np.inf
        if self.of.keep_points:
            self._keep(before, point, bound)
        self.bound = max(self.bound, bound)
        self.is_closed = reason == CLOSED or self.bound >= self.threshold
        self.is_done = self.is_closed or reason == KNOWN
        if self.is_done:
            return
        if reason == MOVED:
            work.place()
            return
        if reason == SLOW:
            numbers[kernels.DEPTH] = max(_DEEPER * numbers[kernels.DEPTH], _DEEPEST)
            numbers[kernels.NEAR] = max(_NEARER * numbers[kernels.NEAR], _NEAREST)
            work.renew(self.status)
        if reason == JOIN:
            work.join(work.joining[: counts[kernels.JOINING]].copy())
        if reason != STEP:
            work.call(self.status, False)
        if not work.step():
            counts[kernels.ROUNDS] = kernels.ROUNDS_AT_MOST

    def _fill(self):
        """With as many in as may be, all others are out."""
        work, status, counts = self.work, self.status, self.work.counts
        free = np.flatnonzero(status == FREE)
        if self.of.keep_points:
            self.points.append((self._point(), free, _NOTHING))
        status[free] = OUT
        live = np.flatnonzero(status == IN)
        work.live[: live.size], counts[kernels.LIVE] = live, live.size
        if (gone := np.flatnonzero((status == OUT) & (work.w != 0.0))).size:
            work.drop(gone)

    def _point(self):
        """The present point, with the intercept that goes with X as it was lent."""
        work, on = self.work, np.flatnonzero(self.work.w)
        return on, work.w[on], float(work.intercept - work.view.means[on] @ work.w[on])

    def _keep(self, before, point, bound):
        """Keep what a point has fixed, and the point of the best bound."""
        fixed = np.flatnonzero(before != self.status)
        if fixed.size:
            into = self.status[fixed] == IN
            self.points.append((point, fixed[~into], fixed[into]))
        if bound > self.bound and self.work.counts[kernels.INSIDE] <= self.work.counts[kernels.MOST]:
            self.best = point

    def result(self):
        """What was found, as the tree takes it. The bound is that of the best point, which an ancestor may have left."""
        if not self.is_closed:
            self._branch()
        self.start = self._sparse()
        return Relaxed(self.bound, self.unit, self.start, self.support, self.likely, points=self._points())

    def _sparse(self):
        """The point where children begin."""
        work, on = self.work, np.flatnonzero(self.work.w)
        return on, work.w[on], work.intercept, float(work.numbers[kernels.PRICE]), self.best, self.bound

    def _branch(self):
        """Choose the free feature whose share is nearest to a half; none where the relaxation is exact."""
        work, status, numbers = self.work, self.status, self.work.numbers
        used = np.flatnonzero(work.w)
        free = used[status[used] == FREE]
        parts, sizes = self._shares(free), np.abs(work.w[free])
        order = np.argsort(-sizes, kind="stable")[: self.room]
        alpha = self.of.subset.alpha
        chosen = order if numbers[kernels.PRICE] > alpha else order[parts[order] >= 0.5]
        support = np.sort(np.concatenate([np.flatnonzero(status == IN), free[chosen]]))
        if (key := support.tobytes()) not in self.of.seen:
            self.of.seen.add(key)
            self.support = support
        halves = np.minimum(parts, 1.0 - parts)
        if halves.size and np.max(halves) > kernels.WHOLE:
            self.unit = int(free[np.argmax(halves)])
            likely = chosen[np.argsort(-halves[chosen], kind="stable")]
            if likely.size and halves[likely[0]] == np.max(halves):
                self.likely = free[likely]
        elif self.room > 0 and numbers[kernels.UNKNOWN] > kernels.EXACT * abs(self.threshold):
            live = work.live[: work.counts[kernels.LIVE]]
            open_ones = live[status[live] == FREE]
            if open_ones.size:
                self.unit = int(open_ones[np.argmax(work.gains[open_ones])])

    def _shares(self, features):
        """The parts by which features are in at the price."""
        work, w = self.work, self.work.w[features]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ends = np.sqrt(2.0 * work.numbers[kernels.PRICE] / work.curve[features])
            ends = np.minimum(ends, np.where(w > 0.0, work.upper[features], -work.lower[features]))
            return np.minimum(np.abs(w) / ends, 1.0)

    def interrupted(self):
        """What was found so far; the run itself is where the work goes on."""
        self.start = self._sparse()
        return Relaxed(self.bound, start=self, is_finished=False, points=self._points())

    def resume(self, status, threshold):
        """Go on with work that was interrupted."""
        self.status, self.threshold, self.points = status, threshold, []

    def _points(self):
        """What proves the fixings, and last the bound."""
        if not self.of.keep_points or self.best is None:
            return self.points
        return [*self.points, (self.best, _NOTHING, _NOTHING)]
