"""Where a path of a loss on samples stands: the coefficients of a few features, and the fitted values that they give."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term
from sparseopt.kernels.sample_path import follow
from sparseopt.losses.samples import Uniform

# Steps for a point, epochs of a step, and the part of its first move that a step is minimised to.
_STEPS, _EPOCHS, _DEPTH = 15, 200, 0.1
# Least curvature of a sample, as a part of the largest, and what a step leaves of the one before where curvatures are too old.
_LEAST, _SLOW = 1e-7, 0.3
_ONE = Uniform(np.float64(1.0))


@dataclass(frozen=True, eq=False)
class Bends(Term):
    """Curvatures of the samples, as columns are weighted with them."""

    values: np.ndarray = field(metadata={"memory": True})

    def at(self, i):
        return self.values[i]

    def bend_at(self, i, z, move):
        return self.values[i]


class FollowedSamples:
    """Coefficients on a working set, from which the next point of a path is found through the columns of X."""

    def __init__(self, loss):
        n = loss.y.size
        self._loss, self._bends = loss, Bends(np.empty(n))
        self._images, self._mass = np.zeros((4, n)), np.zeros(1)
        self.features, self._points = np.empty(0, dtype=np.intp), np.empty((2, 0))
        self.points = self.steps = self.epochs = 0

    @property
    def w(self):
        """Coefficients of the features."""
        return self._points[0]

    def take(self, features, here, before):
        """Go to a point of few nonzeros, and remember the one before; each with its fitted values.

        `features`, in order, hold the supports of both; curvatures are made anew.
        """
        self.features, self._points = features, np.zeros((2, features.size))
        for k, (point, eta) in enumerate((here, before)):
            self._points[k, np.searchsorted(features, point.support)] = point.values
            self._images[k] = eta
        self._squares, self._sums = np.empty(features.size), np.zeros(features.size)
        self._sides = np.zeros((4, features.size))
        self._sides[2], self._sides[3] = -np.inf, np.inf
        self._orders = np.arange(features.size), np.empty(features.size, dtype=np.intp)
        self._mass[0] = 0.0

    def minimise(self, form, goal, part):
        """Find the next point, under the form of a penalty, and return what is left of the way there.

        It is begun at a part of the way from the point before to this one; if that is negative, at this one, which becomes none.
        """
        sides = self._sides
        sides[0] = form.a[self.features]
        if not form.is_plain:
            sides[1], sides[2], sides[3] = form.b[self.features], form.lower[self.features], form.upper[self.features]
        first, steps, epochs = follow(
            self._loss, _ONE, self._bends, self._loss.intercept, self.features, self._orders, sides,
            (self._points[0], self._points[1]), tuple(self._images), self._squares, self._sums, self._mass,
            (part, goal, _STEPS, _EPOCHS, _DEPTH, _LEAST, _SLOW),
        )  # fmt: skip
        self.points += 1
        self.steps += steps
        self.epochs += epochs
        return first

    def account(self):
        """The work so far, in words."""
        return f"columns of {self.features.size} features, {self.steps} steps and {self.epochs} epochs for {self.points} points"
