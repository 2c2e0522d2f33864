"""Lower bounds for the choice of features under a loss on samples, by the perspective relaxation.

With v_i the slopes of phi at any point, made to sum to zero under the weights with an intercept, and
t = -X'(s v), Fenchel duality gives for all supports that agree with a node

    - sum_i s_i phi*(y_i, v_i) - sum over features that are in (gain(t_j) - alpha) - sum of the largest positive gain(t_j) - alpha

with the gains of `kernels.perspective`. It is the best that the relaxation has to give at a minimiser of the loss and
the relaxed prices: proximal Newton steps go there, on the few features that matter, and with each the price of a
feature, until as many are in as may be. Every point on the way is a bound, and fixes features, all those whose other
choice it closes (Guyard, Herzet, Elvira and Arslan, 2024). No node needs to be solved to the end.
"""

from __future__ import annotations

import time

import numpy as np

from sparseopt.conjugates import has_conjugate
from sparseopt.kernels.perspective import fix_features, perspective_bound, relaxed_costs, subtract_rows
from sparseopt.losses import LeastSquares, SampleLoss
from sparseopt.solvers.model_search import ModelSearch
from sparseopt.solvers.relaxed_minimum import minimise_relaxed
from sparseopt.solvers.sample_fit import fit_support
from sparseopt.solvers.sample_view import ROUNDING, SampleGram, SampleView
from sparseopt.solvers.tree import FREE, IN, OUT, Relaxation, Relaxed

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
# A view of part of the features is made where it has at most this part of them.
_PART = 0.6
_NOTHING = np.empty(0, dtype=np.intp)


class SampleRelaxation(Relaxation):
    """The relaxation of one problem.

    Parameters
    ----------
    loss : SampleLoss
    subset : SubsetProblem
        Single features, without hierarchy.
    view : SampleView, optional
    keep_points : bool
        Return the points that prove the bounds: (features, values, intercept).
    """

    def __init__(self, loss, subset, view=None, *, keep_points=False):
        self.loss, self.subset, self.n_units = loss, subset, subset.n_features
        self.view = self._part = SampleView(loss) if view is None else view
        p = self.n_units
        self.curve = np.full(p, float(subset.ridge))
        self.lower = np.full(p, -np.inf) if subset.lower is None else subset.lower
        self.upper = np.full(p, np.inf) if subset.upper is None else subset.upper
        self.keep_points = keep_points
        #: No part of the curvature of the loss is moved into the prices.
        self.moved = None
        self.steps = 0
        #: The run of the last node, whose child is mostly the next, and the supports that were worth an evaluation.
        self.last, self.seen = None, set()
        zero = self.view.fitted(np.zeros(p), 0.0)
        self.intercept = self.view.settled(zero) if loss.intercept else 0.0
        self.origin = self.view.point(zero + self.intercept)
        self.gram = SampleGram(self.view)
        self.gram.renew_at(self.view, self.origin)

    @staticmethod
    def rejects(loss, subset):
        """Why nothing can be proven of the problem here, in words; None if something can."""
        if not isinstance(loss, SampleLoss) or isinstance(loss, LeastSquares) or not has_conjugate(loss):
            return f"it takes losses on samples with a conjugate, not {type(loss).__name__}"
        if subset.groups is not None or subset.has_rows or subset.parents:
            return "it chooses single features under a loss on samples, without hierarchies"
        if subset.ridge == 0.0 and not (
            subset.has_bounds and np.all(np.isfinite(subset.lower)) and np.all(np.isfinite(subset.upper))
        ):
            return (
                f"nothing is proven under {type(loss).__name__} without a limit to every coefficient; "
                "add a ridge, Ridged(penalty, beta), or bounds, Box(-M, M)"
            )
        if not SampleView.fits_memory(loss):
            return "X is too large to be kept dense; choose among fewer features"
        return None

    def first_status(self):
        """What the problem itself fixes."""
        status = np.full(self.n_units, np.int8(FREE))
        status[self.subset.forbidden] = OUT
        status[self.subset.required] = IN
        return status

    def relax(self, status, start, threshold, until):
        if np.count_nonzero(status == IN) > self.subset.k:
            return Relaxed(np.inf)
        run = _NodeRun(self, self._view(status), status, start, threshold)
        self.last = run
        while not run.is_done:
            run.work()
            if time.perf_counter() >= until and not run.is_done:
                return run.result(is_finished=False)
        return run.result(is_finished=True)

    def evaluate(self, support):
        support, w = np.asarray(support, dtype=np.intp), np.zeros(self.n_units)
        if support.size > self.subset.k:
            return np.inf, w
        intercept = self.intercept
        if self.last is not None:
            w[self.last.features], intercept = self.last.w, self.last.intercept
        fit = fit_support(self.view, self.subset, support, w[support], intercept)
        w.fill(0.0)
        w[support] = fit.x
        return fit.objective, w

    def _view(self, status):
        """A view of the features that are not out: the last one that was made, if it has them and not many more."""
        count = int(np.count_nonzero(status != OUT))
        if count > _PART * self.view.features.size:
            return self.view
        part = self._part
        is_held = np.count_nonzero(status[part.features] != OUT) == count
        if not is_held or count < _PART**2 * part.features.size:
            source = part if is_held else self.view
            self._part = part = source.restrict(np.flatnonzero(status[source.features] != OUT))
        return part


def prepare_samples(loss, subset, *, keep_points):
    """The relaxation of a problem, and the objective and coefficients of a first support, in parts: a generator.

    It yields the best coefficients so far, should time run out.
    """
    view = SampleView(loss)
    yield
    search = ModelSearch(loss, subset, view)
    # growth alone, and exchanges at the end: where that is not the best, the tree will say so
    for _ in search.run(few=0):
        yield _coefficients(search.best, subset.n_features)
    point = _coefficients(search.best, subset.n_features)
    return SampleRelaxation(loss, subset, view, keep_points=keep_points), search.best.objective, point


def _coefficients(fit, n_features):
    w = np.zeros(n_features)
    w[fit.support] = fit.x
    return w


class _NodeRun:
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
        # the best point of all so far, and its bound, which is no less in this node
        self.given = (None, -np.inf) if start is None else start[4:]
        self.best, self.bound = self.given
        self.first = status.copy()
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
        elif self.room > 0 and np.any(self.status == FREE) and self.unknown > _EXACT * abs(self.threshold):
            profits = np.where(self.status == FREE, self.gains, -np.inf)
            self.unit = int(self.features[np.argmax(profits)])

    def _sparse(self, w, intercept):
        """A point of the problem: its features, their coefficients, and the intercept that goes with X as it was lent."""
        on = np.flatnonzero(w)
        return self.features[on], w[on], float(intercept - self.view.means[on] @ w[on])

    def result(self, *, is_finished):
        """What was found, as the tree takes it.

        The bound is that of the last point, which an ancestor may have left. Of work that goes on later only the
        place is kept: what it has fixed follows again.
        """
        on = np.flatnonzero(self.w)
        self.start = (self.features[on], self.w[on], self.intercept, self.price, self.best, self.bound)
        if not is_finished:
            # a bound that was found since may rest on what is taken back here
            self.start = (*self.start[:4], *self.given)
            self.whole[:] = self.first
            return Relaxed(-np.inf, -1, self.start, None, is_finished=False)
        points = self.points
        if self.of.keep_points and self.best is not None:
            points = [*points, (self.best, _NOTHING, _NOTHING)]
        return Relaxed(self.bound, self.unit, self.start, self.support, is_finished, points)
