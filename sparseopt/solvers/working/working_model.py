"""Quadratic models of the loss on a working set, and how they are minimised with a penalty.

The model at the anchor w is slope.(x - w) + (x - w)'G(x - w) / 2 + g(x). `GramModel` holds G and
changes a coordinate at the price of one of its rows; `ResidualModel` goes through the columns of
X instead, which is cheaper where they are sparse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from sparseopt.kernels.columns import penalty_on
from sparseopt.parts import at_once
from sparseopt.solvers.working.local_forms import local_form_on
from sparseopt.solvers.working.newton import slide

# Epochs of one call of a kernel at most, and multiplications of one call of `minimise`: a tenth of a second.
EPOCHS, BUDGET = 50, 3e8
# Epochs in which the signs keep still before Newton steps.
_PATIENCE = 2
# And so many times as many as are spare where the last digits are to come: descent often gets there before it has cost
# as much as a factorisation, and on 1000 x 5000 one took as long as 35 epochs where 9 were spare.
_LAST = 4
# Newton steps in a row, at first and at most: a sign pattern that is hard to find takes many.
_STEPS, _MOST_STEPS = 4, 128
# Steps that are tried along a direction without curvature.
_HALVINGS = 7
# Where no move of an epoch reaches a tolerance, so many times it may be left of the distance to stationarity:
# in columns with a large part in common, moves are much less than what is left.
_SETTLED = 3.0
# Curvature, relative to the largest, of a feature whose column is zero.
LITTLE = 1e-8
# Multiplications that take as long as what a Newton step does besides: borders of its system, and Python.
OVERHEAD = 1.5e6
# Rounds after which a model is given up whose precision does not do for Newton steps.
_COARSE = 4


class WorkingModel(ABC):
    """What a working set needs of a model: to grow, to be anchored in exact slopes, to be minimised."""

    #: How many times as many features may enter at once as where each costs a row of a Gram matrix.
    eagerness: ClassVar[int] = 1
    #: Another model of the same set would have cost less.
    is_dear = False
    #: Epochs are quick beside factorisations, so that descent goes on for longer before Newton steps.
    has_quick_epochs = False
    #: Epochs cost next to nothing beside a look at all of X.
    is_quick = False

    def __init__(self):
        self.size = 0
        self.epochs = 0
        self.newton_steps = 0
        self.work = 0.0
        #: Newton steps failed for want of precision.
        self.is_too_coarse = False
        self._features = np.empty(0, dtype=np.intp)

    @property
    def features(self):
        """The working set."""
        return self._features[: self.size]

    @property
    @abstractmethod
    def w(self):
        """The point, one entry a feature of the working set."""

    @property
    @abstractmethod
    def slope(self):
        """Slope of the model there."""

    @abstractmethod
    def account(self) -> str:
        """The method, the size of the set and the work so far, in words."""

    @property
    def spare_epochs(self):
        """Epochs of descent that together cost no more than a Newton step: many on a small model."""
        return 0

    def goes_to_the_end(self, form, tol):
        """Go to where no coordinate is further than `tol` from stationarity in one call, where that pays; whether it got there."""
        return False

    @abstractmethod
    def anchor(self, slopes):
        """Make the slopes of the working set, which are exact, those of the model at its point."""

    @abstractmethod
    def place(self, w, slopes):
        """Go to a point at which the slopes are exact."""

    @abstractmethod
    def descend(self, penalty, tol, patience):
        """Epochs of coordinate descent, until no move reaches `tol` or Newton steps are due; the last move.

        They are due when the signs have kept still for `patience` epochs, where those are few, or else after as many.
        """

    @abstractmethod
    def direction(self, free, force, ridge):
        """The d with (G + ridge)_FF d = -force; None where it is not found."""

    @abstractmethod
    def bend(self, free, move):
        """The curvature move'G move, and what `apply` needs of it."""

    @abstractmethod
    def apply(self, free, new, image):
        """Set the free coordinates."""

    def minimise(self, penalty, form, tol, rounds, *, is_warm=False, is_last=None):
        """Descend until no move reaches `tol`, with Newton steps where the penalty has a separable form.

        Returns whether that was reached within so many rounds; a call is cut short after some work, so that
        the run can be stopped. It `is_last` where the tolerance is fine, as nothing but the last digits is to come, and is
        known not to be where features are still missing: signs will not stay what they are.
        """
        return at_once(self.minimising(penalty, form, tol, rounds, is_warm=is_warm, is_last=is_last))

    def minimising(self, penalty, form, tol, rounds, *, is_warm=False, is_last=None):
        """The same in parts, between which limits are looked at: a generator that returns what `minimise` does."""
        if is_last and form is not None and self.size and self.goes_to_the_end(form, tol):
            return True
        end = self.work + BUDGET
        patience = max(_PATIENCE, self.spare_epochs)
        if self.has_quick_epochs and is_last is not None and form is not None:
            patience = max(patience, _LAST * self.spare_epochs if is_last else EPOCHS)
        if is_warm and form is not None and self.size and patience < EPOCHS:
            # the signs of a neighbour on a path are mostly right
            self._newton(form)
        self.is_too_coarse = False
        for k in range(rounds if self.size else 0):
            if self.work >= end or (self.is_too_coarse and k >= _COARSE):
                break
            if self.descend(penalty, tol, patience) <= tol and self._is_near(form, _SETTLED * tol):
                return True
            yield
            for _ in range(min(_STEPS << k, _MOST_STEPS)):
                here = local_form_on(penalty, self.features, self.w) if form is None else form
                went = None if here is None else self._newton(here)
                if went is None and form is None and here is not None:
                    went = self._escape(penalty, here)
                if went is not False or self.work >= end:
                    break
                yield
            # where Newton steps fail, epochs have to do: extrapolated ones
            patience = max(EPOCHS if went is None else _PATIENCE, self.spare_epochs)
            if form is not None and self._is_near(form, tol):
                return True
            yield
        return self.size == 0

    def _is_near(self, form, tol):
        """Whether no coordinate is further than `tol` from stationarity, as far as a form can tell."""
        return form is None or np.max(form.subgradient_distance(self.w, self.slope), initial=0.0) <= tol

    def _newton(self, form):
        """One Newton step on the free nonzero coordinates; whether it was full, None where there is none.

        Coordinates that the step would carry across zero or a bound stop there, so that the minimiser of
        one sign pattern after another is followed (Lee et al., 2007), many signs at a time.
        """
        w, slope = self.w, self.slope
        free = np.flatnonzero((w != 0.0) & (w > form.lower) & (w < form.upper))
        if free.size == 0:
            return None
        x = w[free]
        a, b, lower, upper = form.a[free], form.b[free], form.lower[free], form.upper[free]
        signs = np.sign(x)
        direction = self.direction(free, slope[free] + a * signs + b * x, form.b)
        if direction is None or not np.all(np.isfinite(direction)):
            if np.any(b < 0.0):
                # a saddle of this piece of a concave penalty: descent leaves it
                return None
            direction, flat = self.singular_direction(free, slope[free] + a * signs + b * x, form.b)
            if flat is not None:
                return self._try(free, slide(x, a, lower, upper, flat), form)
            if direction is None:
                return None
        self.newton_steps += 1
        self.work += OVERHEAD + 4.0 * free.size * self.size
        ends = np.where(direction > 0.0, upper, lower)
        walls = np.where(direction * signs < 0.0, np.clip(0.0, lower, upper), ends)
        with np.errstate(over="ignore"):
            reach = np.divide(walls - x, direction, out=np.full(x.size, np.inf), where=direction != 0.0)
        first = float(np.min(reach))
        for step in _shorter_and_shorter(reach):
            if self._try(free, np.where(reach <= step, walls, x + step * direction), form) is not None:
                return step == 1.0 and first > 1.0
        return None

    def _escape(self, penalty, form):
        """Leave a saddle of a concave penalty along a direction without curvature; False if the model fell, None if not."""
        w = self.w
        free = np.flatnonzero((w != 0.0) & (w > form.lower) & (w < form.upper))
        direction = self.flat_direction()
        if direction is None or direction.size != free.size or not np.all(np.isfinite(direction)):
            return None
        x, slope = w[free], self.slope[free]
        force = slope + form.a[free] * np.sign(x) + form.b[free] * x
        if force @ direction > 0.0:
            direction = -direction
        with np.errstate(over="ignore", divide="ignore"):
            zeros = np.where(direction * x < 0.0, -x / direction, np.inf)
        step, stop = float(np.min(zeros)), int(np.argmin(zeros))
        if not np.isfinite(step):
            return None
        bend, image = self.bend(free, direction)
        features = self.features[free]
        here = penalty_on(penalty, features, x)
        best, lowest = None, 0.0
        for k in range(_HALVINGS):
            t = step * 0.5**k
            new = x + t * direction
            if k == 0:
                new[stop] = 0.0
            change = t * (slope @ direction) + t * t * bend / 2 + penalty_on(penalty, features, new) - here
            if change < lowest:
                best, lowest = (t, new), change
        if best is None:
            return None
        self.apply(free, best[1], best[0] * image)
        return False

    def flat_direction(self):
        """After a failure of `direction`: one without curvature; None where it is not known."""
        return None

    def _try(self, free, new, form):
        """Go to a point if the model falls; False if it was gone to, None if not."""
        x, a, b = self.w[free], form.a[free], form.b[free]
        bend, image = self.bend(free, new - x)
        change = np.sum(a * (np.abs(new) - np.abs(x)) + b * (new * new - x * x) / 2)
        if not change + (new - x) @ self.slope[free] + bend / 2 < 0.0:
            return None
        self.apply(free, new, image)
        return False

    def singular_direction(self, free, force, ridge):
        """A Newton step by eigenvalues, and directions in which the model is flat; both None where that costs too much."""
        return None, None


def _shorter_and_shorter(reach):
    """Parts of a Newton step to try: in full, half, then with fewer and fewer coordinates that get to their wall."""
    yield 1.0
    yield 0.5
    stops = np.sort(reach[reach < 0.5])
    count = stops.size // 2
    while count > 0:
        yield float(stops[count])
        count //= 4
    yield min(float(np.min(reach)), 1.0)
