"""The search for a best subset: grow, swap, shrink back, kick; one move at a time.

What is searched is a *walk*, which knows the value of every move from where it stands and makes
moves: `SubsetState` for single features whose coefficients solve a linear system, and others for
groups, bounds and hierarchies. The search decides which moves to make.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from sparseopt.solvers.subset_state import SubsetState

# Relative gain below which a move is rounding, in units of that of the Gram matrix; and of the objective itself.
_ROUNDING, _LITTLE = 8.0, 1e-10
# Features, most promising first, of which a random beginning takes one.
_NEAR_BEST = 32
# Swaps between two looks at the time, and at most of one descent for each feature: only rounding could lead in circles.
_AT_ONCE, _MOST = 16, 50
# Features that are brought in together where none is worth its price.
_TOGETHER = 3
# Fewest and most features that a kick exchanges.
_KICK = (2, 6)


@dataclass(frozen=True)
class Found:
    """A support that was found: its features, coefficients, and the minimum over it without any price."""

    height: float
    support: np.ndarray
    w: np.ndarray


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
        self.by_size, self.moves = {}, 0
        walk.is_long = kicks > 0
        self._random = np.random.default_rng(seed)
        self._noise = self._random.integers(1 << 63, size=1, dtype=np.uint64)
        self._scale = abs(walk.gram.constant) or 0.5 * float(np.sum(walk.explained_alone()))

    @property
    def best(self):
        """The best support of at most k features."""
        return self.best_of(self.k)

    def best_of(self, k):
        """The best support of at most k features, k being no more than that of the search."""
        return min(
            (found for size, found in self.by_size.items() if size <= k),
            key=lambda found: (found.height + self.alpha * found.support.size, found.support.size),
        )

    def run(self):
        """A generator that makes one move after another and yields what each has cost, in entries of memory."""
        walk = self.walk
        self._record()
        if self.start is not None:
            walk.restart(self.start)
            yield from self._descend()
        yield from self._forth_and_back(random=False)
        for _ in range(self.restarts):
            yield from self._forth_and_back(random=True)
        # afresh from the Gram matrix, to see that no move gains
        walk.restart(self.best.support)
        yield from self._descend()
        yield from self._kick_on()

    def _value(self):
        return self.walk.height + self.alpha * self.walk.size

    def _least(self):
        """Gain that a move must exceed."""
        return max(_LITTLE * abs(self._value()), _ROUNDING * self.walk.gram.rounding * self._scale)

    def _least_entry(self):
        """Gain that a feature which enters must exceed: its price, and what may be rounding."""
        if self.alpha:
            return self.alpha + self._least()
        return _ROUNDING * self.walk.gram.rounding**2 * self._scale

    def _forth_and_back(self, *, random):
        """Grow beyond the best size, swapping at each, and shrink back."""
        walk = self.walk
        walk.reset()
        while walk.size < self.k:
            j = self._any_entry() if random and walk.size == 0 else walk.best_entry(self._least_entry())[1]
            if j < 0:
                break
            yield from self._enter(j)
        size = walk.size
        beyond = int(np.ceil(self.overshoot * size))
        if self.alpha and self.overshoot:
            # several features may be worth their price that alone are not
            beyond = max(beyond, _TOGETHER)
        for _ in range(beyond):
            j = walk.best_entry(self._least_entry() - self.alpha)[1]
            if j < 0:
                break
            yield from self._enter(j)
        lowest = size if self.alpha == 0.0 else int(size / (1.0 + self.overshoot))
        if self.down_to is not None:
            lowest = min(lowest, self.down_to)
        while walk.size > lowest:
            losses = walk.losses()
            i = int(np.argmin(losses))
            if losses[i] == np.inf:
                break
            yield walk.leave(i)
            yield from self._swap_on()

    def _any_entry(self):
        """A feature at random from those that would gain most."""
        near = self.walk.best_entries(_NEAR_BEST)
        return int(self._random.choice(near)) if near.size else -1

    def _enter(self, j):
        self.moves += 1
        yield self.walk.enter(j)
        yield from self._swap_on()

    def _swap_on(self):
        """Swap as long as it gains."""
        walk = self.walk
        for _ in range(0, _MOST * (walk.size + 1), _AT_ONCE):
            walk.refresh()
            made, is_over = walk.swap_down(self._least(), _AT_ONCE)
            self.moves += made
            yield (made + 1) * walk.cost
            if is_over:
                break
        self._record()

    def _descend(self):
        """Swaps, and a feature more or one less, as long as one of them gains."""
        walk = self.walk
        for _ in range(_MOST * (walk.size + 1)):
            while walk.size > self.k and np.min(walk.losses()) < np.inf:
                yield walk.leave(int(np.argmin(walk.losses())))
            yield from self._swap_on()
            gain, j = walk.best_entry(self._least_entry()) if walk.size < self.k else (0.0, -1)
            losses = walk.losses() if self.alpha and walk.size else np.array([np.inf])
            i = int(np.argmin(losses))
            if self.alpha - losses[i] > max(self._least(), gain - self.alpha if j >= 0 else 0.0):
                self.moves += 1
                yield walk.leave(i)
            elif j >= 0:
                self.moves += 1
                yield walk.enter(j)
            else:
                break
        self._record()

    def _kick_on(self):
        """Exchange a few features at random, go down again, and come back if that is no better."""
        walk = self.walk
        home = walk.snapshot()
        fewest, most = _KICK
        for number in range(self.kicks):
            before, count = self._value(), fewest + number % (most - fewest + 1)
            if walk.size < 2:
                break
            yield walk.kick(min(count, walk.size - 1), self._noise)
            yield from self._descend()
            if self._value() < before - self._least():
                walk.restart(walk.support.copy())
                self._record()
                home = walk.snapshot()
            else:
                walk.restore(home)

    def _record(self):
        """Remember where the walk stands, if it is the best of its size."""
        walk = self.walk
        known = self.by_size.get(walk.size)
        if known is None or walk.height < known.height:
            self.by_size[walk.size] = Found(walk.height, walk.support.copy(), walk.b.copy())


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
    best = search.best
    order = np.argsort(best.support)
    return best.support[order], best.w[order], best.height + alpha * best.support.size
