"""The work on one node of a branch and bound under a loss on samples: see `sample_relaxation`."""

from __future__ import annotations

import numpy as np

from sparseopt.kernels import sample_nodes as kernels
from sparseopt.kernels.sample_nodes import CLOSED, JOIN, KNOWN, MOVED, SLOW, STEP
from sparseopt.solvers.trees.tree import FREE, IN, OUT, Relaxed

# Part of what is unknown to which a model is solved, and how near the shares come to k; how these shrink where steps
# are slow, and the least they become.
_DEPTH, _NEAR = 0.1, 0.02
_DEEPER, _NEARER, _DEEPEST, _NEAREST = 0.03, 0.1, 1e-12, 1e-9
_NOTHING = np.empty(0, dtype=np.intp)


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
        counts[kernels.LIVE], counts[kernels.INSIDE], counts[kernels.ROUNDS] = (
            live.size,
            np.count_nonzero(status == IN),
            0,
        )
        #: How many were in when all of them became members.
        self.inside = -1
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
            if start is self.of.branched[0]:
                # with what is known of its fitted values, which open nodes do not keep
                work.drop(features[self.status[features] == OUT], self.of.branched[1])
                return
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
        if counts[kernels.INSIDE] != self.inside:
            self._admit()
        if self.of.keep_points:
            # the checker makes the fitted values from w, without what many steps have left of rounding
            work.place()
            before, point = self.status.copy(), self._point()
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
            work.admit(work.joining[: counts[kernels.JOINING]].copy(), self.status)
        if reason != STEP:
            work.call(self.status, False)
        if not work.step(self.status):
            counts[kernels.ROUNDS] = kernels.ROUNDS_AT_MOST

    def _admit(self):
        """All that are in, or not zero, are members."""
        work = self.work
        self.inside = int(work.counts[kernels.INSIDE])
        held = np.flatnonzero((self.status == IN) | (work.w != 0.0))
        if (missing := held[work.slots[held] < 0]).size:
            work.join(missing, self.status)

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
        if self.unit >= 0:
            self.of.branched = self.start, self.work.point.eta
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
            if chosen.size and np.max(halves[chosen]) == np.max(halves):
                self.likely = self._by_effect(free[chosen])
        elif self.room > 0 and numbers[kernels.UNKNOWN] > kernels.EXACT * abs(self.threshold):
            live = work.live[: work.counts[kernels.LIVE]]
            open_ones = live[status[live] == FREE]
            if open_ones.size:
                self.unit = int(open_ones[np.argmax(work.gains[open_ones])])

    def _by_effect(self, features):
        """Features in use, those first without which most is lost in the model: supports that lack them are closed soonest."""
        work = self.work
        slots, w = work.slots[features], work.w[features]
        return features[np.argsort(-(w * w * (work.gram[slots, slots] + work.curve[features])), kind="stable")]

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
