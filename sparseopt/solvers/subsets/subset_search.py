"""The search for a best subset: grow, swap, shrink back, kick; one move at a time.

What is searched is a *walk*, which knows the value of every move from where it stands and makes
moves: `SubsetState` for single features whose coefficients solve a linear system, and others for
groups, bounds and hierarchies. The search decides which moves to make.
"""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass

import numpy as np

from sparseopt.kernels.swaps import FEWEST, MANY, PATIENCE
from sparseopt.solvers.subsets.subset_state import SubsetState

# Relative gain below which a move is rounding, in units of that of the Gram matrix; and of the objective itself.
_ROUNDING, _LITTLE = 8.0, 1e-10
# Features, most promising first, of which a random beginning takes one.
_NEAR_BEST = 32
# Multiplier of a linear congruential generator (Knuth, 1997).
_FACTOR = 6364136223846793005
# Part of a minimum by which updates may have put it wrong.
_CHECKED = 1e-8
# Moves at most for each feature: only rounding could lead in circles.
_MOST = 50
# Features that are brought in together where none is worth its price.
_TOGETHER = 3
# Features of a first core, so many, or so many times k, where there are more than so many times these; and of the largest.
_CORE, _CORE_TIMES, _WIDE, _LARGEST = 128, 8, 2.0, 1024
# Growth of a core; and of the first where the Gram matrix is there.
_GROWTH, _FREE = 2, 4
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
        self._seed = seed
        # shared with the searches in cores; multiplied, so that seeds next to each other are far apart
        self._moves, self._noise = [0], np.array([(seed + 1) * _FACTOR % (1 << 64)], dtype=np.uint64)
        scale = abs(walk.gram.constant) or 0.5 * float(np.sum(walk.explained_alone()))
        self._rounding, self._trace = _ROUNDING * walk.gram.rounding * scale, _ROUNDING * walk.gram.rounding**2 * scale
        walk.note()

    @property
    def moves(self):
        """Moves made so far."""
        return self._moves[0]

    @moves.setter
    def moves(self, count):
        self._moves[0] = count

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
        size = int((heights + self.alpha * np.arange(heights.size) if self.alpha else heights).argmin())
        return Found(float(heights[size]), self.walk.best[size][:size].copy())

    def fitted(self):
        """Features and their coefficients where the search stands on the best support, made anew from float64; else None."""
        walk = self.walk
        is_there = self._is_plain and walk.is_new and self._is_home() and self.gram.rounding <= np.finfo(np.float64).eps
        return (walk.support, walk.refined()) if is_there else None

    def run(self):
        """A generator that makes one move after another and yields what each has cost, in entries of memory."""
        walk = self.walk
        if self._is_plain and not self._is_wide:
            yield walk.prepare()
        if self.start is not None:
            walk.restart(self.start)
            yield from self.descend()
        for number in range(1 + self.restarts):
            if number or self.start is not None:
                walk.reset()
            yield from self._begin(number)
        if not self._is_home():
            yield from self._go_home()
        if self._is_plain:
            yield from self._kick_in_cores()
        else:
            yield from self.descend()
            yield from self._kick_on()
        # afresh from the Gram matrix, to see that no move gains
        if not (self._is_home() and walk.is_new):
            yield from self._go_home()
            yield from self.descend()

    @property
    def _is_plain(self):
        return isinstance(self.walk, SubsetState)

    @property
    def _is_wide(self):
        """Whether kicks are made in cores: parts of the features, those that promise most."""
        return self._is_plain and self.walk.n_units > _WIDE * self._core_size

    @property
    def _core_size(self):
        return max(_CORE, _CORE_TIMES * self.k)

    def _core(self, count):
        """The search among so many features that promise most, or all where there are no more, and these."""
        p = self.walk.n_units
        if count >= p:
            self.walk.prepare()
            return self, np.arange(p)
        features = self.walk.promising(count)
        core = copy(self)
        core.walk = self.walk.narrowed(features)
        return core, features

    def _begin(self, number):
        """Grow and shrink back; where rows take time and kicks find what a core has not shown, in a core."""
        if not (self._is_wide and self.kicks and self.down_to is None and self.gram.cost):
            yield from self.forth_and_back(number)
            return
        core, features = self._core(self._core_size)
        yield core.walk.cost
        yield from core.forth_and_back(number)
        self.walk.restart(features[core.best.support])
        self.walk.note()

    def _is_home(self):
        """Whether the search stands where its best minimum is, but for rounding."""
        best = self.best
        return self._value() - self._least() <= best.height + self.alpha * best.support.size

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

    def forth_and_back(self, number):
        """Grow beyond the best size, swapping at each, and shrink back; but the first time from a feature at random."""
        walk = self.walk
        if number:
            near = walk.best_entries(_NEAR_BEST)
            if near.size and walk.size < self.k:
                yield walk.enter(int(np.random.default_rng((self._seed, number)).choice(near)))
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

    def descend(self):
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
            yield from self.descend()
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

    def _kick_in_cores(self):
        """The same among those features that promise most, and more of them the longer it goes on.

        What is better there goes down among all. A core grows when kicks in it have taken as long as the next takes to be made.
        """
        walk, left, most = self.walk, self.kicks, min(self.walk.n_units, _LARGEST)
        count = self._core_size * (1 if self.gram.cost else _FREE)
        if not self._is_wide:
            count = most = walk.n_units
        while left:
            core, features = self._core(count)
            yield core.walk.cost
            yield from core.descend()
            before, count = self._value(), min(_GROWTH * count, most)
            batch = left if core is self else min(left, max(1, walk.core_cost(count) // core.walk.kick_cost))
            left -= batch
            yield from core.kick(batch)
            if core is not self:
                best = core.best
                if best.height + self.alpha * best.support.size < before - self._least():
                    walk.restart(features[best.support])
                    walk.note()
                yield from self.descend()

    def kick(self, left):
        """Kicks of a plain walk: each exchanges a few features at random and goes down again."""
        walk, vain = self.walk, 0
        while left and walk.size > 1 and not self._is_fitted():
            count = min(left, max(1, _AT_ONCE // walk.kick_cost))
            cost, over, vain = walk.kick_on(
                count, vain, self.k, self.alpha, self._least_entry(), _LITTLE, self._rounding, self._noise
            )
            left -= count - over
            # a kick counts as one move, however many it takes
            self.moves += count - over
            yield cost


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
