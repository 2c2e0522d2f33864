"""The perspective relaxation of a few blocks by an interior-point method that also chooses what is taken off the curvature.

Blocks of coefficients U (rows of several responses, or groups) are in or out as a whole. H is the curvature, ridge and
all, in coordinates in which the part that is taken off a block is c_b times the identity. With z_b the part by which
block b is in, the least over U of the relaxation is

    v(z, c) = constant - tr Q'K^-1 Q / 2,    K = H + diag(c_b (1 / z_b - 1)),    H - diag(c_b) positive semidefinite

convex in z (0 <= z <= 1, sum z <= room) and concave in c. Its saddle point is the semidefinite relaxation of the choice
of blocks (Dong, Chen and Linderoth, 2015). Newton steps go to it along the central path; each point on the way has its
own lower bound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

# Newton steps, how far the weight of the barrier falls from one to the next, and how much of the way to the boundary is gone.
_STEPS, _FALL, _SLOW, _FRACTION = 60, 0.25, 0.8, 0.95
# Where a start is kept from the boundary, and the least and last distance from it.
_INSIDE, _TINY = 0.02, 1e-10
# The least weight of the barrier, relative to the constant.
_LEAST = 1e-13
# Steps shorter than this part of the Newton step do not lower the barrier; how often a step is halved.
_LONG, _HALVINGS = 0.5, 40


@dataclass(slots=True)
class Blocks:
    """The curvature and the pulls of some blocks, in the coordinates of the module.

    `starts` are the places at which blocks begin; `is_in` says which blocks are in.
    """

    H: np.ndarray
    Q: np.ndarray
    starts: np.ndarray
    is_in: np.ndarray
    constant: float

    def summed(self, matrix):
        """Sums over the pairs of coefficients of each pair of blocks."""
        if self.starts.size == len(self.H):
            return matrix
        return np.add.reduceat(np.add.reduceat(matrix, self.starts, axis=0), self.starts, axis=1)

    def totals(self, vector):
        """Sums over the coefficients of each block."""
        return vector if self.starts.size == len(self.H) else np.add.reduceat(vector, self.starts)

    def spread(self, vector):
        """A number a block, for each of its coefficients."""
        return vector if self.starts.size == len(self.H) else np.repeat(vector, self.sizes)

    @property
    def sizes(self):
        """Coefficients of each block."""
        return np.diff(self.starts, append=len(self.H))


def interior_blocks(blocks, room, z, c, mu, threshold, known, until=np.inf, *, chooses=True):
    """The best (bound, U, z, c) on the way to the saddle point, and, where time was up, (z, c, mu) to go on from.

    None where the numbers do not allow a step.

    Ends where the bound reaches the threshold, the saddle point is known to the part `known` of what is missing, or it is
    `until` by `time.perf_counter`.
    `chooses` is whether c is improved; it must be strictly inside in any case. The weight `mu` of the barrier is infinite
    where the way begins.
    """
    free = np.flatnonzero(~blocks.is_in)
    inside = _INSIDE if mu == np.inf else _TINY
    z = np.where(blocks.is_in, 1.0, np.clip(z, inside, 1.0 - inside))
    if free.size <= room:
        z[free] = 1.0
        free = free[:0]
    else:
        z[free] *= min(1.0, (1.0 - inside) * room / z[free].sum())
    c, best, least, is_late = c.copy(), None, 0.0, False
    for _ in range(_STEPS):
        point = _point(blocks, free, room, z, c)
        if point is None:
            break
        inverse, U, squares, gains, value, bound = point
        if best is None or bound > best[0]:
            best = bound, U, z.copy(), c.copy()
        missing = min(threshold, blocks.constant) - best[0]  # no coefficients at all are as good as the constant
        if missing <= 0.0 or free.size == 0 or mu <= least or mu * (2 * free.size + 2 * c.size) <= known * missing:
            break
        if mu == np.inf:
            least = _LEAST * max(blocks.constant, blocks.constant - value)
            mu = max(0.3 * (value - bound) / (2 * free.size), 2.0 * least)
        step = _direction(blocks, free, room, z, c, inverse, U, squares, gains, mu, chooses)
        length = 0.0 if step is None else _length(blocks, room, z[free], c, *step)
        if length == 0.0:
            break
        z[free] = np.clip(z[free] + length * step[0], _TINY, 1.0 - _TINY)
        c += length * step[1]
        mu *= _FALL if length > _LONG else _SLOW
        is_late = time.perf_counter() >= until
        if is_late:
            break
    return None if best is None else (*best, (z, c, mu) if is_late else None)


def _point(blocks, free, room, z, c):
    """The inverse of K, U, its squares a block, the gains, the value and the bound."""
    K = blocks.H.copy()
    K[np.diag_indices(len(K))] += blocks.spread(c * (1.0 / z - 1.0))
    factor, fault = lapack.dpotrf(K, lower=1, overwrite_a=1)
    if fault:
        return None
    U = lapack.dpotrs(factor, blocks.Q, lower=1)[0]
    squares = blocks.totals(np.einsum("ij,ij->i", U, U))
    gains = 0.5 * c * squares / np.square(z)
    value = blocks.constant - 0.5 * float(np.einsum("ij,ij->", U, blocks.Q))
    if not np.isfinite(value):
        return None
    profits = gains[free]
    if profits.size > room:
        profits = np.partition(profits, profits.size - room)[profits.size - room :] if room else profits[:0]
    bound = value + float(gains @ z) - float(gains[z == 1.0].sum()) - float(profits.sum())
    if free.size == 0:
        return None, U, squares, gains, value, bound
    return _inverse(factor), U, squares, gains, value, bound


def _direction(blocks, free, room, z, c, inverse, U, squares, gains, mu, chooses):
    """The Newton step in the free parts z and in c, to the saddle point of the problem with barriers of weight mu."""
    curved = blocks.summed(inverse * (U @ U.T))
    part, push, pull = z[free], (c / np.square(z))[free], 1.0 / z - 1.0
    slack = max(room - part.sum(), _TINY)
    slope = -gains[free] - mu / part + mu / (1.0 - part) + mu / slack
    A = mu / slack**2 - push[:, None] * curved[np.ix_(free, free)] * push
    A[np.diag_indices(free.size)] += 2.0 * gains[free] / part + mu / np.square(part) + mu / np.square(1.0 - part)
    if not chooses:
        step, fault = lapack.dposv(A, -slope, lower=1, overwrite_a=1)[1:]
        return None if fault or not np.all(np.isfinite(step)) else (step, np.zeros(c.size))
    rest = blocks.H - np.diag(blocks.spread(c))
    factor, fault = lapack.dpotrf(rest, lower=1, overwrite_a=1)
    if fault:
        return None
    left = _inverse(factor)
    rise = 0.5 * pull * squares - mu * blocks.totals(left.diagonal()) + mu / c
    B = pull[:, None] * curved * pull + mu * blocks.summed(np.square(left))  # less the second derivative in c
    B[np.diag_indices(c.size)] += mu / np.square(c)
    E = push[:, None] * curved[free] * pull
    E[np.arange(free.size), free] -= 0.5 * squares[free] / np.square(part)
    # A dz + E dc = -slope,  E' dz - B dc = -rise
    solved = lapack.dposv(B, np.column_stack([E.T, rise]), lower=1, overwrite_a=1)
    if solved[2]:
        return None
    inner = solved[1]
    step, fault = lapack.dposv(A + E @ inner[:, :-1], -slope - E @ inner[:, -1], lower=1, overwrite_a=1)[1:]
    if fault or not np.all(np.isfinite(step)):
        return None
    return step, inner[:, :-1] @ step + inner[:, -1]


def _inverse(factor):
    """The inverse of a matrix, in both triangles, from its lower factor with zeros above."""
    lower = lapack.dpotri(factor, lower=1, overwrite_c=1)[0]
    inverse = lower + lower.T
    inverse[np.diag_indices(len(lower))] *= 0.5
    return inverse


def _length(blocks, room, part, c, dz, dc):
    """How long a step stays inside, at most 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        limits = np.concatenate(
            [np.where(dz < 0.0, -part / dz, (1.0 - part) / dz), np.where(dc < 0.0, -c / dc, np.inf)]
        )
    longest = _FRACTION * float(np.min(limits, where=limits > 0.0, initial=np.inf))
    if (total := dz.sum()) > 0.0:
        longest = min(longest, _FRACTION * (room - part.sum()) / total)
    length = max(min(1.0, longest), 0.0)
    if not dc.any():
        return length
    for _ in range(_HALVINGS):
        if is_definite(blocks.H - np.diag(blocks.spread(c + length / _FRACTION * dc))):
            return length
        length *= 0.7
    return 0.0


def is_definite(matrix):
    """Whether a symmetric matrix is positive definite: its Cholesky factor exists."""
    return lapack.dpotrf(matrix, lower=1, overwrite_a=1)[1] == 0
