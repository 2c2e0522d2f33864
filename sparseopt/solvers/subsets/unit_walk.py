"""Walks over supports whose units are groups, rows or features in bounds, or which must keep rules.

Where `SubsetState` updates its numbers from one support to the next, these compute them anew from rows of the
Gram matrix after every move, which costs K**2 p for K coefficients in p: slower, but each is a page of linear algebra.
The names Q, C, b, c and d are those of `kernels/swaps.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

# Part of the largest eigenvalue below which a direction counts as flat, as a power of the rounding of the Gram matrix.
FLAT = 0.6
# Moves, best first, that are tried by a refit where their values are only bounds of what they gain.
_TRIALS = 16
# Closed features whose entry together with their ancestors is tried.
_WITH_ANCESTORS = 8


class SupportRules:
    """Which units may be in: required and forbidden ones, and those that need others."""

    def __init__(self, n_units, required=(), forbidden=(), parents=None):
        self.is_required = np.zeros(n_units, dtype=bool)
        self.is_required[list(required)] = True
        self.is_allowed = np.ones(n_units, dtype=bool)
        self.is_allowed[list(forbidden)] = False
        self.parents = {} if parents is None else dict(parents)

    def is_open(self, members):
        """Units that may enter by themselves."""
        is_in = np.zeros(self.is_allowed.size, dtype=bool)
        is_in[members] = True
        free = self.is_allowed & ~is_in
        for child, parents in self.parents.items():
            free[child] &= is_in[list(parents)].all()
        return free

    def stays(self, members):
        """For each member whether it must stay: required, or a parent of another member."""
        needed = {parent for j in members.tolist() for parent in self.parents.get(j, ())}
        return self.is_required[members] | np.isin(members, list(needed))

    def children_of(self, j):
        """Units that need unit j."""
        return [child for child, parents in self.parents.items() if j in parents]

    def with_ancestors(self, j, members):
        """Unit j and what must enter before it, itself last."""
        inside, order = set(members.tolist()), []

        def visit(unit):
            for parent in self.parents.get(unit, ()):
                if parent not in inside:
                    visit(parent)
            if unit not in inside:
                inside.add(unit)
                order.append(unit)

        visit(int(j))
        return np.array(order, dtype=np.intp)


class UnitWalk(ABC):
    """A walk over sets of units; a subclass says what units are, and what moves gain.

    Nothing is changed in place, so that a snapshot is a list of references.
    """

    #: Whether moves gain exactly what is said; where not, a refit has to agree.
    is_exact: bool
    #: Whether all numbers are as they were computed, without updates.
    is_new = True

    def __init__(self, gram, subset, rules):
        self.gram, self.subset, self.rules = gram, subset, rules
        self.flat = gram.rounding**FLAT
        #: The least minimum of each size that has been seen, and its members.
        self.heights, self.best = np.full(self.n_units + 1, np.inf), {}
        self.reset()

    @property
    @abstractmethod
    def n_units(self):
        """Number of units."""

    @abstractmethod
    def _renew(self):
        """Compute all numbers of the present members."""

    @abstractmethod
    def _height_of(self, members):
        """The minimum over coefficients of some units."""

    @abstractmethod
    def _entry_gains(self):
        """What each unit would gain, were it to enter."""

    @abstractmethod
    def _swap_gains(self, i):
        """What each unit would gain in the place of member i."""

    @abstractmethod
    def _exit_losses(self):
        """What the exit of each member would cost."""

    @property
    def size(self):
        """Number of members."""
        return self.members.size

    @property
    def support(self):
        """Units that are in, as they came."""
        return self.members

    @property
    def cost(self):
        """Entries that a move goes through."""
        return 10 * (self.size + 1) * self.gram.n_features

    def explained_alone(self):
        """What each unit alone would explain, twice over."""
        return 2.0 * self._entry_gains()

    def reset(self):
        """Go back to the units that are required."""
        self.restart(np.flatnonzero(self.rules.is_required))

    def restart(self, members):
        """Go to a set of units, with what they need and is required."""
        found = np.flatnonzero(self.rules.is_required)
        for j in members:
            if self.rules.is_allowed[j]:
                found = np.append(found, self.rules.with_ancestors(j, found))
        self.members = found.astype(np.intp)
        self._renew()

    def snapshot(self):
        """What `restore` needs to come back here."""
        return dict(self.__dict__)

    def restore(self, snapshot):
        """Come back to a snapshot."""
        self.__dict__.update(snapshot)

    def enter(self, j):
        """Take unit j in, and what it needs."""
        self.members = np.append(self.members, self.rules.with_ancestors(j, self.members))
        self._renew()
        return self.cost

    def leave(self, i):
        """Take member i out."""
        self.members = np.delete(self.members, i)
        self._renew()
        return self.cost

    def losses(self):
        """What the minimum would rise by without each member; infinite for those that stay."""
        return np.where(self.rules.stays(self.members), np.inf, self._exit_losses())

    def best_entries(self, count):
        """Units that may enter by themselves and would gain most, so many at most, in the order of their numbers."""
        gains = np.where(self.rules.is_open(self.members), self._entry_gains(), 0.0)
        count = min(count, int(np.count_nonzero(gains > 0.0)))
        return np.sort(np.argpartition(-gains, count - 1)[:count]) if count else np.empty(0, dtype=np.intp)

    def best_entry(self, least):
        """(gain, unit) of the best unit to enter, with all that it needs; unit -1 where none gains more than `least`."""
        gains, is_open = self._entry_gains(), self.rules.is_open(self.members)
        best = max(least, 0.0), -1
        tried = np.where(is_open, gains, -np.inf)
        for j in np.argsort(-tried, kind="stable")[: 1 if self.is_exact else _TRIALS].tolist():
            if not tried[j] > best[0]:
                break
            gain = tried[j] if self.is_exact else self.height - self._height_of(np.append(self.members, j))
            best = max(best, (float(gain), j), key=lambda found: found[0])
        if self.rules.parents:
            closed = np.where(~is_open & self.rules.is_allowed, gains, -np.inf)
            closed[self.members] = -np.inf
            for j in np.argsort(-closed, kind="stable")[:_WITH_ANCESTORS].tolist():
                new = self.rules.with_ancestors(j, self.members)
                if closed[j] > 0.0 and self.rules.is_allowed[new].all():
                    gain = self.height - self._height_of(np.append(self.members, new))
                    # more places, or prices, than one
                    gain = gain - self.subset.alpha * (new.size - 1) if self.subset.alpha else gain / new.size
                    best = max(best, (float(gain), j), key=lambda found: found[0])
        return best

    def swap_down(self, part, least):
        """Make the best swap: (cost, number of them, whether none is left).

        It must gain more than a part of the minimum, and more than `least`.
        """
        move = self._best_swap(max(part * abs(self.height), least))
        if move is None:
            self.note()
            return self.cost, 0, True
        i, j = move
        self.members = np.append(np.delete(self.members, i), j)
        self._renew()
        return self.cost, 1, False

    def go(self, aim, entry, part, least):
        """Make a move on the way to a size, with swaps at every size: (cost, number of them, whether it is reached).

        A unit that enters must gain more than `entry`.
        """
        cost, made, is_over = self.swap_down(part, least)
        if not is_over:
            return cost, made, False
        if self.size < aim:
            _, j = self.best_entry(entry)
            return (cost, 0, True) if j < 0 else (cost + self.enter(j), 1, False)
        losses = self.losses() if self.size > aim else np.array([np.inf])
        i = int(np.argmin(losses))
        return (cost, 0, True) if losses[i] == np.inf else (cost + self.leave(i), 1, False)

    def note(self):
        """Note the present members, if they are the best so far of their number."""
        size = self.size
        if self.height < self.heights[size]:
            self.heights[size], self.best[size] = self.height, self.members

    def _best_swap(self, least):
        is_open, stays = self.rules.is_open(self.members), self.rules.stays(self.members)
        found = []
        for i in range(self.size):
            if stays[i]:
                continue
            gains = np.where(is_open, self._swap_gains(i), -np.inf)
            gains[self.rules.children_of(int(self.members[i]))] = -np.inf
            best = np.argsort(-gains, kind="stable")[: 1 if self.is_exact else 4]
            found += [(-float(gains[j]), i, int(j)) for j in best if gains[j] > least]
        for _, i, j in sorted(found)[:_TRIALS]:
            trial = np.append(np.delete(self.members, i), j)
            if self.is_exact or self.height - self._height_of(trial) > least:
                return i, j
        return None

    def kick(self, count, noise):
        """Exchange some members at random for others of the best; `noise` is the seed of a generator, and changed."""
        random = np.random.default_rng(int(noise[0]))
        noise[0] = random.integers(1 << 63)
        cost, target = 0, self.size
        for _ in range(count):
            places = np.flatnonzero(~self.rules.stays(self.members))
            if places.size:
                cost += self.leave(int(random.choice(places)))
        # what bounds hold at zero enters without being in afterwards
        for _ in range(2 * count):
            near = self.best_entries(2 * _TRIALS)
            if near.size == 0 or self.size >= target:
                break
            cost += self.enter(int(random.choice(near)))
        return cost

    def _inverse(self, rows, features):
        """The inverse on the support, and whether nothing in it is a combination of the rest, so that formulas hold."""
        block = rows[:, features] + self.subset.ridge * np.eye(features.size)
        inverse = inverse_of(block, self.flat)
        rank = float(np.einsum("ij,ji->", inverse, block))
        return inverse, rank > features.size - 0.5


def inverse_of(block, flat):
    """Inverse of a positive semidefinite matrix, without its flat directions; also of a stack of them."""
    scale = np.sqrt(np.einsum("...ii->...i", block))
    scale = np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(block / (scale[..., :, None] * scale[..., None, :]))
    inverse = np.where(values > flat, 1.0 / np.where(values > flat, values, 1.0), 0.0)
    return np.einsum("...ij,...j,...kj->...ik", vectors, inverse, vectors) / (scale[..., :, None] * scale[..., None, :])
