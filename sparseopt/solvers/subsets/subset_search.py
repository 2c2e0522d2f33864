"""The search for a best subset: grow, swap, shrink back, kick; one move at a time.

What is searched is a *walk*, which knows the value of every move from where it stands and makes
moves: `SubsetState` for single features whose coefficients solve a linear system, and others for
groups, bounds and hierarchies. The search decides which moves to make.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from sparseopt.kernels.swaps import FEWEST, MANY, PATIENCE
from sparseopt.solvers.subsets.subset_state import SubsetState

# Relative gain below which a move is rounding, in units of that of the Gram matrix; and of the objective itself.
_ROUNDING, _LITTLE = 8.0, 1e-10
# Features, most promising first, of which a random beginning takes one.
_NEAR_BEST = 32
# Part of a minimum by which updates may have put it wrong.
_CHECKED = 1e-8
# Moves at most for each feature: only rounding could lead in circles.
_MOST = 50
# Features that are brought in together where none is worth its price.
_TOGETHER = 3
# Kicks after which is seen what they have found, and part of the rows that are there for which more of them are worth a new core.
_BATCH, _WIDER = 50, 0.4
# Entries that kicks go through before limits are looked at.
_AT_ONCE = 50_000_000


@dataclass(frozen=True)
class Found:
    """A support that was found, and the minimum over it without any price."""

    height: float
    support: np.ndarray


class SubsetSearch:
    """A search that goes on as long as it is asked to, and knows the best of what it has seen.

    Parameters
    ----------
    walk : a walk, for example `SubsetState`
    k : int
        Most features.
    alpha : float
        Price of each.
    overshoot : float
        Part of k by which the support grows beyond k before it shrinks back.
    kicks, restarts : int
        Random changes of the best support, and random beginnings, before the search ends.
    seed : int
    start : sequence of int, optional
        A support to begin with, beside the empty one.
    down_to : int, optional
        The size to which the support shrinks back, for the best of several sizes in one run; k by default.
    """

    def __init__(
        self, walk, k, alpha=0.0, *, overshoot=0.5, kicks=0, restarts=0, seed=0, start=None, down_to=None
    ):  # fmt: skip
        self.walk, self.k, self.alpha, self.down_to = walk, k, alpha, down_to
        self.overshoot, self.kicks, self.restarts = overshoot, kicks, restarts
        self.start = None if start is None else np.asarray(start, dtype=np.intp)
        self.moves = 0
        self._random = np.random.default_rng(seed)
        self._noise = self._random.integers(1 << 63, size=1, dtype=np.uint64)
        scale = abs(walk.gram.constant) or 0.5 * float(np.sum(walk.explained_alone()))
        self._rounding, self._trace = _ROUNDING * walk.gram.rounding * scale, _ROUNDING * walk.gram.rounding**2 * scale
        walk.note()

    @property
    def gram(self):
        """The quadratic."""
        return self.walk.gram

    @property
    def best(self):
        """The best support of at most k features."""
        return self.best_of(self.k)

    def best_of(self, k):
        """The best support of at most k features, k being no more than that of the search."""
        heights = self.walk.heights[: k + 1]
        # of equal ones the smallest
        size = int(np.argmin(heights + self.alpha * np.arange(heights.size)))
        return Found(float(heights[size]), self.walk.best[size][:size].copy())

    def run(self):
        """A generator that makes one move after another and yields what each has cost, in entries of memory."""
        walk = self.walk
        if self.start is not None:
            walk.restart(self.start)
            yield from self._descend()
        for number in range(1 + self.restarts):
            yield from self._forth_and_back(is_random=number > 0)
        # afresh from the Gram matrix, to see that no move gains
        yield from self._go_home()
        yield from self._descend()
        before = self.best.height
        yield from self._kick_in_core() if isinstance(walk, SubsetState) else self._kick_on()
        if self.best.height != before:
            yield from self._go_home()

    def _go_home(self):
        """To the best support, made anew; what rounding had made of its minimum is put right first."""
        walk, is_true = self.walk, False
        while not is_true:
            best = self.best
            walk.restart(best.support)
            yield walk.cost
            is_true = abs(walk.height - best.height) <= max(_CHECKED * abs(walk.height), self._rounding)
            if not is_true:
                walk.heights[best.support.size] = np.inf
                walk.note()
                # the same minimum again is as true as it gets
                is_true = walk.size == best.support.size and self.best.height == walk.height

    def _value(self):
        return self.walk.height + self.alpha * self.walk.size

    def _least(self):
        """Gain that a move must exceed."""
        return max(_LITTLE * abs(self._value()), self._rounding)

    def _least_entry(self):
        """Gain that a feature which enters must exceed: its price, and what may be rounding."""
        return self.alpha + self._least() if self.alpha else self._trace

    def _forth_and_back(self, *, is_random):
        """Grow beyond the best size, swapping at each, and shrink back."""
        walk = self.walk
        walk.reset()
        if is_random:
            near = walk.best_entries(_NEAR_BEST)
            if near.size and walk.size < self.k:
                yield walk.enter(int(self._random.choice(near)))
        yield from self._go(self.k, self._least_entry())
        size = walk.size
        beyond = int(np.ceil(self.overshoot * size))
        if self.alpha and self.overshoot:
            # several features may be worth their price that alone are not
            beyond = max(beyond, _TOGETHER)
        yield from self._go(min(size + beyond, walk.n_units), self._trace)
        lowest = size if self.alpha == 0.0 else int(size / (1.0 + self.overshoot))
        yield from self._go(lowest if self.down_to is None else min(lowest, self.down_to), self._trace)

    def _go(self, aim, entry):
        """Towards a size, with swaps at every size, as far as it goes."""
        return self._repeat(lambda: self.walk.go(aim, entry, _LITTLE, self._rounding))

    def _swap_on(self):
        """Swap as long as it gains."""
        return self._repeat(lambda: self.walk.swap_down(_LITTLE, self._rounding))

    def _repeat(self, move):
        most = self.moves + _MOST * (self.walk.size + self.k + 1)
        is_over = False
        while not is_over and self.moves < most:
            cost, made, is_over = move()
            self.moves += made
            yield cost

    def _descend(self):
        """Swaps, and a feature more or one less, as long as one of them gains."""
        walk = self.walk
        yield from self._go(min(walk.size, self.k), np.inf)
        for _ in range(_MOST * (walk.size + 1)):
            gain, j = walk.best_entry(self._least_entry()) if walk.size < self.k else (0.0, -1)
            losses = walk.losses() if self.alpha and walk.size else np.array([np.inf])
            i = int(np.argmin(losses))
            if self.alpha - losses[i] > max(self._least(), gain - self.alpha if j >= 0 else 0.0):
                yield walk.leave(i)
            elif j >= 0:
                yield walk.enter(j)
            else:
                break
            self.moves += 1
            yield from self._swap_on()

    def _kick_on(self):
        """Exchange a few features at random, go down again, and come back if that is no better.

        After some kicks in vain half of the features are exchanged, and the search goes on from there.
        """
        walk = self.walk
        home, value, in_vain = walk.snapshot(), self._value(), 0
        for number in range(self.kicks):
            is_far = in_vain == PATIENCE
            count = max(MANY, walk.size // 2) if is_far else FEWEST + number % (MANY - FEWEST + 1)
            if walk.size < 2 or self._is_fitted():
                break
            yield walk.kick(min(count, walk.size - 1), self._noise)
            self.moves += 2 * count
            yield from self._descend()
            in_vain += 1
            if is_far or self._value() < value - self._least():
                walk.restart(walk.support.copy())
                walk.note()
                home, value, in_vain = walk.snapshot(), self._value(), 0
            else:
                walk.restore(home)

    def _is_fitted(self):
        """Whether all is fitted, so that whatever follows is rounding."""
        return self.walk.gram.constant > 0.0 and self.walk.height <= self._rounding

    def _kick_in_core(self):
        """The same among the features whose rows of the Gram matrix are there, and more of them the longer it goes on.

        What is better there goes down among all features.
        """
        walk, left, core, budget = self.walk, self.kicks, None, 0.0
        features, vain = np.empty(0, dtype=np.intp), 0
        while left and walk.size > 1 and not self._is_fitted():
            batch = min(left, _BATCH)
            budget += walk.worth_of(batch)
            if budget > _WIDER * walk.known:
                yield walk.look_for(int(budget))
                core, budget = None, 0.0
            if core is None:
                features = walk.core()
                core = walk if features.size == walk.n_units else walk.narrowed(features)
            left -= batch
            value, at_once = self._value(), max(1, _AT_ONCE // core.kick_cost)
            while batch:
                count = min(batch, at_once)
                cost, over, vain = core.kick_on(
                    count, vain, self.k, self.alpha, self._least_entry(), _LITTLE, self._rounding, self._noise
                )
                batch -= count - over
                # a kick counts as one move, however many it takes
                self.moves += count - over
                yield cost
                if over:
                    core.restart(core.support.copy())
            heights = core.heights[: self.k + 1]
            size = int(np.argmin(heights + self.alpha * np.arange(heights.size)))
            if heights[size] + self.alpha * size < value - self._least():
                walk.restart(features[core.best[size][:size]])
                yield from self._descend()
                core, vain = None, 0


def find_subset(gram, k, *, alpha=0.0, ridge=0.0, is_open=None, required=(), kicks=0, seed=0, start=None, end=np.inf):
    """A good support for a quadratic: (support, coefficients on it, objective with ridge and price).

    Parameters
    ----------
    gram : GramRows
        The quadratic.
    k : int
        Most features.
    alpha, ridge : float
        Price of a feature, and weight of |w|**2 / 2.
    is_open : boolean array of shape (p,), optional
        Features that may enter.
    required : sequence of int
        Features that stay in.
    kicks, seed, start
        As of `SubsetSearch`.
    end : float
        Value of time.perf_counter() after which the best so far is returned.
    """
    search = SubsetSearch(SubsetState(gram, ridge, is_open, required), k, alpha, kicks=kicks, seed=seed, start=start)
    for _ in search.run():
        if time.perf_counter() > end:
            break
    walk, best = search.walk, search.best
    walk.restart(np.sort(best.support))
    return walk.support.copy(), walk.b.copy(), walk.height + alpha * walk.size
