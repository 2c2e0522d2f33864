"""Bounds for the choice of features in least squares and quadratics, by the perspective relaxation.

The bound of `kernels.perspective` holds at every w. It is the best that the perspective relaxation has to give at
a minimiser of f(w) + the relaxed prices, where the price of a feature is alpha and, where at most k may be in, what
one more of them is worth. That price is sought for each node; it begins with that of the parent. From the bounds
of the two choices of a feature some are fixed at once (Atamturk and Gomez, 2020; Guyard et al., 2024).
"""

from __future__ import annotations

import time
from copy import copy

import numpy as np

from sparseopt.kernels.perspective import judge_features, relaxed_costs, scaled_costs, subtract_rows
from sparseopt.solvers.subsets.gram_models import WholeGram
from sparseopt.solvers.subsets.relaxed_minimum import minimise_relaxed
from sparseopt.solvers.subsets.support_fit import best_on_support
from sparseopt.solvers.trees.interior_node import interior_node
from sparseopt.solvers.trees.leaps import Leaps
from sparseopt.solvers.trees.pull_views import Part, WholeView, WideView
from sparseopt.solvers.trees.tree import FREE, IN, OUT, Relaxation, Relaxed

# Rounds of a node: minimise on the features in use, look at all.
_ROUNDS = 100
# Searches for the price of a node, and how near the number of features must come to k.
_PRICES, _NEAR = 10, 0.02
# Features come into use until the relaxation is known to this part of what is missing to close the node.
_KNOWN = 0.7
# A node is branched on once the value of its relaxation is below the threshold, and the bound no further below it than this.
_EARLY = 20.0
# The first price where there was none, as a part of the constant.
_LEAST_PRICE = 1e-6
# Features that are not in use are looked at where their profit may exceed this part of what the price asks for.
_LEVEL = 0.9
# Up to so many features, nodes are solved by an interior-point method once descent has taken so many Newton steps in one.
_SMALL, _STALLED = 200, 30
# Features come into use that are worth this part of what the price asks for: mostly they would come soon.
_CLOSE = 0.8
# So many new features come into use at once, at least.
_FEWEST = 32
# Descent ends where an epoch gains less than this part of what is missing, at first.
_FIRST = 2e-3
# A part in the relaxation so near to none or all is one of them; a value known so well, relative to the constant, is exact.
_FIXED, _EXACT = 1e-5, 1e-10
_NOTHING = np.empty(0, dtype=np.intp)


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
        self.moved = model.moved if model.moved.any() else None
        self.keep_points = keep_points
        self.length = np.sqrt(2.0 * model.constant)
        is_smooth = subset.lower is None and subset.l1 == 0.0 and bool(np.all((self.curve > 0.0) | model.is_flat))
        #: Whether nodes are worked out by an interior-point method, and whether they may be.
        self.is_interior = False
        self.is_small = is_smooth and p <= _SMALL and isinstance(model, WholeGram)
        # of supports of one size, without a proof that is kept point by point
        is_plain = self.is_small and subset.alpha == 0.0 and not keep_points
        self.leaps = Leaps(model, subset.ridge) if is_plain else None
        #: Supports that were worth an evaluation.
        self.seen = set()
        self.begin()

    def begin(self):
        """Scratch of the nodes, and what the last one left."""
        model, p = self.model, self.n_units
        self.part = Part(model)
        self.view = WholeView(self) if isinstance(model, WholeGram) else WideView(self)
        self.w, self.gains, self.heap = np.zeros(p), np.empty(p), np.empty(self.subset.k + 1)
        self.entering = np.empty(p, dtype=np.intp)
        #: Features that were not zero where the last node ended.
        self.recent = _NOTHING

    def twin(self):
        twin = copy(self)
        twin.model, twin.seen = self.model.twin(), copy(self.seen)
        twin.leaps = None if self.leaps is None else self.leaps.twin()
        twin.begin()
        return twin

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
        if self.leaps is not None and not isinstance(start, _NodeRun):
            found, start = self.leaps.relax(self.subset.k, status, start, threshold, until)
            if found is not None:
                return found
        return self._relaxed(status, start, threshold, until)

    def _relaxed(self, status, start, threshold, until):
        """The node by its perspective relaxation."""
        if self.is_interior:
            start = start if isinstance(start, np.ndarray) else None
            found = interior_node(self, status, start, threshold)
            if found is not None:
                return found
            self.is_interior = self.is_small = False
        if isinstance(start, np.ndarray):  # of an interior node
            start = None
        first = status.copy()
        if isinstance(start, _NodeRun):
            node = start
            node.resume(status, threshold)
        else:
            node = _NodeRun(self, status, start, threshold)
        while not node.is_done:
            node.work()
            if self.is_small and node.steps > _STALLED and not node.is_done:
                self.is_interior = True
                status[:] = first
                return self._relaxed(status, None, threshold, until)
            if time.perf_counter() >= until and not node.is_done:
                return node.interrupted()
        return node.result()

    def evaluate(self, support):
        if len(support) > self.subset.k:
            return np.inf, np.zeros(self.n_units)
        return best_on_support(self.model, self.subset, np.asarray(support, dtype=np.intp))


class _NodeRun:
    """The work on one node: w on the features in use, the price, and the best bound so far."""

    def __init__(self, relaxation, status, start, threshold):
        self.of, self.status, self.threshold = relaxation, status, threshold
        model = relaxation.model
        features, values, self.price = self._first() if start is None else start
        relaxation.w.fill(0.0)
        relaxation.w[features] = np.where(status[features] == OUT, 0.0, values)
        is_needed = status == IN
        is_needed[features] = True
        # what the last node had in will mostly come in here as well
        if start is not None:
            is_needed[relaxation.recent[status[relaxation.recent] == FREE]] = True
        self.needed = np.flatnonzero(is_needed)
        self.features, self.values = self.needed, relaxation.w[self.needed]
        self.scale = max(model.constant, abs(threshold) if np.isfinite(threshold) else 0.0)
        self.tol = _FIRST
        self.rounds, self.steps, self.is_done, self.is_fresh = 0, 0, False, True
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

    def work(self):
        """One round: minimise on the features in use, bound, fix, and say what is to be done next."""
        of, subset, model, status = self.of, self.of.subset, self.of.model, self.status
        self.rounds += 1
        self.features, block = of.part.cover(self.needed)
        features, extra = self.features, self.price - subset.alpha
        own, w, linear = status[features], of.w[features], model.linear[features]
        if self.is_fresh:
            pull = linear.copy()
            used = np.flatnonzero(w)
            subtract_rows(block, used, w[used], pull)
        else:
            pull = of.view.pull[features]
        costs = (of.curve[features], subset.l1, of.lower[features], of.upper[features], own, self.price)
        self.steps += minimise_relaxed(block, linear, w, pull, model.bends[features], costs, self._tolerance())
        of.w[features] = self.values = w
        cost, share = relaxed_costs(w, *costs)
        known = of.view.look(features, w, pull, status, subset.alpha + _LEVEL * extra)
        taken, changed, worth, entering = self._judge(known, linear - pull, _LEVEL * extra)
        if self.bound >= self.threshold:
            self.is_done = True
            return
        # features that stay in use were known, so that their pulls are; but for what was dropped
        self.is_fresh = changed
        smooth = model.constant - 0.5 * float(w @ (linear + pull))
        unknown = smooth + cost - self.base + taken
        room = subset.k - int(np.count_nonzero(status == IN))
        if self._is_known(smooth, w, costs, share, room) and self._branch(room):
            return
        if changed or (
            self.rounds < _ROUNDS and worth and unknown > max(_EXACT * self.scale, _KNOWN * self._missing())
        ):
            self._need(entering)
            return
        if self.rounds >= _ROUNDS:
            self.is_done, self.unit = True, self._largest(known)
            return
        self._settle(self.base - taken + unknown - extra * subset.k, unknown, share, room, known)

    def _is_known(self, smooth, w, costs, share, room):
        """Whether the relaxation will not reach the threshold, and its value is known to a part of what it lacks.

        With shares scaled to what may be in, w is a point of the relaxation, the value of which is no less than the bound.
        """
        alpha, total = self.of.subset.alpha, share - self.of.subset.k + room
        # at the price alone, more than what pays is not to be in
        scale = room / total if total > room or (self.price > alpha and total > 0.0) else 1.0
        value = smooth + scaled_costs(w, *costs, alpha, scale)[0] if scale > 0.0 else np.inf
        return value - self.bound <= _EARLY * (self.threshold - value)

    def _judge(self, known, image, level):
        """Bound at w and fix what that decides.

        Returns what features take off at the price, whether w or what must be in has changed, how many features are
        worth the price, and those that come into use.
        """
        of, subset, model, status, w = self.of, self.of.subset, self.of.model, self.status, self.values
        weight = float(np.abs(w) @ model.sizes[self.features])
        error = model.rounding * (of.length + weight)
        free = int(np.count_nonzero(status == FREE))
        room = subset.k - int(np.count_nonzero(status == IN))
        self.base = model.constant - 0.5 * float(w @ image)
        before = status.copy() if of.keep_points else None
        terms = (of.curve, subset.l1, of.lower, of.upper, subset.alpha)
        bound, taken, least, kept, removed, dropped, worth, count = judge_features(
            known, of.view.pull, model.sizes, status, *terms, error, level if known.size < of.n_units else 0.0,
            of.heap[: min(room, free) + 1], of.gains, of.w, self.base, error * weight + 1e-15 * model.constant,
            self.threshold, self.price, _CLOSE, of.entering,
        )  # fmt: skip
        if bound > self.bound:
            self.bound = bound
            self.best = self._point() if of.keep_points else None
        if self.bound < self.threshold:
            if room == 0 and free:
                removed, status[status == FREE] = free, OUT
                dropped += int(np.count_nonzero(of.w[status == OUT]))
                of.w[status == OUT] = 0.0
                worth = count = 0
            elif bound + least + subset.alpha >= self.threshold:
                removed += of.view.remove(known, status, bound + least - self.threshold)
            if before is not None and kept + removed:
                changed = np.flatnonzero(before != status)
                out, into = changed[status[changed] == OUT], changed[status[changed] == IN]
                self.points.append((self._point(), out, into))
        return taken, kept + dropped > 0, worth, of.entering[:count]

    def _need(self, entering):
        """The features in use from here: those that are not zero or must be in, and those that would come in and gain most."""
        of = self.of
        is_needed = of.w != 0.0
        most = max(_FEWEST, int(np.count_nonzero(is_needed)) // 2)
        if entering.size > most:
            entering = entering[np.argpartition(-of.gains[entering], most)[:most]]
        is_needed |= self.status == IN
        is_needed[entering] = True
        self.needed = np.flatnonzero(is_needed)

    def _point(self):
        used = np.flatnonzero(self.values)
        order = np.argsort(self.features[used])
        return self.features[used][order], self.values[used][order]

    def _settle(self, value, unknown, share, room, known):
        """The features in use are the right ones: go on at another price or more exactly, or name the feature to branch on."""
        of = self.of
        if unknown > max(_EXACT * self.scale, _KNOWN * self._missing()) and self._tighten():
            return
        is_enough = self.prices >= 2 and value < self.threshold and value - self.bound < 0.02 * (self.threshold - value)
        if not is_enough and self._next_price(share, room):
            return
        if self._branch(room):
            return
        # nothing is in by a part: the relaxation is one support, and exact once price and w are
        is_priced = room == 0 or self.price <= of.subset.alpha or share >= of.subset.k * (1.0 - 1e-9)
        is_exact = unknown <= _EXACT * self.scale and is_priced and share <= of.subset.k * (1.0 + 1e-9)
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
        return int(free[np.argmax(self.of.gains[free])])

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
        """Name the free feature in use that is in by the part nearest to a half, if one is; the largest parts are worth a try."""
        of = self.of
        features = self.features[(self.values != 0.0) & (self.status[self.features] == FREE)]
        w = of.w[features]
        limits = np.where(w > 0.0, of.upper[features], -of.lower[features])
        parts = np.ones(features.size)
        if self.price > 0.0:
            with np.errstate(divide="ignore", over="ignore"):
                ends = np.minimum(limits, np.sqrt(2.0 * self.price / of.curve[features]))
            parts = np.minimum(np.abs(w) / np.maximum(ends, np.finfo(np.float64).tiny), 1.0)
        order = np.lexsort((features, -parts))[:room]
        chosen = order if self.price > of.subset.alpha else order[parts[order] >= 0.5]
        support = np.sort(np.concatenate([np.flatnonzero(self.status == IN), features[chosen]]))
        if (key := support.tobytes()) not in of.seen:
            of.seen.add(key)
            self.support = support
        halves = np.minimum(parts, 1.0 - parts)
        if halves.size and np.max(halves) > _FIXED:
            self.is_done, self.unit = True, int(features[np.argmax(halves)])
            likely = chosen[np.argsort(-halves[chosen], kind="stable")]
            if likely.size and halves[likely[0]] == np.max(halves):
                self.likely = features[likely]
        return self.is_done

    def resume(self, status, threshold):
        """Go on with work that was interrupted: nothing else has used the scratch since."""
        self.status, self.threshold, self.points = status, threshold, []

    def interrupted(self):
        """What was found so far; the run itself is where the work goes on."""
        return Relaxed(self.bound, start=self, is_finished=False, points=self._points())

    def result(self):
        """What was found, as the tree takes it."""
        start = (*self._point(), self.price)
        self.of.recent = start[0]
        return Relaxed(self.bound, self.unit, start, self.support, self.likely, points=self._points())

    def _points(self):
        """What proves the fixings, and last the bound."""
        return self.points if self.best is None else [*self.points, (self.best, _NOTHING, _NOTHING)]
