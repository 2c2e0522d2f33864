"""Points of a path on little dense data, many in one call: from the Gram matrix, or by Newton steps on samples."""

from __future__ import annotations

import numpy as np

from sparseopt.kernels.little_paths import follow_on_gram, follow_samples
from sparseopt.losses.samples import Uniform, slope_at_zero
from sparseopt.solvers.gram_descent import gram_matrix
from sparseopt.solvers.working.followed_samples import Bends

# Part of the tolerance to which points are brought: what is left is for rounding, and for what an estimate of a gap neglects.
_CLOSER = 0.7
_ONE = Uniform(np.float64(1.0))


class GramFollower:
    """Least squares: the Gram matrix of all features, descent and Newton steps on it."""

    name = "GramDescent()"

    def __init__(self, loss, forms, strengths, tol):
        p = loss.n_features
        self._gram, self._linear = gram_matrix(loss), np.array(slope_at_zero(loss), dtype=np.float64)
        self._height, self._forms, self._strengths, self._tol = loss.value_at_zero(), forms, strengths, _CLOSER * tol
        self._free, self._work = np.empty(p, dtype=np.uint64), np.empty((p + 4, p))
        self._state, self.points, self.levels = np.zeros((3, p)), np.empty((len(forms), p)), np.zeros(len(forms))
        self.taken = np.zeros(len(forms), dtype=np.intp)

    def follow(self, begin, end):
        """The points that are done from `begin` on, no further than to `end`; steps and epochs."""
        done, epochs, steps = follow_on_gram(
            self._gram, self._linear, self._height, self._forms, self._strengths, self.points[:end], self.taken, self._state,
            self._free, self._work, begin, self._tol,
        )  # fmt: skip
        return done, steps, epochs

    @property
    def w(self):
        """Where the kernel has ended."""
        return self._state[0]

    def begin_at(self, w):
        """Go on from any point."""
        self._state[:2] = w


class SampleFollower:
    """Another loss on samples: Newton steps, each by descent through the columns that are to move."""

    name = "ProxNewton()"

    def __init__(self, loss, forms, strengths, tol):
        n, p = loss.X.shape
        self._loss, self._forms, self._strengths, self._tol = loss, forms, strengths, _CLOSER * tol
        self._bends, self._images = Bends(np.empty(n)), np.zeros((4, n))
        self._orders = np.arange(p), np.empty(p, dtype=np.intp), np.empty(p, dtype=np.intp)
        self._state, self.points, self.levels = np.zeros((5, p)), np.empty((len(forms), p)), np.zeros(len(forms))
        self.taken = np.zeros(len(forms), dtype=np.intp)
        self.begin_at(np.zeros(p))

    def follow(self, begin, end):
        """The points that are done from `begin` on, no further than to `end`; steps and epochs."""
        return follow_samples(
            self._loss, _ONE, self._bends, self._loss.intercept, self._forms, self._strengths, self.points[:end],
            self.taken, self.levels, self._state, self._images, self._orders, begin, self._tol,
        )  # fmt: skip

    @property
    def w(self):
        """Where the kernel has ended."""
        return self._state[0]

    def begin_at(self, w):
        """Go on from any point."""
        self._state[:2] = w
        eta = np.asarray(self._loss.X.matvec(np.asarray(w, dtype=np.float64)), dtype=np.float64)
        self._images[:2] = eta + float(self._loss.constant.settled(self._loss, eta))
