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

A bound is computed from x and D by the first formula alone: nothing rests on how near they are to the best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from sparseopt.pruning.clock import Clock

# Choices of D, steps of alternating directions for each, more for the first, and Newton's steps.
ROUNDS, STEPS, FIRST, NEWTON = 14, 30, 60, 4
# Newton's steps to the first D, and the step below which there are no others.
CENTRE, SHORTEST = 15, 1e-6
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


def relaxed_bounds(gram, cross, energy, counts, clock=None) -> np.ndarray:
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
    diagonal = raised(relaxation.gram, diagonal, np.ones(diagonal.size), 1.0, CENTRE, clock)
    inverse = np.linalg.inv(relaxation.gram)
    dense = relaxation.cross @ inverse
    w = dual = dense
    totals, barrier, worth = [], 0.0, np.zeros(diagonal.size)
    for turn in range(ROUNDS):
        if clock.expired:
            break
        steps = STEPS if turn else FIRST
        x, w, dual, slope = relaxation.directions(inverse, dense, diagonal, w, dual, steps, clock)
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
        """The point x, w, the scaled dual, and the slope of the value in D after some steps.

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
        return x, w, dual, np.sum(w**2 / np.where(z > 0, z, 1) - w**2, axis=0)

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
        inverse = np.linalg.inv(gram - np.diag(diagonal))
        curvature = barrier * inverse**2 + np.diag(worth / diagonal**2)
        direction = np.linalg.solve(curvature, worth / diagonal - barrier * inverse.diagonal())
        step = 1.0
        while not is_split(gram, diagonal + step * direction):
            step /= 2
            if step < SHORTEST:
                return diagonal
        diagonal = diagonal + (step if step == 1 else 0.9 * step) * direction
    return diagonal


def is_split(gram, diagonal) -> bool:
    """Whether D > 0 and H - D has no negative eigenvalue, proven by a Cholesky factor (Rump, 2006)."""
    if not (diagonal > 0).all():
        return False
    # More than rounding can hide of an eigenvalue, the diagonal being at most one.
    margin = 2 * len(gram) * (len(gram) + 2) * np.finfo(float).eps
    rest = gram - np.diag(diagonal + margin)
    return scipy.linalg.lapack.dpotrf(rest, lower=True, overwrite_a=True)[1] == 0
