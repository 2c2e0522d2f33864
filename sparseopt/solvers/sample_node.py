"""The work on one node of a branch and bound under a loss on samples: see `sample_relaxation`."""

from __future__ import annotations

import numpy as np

from sparseopt.kernels.perspective import fix_features, perspective_bound, relaxed_costs, subtract_rows
from sparseopt.solvers.relaxed_minimum import minimise_relaxed
from sparseopt.solvers.sample_view import ROUNDING
from sparseopt.solvers.tree import FREE, IN, OUT, Relaxed

# Steps in a node; the curvature is taken anew where one leaves more than this part of what is unknown.
_ROUNDS, _PACE = 100, 0.3
# A node is branched on once the relaxation is known to this part of what is missing to close it, or exactly.
_KNOWN, _EXACT = 0.3, 1e-10
# Part of what is unknown to which a model is solved; prices tried on a model, and how near the shares come to k.
_DEPTH, _PRICES, _NEAR = 0.1, 15, 0.02
# So many new features come into use at once, at least.
_FEWEST = 32
# Prices so near to each other that shares jump between them.
_JUMP = 1.1
# A share so near to none or all is one of them.
_WHOLE = 1e-5
# Halvings of a step that does not bring the objective down as it should (Armijo, 1966), and what rounding may hide.
_HALVINGS, _ARMIJO, _SLACK = 30, 1e-4, 1e-14
_NOTHING = np.empty(0, dtype=np.intp)


class SampleNode:
    """The work on one node: coefficients, intercept and price, the point they make, and the best bound so far."""

    def __init__(self, relaxation, view, status, start, threshold):
        self.of, self.view, self.whole, self.threshold = relaxation, view, status, threshold
        self.features = view.features
        self.status = status[self.features]
        p = self.features.size
        self.curve, self.lower, self.upper = (
            part[self.features] for part in (relaxation.curve, relaxation.lower, relaxation.upper)
        )
        self.price, self.pull = None, None
        if start is not None and relaxation.last is not None and start is relaxation.last.start:
            self._go_on(relaxation.last)
        else:
            self._begin(start)
        self.gains, self.everything = np.empty(p), np.arange(p)
        self.rounds, self.is_done = 0, False
        self.unit, self.support = -1, None
        self.likely = _NOTHING
        # the best point of all so far, and its bound, which is no less in this node
        self.best, self.bound = (None, -np.inf) if start is None else start[4:]
        #: By how much the value of the relaxation may exceed the bound, and whether steps bring that down slowly.
        self.unknown, self.is_slow, self.depth, self.near = np.inf, False, _DEPTH, _NEAR
        self.points = []
        #: Where children begin, once that is known.
        self.start = None

    def _begin(self, start):
        """Begin at a point that is known by its coefficients."""
        self.w, self.intercept = np.zeros(self.features.size), self.of.intercept
        if start is not None:
            features, values, self.intercept, self.price = start[:4]
            places = np.minimum(np.searchsorted(self.features, features), max(self.features.size - 1, 0))
            held = self.features[places] == features if self.features.size else np.zeros(features.size, dtype=bool)
            self.w[places[held]] = values[held]
        self.w[self.status == OUT] = 0.0
        if self.of.subset.has_bounds:
            self.w = np.clip(self.w, self.lower, self.upper)
        self.point = self.view.point(self.view.fitted(self.w, self.intercept))

    def _go_on(self, last):
        """Begin where the last run has ended, less what is out by now."""
        w = last.w.copy()
        w[self.whole[last.features] == OUT] = 0.0
        gone = np.flatnonzero(last.w != w)
        self.intercept, self.price, self.point, self.pull = last.intercept, last.price, last.point, last.pull
        if gone.size:
            self.point, self.pull = self.view.point(last.point.eta - last.w[gone] @ last.view.rows[gone]), None
        if self.view is not last.view:
            places = np.searchsorted(last.features, self.features)
            w, self.pull = w[places], None if self.pull is None else self.pull[places]
        self.w = w

    @property
    def room(self):
        return self.of.subset.k - int(np.count_nonzero(self.status == IN))

    def work(self):
        """One round: bound, fix, and a step where the node is not known well enough."""
        self.rounds += 1
        if self.of.keep_points and self.pull is None:
            # the checker makes the fitted values from w, without what many steps have left of rounding
            self.point = self.view.point(self.view.fitted(self.w, self.intercept))
        if self.pull is None:
            self.pull = self.view.pulls(self.point)
        bound, least, last = self._bound(self.pull)
        if self.price is None:
            self.price = self._first_price()
        if bound > self.bound:
            self.bound, self.best = bound, self._sparse(self.w, self.intercept)
        if self.bound >= self.threshold:
            self.is_done = True
            return
        changed = self._fix(bound, least, last)
        if self.room < 0:
            # so many are needed that no support is left
            self.bound, self.is_done = max(self.bound, self.threshold), True
            return
        active = self._in_use()
        if not changed and (self._is_known(active, bound) or self.rounds >= _ROUNDS):
            self._branch(active)
            return
        if self.is_slow:
            self.depth, self.near = max(0.03 * self.depth, 1e-12), max(0.1 * self.near, 1e-9)
            self.of.gram.renew_at(self.view, self.point)
        self._advance(active)

    def _bound(self, pull):
        """The bound at the point, the least profit that it takes in, and the next one."""
        subset = self.of.subset
        free = int(np.count_nonzero(self.status == FREE))
        self.heap = np.empty(min(self.room, free) + 1)
        error = ROUNDING * float(np.linalg.norm(self.view.s * self.point.slopes))
        terms = (self.curve, subset.l1, self.lower, self.upper, subset.alpha)
        total, rounding, least, last = perspective_bound(
            self.everything, pull, self.view.norms, self.status, *terms, error, 0.0, self.heap, self.gains
        )
        value, size = self.point.conjugate(self.view)
        bound = value - total - rounding - ROUNDING * (size + abs(total))
        # in this order of the two, a bound that is no number is none
        return max(-np.inf, bound), least, last

    def _first_price(self):
        """The price at the root: the gain of the next feature after the k best, where all begin from zero."""
        free = self.gains[self.status == FREE]
        room, alpha = self.room, self.of.subset.alpha
        if free.size <= room:
            return self._least_price()
        return max(self._least_price(), alpha + float(np.partition(free, -room - 1)[-room - 1]))

    def _least_price(self):
        """Prices less than this are none."""
        return max(self.of.subset.alpha, 1e-9 * self.of.origin.height / max(self.of.subset.k, 1))

    def _fix(self, bound, least, last):
        """Fix features whose other choice is closed; whether the point has moved with that."""
        status, before = self.status, self.status.copy()
        if self.room == 0:
            kept, removed = 0, int(np.count_nonzero(status == FREE))
            status[status == FREE] = OUT
        else:
            kept, removed = fix_features(self.everything, self.gains, status, bound, least, last, self.threshold)
        if not kept + removed:
            return False
        self.whole[self.features] = status
        if self.of.keep_points:
            fixed = np.flatnonzero(before != status)
            out, into = fixed[status[fixed] == OUT], fixed[status[fixed] == IN]
            self.points.append((self._sparse(self.w, self.intercept), self.features[out], self.features[into]))
        leaving = (status == OUT) & (self.w != 0.0)
        if np.any(leaving):
            gone = np.flatnonzero(leaving)
            self.point = self.view.point(self.point.eta - self.w[gone] @ self.view.rows[gone])
            self.w[leaving], self.pull = 0.0, None
        return kept > 0 or bool(np.any(leaving))

    def _in_use(self):
        """The features of the next step: those that are in or not zero, and free ones that gain more than their price."""
        extra = max(self.price - self.of.subset.alpha, 0.0) * (1.0 + 1e-9)
        held = (self.status == IN) | (self.w != 0.0)
        entering = np.flatnonzero((self.status == FREE) & ~held & (self.gains > extra))
        held = np.flatnonzero(held)
        most = max(_FEWEST, held.size // 2)
        if entering.size > most:
            entering = entering[np.argpartition(-self.gains[entering], most)[:most]]
        return np.concatenate([held, entering])

    def _is_known(self, active, bound):
        """Whether the value of the relaxation is known well enough to branch."""
        self.shares = self._shares(active)
        value = self._value(active)
        unknown = value - bound
        split = np.minimum(self.shares, 1.0 - self.shares)[self.status[active] == FREE]
        has_choice = bool(np.any(split > _WHOLE))
        enough = _EXACT * abs(value)
        if has_choice:
            enough = max(enough, _KNOWN * abs(self.threshold - value))
        self.is_slow = unknown > _PACE * self.unknown
        self.unknown = unknown
        return unknown <= enough

    def _shares(self, active):
        """The shares of the active features at the price: all of those that are in."""
        sizes, w = np.abs(self.w[active]), self.w[active]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ends = np.sqrt(2.0 * self.price / self.curve[active])
            ends = np.minimum(ends, np.where(w > 0.0, self.upper[active], -self.lower[active]))
            shares = np.where(sizes > 0.0, np.minimum(sizes / ends, 1.0), 0.0)
        return np.where(self.status[active] == IN, 1.0, shares)

    def _value(self, active):
        """Objective of the relaxation at the point, with shares scaled to what may be in: the bound of the node is no more."""
        subset, room, w = self.of.subset, self.room, self.w[active]
        free = self.status[active] == FREE
        total = float(self.shares[free].sum())
        # at the price alone, more than what pays is not to be in
        may_grow = self.price > self._least_price()
        scale = room / total if total > room or (may_grow and total > 0.0) else 1.0
        z = np.where(free, np.minimum(self.shares * scale, 1.0), self.shares)
        squares = np.divide(w * w, z, out=np.zeros_like(w), where=z > 0.0)
        price = subset.ridge * float(squares.sum()) / 2 + subset.l1 * float(np.abs(w).sum())
        return self.point.height + price + subset.alpha * float(z.sum())

    def _advance(self, active):
        """One proximal Newton step on the active features, with the price that suits its model."""
        self.of.steps += 1
        view, gram, subset = self.view, self.of.gram, self.of.subset
        block = gram.of(view, active)
        before = self.w[active]
        is_known = self.pull is not None and self.point.shrunk == 1.0
        pull = self.pull[active] if is_known else gram.pulls(view, active, self.point)
        linear, values = pull.copy(), before.copy()
        used = np.flatnonzero(before)
        subtract_rows(block, used, -before[used], linear)
        terms = (self.curve[active], subset.l1, self.lower[active], self.upper[active], self.status[active])
        self._settle_price(block, linear, values, pull, terms)
        costs = (*terms, self.price)
        move = values - before
        image = move @ view.rows[active]
        if self.of.loss.intercept:
            shift = -(float(gram.bends @ image) + self.point.imbalance) / gram.total if gram.total > 0.0 else 0.0
            image += shift
        else:
            shift = 0.0
        at_start = relaxed_costs(before, *costs)[0]
        gain = relaxed_costs(values, *costs)[0] - at_start + float((view.s * self.point.raw) @ image)
        height, step = self.point.height, 1.0
        for _ in range(_HALVINGS):
            new = before + step * move
            point = view.point(self.point.eta + step * image)
            fall = height - point.height + at_start - relaxed_costs(new, *costs)[0]
            if fall >= -_ARMIJO * step * min(gain, 0.0) - _SLACK * (abs(height) + at_start):
                break
            step /= 2.0
        else:
            step, point, new = 0.0, self.point, before
        can_go_on = gram.learn(step, step * float(view.s @ np.abs(image)))
        self.w[active], self.point, self.pull = new, point, None
        self.intercept += step * shift
        if step < 1.0:
            gram.renew_at(view, point)
            if not can_go_on:
                self.rounds = _ROUNDS

    def _settle_price(self, block, linear, values, pull, terms):
        """Minimise the model, in place, at the price at which as many features are in as may be."""
        k, least = self.of.subset.k, self._least_price()
        tol = max(self.depth * self.unknown, 1e-18 * self.of.origin.height)
        if not np.isfinite(tol):
            tol = 1e-4 * self.of.origin.height
        bends = block.diagonal().copy()
        low, high, room = 0.0, np.inf, self.room
        for trial in range(_PRICES):
            minimise_relaxed(block, linear, values, pull, bends, (*terms, self.price), tol)
            share = relaxed_costs(values, *terms, self.price)[1] - (k - room)
            if room == 0 or abs(share - room) <= self.near * room or (share < room and self.price <= least):
                return
            if share > room:
                low = self.price
            else:
                high = self.price
            if trial == _PRICES - 1:
                break
            # where shares are parts, they fall as the root of the price
            guess = self.price * min(max((share / room) ** 2, 0.125), 8.0)
            if not low < guess < high:
                guess = np.sqrt(low * high) if low > 0.0 and high < np.inf else guess
            self.price = max(guess, least)
        if share < room and high <= _JUMP * low:
            # where shares jump, as they do where a model is nearly flat, too many are in rather than none
            self.price = low
            minimise_relaxed(block, linear, values, pull, bends, (*terms, self.price), tol)

    def _branch(self, active):
        """Choose the free feature whose share is nearest to a half; none where the relaxation is exact."""
        self.is_done = True
        free = np.flatnonzero((self.status[active] == FREE) & (self.w[active] != 0.0))
        parts, sizes = self.shares[free], np.abs(self.w[active[free]])
        order = np.argsort(-sizes, kind="stable")[: self.room]
        chosen = order if self.price > self.of.subset.alpha else order[parts[order] >= 0.5]
        into = np.concatenate([np.flatnonzero(self.status == IN), active[free[chosen]]])
        support = np.sort(self.features[into])
        if (key := support.tobytes()) not in self.of.seen:
            self.of.seen.add(key)
            self.support = support
        halves = np.minimum(parts, 1.0 - parts)
        if halves.size and np.max(halves) > _WHOLE:
            self.unit = int(self.features[active[free[np.argmax(halves)]]])
            likely = chosen[np.argsort(-halves[chosen], kind="stable")]
            if likely.size and halves[likely[0]] == np.max(halves):
                self.likely = self.features[active[free[likely]]]
        elif self.room > 0 and np.any(self.status == FREE) and self.unknown > _EXACT * abs(self.threshold):
            profits = np.where(self.status == FREE, self.gains, -np.inf)
            self.unit = int(self.features[np.argmax(profits)])

    def _sparse(self, w, intercept):
        """A point of the problem: its features, their coefficients, and the intercept that goes with X as it was lent."""
        on = np.flatnonzero(w)
        return self.features[on], w[on], float(intercept - self.view.means[on] @ w[on])

    def resume(self, status, threshold):
        """Go on with work that was interrupted."""
        self.whole, self.threshold, self.points = status, threshold, []

    def interrupted(self):
        """What was found so far; the run itself is where the work goes on."""
        return Relaxed(self.bound, start=self, is_finished=False, points=self._points())

    def result(self):
        """What was found, as the tree takes it. The bound is that of the best point, which an ancestor may have left."""
        on = np.flatnonzero(self.w)
        self.start = (self.features[on], self.w[on], self.intercept, self.price, self.best, self.bound)
        return Relaxed(self.bound, self.unit, self.start, self.support, self.likely, points=self._points())

    def _points(self):
        """What proves the fixings, and last the bound."""
        if not self.of.keep_points or self.best is None:
            return self.points
        return [*self.points, (self.best, _NOTHING, _NOTHING)]
