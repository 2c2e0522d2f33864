"""Higher lower bounds of a layer's error: a relaxation that is exact within small blocks of inputs.

The relaxation by a diagonal D of `sparseopt.pruning.layer_relaxation` lives of what each input has of its own. What two inputs
have in common that the others do not say is lost to it. With B > 0 of blocks on the diagonal, one for each of some groups of
inputs, and R = H - B without negative eigenvalues, for all w of at most k nonzeros and any x and price >= 0

    w'H w - 2 b'w + energy  >=  energy - x'R x - price k - sum over blocks of the largest of c_S' (B_SS)^-1 c_S - price |S|

over the sets S of inputs of the block, all of which are tried, with c = b - R x; and where outputs share the weights of a layer,
the sums are over all of them. This is concave in x and the price. They are found with the largest over S replaced by
a smooth one, less and less so, by the quasi-Newton steps of Liu and Nocedal (L-BFGS, 1989) in the metric in which the
alternating directions take theirs: the slope in x is 2 (w - x) R, with w the mean over S of the weights (B_SS)^-1 c_S, each in proportion to
exp(its gain / temperature), and so a step is w - x times B H^-1. The slope in B is the mean of (w_S - x)(w_S - x)',
so that B grows as D does there, by Newton's method under a falling multiple of log det R + log det B.

A bound is computed from x, the price and B by the formula alone: nothing rests on how near they are to the best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy

# Inputs of a block: twice as many take some five times as long, and added a quarter to what blocks add where that was tried.
SIZE = 4
# Temperatures, parts of the price: after each of the first the blocks are chosen anew.
TEMPERATURES = (0.1, 0.06, 0.036, 0.02, 0.01, 0.005, 0.002, 0.001)
CHOICES, STEPS, NEWTON = 5, 30, 3
# The first barrier over what a block is worth, its fall from one choice to the next, and the part of it that is for log det B.
BARRIER, FALLS, INNER = 0.1, 0.4, 0.05
# Steps that quasi-Newton directions remember, and part of the value by which a step gains so little that it is the last.
MEMORY, LITTLE = 8, 1e-6
# Part of the slope that a step has to gain, and the shortest step.
LEAST, SHORTEST = 1e-4, 1e-6
# Factor of the metric after a whole step.
LONGER = 1.5
# Largest condition of a block, which times the rounding of a few products is far below the part that is added to roots of gains.
CONDITION, PART = 1e5, 1e-8


def block_bounds(relaxation, diagonal, x, clock, size=SIZE) -> np.ndarray:
    """Lower bounds of the least errors of each group of outputs, from a D that is far from its border and an x.

    Parameters
    ----------
    relaxation : Relaxation
    diagonal : array of shape (inputs,)
    x : array of shape (outputs, inputs)
    clock : Clock
    size : int
        Inputs of a block.
    """
    groups = relaxation.counts.size
    best = np.full(groups, -np.inf)
    blocks = Blocks.of(relaxation, diagonal, size)
    x = np.concatenate([x, np.zeros((len(x), blocks.spare))], axis=1)[:, blocks.order]
    # What the last weight gains that may stay.
    gains = (blocks.cross - x @ blocks.rest) ** 2 / np.einsum("iaa->ia", blocks.within).ravel()
    gains = np.sort(gains.reshape(groups, -1), axis=1)[:, ::-1]
    prices = gains[np.arange(groups), np.clip(relaxation.counts, 1, gains.shape[1]) - 1]
    barrier = 0.0
    for turn, temperature in enumerate(TEMPERATURES):
        x, prices = blocks.ascended(x, prices, temperature, clock)
        best = np.maximum(best, blocks.bounds(x, prices))
        if clock.expired:
            break
        if turn < CHOICES:
            worth = blocks.worth(x, prices, temperature)
            barrier = barrier * FALLS if turn else BARRIER * np.vdot(worth, blocks.within) / blocks.inputs
            blocks = blocks.raised(worth, barrier, clock)
    return best


@dataclass(frozen=True, eq=False)
class Blocks:
    """The relaxation with its inputs in the order of their blocks; `within` are these, of shape (blocks, size, size).

    The last block is filled with inputs that say nothing of any output.
    """

    gram: np.ndarray
    cross: np.ndarray
    energy: np.ndarray
    counts: np.ndarray
    order: np.ndarray
    spare: int
    inverse: np.ndarray
    within: np.ndarray

    @classmethod
    def of(cls, relaxation, diagonal, size) -> Blocks:
        """Blocks of inputs that have much in common beyond the others, of which only the diagonal is there."""
        spare = -len(diagonal) % size
        gram, diagonal = (
            scipy.linalg.block_diag(relaxation.gram, np.eye(spare)),
            np.append(diagonal, np.full(spare, 0.5)),
        )
        cross = np.concatenate([relaxation.cross, np.zeros((len(relaxation.cross), spare))], axis=1)
        order = grouped(inverse_of(gram - np.diag(diagonal)), size)
        gram = gram[np.ix_(order, order)]
        within = diagonal[order].reshape(-1, size)[:, :, None] * np.eye(size)
        energy, counts = relaxation.energy, relaxation.counts
        return cls(gram, cross[:, order], energy, counts, order, spare, inverse_of(gram), within)

    @property
    def inputs(self) -> int:
        """Number of inputs, with those that fill the last block."""
        return len(self.gram)

    @property
    def size(self) -> int:
        """Number of inputs of a block."""
        return self.within.shape[1]

    @cached_property
    def rest(self) -> np.ndarray:
        """The matrix R."""
        return self.gram - scipy.linalg.block_diag(*self.within)

    @cached_property
    def rows(self) -> np.ndarray:
        """For each block and set S a row v, so that c_S' (B_SS)^-1 c_S is that of S without its last input and (v'c)^2.

        The members of a set are the bits of its number; the last has the highest.
        """
        found = np.zeros((len(self.within), 1 << self.size, self.size))
        for number in range(1, 1 << self.size):
            last = number.bit_length() - 1
            before = [j for j in range(last) if number >> j & 1]
            beside = self.within[:, before, last]
            others = np.linalg.solve(self.within[:, before][:, :, before], beside[:, :, None])[:, :, 0]
            root = np.sqrt(self.within[:, last, last] - np.einsum("ij,ij->i", beside, others))
            found[:, number, before] = -others / root[:, None]
            found[:, number, last] = 1 / root
        return found

    def bounds(self, x, prices) -> np.ndarray:
        """The formula, for each group of outputs, less what rounding of the products may have added."""
        spread = np.linalg.eigvalsh(self.within)
        if not is_admissible(self.rest, spread):
            return np.full(self.counts.size, -np.inf)
        product, sizes = x @ self.rest, np.abs(x) @ (np.abs(self.gram) + np.abs(self.rest))
        slack = (self.inputs + 4) * np.finfo(float).eps * (sizes + np.abs(self.cross))
        # Roots of gains add like lengths: that of c, and that of what may be hidden in its rounding.
        hidden = np.linalg.norm(self._split(slack), axis=1) / np.sqrt(spread[:, :1])
        gains, _ = self._gains(self._split(self.cross - product))
        gains = (np.sqrt(gains) * (1 + PART) + hidden[:, None]) ** 2
        taken = np.max(gains - self._charges(prices), axis=1).sum(axis=0)
        left = self.energy - np.einsum("ij,ij->i", x, product) - np.einsum("ij,ij->i", np.abs(x), slack)
        return (left - taken).reshape(self.counts.size, -1).sum(axis=1) - prices * self.counts

    def ascended(self, x, prices, temperature, clock):
        """The point x and the prices after some quasi-Newton steps up."""
        heats = self._heats(prices, temperature)
        rate = prices / np.maximum(self.counts, 1) / 4
        product, memory, scale = x @ self.rest, [], 1.0
        value, move, excess = self._value(x, product, prices, heats)
        for _ in range(STEPS):
            if clock.expired:
                break
            direction, along, rise = self._direction(move, excess, rate, memory, scale)
            slope = 2 * np.vdot(along, move) + rise @ excess
            step = 1.0
            while True:
                at = x + step * direction, product + step * along, prices + step * rise
                if (at[2] >= 0).all():
                    after = self._value(*at, heats)
                    if after[0] >= value + LEAST * step * slope:
                        break
                step /= 2
                if step < SHORTEST:
                    return x, prices
            # The metric is that of the value without kinks: near them its steps are too long.
            scale *= step if step < 1 else LONGER
            changes = move - after[1], excess - after[2]
            curvature = step * (2 * np.vdot(along, changes[0]) + rise @ changes[1])
            if curvature > 0:
                steps = step * direction, step * along, step * rise
                memory = [*memory[1 - MEMORY :], (*steps, *changes, curvature)]
            gained = after[0] - value
            (x, product, prices), (value, move, excess) = at, after
            if gained <= LITTLE * abs(value):
                break
        return x, prices

    def _direction(self, move, excess, rate, memory, scale):
        """Direction in x, its product with R, and in the prices.

        Slopes in x are kept without their factor 2 R, so that the products with R that are there serve them.
        """
        factors = []
        for _, along, rise, less, fewer, curvature in reversed(memory):
            factors.append((2 * np.vdot(along, move) + rise @ excess) / curvature)
            move, excess = move - factors[-1] * less, excess - factors[-1] * fewer
        direction = self._joined(np.matmul(scale * self.within, self._split(move))) @ self.inverse
        product, rises = direction @ self.rest, scale * rate * excess
        for (step, along, rise, less, fewer, curvature), factor in zip(memory, reversed(factors), strict=True):
            left = factor - (2 * np.vdot(less, product) + fewer @ rises) / curvature
            direction += left * step
            product += left * along
            rises = rises + left * rise
        return direction, product, rises

    def _value(self, x, product, prices, heats):
        """Smooth value, mean weights less x, and how many weights more than its count each group has."""
        taken, parts, terms = self._parts(self._split(self.cross - product), prices, heats)
        value = self.energy.sum() - np.vdot(x, product) - taken - prices @ self.counts
        counted = np.einsum("s,isn->n", _members(self.size), parts).reshape(self.counts.size, -1).sum(axis=1)
        # The weights of a set are those of the set without its last input and a multiple of its row.
        for j in reversed(range(self.size)):
            parts[:, : 1 << j] += parts[:, 1 << j : 2 << j]
        parts *= terms
        return value, self._joined(np.matmul(self.rows.transpose(0, 2, 1), parts)) - x, counted - self.counts

    def worth(self, x, prices, temperature) -> np.ndarray:
        """Slope of the value in B, the sum over outputs, of shape (blocks, size, size)."""
        cross, x_parts = self._split(self.cross - x @ self.rest), self._split(x)
        found = np.empty_like(self.within)
        _, parts, terms = self._parts(cross, prices, self._heats(prices, temperature))
        for block, (row, part, term) in enumerate(zip(self.rows, parts, terms, strict=True)):
            weights = np.zeros((1 << self.size, *x_parts[block].shape))
            for j in range(self.size):
                new = slice(1 << j, 2 << j)
                weights[new] = weights[: 1 << j] + row[new, :, None] * term[new, None, :]
            away = weights - x_parts[block]
            found[block] = np.tensordot(away * part[:, None], away, axes=([0, 2], [0, 2]))
        return found

    def raised(self, worth, barrier, clock) -> Blocks:
        """Blocks nearer to the most of <worth, B> + barrier (log det R + a part of log det B), by steps of Newton's method."""
        blocks = self
        if not barrier > 0:
            return blocks
        for _ in range(NEWTON):
            direction = None if clock.expired else blocks._newton(worth, barrier)
            if direction is None:
                break
            step = 1.0
            while step >= SHORTEST:
                # Not up to the border.
                after = replace(blocks, within=blocks.within + (step if step == 1 else 0.9 * step) * direction)
                if is_admissible(after.rest, np.linalg.eigvalsh(after.within)):
                    blocks = after
                    break
                step /= 2
            else:
                break
        return blocks

    def _newton(self, worth, barrier):
        """Newton's direction in the entries of the upper triangles of all blocks, None where rounding leaves none."""
        upper, lower = np.triu_indices(self.size)
        first = self.size * np.arange(len(self.within))[:, None]
        a, b = (first + upper).ravel(), (first + lower).ravel()
        inverse, inner = inverse_of(self.rest), np.linalg.inv(self.within)
        # An entry off the diagonal stands for two.
        twice = np.where(upper == lower, 1.0, 2.0)
        curvature = _pairs(inverse[np.ix_(a, a)], inverse[np.ix_(b, b)], inverse[np.ix_(a, b)])
        for block, part in enumerate(inner):
            own = slice(block * upper.size, (block + 1) * upper.size)
            ends = (part[np.ix_(*pair)] for pair in ((upper, upper), (lower, lower), (upper, lower)))
            curvature[own, own] += INNER * _pairs(*ends)
        weights = np.tile(twice, len(inner))
        curvature *= barrier / 2 * weights * weights[:, None]
        slope = (
            worth[:, upper, lower].ravel() - barrier * inverse[a, b] + barrier * INNER * inner[:, upper, lower].ravel()
        )
        _, entries, failed = scipy.linalg.lapack.dposv(curvature, weights * slope, overwrite_a=True)
        if failed or not np.isfinite(entries).all():
            return None
        direction = np.zeros_like(self.within)
        direction[:, upper, lower] = direction[:, lower, upper] = entries.reshape(len(inner), -1)
        return direction

    def _gains(self, cross):
        """What each set of each block gains, and the terms v'c, both of shape (blocks, sets, outputs)."""
        terms = np.matmul(self.rows, cross)
        gains = terms * terms
        for j in range(self.size):
            gains[:, 1 << j : 2 << j] += gains[:, : 1 << j]
        return gains, terms

    def _parts(self, cross, prices, heats):
        """The smooth largest gains, their sum, the part of each set in them, and the terms."""
        gains, terms = self._gains(cross)
        gains -= self._charges(prices)
        most = gains.max(axis=1, keepdims=True)
        gains -= most
        gains /= heats
        np.exp(gains, out=gains)
        total = gains.sum(axis=1, keepdims=True)
        gains /= total
        return most.sum() + np.vdot(np.log(total), np.broadcast_to(heats, total.shape)), gains, terms

    def _heats(self, prices, temperature):
        """Temperature of each output; never zero, so that no division is by it."""
        least = 1e-12 * self.energy.mean() + np.finfo(float).tiny
        return np.repeat(np.maximum(temperature * prices, least), len(self.cross) // self.counts.size)

    def _charges(self, prices):
        return _members(self.size)[:, None] * np.repeat(prices, len(self.cross) // self.counts.size)

    def _split(self, values):
        """Values of shape (outputs, inputs) as (blocks, size, outputs)."""
        return np.ascontiguousarray(values.reshape(len(values), -1, self.size).transpose(1, 2, 0))

    def _joined(self, values):
        return values.transpose(2, 0, 1).reshape(values.shape[2], -1)


def grouped(inverse, size) -> np.ndarray:
    """Order in which as many inputs after each other have the largest correlations that others do not explain."""
    scale = np.sqrt(inverse.diagonal())
    common = (inverse / scale / scale[:, None]) ** 2
    np.fill_diagonal(common, 0)
    order, free = [], np.ones(len(inverse), bool)
    for first in np.argsort(-common.max(axis=1), kind="stable"):
        if not free[first]:
            continue
        order.append(first)
        free[first] = False
        near = common[first].copy()
        for _ in range(size - 1):
            order.append(int(np.argmax(np.where(free, near, -1))))
            free[order[-1]] = False
            near += common[order[-1]]
    return np.array(order)


def is_admissible(rest, spread) -> bool:
    """Whether R has no negative eigenvalue, proven, and blocks with these eigenvalues are well conditioned."""
    return bool((spread[:, -1] < CONDITION * spread[:, 0]).all()) and is_semidefinite(rest)


def is_semidefinite(square) -> bool:
    """Whether a matrix of diagonal at most one has no negative eigenvalue, proven by a Cholesky factor (Rump, 2006)."""
    # More than rounding can hide of an eigenvalue.
    margin = 2 * len(square) * (len(square) + 2) * np.finfo(float).eps
    lowered = square - margin * np.eye(len(square))
    return scipy.linalg.lapack.dpotrf(lowered, lower=True, overwrite_a=True)[1] == 0


def inverse_of(square) -> np.ndarray:
    """Inverse of a symmetric matrix that has a Cholesky factor, by it."""
    factor, _ = scipy.linalg.lapack.dpotrf(square, lower=True, overwrite_a=True)
    inverse, _ = scipy.linalg.lapack.dpotri(factor, lower=True, overwrite_c=True)
    return np.tril(inverse) + np.tril(inverse, -1).T


def _pairs(first, last, across):
    """Half the traces of K E K E' for E = e_a e_b' + e_b e_a', from K_aa', K_bb' and K_ab'; in place of the first."""
    first *= last
    first += across * across.T
    return first


def _members(size):
    """Number of members of each set."""
    return np.array([number.bit_count() for number in range(1 << size)], float)
