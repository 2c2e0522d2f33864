"""Nodes of a tree over few features that are finished by going through their supports, with leaps: see `kernels.leaps`.

Where features outnumber what may be chosen by little, or there is no ridge, the sum of squares that all features leave says
more than the perspective relaxation does of a few of them. It is exact in the end, so that a node that is gone through
needs no branching.

Rounding: with the target as one more column, all that is computed comes from one matrix of products M. What is taken off its
diagonal exceeds the errors of M and of its elimination, so that the numbers found are below the true ones.
"""

from __future__ import annotations

import time
from copy import copy

import numpy as np
from scipy.linalg import lapack

from sparseopt.kernels import leaps as kernel
from sparseopt.kernels.leaps import leap
from sparseopt.solvers.trees.tree import FREE, IN, Relaxed

# Entries that a call of the kernel goes through, some hundredth of a second.
_CHUNK = 1 << 23
# Nodes that are branched on before any is gone through, and entries that may be gone through at first, of few features: without a
# ridge, and with one, where the relaxation mostly does well. Of more features it takes much longer, and seldom comes to an end.
_START, _FEW = {False: (8, 1 << 30), True: (32, 1 << 26)}, 64
# Entries that each other node allows beyond, and the part of all that are allowed that one node may take.
_EACH, _PART = 1 << 20, 4
# Less is not worth the start.
_LEAST = 1 << 18
# Most features that may be chosen: beyond, nothing would come to an end.
_DEEPEST = 40


class Leaps:
    """The quadratic as the kernel takes it, and its scratch, for one problem.

    Parameters
    ----------
    model : WholeGram
        With a diagonal that could be moved, so that what is left of it is positive definite.
    ridge : float
    """

    def __init__(self, model, ridge):
        p = model.n_features
        self.gram = model.gram.copy()
        slack = (p + 1) * (4.0 * np.finfo(np.float64).eps + model.rounding)
        self.gram[np.diag_indices(p)] += model.moved + ridge - slack * np.square(model.sizes)
        self.linear = model.linear
        # twice the minimum without features; of a quadratic without data, what there is to gain stands for it
        size = 2.0 * model.constant
        if size == 0.0:
            values, fault = lapack.dposv(self.gram, self.linear, lower=1)[1:]
            size = np.inf if fault else float(self.linear @ values)
        self.height = 2.0 * model.constant - slack * size
        #: Nodes that are still to be branched on, and entries that may be gone through.
        self.waiting, credit = _START[ridge > 0.0]
        prospect = min(1.0, (_FEW / max(p, 1)) ** 3)
        self.credit, self.each = int(prospect * credit), int(prospect * _EACH)
        self.room = 0, 0

    def twin(self):
        """The same with scratch of its own, which may go through as many entries."""
        twin = copy(self)
        twin.room = 0, 0
        return twin

    def scratch(self, depth, width):
        """Arrays for so many features to choose of so many; those of the last node, if they are large enough."""
        if depth > self.room[0] or width > self.room[1]:
            depth, width = max(depth, self.room[0]), max(width, self.room[1])
            self._arrays = (
                np.empty((depth, width, width)), np.empty((depth, width)), np.empty((depth, width), dtype=np.int64),
                np.empty(depth, dtype=np.int64), np.empty(depth, dtype=np.int64), np.empty(depth), np.empty((depth, width)),
                np.empty(depth, dtype=np.int64), np.empty((width, width)), np.empty(width), np.empty(width, dtype=np.int64),
            )  # fmt: skip
            self.room = depth, width
        return self._arrays

    def relax(self, k, status, start, threshold, until):
        """What is found of a node; None where it is to be branched on: then where it begins, and what is proven of it so far."""
        if isinstance(start, LeapRun):
            run = start
            run.resume(threshold)
        else:
            run = self._begin(k, status, start, threshold)
        return (None, start, -np.inf) if run is None else (run.relax(until), run.start, run.proven)

    def _begin(self, k, status, start, threshold):
        """The run for a node; None where it is not worth a try."""
        self.waiting -= 1
        self.credit += self.each
        free, room = np.flatnonzero(status == FREE), k - int(np.count_nonzero(status == IN))
        is_early = self.waiting >= 0 or self.credit < _PART * _LEAST
        if is_early or not 0 < room < free.size or room > _DEEPEST or not np.isfinite(self.height):
            return None
        run = LeapRun(self, status, k, start, threshold, self.credit // _PART)
        return run if run.is_possible else None


class LeapRun:
    """The work on one node, which begins at `start` should it be branched on after all."""

    def __init__(self, leaps, status, k, start, threshold, budget):
        self.leaps, self.start, self.budget = leaps, start, budget
        self.free, self.into = np.flatnonzero(status == FREE), np.flatnonzero(status == IN)
        self.threshold = threshold
        #: Bounds of supports that were looked at one by one.
        self.least = np.inf
        #: What was proven of the node after any part of the work, whether or not that was where time was up.
        self.proven = -np.inf
        room = k - self.into.size
        self.arrays = leaps.scratch(room, self.free.size)
        self.numbers, self.counts = np.array([2.0 * threshold, 0.0]), np.zeros(7, dtype=np.int64)
        self.counts[kernel.AIM] = room
        self.is_possible = self._set_first()

    def _set_first(self):
        """What the features that are in leave for the others, the best alone first; whether the numbers allow it."""
        leaps, free, into = self.leaps, self.free, self.into
        S, c, height = leaps.gram[np.ix_(free, free)], leaps.linear[free], leaps.height
        if into.size:
            factor, fault = lapack.dpotrf(leaps.gram[np.ix_(into, into)], lower=1)
            if fault:
                return False
            between = lapack.dtrtrs(factor, leaps.gram[np.ix_(into, free)], lower=1)[0]
            own = lapack.dtrtrs(factor, leaps.linear[into], lower=1)[0]
            S, c, height = S - between.T @ between, c - own @ between, height - float(own @ own)
        bends = S.diagonal()
        if not np.all(bends > 0.0):
            return False
        order = np.argsort(-c * c / bends, kind="stable")
        tables, pulls, features, widths, places, heights = self.arrays[:6]
        size = free.size
        tables[0, :size, :size], pulls[0, :size] = S[np.ix_(order, order)], c[order]
        features[0, :size], widths[0], places[0], heights[0] = free[order], size, -1, height
        return True

    def resume(self, threshold):
        """Go on after an interruption; the incumbent may be better by now."""
        self.threshold = min(self.threshold, threshold)
        self.numbers[kernel.CUT] = 2.0 * self.threshold

    def relax(self, until):
        """Go through supports until all are through, one is better, or to the time `until`; None where that takes too much."""
        counts, numbers = self.counts, self.numbers
        while counts[kernel.SPENT] < self.budget:
            counts[kernel.MOST] = min(counts[kernel.SPENT] + _CHUNK, self.budget)
            before = int(counts[kernel.SPENT])
            leap(*self.arrays, numbers, counts)
            self.leaps.credit -= int(counts[kernel.SPENT]) - before
            if counts[kernel.STATUS] == kernel.DONE:
                return Relaxed(self.bound)
            if counts[kernel.STATUS] == kernel.FOUND:
                self.least = min(self.least, 0.5 * float(numbers[kernel.VALUE]))
                # the tree judges it by exact numbers, and comes back
                return Relaxed(self.bound, start=self, is_finished=False, support=self._found())
            if counts[kernel.STATUS] == kernel.FAULT:
                break
            self.proven = max(self.proven, self.bound)
            if time.perf_counter() >= until:
                return Relaxed(self.bound, start=self, is_finished=False)
        return None

    @property
    def bound(self):
        """What is known of the node: of supports that were gone through, and of those still to come."""
        places, heights, rests = self.arrays[4:7]
        known = min(self.threshold, self.least)
        if self.counts[kernel.LEVEL] < 0:
            return known
        if self.counts[kernel.SPENT] == 0:
            return -np.inf
        return min(known, 0.5 * float(heights[0] - rests[0, max(places[0] - 1, 0)]))

    def _found(self):
        """The support that the kernel found."""
        counts = self.counts
        last = counts[[kernel.FIRST, kernel.SECOND]] if counts[kernel.SECOND] >= 0 else counts[[kernel.FIRST]]
        chosen = self.arrays[7][: counts[kernel.AIM] - last.size]
        return np.sort(np.concatenate([self.into, chosen, last]))
