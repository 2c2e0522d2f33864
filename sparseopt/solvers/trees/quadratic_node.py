"""The work on one node of a branch and bound under a quadratic: see `quadratic_relaxation`."""

from __future__ import annotations

import numpy as np

from sparseopt.kernels import quadratic_nodes as kernels
from sparseopt.solvers.trees.tree import FREE, IN, OUT, Relaxed

# Rounds of a node: minimise on the members, look at all.
_ROUNDS = 100
# Steps of descent after which pulls are made anew.
_STEPS = 4000
# Searches for the price of a node, and how near the number of features must come to k.
_PRICES, _NEAR = 10, 0.02
# Features become members until the relaxation is known to this part of what is missing to close the node.
_KNOWN = 0.7
# A node is branched on once the value of its relaxation is below the threshold, and the bound no further below it than this.
_EARLY = 20.0
# The first price where there was none, as a part of the constant.
_LEAST_PRICE = 1e-6
# Features that are not in use are looked at where their profit may exceed this part of what the price asks for.
_LEVEL = 0.9
# Pulls are made exact where something is less than so many times what the bound is less for a rough matrix.
_CLEAR = 1.2
# Descent ends where an epoch gains less than this part of what is missing, at first.
_FIRST = 2e-3
# A part in the relaxation so near to none or all is one of them; a value known so well, relative to the constant, is exact.
_FIXED, _EXACT = 1e-5, 1e-10
_NOTHING, _TINY = np.empty(0, dtype=np.intp), np.finfo(np.float64).tiny


class QuadraticNode:
    """The work on one node: w on the features in use, the price, and the best bound so far."""

    def __init__(self, relaxation, status, start, threshold):
        self.of, self.work, self.view = relaxation, relaxation.work, relaxation.view
        self.status, self.threshold = status, threshold
        #: What was fixed where the node began.
        self.first = status.copy()
        model, start = relaxation.model, self._first() if start is None else start
        self.price = start[2]
        self.view.begin(start, status)
        self.scale = max(model.constant, abs(threshold) if np.isfinite(threshold) else 0.0)
        self.tol = _FIRST
        self.rounds, self.steps, self.is_done = 0, 0, False
        #: Whether w was found with rough pulls, and exact ones are known since.
        self.is_stale = False
        self.bound, self.unit, self.support = -np.inf, -1, None
        self.likely = _NOTHING
        self.low, self.high, self.prices, self.last = 0.0, np.inf, 0, None
        self.points, self.best = [], None

    def _first(self):
        """Where the root begins: at w = 0, and the price what the next feature after the k best would gain alone."""
        of, subset = self.of, self.of.subset
        nothing = _NOTHING, np.empty(0)
        if subset.k == of.n_units:
            return *nothing, subset.alpha
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            gains = np.square(of.model.linear) / (2.0 * (of.curve + of.model.bends))
        return *nothing, max(subset.alpha, float(np.partition(np.nan_to_num(gains), -subset.k - 1)[-subset.k - 1]))

    def advance(self):
        """One round: minimise on the members, bound, fix, and say what is to be done next."""
        of, work, numbers, counts = self.of, self.work, self.work.numbers, self.work.counts
        self.rounds += 1
        if self.rounds > 1 and self.view.has_all:
            self.view.trim(self.status)
        room = self._room()
        self.steps += work.minimise(self.view, self.status, self.price, room, self._tolerance())
        if counts[kernels.STEPS] > _STEPS:
            self.view.make_pulls()
        extra = self.price - of.subset.alpha
        known = self._look(room, extra)
        self.is_stale = self.bound < self.threshold and self._is_blurred(self._missing())
        if self.is_stale:
            # the first look may have fixed some in
            known = self._look(self._room(), extra)
        if self.bound >= self.threshold:
            self.is_done = True
            return
        unknown = work.priced - float(numbers[kernels.BASE] - numbers[kernels.TAKEN])
        room, share = self._room(), work.share
        if self._is_known() and self._branch(room):
            return
        has_changed = counts[kernels.KEPT] + counts[kernels.DROPPED] > 0
        comes_more = counts[kernels.WORTH] > 0 and not self.view.has_all and self.rounds < _ROUNDS
        if has_changed or (comes_more and self._is_unknown(unknown)):
            self.view.admit(self.status)
        elif self.rounds >= _ROUNDS:
            self.is_done, self.unit = True, self._largest(known)
        else:
            self._settle(work.priced - extra * of.subset.k, unknown, share, room, known)

    def _look(self, room, extra):
        """Make pulls, bound and fix; returns the features whose pulls are known."""
        known = self.view.look(self.status, self.of.subset.alpha + _LEVEL * extra)
        self._judge(known, room, _LEVEL * extra)
        return known

    def _is_blurred(self, amount):
        """Whether a rough matrix blurs so much: then the node goes on with exact pulls."""
        return amount < _CLEAR * self.work.numbers[kernels.SLACK] and self.view.sharpen()

    def _room(self):
        """How many more may come in."""
        return self.of.subset.k - int(np.count_nonzero(self.status == IN))

    def _is_known(self):
        """Whether the relaxation will not reach the threshold, and its value is known to a part of what it lacks."""
        value = self.work.value
        return value - self.bound <= _EARLY * (self.threshold - value)

    def _is_unknown(self, unknown):
        """Whether what is unknown of the relaxation counts."""
        return unknown > max(_EXACT * self.scale, _KNOWN * self._missing())

    def _judge(self, known, room, level):
        """Bound at w and fix what that decides."""
        of, work, status, numbers, counts = self.of, self.work, self.status, self.work.numbers, self.work.counts
        point, before = (work.point(), status.copy()) if of.keep_points else (None, None)
        used, values = work.point()
        level = level if known.size < of.n_units else 0.0
        work.judge(known, used, status, self.price, room, self.threshold, level)
        bound = float(numbers[kernels.BOUND])
        if bound > self.bound:
            self.bound, self.best = bound, point
        if self.bound >= self.threshold:
            return
        if room == 0 and counts[kernels.FREE]:
            work.shut(status)
        more = bound + float(numbers[kernels.LEAST]) - self.threshold
        if known.size < of.n_units and more >= -of.subset.alpha:
            counts[kernels.REMOVED] += self.view.remove(known, status, more)
        if counts[kernels.DROPPED]:
            is_gone = work.w[used] == 0.0
            self.view.drop(used[is_gone], values[is_gone])
        if point is not None and counts[kernels.KEPT] + counts[kernels.REMOVED]:
            changed = np.flatnonzero(before != status)
            out, into = changed[status[changed] == OUT], changed[status[changed] == IN]
            self.points.append((point, out, into))

    def _settle(self, value, unknown, share, room, known):
        """The features in use are the right ones: go on at another price or more exactly, or name the feature to branch on."""
        of = self.of
        if self._is_unknown(unknown) and (self._is_blurred(unknown) or self._tighten()):
            return
        is_enough = self.prices >= 2 and value < self.threshold and value - self.bound < 0.02 * (self.threshold - value)
        if not is_enough and self._next_price(share, room):
            return
        if self._branch(room) or self.view.sharpen():
            return
        # nothing is in by a part: the relaxation is one support, and exact once price and w are
        is_priced = room == 0 or self.price <= of.subset.alpha or share >= of.subset.k * (1.0 - 1e-9)
        is_known = unknown <= _EXACT * self.scale and not self.is_stale
        is_exact = is_known and is_priced and share <= of.subset.k * (1.0 + 1e-9)
        if not is_exact and ((is_enough and self._next_price(share, room)) or self._tighten()):
            return
        self.is_done = True
        if not is_exact:
            self.unit = self._largest(known)

    def _missing(self):
        """What the bound lacks to close the node."""
        return self.threshold - self.bound

    def _tighten(self):
        """Whether w can be found more exactly: then it will be."""
        self.tol *= 0.05
        return self._tolerance() > 1e-18 * self.scale

    def _tolerance(self):
        """What an epoch must gain for descent to go on: a part of what the bound lacks."""
        missing = self._missing() if np.isfinite(self.bound) else 0.1 * self.scale
        return self.tol * min(max(missing, _EXACT * self.scale), self.scale)

    def _largest(self, known):
        """The free feature that gains most; -1 if none is free."""
        free = known[self.status[known] == FREE]
        if free.size == 0:
            free = np.flatnonzero(self.status == FREE)
            return int(free[0]) if free.size else -1
        return int(free[np.argmax(self.work.gains[free])])

    def _next_price(self, share, room):
        """Whether another price may give a better bound: it is set."""
        k, alpha = self.of.subset.k, self.of.subset.alpha
        is_near = abs(share - k) <= _NEAR * k
        if is_near or room == 0 or (self.price <= alpha and share <= k) or self.prices >= _PRICES:
            return False
        if not self.price > 0.0:
            # too many are in where it costs nothing: a price to begin from
            self.price, self.prices = _LEAST_PRICE * self.scale / max(k, 1), self.prices + 1
            return self.price > 0.0
        if share > k:
            self.low = max(self.low, self.price)
        else:
            self.high = min(self.high, self.price)
        self.prices += 1
        slope = -1.0
        here = (np.log(self.price), np.log(max(share, 1e-3)))
        if self.last is not None and here[0] != self.last[0]:
            slope = min((here[1] - self.last[1]) / (here[0] - self.last[0]), -0.2)
        self.last = here
        price = self.price * float(np.exp(np.clip((np.log(k) - here[1]) / slope, -1.0, 1.0)))
        if not self.low < price < self.high:
            price = np.sqrt(self.low * self.high) if self.low > 0.0 and np.isfinite(self.high) else price
        price = max(price, alpha)
        if abs(price - self.price) <= 1e-4 * self.price:
            return False
        self.price = price
        return True

    def _branch(self, room):
        """Name the free feature in use that is in by the part nearest to a half, if one is; the largest parts are worth a try.

        Of these the one comes first without which most is lost: none of the others is fixed yet where supports without it
        are to be closed.
        """
        of, status = self.of, self.status
        features, w = self.work.point()
        is_free = status[features] == FREE
        features, w = features[is_free], w[is_free]
        parts = np.ones(features.size)
        if self.price > 0.0:
            limits = np.where(w > 0.0, of.upper[features], -of.lower[features])
            with np.errstate(divide="ignore", over="ignore"):
                ends = np.minimum(limits, np.sqrt(2.0 * self.price / of.curve[features]))
            parts = np.minimum(np.abs(w) / np.maximum(ends, _TINY), 1.0)
        # of equal parts the first
        order = np.argsort(-parts, kind="stable")[:room]
        chosen = order if self.price > of.subset.alpha else order[parts[order] >= 0.5]
        support = np.sort(np.concatenate([(status == IN).nonzero()[0], features[chosen]]))
        if (key := support.tobytes()) not in of.seen:
            of.seen.add(key)
            self.support = support
        halves = np.minimum(parts, 1.0 - parts)
        if halves.size and (most := halves.max()) > _FIXED:
            self.is_done, self.unit = True, int(features[halves.argmax()])
            if chosen.size and halves[chosen].max() == most:
                effects = w * w * (of.model.bends + of.curve)[features]
                self.likely = features[chosen[np.argsort(-effects[chosen], kind="stable")]]
        return self.is_done

    def resume(self, status, threshold):
        """Go on with work that was interrupted: nothing else has used the scratch since."""
        self.status, self.threshold, self.points = status, threshold, []

    def interrupted(self):
        """What was found so far; the run itself is where the work goes on."""
        return Relaxed(self.bound, start=self, is_finished=False, points=self._points())

    def result(self):
        """What was found, as the tree takes it."""
        start = (*self.work.point(), self.price)
        self.view.end(start, self.unit >= 0)
        return Relaxed(self.bound, self.unit, start, self.support, self.likely, points=self._points())

    def _points(self):
        """What proves the fixings, and last the bound."""
        return self.points if self.best is None else [*self.points, (self.best, _NOTHING, _NOTHING)]
