"""A support, the minimum over it, and what every change of it would gain; see `kernels/swaps.py` for the formulas.

The state is updated from one support to the next in O(k p) and made anew from rows of the Gram matrix
every now and then, so that rounding does not grow.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from sparseopt.kernels import swaps
from sparseopt.kernels.swaps import make_moves

# A feature whose part outside of the span of the support is smaller than rounding to this power is a combination of it.
_COLLINEAR = 0.6
# Changes after which a state is made anew, and kicks that are kept; entries that moves go through between two looks at the time.
_STALE, _KEPT, _AT_ONCE = 64, 4, 2_000_000
# Rows of the Gram matrix that are computed with one that is needed: sixteen take three times as long as one.
_AHEAD = 16
# Moves of a kick for each feature at most: only rounding could lead in circles.
_MOST = 50
# Entries that a kick goes through, for each in the table; products of a product of matrices that take as long as one.
_PASSES, _PRODUCTS = 14, 10
# Rows of the table that moves go through together; its capacity is a multiple of that.
_TOGETHER = 4
# Entries of X that cost less than to be asked for one by one.
_CHEAP = 6_000_000
# Features whose rows may be computed all at once.
_FEW = 2048


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
        p, capacity = gram.n_features, _TOGETHER * -(-capacity // _TOGETHER)
        self.gram, self.ridge = gram, ridge
        #: Features beyond which any other is a combination of those that are in.
        self.most = p if ridge > 0.0 else gram.rank
        self.diagonal = gram.diagonal + ridge
        floor = np.where(self.diagonal > 0.0, gram.rounding**_COLLINEAR * self.diagonal, np.inf)
        self._open_floor = floor if is_open is None else np.where(is_open, floor, np.inf)
        self._required = np.zeros(p, dtype=bool)
        self._required[np.asarray(required, dtype=np.intp)] = True
        self._set_table(np.zeros((swaps.ROWS + capacity, _width(capacity, p))))
        self.features = np.zeros(capacity, dtype=np.int64)
        self._links, self._shares = np.zeros(capacity + _TOGETHER), np.zeros(capacity + _TOGETHER)
        #: The least minimum of each size that has been seen, and its support.
        self.heights, self.best = np.full(capacity + 1, np.inf), np.zeros((capacity + 1, capacity), dtype=np.int64)
        self._numbers, self._counts = np.zeros(8), np.zeros(13, dtype=np.int64)
        #: Where kicks begin; without rows until there are some.
        self._home, self._home_support = np.zeros((0, 0)), np.zeros(capacity, dtype=np.int64)
        self._no_noise = np.zeros(1, dtype=np.uint64)
        self.size, self.changes, self.height, self._stale = 0, 0, gram.constant, _STALE
        self.reset()

    @property
    def n_units(self):
        """Number of features."""
        return self.diagonal.size

    @property
    def b(self):
        """Coefficients of the support."""
        return self._b[: self.size]

    @property
    def support(self):
        """Features of the support, as they came."""
        return self.features[: self.size]

    @property
    def cost(self):
        """Entries that a move goes through, and a look for the next one."""
        return 3 * (self.size + 1) * self.diagonal.size

    def explained_alone(self):
        """What each feature alone would explain, twice over."""
        return self.gram.pull**2 / np.maximum(self.diagonal, self._open_floor)

    def best_entry(self, least):
        """(gain, feature) of the best feature to enter; feature -1 where none gains more than `least`."""
        if self.size >= self.most:
            return least, -1
        gains = self._entry_gains()
        j = int(np.argmax(gains)) if gains.size else -1
        return (0.5 * float(gains[j]), j) if j >= 0 and 0.5 * gains[j] > max(least, 0.0) else (least, -1)

    def best_entries(self, count):
        """The features that would gain most, so many of them at most, in the order of their indices."""
        gains = self._entry_gains()
        count = min(count, int(np.count_nonzero(gains)))
        return np.sort(np.argpartition(-gains, count - 1)[:count]) if count else np.empty(0, dtype=np.intp)

    def _entry_gains(self):
        """Twice what each feature would gain, were it to enter; zero where it may not."""
        gains = self.c * self.c
        gains /= np.maximum(self.d, self.floor)
        return gains

    def losses(self):
        """What the minimum would rise by without each feature of the support; infinite for those that stay."""
        losses = 0.5 * self.b**2 / np.diagonal(self.Q)[: self.size]
        return np.where(self._required[self.support], np.inf, losses)

    def enter(self, j):
        """Take feature j in; nothing changes where it is a combination of the support. The cost is returned."""
        return self._move(swaps.GIVEN, limit=1, enters=j)[0]

    def leave(self, i):
        """Take the feature at place i out; the last one moves there. The cost is returned."""
        return self._move(swaps.GIVEN, limit=1, leaves=i)[0]

    def swap_down(self, part, least, limit=None):
        """Make the best swaps, a few: (cost, number of them, whether none is left).

        A swap must gain more than a part of the minimum, and more than `least`.
        """
        return self._move(swaps.SWAPS, limit=limit, part=part, least=least)

    def go(self, aim, entry, part, least):
        """Make a few moves on the way to a size, with swaps at every size: (cost, number of them, whether it is reached).

        A feature that enters must gain more than `entry`.
        """
        return self._move(swaps.SIZES, aim=min(aim, self.most), entry=entry, part=part, least=least)

    def kick_on(self, kicks, vain, most, price, entry, part, least, noise):
        """Make kicks from here until one is kept: (cost, kicks left, those in vain).

        One is kept if it is better, and after some in vain in any case. `most` features may be in, each at a price;
        `noise` is the state of a generator.
        """
        while most + _TOGETHER >= len(self.Q):
            self._grow()
        if self._home.shape != self._table.shape:
            self._home = np.zeros_like(self._table)
        self._numbers[swaps.PRICE], self._numbers[swaps.VALUE] = price, self.height + price * self.size
        self._counts[swaps.KICKS], self._counts[swaps.VAIN], self._counts[swaps.MOST] = kicks, vain, most
        limit = _MOST * kicks * (most + 1)
        self._counts[swaps.FRESH] = _KEPT
        before = self.changes
        cost, made, _ = self._move(swaps.DOWN, limit=limit, entry=entry, part=part, least=least, noise=noise)
        left = int(self._counts[swaps.KICKS]) if made < limit else 0
        # those in vain leave no trace
        self.changes = before if self._counts[swaps.FRESH] == _KEPT and made < limit else _STALE
        return cost, left, int(self._counts[swaps.VAIN])

    def prepare(self):
        """Compute all rows of the Gram matrix, where they are not too many; the cost."""
        if self.n_units > _FEW or not self.gram.cost:
            return 0
        return self.gram.prepare_all()

    def promising(self, count):
        """So many features, sorted: the support, and those that would gain most in the place of one of it, or by themselves."""
        gains = self._swap_gains() if self.size else self._entry_gains()
        gains[self.support] = np.inf
        return np.sort(np.argpartition(-gains, count - 1)[:count])

    def _swap_gains(self):
        """Twice the most that each feature would gain in the place of another one."""
        C, share = self.C[: self.size], 1.0 / np.diagonal(self.Q)[: self.size, None]
        ratio = self.b[:, None] * share
        gains = ratio * C
        gains += self.c
        gains *= gains
        parts = C * C
        parts *= share
        parts += np.maximum(self.d, self.floor)
        gains /= parts
        gains -= ratio * self.b[:, None]
        return gains.max(axis=0)

    def narrowed(self, features):
        """The same support in a state of a few features, among which it is."""
        is_open = np.isfinite(self._open_floor[features])
        required = np.flatnonzero(self._required[features])
        core = SubsetState(self.gram.narrow(features), self.ridge, is_open, required, len(self.Q))
        size = core.size = self.size
        core.height, core.changes = self.height, self.changes
        core._table[: swaps.ROWS, : features.size] = self._table[: swaps.ROWS, features]
        core.C[:size], core._b[:size] = self.C[:size, features], self.b
        core.Q[:size, :size] = self.Q[:size, :size]
        core.features[:size] = np.searchsorted(features, self.support)
        core.note()
        return core

    @property
    def kick_cost(self):
        """Entries that a kick goes through."""
        return _PASSES * max(self.size, 1) * self.n_units

    def core_cost(self, count):
        """Entries that take as long as a core of so many features takes to be made."""
        length = self.gram.cost // self.n_units
        return count * count * max(length // 2, _PRODUCTS) // _PRODUCTS

    def refined(self):
        """The coefficients of a new state, less what rounding has made of them."""
        block = self.gram.block(self.support)
        block.flat[:: self.size + 1] = self.diagonal[self.support]
        return self.b + self.Q[: self.size, : self.size] @ (self.gram.pull[self.support] - block @ self.b)

    @property
    def is_new(self):
        """Whether the state is as it was made, without updates."""
        return self.changes == 0

    def _move(
        self, kind, *, aim=0, limit=None, leaves=-1, enters=-1, part=0.0, least=0.0, entry=0.0, noise=None
    ):  # fmt: skip
        """Make moves; the cost, their number, and whether all is done."""
        if self.changes >= self._stale:
            self.restart(self.support.copy())
        while max(self.size, aim) + 1 >= len(self.Q):
            self._grow()
        gram, numbers, counts, cost = self.gram, self._numbers, self._counts, self.cost
        limit = min(max(_AT_ONCE // max(cost, 1), 1), _STALE) if limit is None else limit
        numbers[: swaps.PRICE] = self.height, part, least, entry, 1.0, gram.bottom
        counts[: swaps.KICKS] = self.size, aim, limit, 0, leaves, enters, 0
        counts[swaps.STAGE], counts[swaps.HOME] = swaps.GIVEN, self.size
        made = 0
        while True:
            make_moves(
                gram.table, gram.slots, self.diagonal, self._table, self._open_floor, self.features,
                self._required, self._links, self._shares, self._no_noise if noise is None else noise, self.heights, self.best,
                self._home, self._home_support, kind, numbers, counts,
            )  # fmt: skip
            self.height, self.size = float(numbers[swaps.HEIGHT]), int(counts[swaps.SIZE])
            made += int(counts[swaps.MADE])
            if counts[swaps.STATUS] != swaps.MISSING:
                break
            ahead = max(_AHEAD, gram.computed // 2, _CHEAP // gram.cost if gram.cost else 0)
            cost += self._look_ahead(int(counts[swaps.ENTERS]), ahead)
            counts[swaps.LIMIT] = max(limit - made, 1)
        self.changes = self.changes + made if numbers[swaps.PIVOT] >= swaps.THIN else _STALE
        return cost + made * self.cost, made, kind == swaps.GIVEN or bool(counts[swaps.STATUS] == swaps.DONE)

    def _look_ahead(self, j, count):
        """Compute the row of feature j of the Gram matrix, and with it rows that are likely to be asked for.

        The more were asked for, the more will be, and many at once are cheaper each.
        """
        likely = self.best_entries(count)
        new = likely[(self.gram.slots[likely] < 0) & (likely != j)]
        self.gram.prepare(np.append(new, j))
        return self.gram.cost * (4 + new.size) // 4

    def note(self):
        """Note the present support, if it is the best so far of its size."""
        size = self.size
        if self.height < self.heights[size]:
            self.heights[size], self.best[size, :size] = self.height, self.support

    def reset(self):
        """Go back to the features that are required."""
        self.restart(np.flatnonzero(self._required))

    def restart(self, support):
        """Make the state of a support from rows of the Gram matrix; features that are combinations of others stay out."""
        size = len(support)
        if size > self.most:
            self._one_by_one(support)
            return
        while size + 1 >= len(self.Q):
            self._grow()
        self.floor[:] = self._open_floor
        if size == 0:
            self.c[:], self.d[:] = self.gram.pull, self.diagonal
            self.size, self.changes, self.height = 0, 0, self.gram.constant
            return
        rows = self.gram.rows(support)
        block = rows[:, support]
        own = self.diagonal[support]
        block.flat[:: size + 1] = own
        scale = 1.0 / np.sqrt(np.maximum(own, np.finfo(np.float64).tiny))
        scales = np.multiply.outer(scale, scale)
        factor, fault = lapack.dpotrf(block * scales, lower=1)
        if fault or np.any(factor.diagonal() ** 2 <= self.gram.rounding**_COLLINEAR):
            self._one_by_one(support)
            return
        inverse = lapack.dpotri(factor, lower=1)[0]
        # the upper half is zero
        inverse = (inverse + inverse.T) * scales
        inverse.flat[:: size + 1] *= 0.5
        self.Q[:size, :size] = inverse
        np.matmul(inverse, rows, out=self.C[:size])
        b = self._b[:size] = inverse @ self.gram.pull[support]
        self.c[:] = self.gram.pull - b @ rows
        self.d[:] = self.diagonal - np.einsum("ij,ij->j", self.C[:size], rows)
        self.floor[support] = np.inf
        self.features[:size] = support
        self.size, self.changes = size, 0
        self.height = self.gram.constant - 0.5 * float(b @ self.gram.pull[support])

    def _one_by_one(self, support):
        self.size, self.changes, self.height = 0, 0, self.gram.constant
        # it does not grow stale before it is made
        self._stale = np.inf
        self.c[:], self.d[:] = self.gram.pull, self.diagonal
        self.floor[:] = self._open_floor
        for j in support:
            if self.diagonal[j] > 0.0 and self.size < self.most:
                self.enter(int(j))
        self._stale, self.changes = _STALE, 0

    def _set_table(self, table):
        """c, d, the floor, C, b and Q are parts of one table."""
        p, W = self.diagonal.size, table[swaps.ROWS :]
        self._table, (self.c, self.d, self.floor) = table, table[: swaps.ROWS, :p]
        self.C, self._b, self.Q = W[:, :p], W[:, p], W[:, p + 1 : p + 1 + len(W)]

    def _grow(self):
        """Room for twice as many features."""
        capacity, p = self.C.shape
        new = 2 * capacity
        # the columns of Q come last, so that all that is there keeps its place
        self._set_table(_copied(self._table, (swaps.ROWS + new, _width(new, p))))
        self._links, self._shares = np.zeros(new + _TOGETHER), np.zeros(new + _TOGETHER)
        self.features, self._home_support = _copied(self.features, (new,)), _copied(self._home_support, (new,))
        heights = np.full(new + 1, np.inf)
        heights[: capacity + 1] = self.heights
        self.heights, self.best = heights, _copied(self.best, (new + 1, new))


def _copied(old, shape):
    """A larger array that begins with the old one, and is zero beyond."""
    new = np.zeros(shape, dtype=old.dtype)
    new[tuple(map(slice, old.shape))] = old
    return new


def _width(capacity, p):
    """Columns of a table: its rows begin at the same place of a line of memory, and an odd number of lines apart.

    So the beginnings of rows are spread over all sets of a cache.
    """
    return 8 * (-(-(p + 1 + capacity) // 8) | 1)
