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
    fix_features,
    next_features,
    perspective_bound,
    relaxed_costs,
)
from sparseopt.solvers.relaxed_minimum import minimise_relaxed
from sparseopt.solvers.support_fit import best_on_support
from sparseopt.solvers.tree import FREE, IN, OUT, Relaxation, Relaxed

# Rounds of a node: minimise on the features in use, look at all.
_ROUNDS = 100
# Searches for the price of a node, and how near the number of features must come to k.
_PRICES, _NEAR = 10, 0.02
# A node is branched on once the relaxation is known to this part of what is missing to close it.
_KNOWN = 0.05
# A part in the relaxation so near to none or all is one of them; a value known so well, relative to the constant, is exact.
_FIXED, _EXACT = 1e-5, 1e-10


class QuadraticRelaxation(Relaxation):
    """The relaxation of one problem.

    Parameters
    ----------
    model : GramModel
    subset : SubsetProblem
        Single features, without hierarchy.
    diagonal : array of shape (p,) or None
        Part of the diagonal of G that goes into the prices; the rest of G must be positive semidefinite.
    keep_points : bool
        Return the points that prove the bounds.
    """

    def __init__(self, model, subset, diagonal=None, *, keep_points=False):
        p = model.n_features
        self.model, self.subset, self.n_units = model, subset, p
        self.diagonal = np.zeros(p) if diagonal is None else diagonal
        self.bends = model.bends - self.diagonal
        self.curve = subset.ridge + self.diagonal
        self.lower = np.full(p, -np.inf) if subset.lower is None else subset.lower
        self.upper = np.full(p, np.inf) if subset.upper is None else subset.upper
        self.keep_points = keep_points
        self._w, self._pull, self._gains = np.zeros(p), np.empty(p), np.empty(p)
        self._active = np.empty(p, dtype=np.intp)
        self._heap = np.empty(subset.k + 1)
        self._length = np.sqrt(2.0 * model.constant)

    def first_status(self):
        """What the problem itself fixes."""
        status = np.zeros(self.n_units, dtype=np.int8)
        status[self.subset.forbidden] = OUT
        status[self.subset.required] = IN
        return status

    def relax(self, status, start, threshold, until):
        room = self.subset.k - int(np.count_nonzero(status == IN))
        if room < 0:
            return Relaxed(np.inf)
        node = _NodeRun(self, status, start, threshold)
        while node.rounds < _ROUNDS and not node.is_done:
            node.work()
            if time.perf_counter() >= until and not node.is_done:
                return node.result(is_finished=False)
        return node.result(is_finished=True)

    def evaluate(self, support):
        return best_on_support(self.model, self.subset, np.asarray(support, dtype=np.intp))


class _NodeRun:
    """The work on one node: w, the pull q - (G - diagonal) w, the price, and the best bound so far."""

    def __init__(self, relaxation, status, start, threshold):
        self.of, self.status, self.threshold = relaxation, status, threshold
        self.w = relaxation._w
        self.w.fill(0.0)
        self.price = self._first_price() if start is None else start[2]
        if start is not None:
            self.w[start[0]] = start[1]
        self.w[status == OUT] = 0.0
        self.active = np.flatnonzero((self.w != 0.0) | (status == IN))
        self.scale = max(relaxation.model.constant, abs(threshold) if np.isfinite(threshold) else 0.0)
        self.tol = 1e-7 * self.scale
        self.rounds, self.is_done = 0, False
        self.bound, self.unit, self.support = -np.inf, -1, None
        self.low, self.high, self.prices, self.last = 0.0, np.inf, 0, None
        self.points, self.best = [], None

    def _first_price(self):
        """The price at the root: what the next feature after the k best would gain alone."""
        of, subset = self.of, self.of.subset
        if subset.k == of.n_units:
            return subset.alpha
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            gains = np.square(of.model.linear) / (2.0 * (of.curve + of.bends))
        return max(subset.alpha, float(np.partition(np.nan_to_num(gains), -subset.k - 1)[-subset.k - 1]))

    def work(self):
        """One round: minimise on the features in use, bound, fix, and say what is to be done next."""
        of, subset, model, status = self.of, self.of.subset, self.of.model, self.status
        self.rounds += 1
        active, values = self.active, self.w[self.active]
        value, share = self._descend(active, values)
        room = subset.k - int(np.count_nonzero(status == IN))
        bound, least, last = self._bound(active, values, room)
        if bound > self.bound:
            self.bound, self.best = bound, (active, values)
        if self.bound >= self.threshold:
            self.is_done = True
            return
        before = status.copy() if of.keep_points else None
        kept, removed = fix_features(of._gains, status, bound, least, last, room, self.threshold)
        if before is not None and kept + removed:
            changed = np.flatnonzero(before != status)
            out, into = changed[status[changed] == OUT], changed[status[changed] == IN]
            self.points.append((_point(active, values), out, into))
        changed = kept > 0 or bool(np.any((values != 0.0) & (status[active] == OUT)))
        self.w[status == OUT] = 0.0
        extra = self.price - subset.alpha
        count, new = next_features(of._gains, status, self.w, extra * (1.0 + 1e-9), of._active)
        self.active = of._active[:count].copy()
        if not changed and not new:
            self._settle(active, values, value, share, room)

    def _descend(self, active, values):
        """Minimise on the features in use, in place; returns the value of the relaxation there, and how many are in."""
        of, subset, model = self.of, self.of.subset, self.of.model
        is_in = self.status[active] == IN
        block, linear = model.block(active), model.linear[active]
        block[np.diag_indices(active.size)] -= of.diagonal[active]
        costs = (of.curve[active], subset.l1, of.lower[active], of.upper[active], is_in, self.price)
        pull = minimise_relaxed(block, linear, values, of.bends[active], costs, self.tol)
        self.w[active] = values
        cost, share = relaxed_costs(values, *costs)
        value = model.constant - 0.5 * float(values @ (linear + pull)) + cost
        return value - (self.price - subset.alpha) * subset.k, share

    def _bound(self, active, values, room):
        """The bound at w, the least profit that it takes in, and the next one."""
        of, subset, model = self.of, self.of.subset, self.of.model
        model.pull(active, values, of._pull)
        of._pull[active] += of.diagonal[active] * values
        weight = float(np.abs(values) @ model.sizes[active])
        error = model.rounding * (of._length + weight)
        heap = of._heap[: min(room, int(np.count_nonzero(self.status == FREE))) + 1]
        terms = (of.curve, subset.l1, of.lower, of.upper, subset.alpha)
        total, rounding, least, last = perspective_bound(
            of._pull, self.status, *terms, model.sizes, error, heap.size - 1, heap, of._gains
        )
        base = model.constant - 0.5 * float(values @ (model.linear[active] - of._pull[active]))
        rounding += error * weight + 1e-15 * (model.constant + abs(total))
        self.base = base
        return base - total - rounding, least, last

    def _settle(self, active, values, value, share, room):
        """The features in use are the right ones: go on at another price or more exactly, or name the feature to branch on."""
        of, subset = self.of, self.of.subset
        extra = self.price - subset.alpha
        profits = of._gains[active] - extra
        is_in = self.status[active] == IN
        at_price = self.base - float(np.sum(np.where(is_in, profits, np.maximum(profits, 0.0)))) - extra * subset.k
        missing = self.threshold - self.bound
        unknown = value - at_price
        if unknown > max(_EXACT * self.scale, _KNOWN * missing) and self.tol > 1e-17 * self.scale:
            self.tol *= 0.02
            return
        if self._next_price(share, room, value):
            return
        self._branch(active, values, share, room, unknown)

    def _next_price(self, share, room, value):
        """Whether another price may give a better bound: it is set."""
        k, alpha = self.of.subset.k, self.of.subset.alpha
        is_near = abs(share - k) <= _NEAR * k
        if is_near or room == 0 or (self.price <= alpha and share <= k) or self.prices >= _PRICES:
            return False
        if self.prices >= 2 and value < self.threshold and value - self.bound < 0.02 * (self.threshold - value):
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

    def _branch(self, active, values, share, room, unknown):
        """Choose the free feature whose part in the relaxation is nearest to a half; none where it is exact."""
        of, k = self.of, self.of.subset.k
        self.is_done = True
        free = np.flatnonzero((self.status[active] == FREE) & (values != 0.0))
        features, sizes = active[free], np.abs(values[free])
        limits = np.where(values[free] > 0.0, of.upper[features], -of.lower[features])
        with np.errstate(divide="ignore", over="ignore"):
            ends = np.minimum(limits, np.sqrt(2.0 * self.price / of.curve[features]))
        parts = np.minimum(sizes / np.maximum(ends, np.finfo(np.float64).tiny), 1.0)
        order = np.argsort(-parts, kind="stable")[:room]
        chosen = order if self.price > of.subset.alpha else order[parts[order] >= 0.5]
        self.support = np.sort(np.concatenate([np.flatnonzero(self.status == IN), features[chosen]]))
        halves = np.minimum(parts, 1.0 - parts)
        if halves.size and np.max(halves) > _FIXED:
            self.unit = int(features[np.argmax(halves)])
        elif sizes.size and (share > k * (1.0 + 1e-9) or unknown > _EXACT * self.scale):
            self.unit = int(features[np.argmax(sizes)])

    def result(self, *, is_finished):
        support = np.flatnonzero(self.w)
        points = self.points
        if self.of.keep_points and self.best is not None and is_finished:
            nothing = np.empty(0, dtype=np.intp)
            points = [*points, (_point(*self.best), nothing, nothing)]
        return Relaxed(
            self.bound,
            self.unit,
            (support, self.w[support], self.price),
            self.support,
            is_finished,
            points,
        )


def _point(active, values):
    used = values != 0.0
    return active[used], values[used]
