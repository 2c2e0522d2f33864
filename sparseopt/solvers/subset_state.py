"""A support, the minimum over it, and what every change of it would gain; see `kernels/swaps.py` for the formulas.

The state is updated from one support to the next in O(k p) and made anew from rows of the Gram matrix
every now and then, so that rounding does not grow.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from sparseopt.kernels.swaps import best_swap, enter, kick, leave, swap_down

# A feature whose part outside of the span of the support is smaller than rounding to this power is a combination of it.
_COLLINEAR = 0.6
# Changes after which a state is made anew.
_STALE = 64
# Rows of the Gram matrix that are computed with one that is needed: sixteen take three times as long as one.
_AHEAD = 16


class SubsetState:
    """Q, C, b, c and d of a support, whose features stand in the order in which they came.

    Parameters
    ----------
    gram : GramRows
        Of one response.
    ridge : float
        Added to the diagonal of G.
    is_open : boolean array of shape (p,), optional
        Features that may enter; all by default.
    required : sequence of int
        Features that are in and stay.
    """

    def __init__(self, gram, ridge=0.0, is_open=None, required=(), capacity=16):
        p = gram.n_features
        self.gram, self.ridge = gram, ridge
        self.diagonal = gram.diagonal + ridge
        floor = np.where(self.diagonal > 0.0, gram.rounding**_COLLINEAR * self.diagonal, np.inf)
        self._floor = floor if is_open is None else np.where(is_open, floor, np.inf)
        self.floor = self._floor.copy()
        self.c, self.d = gram.pull.copy(), self.diagonal.copy()
        self.C, self.Q, self._b = np.empty((capacity, p)), np.empty((capacity, capacity)), np.empty(capacity)
        self.features = np.empty(capacity, dtype=np.intp)
        self.size, self.changes = 0, 0
        self.height = gram.constant
        #: Whether moves will be many, so that a kernel which makes one after another is worth its compilation.
        self.is_long = False
        self._place = np.empty(2, dtype=np.int64)
        self._required = np.zeros(p, dtype=bool)
        self._required[np.asarray(required, dtype=np.intp)] = True
        self.reset()

    @property
    def b(self):
        """Coefficients of the support."""
        return self._b[: self.size]

    @property
    def support(self):
        """Features of the support, as they came."""
        return self.features[: self.size]

    def best_entry(self, least):
        """(gain, feature) of the best feature to enter; feature -1 where none gains more than `least`."""
        gains = self._entry_gains()
        j = int(np.argmax(gains)) if gains.size else -1
        return (0.5 * float(gains[j]), j) if j >= 0 and 0.5 * gains[j] > max(least, 0.0) else (least, -1)

    def _entry_gains(self):
        """Twice what each feature would gain, were it to enter; zero where it may not, no more than rounding where it is a combination."""
        gains = self.c * self.c
        gains /= np.maximum(self.d, self.floor)
        return gains

    def best_entries(self, count):
        """The features that would gain most, so many of them at most, in the order of their indices."""
        gains = self._entry_gains()
        count = min(count, int(np.count_nonzero(gains)))
        return np.sort(np.argpartition(-gains, count - 1)[:count]) if count else np.empty(0, dtype=np.intp)

    def best_swap(self, least):
        """(gain, place, feature) of the best swap that gains more than `least`; feature -1 where there is none."""
        stays = self._required[self.support]
        gain = best_swap(self.C, self.c, self.d, self.floor, self.Q, self.b, stays, max(least, 0.0), self._place)
        return gain, int(self._place[0]), int(self._place[1])

    def losses(self):
        """What the minimum would rise by without each feature of the support; infinite for those that stay."""
        losses = 0.5 * self.b**2 / np.diagonal(self.Q)[: self.size]
        return np.where(self._required[self.support], np.inf, losses)

    def kick(self, count, noise):
        """Exchange some features at random for others of the best; `noise` is the state of a generator."""
        size, left = self.size, count
        links, shares, place, b = np.empty(size), np.empty(size), np.empty(3, dtype=np.int64), self.b
        while True:
            self.size = kick(
                self.gram.table, self.gram.slots, self.diagonal, self.C, self.c, self.d, self.floor, self.Q, b,
                self._floor, self.features, self._required, links, shares, noise, self.size, left, place,
            )  # fmt: skip
            if place[1] < 0:
                break
            left = 0
            self._look_ahead(int(place[1]))
        self.changes += 2 * count
        self.height = self.gram.constant - 0.5 * float(self.b @ self.gram.pull[self.support])
        return 2 * count * self.cost

    def swap_down(self, least, most):
        """Make the best swaps while they gain more than `least`, at most so many: (number made, whether none is left)."""
        return self._swap_fast(least, most) if self.is_long else self._swap_slowly(least, most)

    def _swap_slowly(self, least, most):
        for made in range(most):
            _, i, j = self.best_swap(least)
            if j < 0:
                return made, True
            self.leave(i)
            self.enter(j)
        return most, False

    def _swap_fast(self, least, most):
        size = self.size
        links, shares, place = np.empty(size), np.empty(size), np.empty(3, dtype=np.int64)
        self.height -= swap_down(
            self.gram.table, self.gram.slots, self.diagonal, self.C, self.c, self.d, self.floor, self.Q, self.b,
            self._floor, self.features, self._required, links, shares, least, most, place,
        )  # fmt: skip
        _, j, made = place.tolist()
        self.changes += made
        if j >= 0 and not self.gram.knows(j):
            self._look_ahead(j)
        if j == -2:
            self.size -= 1
        return made, j == -1

    def near(self, count):
        """The features of the support, and so many others that would gain most in the place of one of them; sorted."""
        size = self.size
        inverse = 1.0 / np.diagonal(self.Q)[:size, None]
        num = self.c + (self.b[:, None] * inverse) * self.C[:size]
        den = self.d + inverse * self.C[:size] ** 2
        gains = np.where(den > self.floor, num * num / np.maximum(den, np.finfo(np.float64).tiny), -np.inf)
        gains = np.max(gains - 2.0 * self.losses()[:, None], axis=0, initial=-np.inf)
        count = min(count, int(np.count_nonzero(gains > -np.inf)))
        others = np.argpartition(-gains, count - 1)[:count] if count else np.empty(0, dtype=np.intp)
        return np.union1d(self.support, others)

    def narrow(self, features):
        """A state of the same quadratic that knows some features only, by their places among them."""
        required = np.flatnonzero(self._required[features])
        return SubsetState(self.gram.narrow(features), self.ridge, self._floor[features] < np.inf, required)

    def explained_alone(self):
        """What each feature alone would explain, twice over."""
        return np.divide(self.gram.pull**2, self.diagonal, out=np.zeros_like(self.diagonal), where=self._floor < np.inf)

    @property
    def n_units(self):
        """Number of features."""
        return self.diagonal.size

    @property
    def cost(self):
        """Entries that a move goes through, and a look for the next one."""
        return 3 * (self.size + 1) * self.diagonal.size

    def reset(self):
        """Go back to the features that are required."""
        self.restart(np.flatnonzero(self._required))

    def enter(self, j):
        """Take feature j in; nothing changes where it is a combination of the support. The cost is returned."""
        size = self.size
        if size == len(self.Q):
            self._grow()
        cost = self.cost
        if not self.gram.knows(j):
            cost += self._look_ahead(j)
        row = self.gram.row(j)
        shares, links = self.C[:size, j].copy(), row[self.support]
        # afresh, since d has been updated many times
        pivot = float(self.diagonal[j] - links @ shares)
        if not pivot > self._floor[j]:
            self.floor[j] = np.inf
            return cost
        slope = float(self.c[j])
        enter(self.C, self.c, self.d, self.Q, self._b, row, links, shares, pivot, slope)
        self.features[size] = j
        self.floor[j] = np.inf
        self.size, self.changes = size + 1, self.changes + 1
        self.height -= 0.5 * slope * slope / pivot
        return cost

    def _look_ahead(self, j):
        """Compute the row of feature j of the Gram matrix, and with it rows that are likely to be asked for."""
        # the more were asked for, the more will be, and many at once are cheaper each
        likely = self.best_entries(max(_AHEAD, self.gram.computed // 2))
        new = [i for i in likely.tolist() if i != j and not self.gram.knows(i)]
        self.gram.prepare(np.array([j, *new], dtype=np.intp))
        return self.gram.cost * (1 + len(new))

    def leave(self, i):
        """Take the feature at place i out; the last one moves there. The cost is returned."""
        j, inverse, coefficient = int(self.features[i]), float(self.Q[i, i]), float(self._b[i])
        shares = -self.Q[: self.size, i] / inverse
        leave(self.C, self.c, self.d, self.Q, self.b, i)
        last = self.size - 1
        self.features[i], shares[i] = self.features[last], shares[last]
        self.c[j], self.d[j], self.C[:last, j] = coefficient / inverse, 1.0 / inverse, shares[:last]
        self.floor[j] = self._floor[j]
        self.size, self.changes = last, self.changes + 1
        self.height += 0.5 * coefficient * coefficient / inverse
        return self.cost

    def refresh(self):
        """Make the state anew, if it has changed often."""
        if self.changes >= _STALE:
            self.restart(self.support.copy())

    def restart(self, support):
        """Make the state of a support from rows of the Gram matrix; features that are combinations of others stay out."""
        size = len(support)
        while size > len(self.Q):
            self._grow()
        rows = self.gram.rows(support)
        block = rows[:, support] + self.ridge * np.eye(size)
        scale = np.sqrt(np.maximum(self.diagonal[support], np.finfo(np.float64).tiny))
        factor, fault = lapack.dpotrf(block / np.outer(scale, scale), lower=1) if size else (block, 0)
        if fault or np.any(factor.diagonal() ** 2 <= self.gram.rounding**_COLLINEAR):
            self._one_by_one(support)
            return
        inverse = lapack.dpotri(factor, lower=1)[0] if size else block
        inverse = (np.tril(inverse) + np.tril(inverse, -1).T) / np.outer(scale, scale)
        self.Q[:size, :size] = inverse
        np.matmul(inverse, rows, out=self.C[:size])
        b = self._b[:size] = inverse @ self.gram.pull[support]
        self.c = self.gram.pull - b @ rows
        self.d = self.diagonal - np.einsum("ij,ij->j", self.C[:size], rows)
        self.floor[:] = self._floor
        self.floor[support] = np.inf
        self.features[:size] = support
        self.size, self.changes = size, 0
        self.height = self.gram.constant - 0.5 * float(b @ self.gram.pull[support])

    def _one_by_one(self, support):
        self.size, self.changes, self.height = 0, 0, self.gram.constant
        self.c, self.d = self.gram.pull.copy(), self.diagonal.copy()
        self.floor[:] = self._floor
        for j in support:
            if self.floor[j] < np.inf:
                self.enter(int(j))

    def snapshot(self):
        """What `restore` needs to come back here."""
        size = self.size
        parts = (self.C[:size].copy(), self.c.copy(), self.d.copy(), self.floor.copy())
        return size, self.changes, self.height, self.Q[:size, :size].copy(), self.b.copy(), self.support.copy(), parts

    def restore(self, snapshot):
        """Come back to a snapshot."""
        size, self.changes, self.height, Q, b, support, (C, c, d, floor) = snapshot
        self.size = size
        self.Q[:size, :size], self._b[:size], self.features[:size] = Q, b, support
        self.C[:size], self.c[:], self.d[:], self.floor[:] = C, c, d, floor

    def _grow(self):
        """Room for twice as many features."""
        capacity, p = self.C.shape
        for name, shape in (("C", (2 * capacity, p)), ("Q", (2 * capacity,) * 2), ("_b", (2 * capacity,))):
            old, new = getattr(self, name), np.empty(shape)
            new[tuple(map(slice, old.shape))] = old
            setattr(self, name, new)
        self.features = np.concatenate([self.features, np.empty(capacity, dtype=np.intp)])
