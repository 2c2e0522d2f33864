"""Lower bounds of a layer's error by a convex relaxation, whatever the number of its inputs.

Split the Gram H of the inputs into a diagonal D > 0 and R = H - D without negative eigenvalues. Then w'R w lies above its
tangent at any x, and what is left falls apart by weights: for all w of at most k nonzeros

    w'H w - 2 b'w + energy  >=  energy - x'R x - the k largest of (b - R x)_i^2 / D_i,

and where outputs share the weights of a layer, the k largest of all its outputs. The right side is concave in x, and
its best x solves the perspective relaxation

    minimise over w, z   w'R w + sum D_i w_i^2 / z_i - 2 b'w   subject to   0 <= z <= 1, sum z <= k,

which alternating directions approach. The slope of its value in D_i is w_i^2 / z_i - w_i^2, summed over the outputs, which
share one D since they share H; so D grows by Newton's method under a falling multiple of log det R
(Dong, Chen and Linderoth, "Regularization vs. relaxation", 2015).

At the end each output may get a D of its own, which what it needs alone decides: first by one step of Newton's method from
a shared D that is still far from its border, for which one inverse serves all outputs, then by many from the centre. That
is as many matrices to factorise as there are outputs, or some thirty times as many, and higher bounds.

A bound is computed from x and D by the first formula alone: nothing rests on how near they are to the best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from sparseopt.pruning.clock import Clock
from sparseopt.pruning.layer_blocks import block_bounds, inverse_of, is_semidefinite

# Choices of D, steps of alternating directions for each, more for the first, and Newton's steps.
ROUNDS, STEPS, FIRST, NEWTON = 14, 30, 60, 4
# Newton's steps to the first D, and the step below which there are no others.
CENTRE, SHORTEST = 15, 1e-6
# Choices of a D of its own for each output, the first barrier over what an input is worth, and its fall.
OWN_ROUNDS, OWN_BARRIER, OWN_FALLS = 8, 0.3, 0.4
# The choice of the shared D from which each output takes one step, and inputs beyond which that has to do: more takes hours.
NEAR, NEAR_INPUTS = 2, 1024
# Inputs beyond which blocks take too much memory, of which Newton's method has five unknowns for two, and weights beyond which
# they do, each of which has some fifty numbers.
BLOCK_INPUTS, BLOCK_WEIGHTS = 2048, 2048 * 2048
# Multiples of the identity that are tried as a D to begin with.
ISOTROPIC = 0.5 ** np.arange(1, 28)
# Factor of the multiple of log det R from one choice to the next.
FALLS = 0.5
# Part of the bound that two choices of D have to add for a next one.
LITTLE = 1e-3
# Steps between two thresholds, and halvings for each.
EVERY, HALVINGS = 5, 30
# An eigenvalue that is rounding, and the part of an input in such directions from which it depends on others.
NOTHING, PART = 1e-12, 1e-9


def relaxed_bounds(gram, cross, energy, counts, clock=None, *, own=False, blocks=False) -> np.ndarray:
    """Lower bounds of the least errors, of shape (groups,); minus infinity where nothing is known.

    Parameters
    ----------
    gram : array of shape (inputs, inputs)
    cross : array of shape (outputs, inputs)
    energy : array of shape (outputs,)
        Error without weights.
    counts : array of shape (groups,)
        Weights that each group of outputs shares: one group for each output, or a single one for the layer.
    clock : Clock, optional
        The best bound by the time it expires is returned.
    blocks : bool, default=False
        Whether what inputs of small blocks have in common counts as well, see `sparseopt.pruning.layer_blocks`;
        of up to 2,048 inputs and four million weights.
    own : bool, default=False
        Whether each output gets a D of its own in the end; of more than 1,024 inputs one that is near the shared one.
    """
    clock = clock or Clock()
    best = np.full(counts.size, -np.inf)
    if clock.expired:
        return best
    relaxation = Relaxation.scaled(gram, cross, energy, counts)
    diagonal = isotropic(relaxation.gram)
    if diagonal is None:
        relaxation = relaxation.without_dependent()
        diagonal = isotropic(relaxation.gram)
        if diagonal is None:
            return best
    # The centre of all D that are allowed.
    centre = near = diagonal = raised(relaxation.gram, diagonal, np.ones(diagonal.size), 1.0, CENTRE, clock)
    inverse = np.linalg.inv(relaxation.gram)
    dense = relaxation.cross @ inverse
    w = dual = dense
    totals, barrier, worth = [], 0.0, np.zeros(diagonal.size)
    for turn in range(ROUNDS):
        if clock.expired:
            break
        near = diagonal if turn <= NEAR else near
        steps = STEPS if turn else FIRST
        x, w, dual, slopes = relaxation.directions(inverse, dense, diagonal, w, dual, steps, clock)
        slope = slopes.sum(axis=0)
        now = relaxation.bounds(x, diagonal)
        best = np.maximum(best, now)
        totals.append(now.sum())
        # The first barriers may push the bound down.
        is_done = turn > 1 and 0 <= totals[-1] - totals[-3] <= LITTLE * abs(best.sum())
        if is_done or not slope.any():
            break
        # What is worth nothing now may be worth more where D has less of it: half of what it was worth is remembered.
        now = slope * diagonal
        barrier, worth = (barrier * FALLS, (worth + now) / 2) if turn else (now.mean(), (now.mean() + now) / 2)
        diagonal = raised(relaxation.gram, diagonal, worth, barrier, NEWTON, clock)
    has_room = diagonal.size <= BLOCK_INPUTS and dense.size <= BLOCK_WEIGHTS
    if blocks and has_room and not clock.expired:
        best = np.maximum(best, block_bounds(relaxation, near, x, clock))
    if own and not clock.expired:
        best = np.maximum(best, near_bounds(relaxation, inverse, dense, near, w, dual, clock))
        if diagonal.size <= NEAR_INPUTS and not clock.expired:
            best = np.maximum(best, own_bounds(relaxation, inverse, dense, centre, w, dual, clock))
    return best


def near_bounds(relaxation, inverse, dense, diagonal, w, dual, clock) -> np.ndarray:
    """The bounds with a D for each output, one step of Newton's method from the shared one: one inverse serves all."""
    gram = relaxation.gram
    _, w, dual, slopes = relaxation.directions(inverse, dense, diagonal, w, dual, STEPS, clock)
    now = slopes * diagonal
    mean = now.mean(axis=1, keepdims=True)
    # The barrier that the shared D had, which has not yet been pushed to the border.
    worths, barriers = (mean + now) / 2, FALLS**NEAR * mean[:, 0]
    shared, diagonals = inverse_of(gram - np.diag(diagonal)), np.tile(diagonal, (len(w), 1))
    for row, worth, barrier in zip(diagonals, worths, barriers, strict=True):
        if barrier > 0 and not clock.expired:
            row[:] = stepped(gram, diagonal, worth, barrier, shared)[0]
    x, *_ = relaxation.directions(inverse, dense, diagonals, w, dual, STEPS, clock)
    return relaxation.bounds(x, diagonals)


def own_bounds(relaxation, inverse, dense, diagonal, w, dual, clock) -> np.ndarray:
    """The best bounds with a D for each output, of shape (outputs, inputs), from the centre."""
    best = np.full(relaxation.counts.size, -np.inf)
    diagonals, worths = np.tile(diagonal, (len(w), 1)), 0.0
    for turn in range(OWN_ROUNDS + 1):
        x, w, dual, slopes = relaxation.directions(inverse, dense, diagonals, w, dual, STEPS, clock)
        best = np.maximum(best, relaxation.bounds(x, diagonals))
        if turn == OWN_ROUNDS or clock.expired:
            break
        now = slopes * diagonals
        worths = (worths + now) / 2 if turn else (now.mean(axis=1, keepdims=True) + now) / 2
        if not turn:
            barriers = OWN_BARRIER * now.mean(axis=1)
        for row, worth, barrier in zip(diagonals, worths, barriers, strict=True):
            if barrier > 0 and not clock.expired:
                row[:] = raised(relaxation.gram, row, worth, barrier, NEWTON, clock)
        barriers = barriers * OWN_FALLS
    return best


@dataclass(frozen=True, eq=False)
class Relaxation:
    """The relaxation of outputs on one Gram of unit diagonal; each row of `cross`, x and w is an output."""

    gram: np.ndarray
    cross: np.ndarray
    energy: np.ndarray
    counts: np.ndarray

    @classmethod
    def scaled(cls, gram, cross, energy, counts) -> Relaxation:
        """The same for inputs of unit square."""
        scale = np.sqrt(gram.diagonal())
        return cls(gram / scale / scale[:, None], cross / scale, energy, counts)

    def without_dependent(self) -> Relaxation:
        """Inputs that depend on each other are given to every output for nothing, and taken out of the others."""
        values, vectors = np.linalg.eigh(self.gram)
        free = np.sum(vectors[:, values <= ISOTROPIC[-1]] ** 2, axis=1) > PART
        if free.all():
            return self
        values, vectors = np.linalg.eigh(self.gram[np.ix_(free, free)])
        known = values > NOTHING * values[-1]
        # Of columns with this Gram the inverse root gives each what the directions that are there say of it.
        root = vectors[:, known] / np.sqrt(values[known])
        others, targets = self.gram[np.ix_(~free, free)] @ root, self.cross[:, free] @ root
        return Relaxation.scaled(
            self.gram[np.ix_(~free, ~free)] - others @ others.T,
            self.cross[:, ~free] - targets @ others.T,
            self.energy - np.einsum("ij,ij->i", targets, targets),
            self.counts,
        )

    def bounds(self, x, diagonal) -> np.ndarray:
        """The first formula, for each group of outputs, less what rounding of the products may have added."""
        groups = self.counts.size
        product = x @ self.gram - x * diagonal
        slack = (len(self.gram) + 4) * np.finfo(float).eps * (np.abs(x) @ np.abs(self.gram) + np.abs(self.cross))
        gains = np.sort(((np.abs(self.cross - product) + slack) ** 2 / diagonal).reshape(groups, -1), axis=1)[:, ::-1]
        taken = np.where(np.arange(gains.shape[1]) < self.counts[:, None], gains, 0).sum(axis=1)
        left = self.energy - np.einsum("ij,ij->i", x, product) - np.einsum("ij,ij->i", np.abs(x), slack)
        return left.reshape(groups, -1).sum(axis=1) - taken

    def directions(self, inverse, dense, diagonal, w, dual, steps, clock):
        """The point x, w, the scaled dual, and the slopes of the outputs' values in D after some steps.

        The penalty is D, so that x takes the inverse of R + D, which is H whatever D.
        """
        root = np.sqrt(diagonal)
        for step in range(steps):
            x = dense + ((w - dual) * diagonal) @ inverse
            moved = x + dual
            sizes = np.abs(moved) * root
            if step % EVERY == 0:
                threshold = self._threshold(sizes)
            z = np.clip(sizes / threshold - 1, 0, 1)
            # Of a part z of a weight the size is z times the threshold, of a whole one half of what it was.
            w = np.copysign(np.where(z < 1, z * threshold, sizes / 2) / root, moved)
            dual = moved - w
            if clock.expired:
                break
        return x, w, dual, w**2 / np.where(z > 0, z, 1) - w**2

    def _threshold(self, sizes):
        """For each output the size at which its weights begin to count, so that the parts z of a group sum to its count."""
        groups = self.counts.size
        flat = sizes.reshape(groups, -1)
        high = flat.max(axis=1, keepdims=True) + np.finfo(float).tiny
        low = np.zeros_like(high)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            has_many = np.clip(flat / middle - 1, 0, 1).sum(axis=1, keepdims=True) > self.counts[:, None]
            low, high = np.where(has_many, middle, low), np.where(has_many, high, middle)
        return np.repeat(high, len(sizes) // groups, axis=0)


def isotropic(gram) -> np.ndarray | None:
    """A multiple of the identity that may be D, the largest of some; None of a Gram that is singular but for rounding."""
    for multiple in ISOTROPIC:
        diagonal = np.full(len(gram), multiple)
        if is_split(gram, diagonal):
            return diagonal
    return None


def raised(gram, diagonal, worth, barrier, steps, clock) -> np.ndarray:
    """D nearer to the most of sum `worth` log D + `barrier` log det (H - D), by steps of Newton's method.

    The logarithm is for a value that grows the less, the larger D is.
    """
    for _ in range(steps):
        if clock.expired:
            break
        diagonal, has_moved = stepped(gram, diagonal, worth, barrier, inverse_of(gram - np.diag(diagonal)))
        if not has_moved:
            break
    return diagonal


def stepped(gram, diagonal, worth, barrier, inverse):
    """D after one step, which `inverse` of H - D gives, and whether it has moved at all."""
    curvature = barrier * inverse**2
    curvature[np.diag_indices(len(gram))] += worth / diagonal**2
    # By Schur's theorem positive definite like the inverse.
    _, direction, failed = scipy.linalg.lapack.dposv(curvature, worth / diagonal - barrier * inverse.diagonal())
    if failed or not np.isfinite(direction).all():
        return diagonal, False
    step = 1.0
    while not is_split(gram, diagonal + step * direction):
        step /= 2
        if step < SHORTEST:
            return diagonal, False
    return diagonal + (step if step == 1 else 0.9 * step) * direction, True


def is_split(gram, diagonal) -> bool:
    """Whether D > 0 and H - D has no negative eigenvalue, proven."""
    if not (diagonal > 0).all():
        return False
    return is_semidefinite(gram - np.diag(diagonal))
