"""Bounds for the choice of features in least squares and quadratics, by the perspective relaxation.

The bound of `kernels.perspective` holds at every w. It is the best that the perspective relaxation has to give at
a minimiser of f(w) + the relaxed prices, where the price of a feature is alpha and, where at most k may be in, what
one more of them is worth. That price is sought for each node; it begins with that of the parent. From the bounds
of the two choices of a feature some are fixed at once (Atamturk and Gomez, 2020; Guyard et al., 2024).
"""

from __future__ import annotations

import time

import numpy as np
from sparseopt.kernels.perspective import (
    doubtful_features,
    fix_features,
    perspective_bound,
    relaxed_costs,
    subtract_rows,
)
from sparseopt.solvers.gram_models import WholeGram
from sparseopt.solvers.relaxed_minimum import minimise_relaxed
from sparseopt.solvers.support_fit import best_on_support
from sparseopt.solvers.tree import FREE, IN, OUT, Relaxation, Relaxed

# Rounds of a node: minimise on the features in use, look at all.
_ROUNDS = 100
# Searches for the price of a node, and how near the number of features must come to k.
_PRICES, _NEAR = 10, 0.02
# A node is branched on once the relaxation is known to this part of what is missing to close it.
_KNOWN = 0.05
# Features that are not in use are looked at where their profit may exceed this part of what the price asks for.
_LEVEL = 0.9
# So many new features come into use at once at least; beyond so many, those in use longest are forgotten.
_FEWEST, _USED = 32, 3000
# A part in the relaxation so near to none or all is one of them; a value known so well, relative to the constant, is exact.
_FIXED, _EXACT = 1e-5, 1e-10


class QuadraticRelaxation(Relaxation):
    """The relaxation of one problem.

    Parameters
    ----------
    model : GramModel
        With the part of its diagonal that goes into the prices moved; what is left must be positive semidefinite.
    subset : SubsetProblem
        Single features, without hierarchy.
    keep_points : bool
        Return the points that prove the bounds.
    """

    def __init__(self, model, subset, *, keep_points=False):
        p = model.n_features
        self.model, self.subset, self.n_units = model, subset, p
        self.curve = subset.ridge + model.moved
        self.lower = np.full(p, -np.inf) if subset.lower is None else subset.lower
        self.upper = np.full(p, np.inf) if subset.upper is None else subset.upper
        self.keep_points = keep_points
        self.length = np.sqrt(2.0 * model.constant)
        # scratch of the nodes; pulls of features that are not in use are those at another point
        self.pull, self.gains = np.array(model.linear), np.empty(p)
        self.is_known = np.full(p, isinstance(model, WholeGram))
        self.found, self.heap = np.empty(p, dtype=np.intp), np.empty(subset.k + 1)
        self.rest = None
        self.in_use(np.empty(0, dtype=np.intp))

    def in_use(self, features):
        """Take features into use; what nodes need of all that are stands in the order of the model."""
        model = self.model
        model.use(features)
        used = model.features
        self.is_known[used] = True
        self.linear, self.bends, self.curves = model.linear[used], model.bends[used], self.curve[used]
        self.lowest, self.highest, self.lengths = self.lower[used], self.upper[used], model.sizes[used]

    def unbounded(self):
        """A feature that may gain without limit whatever else is chosen, so that nothing is proven; -1 if none."""
        limit = np.maximum(-self.lower, self.upper)
        free = (self.curve <= 0.0) & (limit == np.inf) & ~self.model.is_flat
        free[self.subset.forbidden] = False
        return int(np.argmax(free)) if free.any() else -1

    def first_status(self):
        """What the problem itself fixes."""
        status = np.where(self.model.is_flat, np.int8(OUT), np.int8(FREE))
        status[self.subset.forbidden] = OUT
        status[self.subset.required] = IN
        return status

    def relax(self, status, start, threshold, until):
        if np.count_nonzero(status == IN) > self.subset.k:
            return Relaxed(np.inf)
        node = _NodeRun(self, status, start, threshold)
        while node.rounds < _ROUNDS and not node.is_done:
            node.work()
            if time.perf_counter() >= until and not node.is_done:
                return node.result(is_finished=False)
        return node.result(is_finished=True)

    def evaluate(self, support):
        return best_on_support(self.model, self.subset, np.asarray(support, dtype=np.intp))

    def trim(self, features):
        """Forget features that were not in use lately, where they have become too many, but not these."""
        model = self.model
        if isinstance(model, WholeGram) or model.features.size <= _USED:
            return
        keep = np.unique(np.concatenate([model.place[features], np.arange(model.features.size)[-_USED // 2 :]]))
        keep = keep[keep >= 0]
        self.is_known[model.features] = False
        # their pulls are those of the last point, not of the point of reference
        self.rest = None
        model.forget(keep)
        self.in_use(features)


class _NodeRun:
    """The work on one node: w, the pull q - Gw, the price, and the best bound so far, in the order of the model."""

    def __init__(self, relaxation, status, start, threshold):
        self.of, self.status, self.threshold = relaxation, status, threshold
        model = relaxation.model
        features, values, self.price = self._first() if start is None else start
        into = np.flatnonzero(status == IN)
        relaxation.trim(features)
        relaxation.in_use(np.union1d(features, into))
        self.w = np.zeros(model.features.size)
        self.w[model.place[features]] = np.where(status[features] == OUT, 0.0, values)
        self._pull_afresh()
        self.scale = max(model.constant, abs(threshold) if np.isfinite(threshold) else 0.0)
        self.tol = 1e-7 * self.scale
        self.rounds, self.is_done = 0, False
        self.bound, self.unit, self.support = -np.inf, -1, None
        self.low, self.high, self.prices, self.last = 0.0, np.inf, 0, None
        self.points, self.best = [], None

    def _first(self):
        """Where the root begins: at w = 0, and the price what the next feature after the k best would gain alone."""
        of, subset = self.of, self.of.subset
        nothing = np.empty(0, dtype=np.intp), np.empty(0)
        if subset.k == of.n_units:
            return *nothing, subset.alpha
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            gains = np.square(of.model.linear) / (2.0 * (of.curve + of.model.bends))
        return *nothing, max(subset.alpha, float(np.partition(np.nan_to_num(gains), -subset.k - 1)[-subset.k - 1]))

    def _pull_afresh(self):
        self.pull = self.of.linear.copy()
        places = np.flatnonzero(self.w)
        subtract_rows(self.of.model.gram, places, self.w[places], self.pull)

    def work(self):
        """One round: minimise on the features in use, bound, fix, and say what is to be done next."""
        of, subset, model, status = self.of, self.of.subset, self.of.model, self.status
        self.rounds += 1
        used = model.features
        own = status[used]
        extra = self.price - subset.alpha
        costs = (of.curves, subset.l1, of.lowest, of.highest, own, self.price)
        minimise_relaxed(model.gram, of.linear, self.w, self.pull, of.bends, costs, self.tol)
        cost, share = relaxed_costs(self.w, *costs)
        smooth = model.constant - 0.5 * float(self.w @ (of.linear + self.pull))
        room = subset.k - int(np.count_nonzero(status == IN))
        doubtful = self._look(extra)
        bound, least, last = self._bound(room, extra)
        if bound > self.bound:
            self.bound = bound
            self.best = self._point() if of.keep_points else None
        if self.bound >= self.threshold:
            self._leave(doubtful)
            self.is_done = True
            return
        before = status.copy() if of.keep_points else None
        kept, removed = fix_features(of.gains, status, bound, least, last, room, self.threshold)
        if before is not None and kept + removed:
            changed = np.flatnonzero(before != status)
            out, into = changed[status[changed] == OUT], changed[status[changed] == IN]
            self.points.append((self._point(), out, into))
        new = doubtful[(status[doubtful] != OUT) & (of.gains[doubtful] > extra * (1.0 + 1e-9))]
        self._leave(doubtful)
        profits = of.gains[used] - extra
        if kept + removed and self._drop(used):
            kept = 1
        if new.size or kept:
            self._use(new, kept)
            return
        value = smooth + cost - extra * subset.k
        taken = float(np.sum(np.where(own == IN, profits, np.maximum(profits, 0.0))[own != OUT]))
        at_price = self.base - taken - extra * subset.k
        self._settle(value, value - at_price, share, room)

    def _look(self, extra):
        """Find out which features that are not in use may matter, and their pulls; returns them."""
        of, model = self.of, self.of.model
        of.pull[model.features] = self.pull
        self.distance, self.level = 0.0, 0.0
        if isinstance(model, WholeGram):
            return np.empty(0, dtype=np.intp)
        places = np.flatnonzero(self.w)
        rest = model.residual(places, self.w[places])
        self.level = _LEVEL * extra
        if of.rest is not None:
            self.distance = float(np.linalg.norm(rest - of.rest)) * (1.0 + 1e-12) + 1e-15 * of.length
            count = self._doubtful()
            if count <= of.n_units // 8 + 16:
                doubtful = of.found[:count].copy()
                self.held = of.pull[doubtful]
                of.pull[doubtful] = model.pulls(rest, doubtful)
                of.is_known[doubtful] = True
                return doubtful
        of.rest, self.distance = rest, 0.0
        of.pull[:] = model.pulls(rest)
        of.pull[model.features] = self.pull
        doubtful = of.found[: self._doubtful()].copy()
        self.held = of.pull[doubtful]
        of.is_known[doubtful] = True
        return doubtful

    def _doubtful(self):
        of, model, subset = self.of, self.of.model, self.of.subset
        terms = (of.curve, subset.l1, of.lower, of.upper, subset.alpha)
        return doubtful_features(
            of.pull, self.distance, model.sizes, self.status, of.is_known, *terms, self.level, of.found
        )

    def _leave(self, doubtful):
        """Back to what was known of features at the point of reference."""
        if doubtful.size:
            self.of.pull[doubtful] = self.held
            self.of.is_known[doubtful] = False

    def _bound(self, room, extra):
        """The bound at w, the least profit that it takes in, and the next one."""
        of, subset, model = self.of, self.of.subset, self.of.model
        weight = float(np.abs(self.w) @ of.lengths)
        error = model.rounding * (of.length + weight)
        heap = of.heap[: min(room, int(np.count_nonzero(self.status == FREE))) + 1]
        terms = (of.curve, subset.l1, of.lower, of.upper, subset.alpha)
        total, rounding, least, last = perspective_bound(
            of.pull, self.distance, model.sizes, self.status, of.is_known, *terms, error, self.level, heap, of.gains
        )
        self.base = model.constant - 0.5 * float(self.w @ (of.linear - self.pull))
        rounding += error * weight + 1e-15 * (model.constant + abs(total))
        return self.base - total - rounding, least, last

    def _drop(self, used):
        """Whether features that were in use have been fixed out: they go to zero."""
        gone = np.flatnonzero((self.w != 0.0) & (self.status[used] == OUT))
        subtract_rows(self.of.model.gram, gone, -self.w[gone], self.pull)
        self.w[gone] = 0.0
        return gone.size > 0

    def _use(self, new, kept):
        """Take features into use: of those that would come in, the ones that gain most, and all that must be in."""
        of, model = self.of, self.of.model
        most = max(_FEWEST, int(np.count_nonzero(self.w)) // 2)
        if new.size > most:
            new = new[np.argpartition(-of.gains[new], most)[:most]]
        into = np.flatnonzero((self.status == IN) & (model.place < 0)) if kept else new[:0]
        before = model.features.size
        of.in_use(np.union1d(new, into))
        grown = np.zeros(model.features.size)
        grown[:before] = self.w
        self.w = grown
        self._pull_afresh()

    def _point(self):
        places = np.flatnonzero(self.w)
        features = self.of.model.features[places]
        order = np.argsort(features)
        return features[order], self.w[places][order]

    def _settle(self, value, unknown, share, room):
        """The features in use are the right ones: go on at another price or more exactly, or name the feature to branch on."""
        of, missing = self.of, self.threshold - self.bound
        if unknown > max(_EXACT * self.scale, _KNOWN * missing) and self._tighten():
            return
        is_enough = self.prices >= 2 and value < self.threshold and value - self.bound < 0.02 * (self.threshold - value)
        if not is_enough and self._next_price(share, room):
            return
        features, parts = self._choose(room)
        halves = np.minimum(parts, 1.0 - parts)
        if halves.size and np.max(halves) > _FIXED:
            self.is_done, self.unit = True, int(features[np.argmax(halves)])
            return
        # nothing is in by a part: the relaxation is one support, and exact once price and w are
        is_priced = room == 0 or self.price <= of.subset.alpha or share >= of.subset.k * (1.0 - 1e-9)
        is_exact = unknown <= _EXACT * self.scale and is_priced and share <= of.subset.k * (1.0 + 1e-9)
        if not is_exact and ((is_enough and self._next_price(share, room)) or self._tighten()):
            return
        self.is_done = True
        if not is_exact:
            self.unit = self._largest()

    def _tighten(self):
        """Whether w can be found more exactly: then it will be."""
        self.tol *= 0.02
        return self.tol > 1e-18 * self.scale

    def _largest(self):
        """The free feature that gains most; -1 if none is free."""
        gains = np.where(self.status == FREE, self.of.gains, -np.inf)
        j = int(np.argmax(gains))
        return j if self.status[j] == FREE else -1

    def _next_price(self, share, room):
        """Whether another price may give a better bound: it is set."""
        k, alpha = self.of.subset.k, self.of.subset.alpha
        is_near = abs(share - k) <= _NEAR * k
        if is_near or room == 0 or (self.price <= alpha and share <= k) or self.prices >= _PRICES:
            return False
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

    def _choose(self, room):
        """The free features in use and by what part they are in; those with the largest parts are worth a try."""
        of, used = self.of, self.of.model.features
        free = np.flatnonzero((self.w != 0.0) & (self.status[used] == FREE))
        features, sizes = used[free], np.abs(self.w[free])
        limits = np.where(self.w[free] > 0.0, of.upper[features], -of.lower[features])
        parts = np.ones(features.size)
        if self.price > 0.0:
            with np.errstate(divide="ignore", over="ignore"):
                ends = np.minimum(limits, np.sqrt(2.0 * self.price / of.curve[features]))
            parts = np.minimum(sizes / np.maximum(ends, np.finfo(np.float64).tiny), 1.0)
        order = np.lexsort((features, -parts))[:room]
        chosen = order if self.price > of.subset.alpha else order[parts[order] >= 0.5]
        self.support = np.sort(np.concatenate([np.flatnonzero(self.status == IN), features[chosen]]))
        return features, parts

    def result(self, *, is_finished):
        """What was found, as the tree takes it."""
        features, values = self._point()
        points = self.points
        if self.best is not None and is_finished:
            nothing = np.empty(0, dtype=np.intp)
            points = [*points, (self.best, nothing, nothing)]
        start = (features, values, self.price)
        return Relaxed(self.bound, self.unit, start, self.support, is_finished, points)
