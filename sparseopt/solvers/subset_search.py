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
# Features among which a kick chooses what it brings in.
_NEAR_BEST = 8
# Features near the best support among which kicks are made, as a multiple of k, and kicks before they are chosen anew.
_NEAR, _ROUND = 8, 20
# Moves of one descent for each feature of the support, at most; only rounding could lead in circles.
_MOVES = 50


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
    """

    def __init__(self, walk, k, alpha=0.0, *, overshoot=0.5, kicks=0, restarts=0, seed=0, start=None):
        self.walk, self.k, self.alpha = walk, k, alpha
        self.overshoot, self.kicks, self.restarts = overshoot, kicks, restarts
        self.start = None if start is None else np.asarray(start, dtype=np.intp)
        self.by_size, self.moves = {}, 0
        self._random = np.random.default_rng(seed)
        self._marks = np.random.default_rng(0).integers(1 << 62, size=walk.n_units)
        self._visited = set()
        self._scale = abs(walk.gram.constant) or 0.5 * float(np.sum(walk.explained_alone()))

    @property
    def best(self):
        """The best support of at most k features."""
        return min(
            (found for size, found in self.by_size.items() if size <= self.k),
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
        yield from self._settle()
        yield from self._kick_on()

    def _least(self):
        """Gain that a move must exceed."""
        height = self.walk.height + self.alpha * self.walk.size
        return max(_LITTLE * abs(height), _ROUNDING * self.walk.gram.rounding * self._scale)

    def _forth_and_back(self, *, random):
        """Grow beyond the best size, swapping at each, and shrink back."""
        walk = self.walk
        walk.reset()
        while walk.size < self.k:
            gain, j = self._any_entry() if random and not walk.size else walk.best_entry(self._rounding())
            if j < 0 or (gain <= self.alpha and self.alpha > 0.0):
                break
            yield from self._enter(j)
            yield from self._swap_on()
        size = walk.size
        for _ in range(int(np.ceil(self.overshoot * size))):
            _, j = walk.best_entry(self._rounding())
            if j < 0:
                break
            yield from self._enter(j)
            yield from self._swap_on()
        lowest = size if self.alpha == 0.0 else max(int((1.0 - self.overshoot) * size), 0)
        while walk.size > lowest:
            losses = walk.losses()
            i = int(np.argmin(losses)) if losses.size else -1
            if i < 0 or losses[i] == np.inf:
                break
            walk.leave(i)
            yield from self._swap_on()

    def _rounding(self):
        """Gain of a feature that may be rounding, so that it is not worth a place."""
        return _ROUNDING * self.walk.gram.rounding**2 * self._scale

    def _any_entry(self):
        """A feature at random from those that would gain most."""
        near = self.walk.best_entries(4 * _NEAR_BEST)
        return (np.inf, int(self._random.choice(near))) if near.size else (0.0, -1)

    def _enter(self, j):
        cost = self.walk.enter(j)
        self.moves += 1
        yield cost

    def _swap_on(self):
        """Swap as long as it gains."""
        walk = self.walk
        for _ in range(_MOVES * (walk.size + 1)):
            walk.refresh()
            gain, i, j = walk.best_swap(self._least())
            if j < 0:
                break
            self.moves += 1
            yield walk.swap(i, j)
        self._record()

    def _descend(self):
        """Whatever gains most: a feature more, one less, a swap; False-like where the end was seen before."""
        walk = self.walk
        for _ in range(_MOVES * (walk.size + 1)):
            walk.refresh()
            mark = self._mark()
            if mark in self._visited:
                return
            self._visited.add(mark)
            least = self._least()
            while walk.size > self.k:
                walk.leave(int(np.argmin(walk.losses())))
            entry, j = walk.best_entry(self.alpha + (least if self.alpha else self._rounding()))
            entry -= self.alpha
            if j >= 0 and walk.size < self.k and not self.alpha:
                yield from self._enter(j)
                continue
            losses = walk.losses() if self.alpha and walk.size else np.array([np.inf])
            exit_gain = self.alpha - float(np.min(losses))
            swap, i, new = walk.best_swap(max(least, exit_gain, entry if walk.size < self.k else 0.0))
            if new >= 0:
                self.moves += 1
                yield walk.swap(i, new)
            elif exit_gain > max(least, entry if walk.size < self.k else 0.0):
                walk.leave(int(np.argmin(losses)))
                yield walk.cost
            elif j >= 0 and walk.size < self.k:
                yield from self._enter(j)
            else:
                break
        self._record()

    def _settle(self):
        """Go to the best support, make the state anew from the Gram matrix, and see that no move gains."""
        self.walk.restart(self.best.support)
        self._visited.clear()
        yield self.walk.cost
        yield from self._descend()

    def _kick_on(self):
        """Kicks among the features near the best support; what they find goes down among all."""
        made, wide = 0, _NEAR * self.k
        while made < self.kicks:
            count = min(self.kicks - made, _ROUND)
            best = self.best
            near = self.walk.near(wide)
            inner = SubsetSearch(self.walk.narrow(near), self.k, self.alpha, seed=int(self._random.integers(1 << 62)))
            inner.walk.restart(np.searchsorted(near, best.support))
            inner._record()
            yield self.walk.cost
            for number in range(count):
                yield from inner._kick(number)
            made += count
            self.moves += inner.moves
            found = inner.best
            if found.height + self.alpha * found.support.size < self._value() - self._least():
                self.walk.restart(near[found.support])
                yield self.walk.cost
                yield from self._descend()
            else:
                wide *= 2

    def _kick(self, number):
        """Exchange a few features at random, go down again, and come back if that is no better."""
        walk, before = self.walk, self._value()
        home = walk.snapshot()
        places = np.flatnonzero(walk.losses() < np.inf)
        count = min(places.size, 2 + number % 3)
        for _ in range(count):
            places = np.flatnonzero(walk.losses() < np.inf)
            walk.leave(int(self._random.choice(places)))
            yield walk.cost
        for _ in range(count):
            near = walk.best_entries(_NEAR_BEST)
            if near.size == 0:
                break
            yield from self._enter(int(self._random.choice(near)))
        yield from self._descend()
        if not self._value() < before - self._least():
            walk.restore(home)

    def _value(self):
        return self.walk.height + self.alpha * self.walk.size

    def _mark(self):
        return int(np.bitwise_xor.reduce(self._marks[self.walk.support], initial=0))

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
