"""Losses of positive means under a log link, mu_i = exp(x_i w + b + o_i).

Their second derivative is monotone in the fitted value and has no bound, so that no step length
is safe everywhere. What is safe is known once a move is: between two fitted values the curvature
is largest at one of them. Coordinate descent and proximal gradient steps shorten a move until it
bends no more than they planned with, and Newton's method searches along its line.

Where the exponential would leave the range of numbers, far beyond any target, it is continued by its
tangent: the loss stays convex and smooth, and what is computed from it stays finite.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sparseopt._jit import Term, exp
from sparseopt.losses.samples import SampleLoss, prepare

# A move may bend so much more than its start before a second try is made.
_SLACK = 1.1
# Largest exponents: exp(230) = 1e100, and exp(40) = 2e17 for float32. Targets are at most 1e75 and 1e9, and products
# with squares of X have to stay finite.
_CEILING = {np.float64: 230.0, np.float32: 40.0}


def prepare_log_link(loss):
    """What `prepare` does, and the largest exponent."""
    prepare(loss, loss.X, loss.y)
    object.__setattr__(loss, "ceiling", loss.dtype.type(_CEILING[loss.dtype.type]))


@dataclass(frozen=True)
class LogConstant(Term):
    """An intercept in closed form: b = level + turn * log(sum_i mass_i exp(-turn z_i)), with turn 1 or -1."""

    level: float
    turn: float

    def best(self, loss, eta, b):
        """Minimiser over b of sum_i s_i phi(y_i, eta_i + o_i + b); the largest exponent is taken out first."""
        top = -np.inf
        for i in range(loss.y.size):
            if loss.mass_at(i) > 0:
                top = max(top, -self.turn * loss.offset.shifted(i, eta[i]))
        total = 0.0
        for i in range(loss.y.size):
            if loss.mass_at(i) > 0:
                total += loss.mass_at(i) * np.exp(-self.turn * loss.offset.shifted(i, eta[i]) - top)
        return self.level + self.turn * (top + np.log(total))

    def followed(self, mean):
        """What the intercept takes off fitted values that change by this weighted mean."""
        return mean

    def settled(self, loss, eta):
        """The same in numpy, in float64."""
        exponents = -self.turn * loss.offset.added_to(eta).astype(np.float64)
        mass = np.broadcast_to(loss.mass_at(slice(None)), exponents.size).astype(np.float64)
        exponents = exponents[mass > 0]
        top = np.max(exponents)
        return self.level + self.turn * (top + np.log(np.sum(mass[mass > 0] * np.exp(exponents - top))))


@dataclass(frozen=True, eq=False)
class LogLink(SampleLoss):
    """A loss on samples whose curvature has no bound; a subclass adds phi and where it is steepest."""

    has_bounded_curvature: ClassVar[bool] = False
    has_conjugate: ClassVar[bool] = True
    #: Exponents beyond this one are cut.
    ceiling: np.floating = field(init=False, repr=False)

    @abstractmethod
    def curvature_between(self, y, a, b):
        """Largest second derivative of phi between the fitted values a and b."""

    @abstractmethod
    def mass_at(self, i):
        """Weight of sample i in the equation for the intercept."""

    def growth(self, x):
        """exp(x), constant beyond the ceiling."""
        return exp(np.minimum(x, self.ceiling))

    def total_growth(self, x):
        """exp(x), continued by its tangent beyond the ceiling: the integral of `growth`."""
        return self.growth(x) * (1 + np.maximum(x - self.ceiling, 0))

    def smoothness(self):
        return np.inf

    def bend_at(self, i, z, move):
        """Largest curvature of s_i phi on the way from z to z + move, z without the offset."""
        z = self.offset.shifted(i, z)
        return self.sample_weight.at(i) * self.curvature_between(self.y[i], z, z + move)

    def coordinate_bend(self, running, j, bound):
        bend = _SLACK * self.X.bend_through(j, bound * 0, self, running[self.y.size + 1 :])
        return bend if bend > 0 else bound

    def move_bend(self, running, j, step, bend):
        return self.X.bend_through(j, step, self, running[self.y.size + 1 :])

    def bend_from(self, eta, u, d, image):
        n = self.y.size
        total, mean = image.dtype.type(0), image.dtype.type(0)
        for i in range(n):
            mean += self.sample_weight.at(i) * image[i]
        # The best intercept does no worse than one that follows the mean of the image.
        mean = self.constant.followed(mean)
        for i in range(n):
            move = image[i] - mean
            total += self.bend_at(i, eta[i] + u[n], move) * move * move
        return total

    def curvatures(self):
        squares = self.X.weighted_squares(self.sample_weight.values)
        return np.where(squares > 0, np.inf, 0.0).astype(self.dtype)

    def hessian_bound(self, d):
        raise TypeError(
            f"the curvature of {type(self).__name__} has no bound; hessian_near(w, d) is its second derivative at w."
        )

    def curvatures_near(self, w):
        return self.X.weighted_squares(self._bends(w).astype(self.dtype))

    def hessian_near(self, w, d):
        bends, image = self._bends(w), self.X.matvec(d)
        if self.intercept and np.sum(bends) > 0:
            image = image - np.sum(bends * image) / np.sum(bends)
        return self.X.rmatvec((bends * image).astype(self.dtype)).astype(self.dtype)

    def _bends(self, w):
        return self.sample_weight.values * self.curvature(self.y, self.predict(w))
