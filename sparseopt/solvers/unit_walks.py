"""Walks over supports whose units are groups, rows or features in bounds, or which must keep rules.

Where `SubsetState` updates its numbers from one support to the next, these compute them anew from rows of the
Gram matrix after every move, which costs K**2 p for K coefficients in p: slower, but each is a page of linear algebra.
The names Q, C, b, c and d are those of `kernels/swaps.py`.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod

import numpy as np

from sparseopt.solvers.support_fit import best_on_support

# Part of the largest eigenvalue below which a direction counts as flat, as a power of the rounding of the Gram matrix.
_FLAT = 0.6
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

    def __init__(self, gram, subset, rules):
        self.gram, self.subset, self.rules = gram, subset, rules
        self.flat = gram.rounding**_FLAT
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
        while self.size < target:
            near = self.best_entries(2 * _TRIALS)
            if near.size == 0:
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


class RowWalk(UnitWalk):
    """Features, each with a coefficient for every response: Q and C are shared, gains are summed over responses."""

    def __init__(self, gram, subset, rules):
        self.pull = np.atleast_2d(gram.pull)
        self.diagonal = gram.diagonal + subset.ridge
        self.floor = np.where(self.diagonal > 0.0, gram.rounding**_FLAT * self.diagonal, np.inf)
        super().__init__(gram, subset, rules)

    @property
    def n_units(self):
        return self.diagonal.size

    def _renew(self):
        S = self.members
        H = self.gram.rows(S)
        self.Q, self.is_exact = self._inverse(H, S)
        self.C, self.B = self.Q @ H, self.Q @ self.pull[:, S].T
        self.c = self.pull - self.B.T @ H
        self.d = self.diagonal - np.einsum("ij,ij->j", self.C, H)
        self.height = self.gram.constant - 0.5 * float(np.sum(self.B * self.pull[:, S].T))

    @property
    def b(self):
        """Coefficients of the members, a row each where there are several responses."""
        return self.B[:, 0] if self.gram.pull.ndim == 1 else self.B

    def _height_of(self, members):
        H = self.gram.rows(members)
        Q, _ = self._inverse(H, members)
        q = self.pull[:, members].T
        return self.gram.constant - 0.5 * float(np.sum(q * (Q @ q)))

    def _entry_gains(self):
        return self._over(np.sum(self.c**2, axis=0), self.d)

    def _swap_gains(self, i):
        if not self.Q[i, i] > 0.0:  # a column of zeros
            return self._entry_gains()
        ratio, part = self.B[i] / self.Q[i, i], 1.0 / self.Q[i, i]
        num = np.sum((self.c + np.multiply.outer(ratio, self.C[i])) ** 2, axis=0)
        return self._over(num, self.d + part * self.C[i] ** 2) - 0.5 * float(self.B[i] @ ratio)

    def _over(self, num, den):
        is_curved = den > self.floor
        return np.where(is_curved, 0.5 * num / np.where(is_curved, den, 1.0), 0.0)

    def _exit_losses(self):
        Q = np.diagonal(self.Q)
        return 0.5 * np.sum(self.B**2, axis=1) / np.where(Q > 0.0, Q, np.inf)


class GroupWalk(UnitWalk):
    """Groups of features that are in or out together: the formulas with blocks in the places of numbers."""

    def __init__(self, gram, subset, rules):
        self.groups = subset.groups
        self.sizes = np.array([group.size for group in self.groups])
        self.G = [gram.block(group) + subset.ridge * np.eye(group.size) for group in self.groups]
        super().__init__(gram, subset, rules)

    @property
    def n_units(self):
        return len(self.groups)

    def _features(self, members):
        return np.concatenate([self.groups[g] for g in members]) if len(members) else np.empty(0, dtype=np.intp)

    def _renew(self):
        S = self._features(self.members)
        self.H = self.gram.rows(S)
        self.Q, self.is_exact = self._inverse(self.H, S)
        self.C, self.b = self.Q @ self.H, self.Q @ self.gram.pull[S]
        self.c = self.gram.pull - self.b @ self.H
        self.height = self.gram.constant - 0.5 * float(self.b @ self.gram.pull[S])
        starts = np.concatenate([[0], np.cumsum(self.sizes[self.members])]).astype(int)
        self.places = [slice(a, b) for a, b in itertools.pairwise(starts)]
        self.D = [G - self.C[:, group].T @ self.H[:, group] for G, group in zip(self.G, self.groups, strict=True)]

    @property
    def features(self):
        """Features of the members, in the order of `b`."""
        return self._features(self.members)

    def _height_of(self, members):
        S = self._features(members)
        Q, _ = self._inverse(self.gram.rows(S), S)
        return self.gram.constant - 0.5 * float(self.gram.pull[S] @ Q @ self.gram.pull[S])

    def _entry_gains(self):
        return self._gains(self.c, self.D)

    def _swap_gains(self, i):
        own = self.places[i]
        inner = inverse_of(self.Q[own, own], self.flat)
        C, pulled = self.C[own], inner @ self.b[own]
        D = [D + C[:, group].T @ inner @ C[:, group] for D, group in zip(self.D, self.groups, strict=True)]
        return self._gains(self.c + pulled @ C, D) - 0.5 * float(self.b[own] @ pulled)

    def _gains(self, c, D):
        """c_g' D_g^-1 c_g / 2 for each group, those of one size at once."""
        gains = np.zeros(len(self.groups))
        for size in np.unique(self.sizes):
            these = np.flatnonzero(self.sizes == size)
            blocks, own = np.array([D[g] for g in these]), np.array([c[self.groups[g]] for g in these])
            scale = np.array([np.sqrt(np.maximum(np.diagonal(self.G[g]), 1e-300)) for g in these])
            values, vectors = np.linalg.eigh(blocks / (scale[:, :, None] * scale[:, None, :]))
            parts = np.einsum("gij,gi->gj", vectors, own / scale)
            is_curved = values > self.flat
            gains[these] = 0.5 * np.sum(np.where(is_curved, parts**2 / np.where(is_curved, values, 1.0), 0.0), axis=1)
        return gains

    def _exit_losses(self):
        return np.array(
            [0.5 * float(self.b[own] @ inverse_of(self.Q[own, own], self.flat) @ self.b[own]) for own in self.places]
        )


class BoundedWalk(UnitWalk):
    """Features with bounds or an L1 norm: a move is valued as if the others were free, and made if a refit agrees.

    With the features at their bounds held, and the signs of the others as they are, the formulas hold with
    c_j beyond l1 in the place of c_j, and a step that ends at the bound of j. To free what is held and to turn
    signs can only lose less, and to keep bounds can only gain less; so values rank moves, and refits decide.
    """

    is_exact = False

    def __init__(self, gram, subset, rules):
        p = gram.n_features
        self.diagonal = gram.diagonal + subset.ridge
        self.floor = np.where(self.diagonal > 0.0, gram.rounding**_FLAT * self.diagonal, np.inf)
        self.lower = np.full(p, -np.inf) if subset.lower is None else subset.lower
        self.upper = np.full(p, np.inf) if subset.upper is None else subset.upper
        super().__init__(gram, subset, rules)

    @property
    def n_units(self):
        return self.diagonal.size

    def _fit(self, members):
        height, w = best_on_support(self.gram, self.subset, members)
        return height - self.subset.alpha * np.count_nonzero(w), w[members]

    def _height_of(self, members):
        return self._fit(members)[0]

    def _renew(self):
        self.height, w = self._fit(self.members)
        # what a bound or the L1 norm has put to zero leaves, unless it must stay
        while (gone := (w == 0.0) & ~self.rules.stays(self.members)).any():
            self.members, w = self.members[~gone], w[~gone]
        S = self.members
        self.b = w
        H = self.gram.rows(S)
        self.free = (w > self.lower[S]) & (w < self.upper[S]) & (w != 0.0)
        self.H = H
        F = S[self.free]
        self.Q, _ = self._inverse(H[self.free], F)
        self.C = self.Q @ H[self.free]
        self.c = self.gram.pull - w @ H
        self.d = self.diagonal - np.einsum("ij,ij->j", self.C, H[self.free])
        self.place = np.cumsum(self.free) - 1

    def _entry_gains(self):
        return self._gains(self.c, self.d)

    def _swap_gains(self, i):
        if self.free[i] and self.Q[self.place[i], self.place[i]] > 0.0:
            a = self.place[i]
            part = 1.0 / self.Q[a, a]
            c, d = self.c + (self.b[i] * part) * self.C[a], self.d + part * self.C[a] ** 2
        else:
            rest = self.H[i] - self.H[i, self.members[self.free]] @ self.C
            c, d = self.c + self.b[i] * rest, self.d
        return self._gains(c, d) - self._exit_loss(i)

    def _gains(self, c, d):
        is_curved = d > self.floor
        d = np.where(is_curved, d, 1.0)
        best = np.zeros(c.size)
        for slope, most in ((c, self.upper), (-c, -self.lower)):
            pull = np.maximum(slope - self.subset.l1, 0.0)
            step = np.minimum(pull / d, np.maximum(most, 0.0))
            best = np.maximum(best, step * (pull - 0.5 * d * step))
        return np.where(is_curved, best, 0.0)

    def _exit_loss(self, i):
        """What the exit of a member costs with the others in their places: free, or held."""
        w, j = float(self.b[i]), int(self.members[i])
        if self.free[i]:
            inverse = self.Q[self.place[i], self.place[i]]
            return 0.5 * w * w / inverse if inverse > 0.0 else 0.0
        slope = self.c[j] - self.subset.ridge * w - self.subset.l1 * np.sign(w)
        return slope * w + 0.5 * max(self.d[j], 0.0) * w * w

    def _exit_losses(self):
        return np.array([self._height_of(np.delete(self.members, i)) - self.height for i in range(self.size)])
