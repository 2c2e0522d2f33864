"""Where a path of a loss on samples stands: the coefficients of a few features, and the fitted values that they give."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term
from sparseopt.designs import Dense
from sparseopt.kernels.sample_path import follow
from sparseopt.losses.samples import Uniform
from sparseopt.solvers.working.sample_models import DenseModels
from sparseopt.solvers.working.working_plan import distances

# Steps and epochs for a point, and the part of its first move that a step is minimised to.
_STEPS, _EPOCHS, _DEPTH = 15, 1000, 0.1
# Entries that one call of a kernel may visit: a tenth of a second.
_BUDGET = 1e8
# Least curvature of a sample, as a part of the largest, and what a step leaves of the one before where curvatures are too old.
_LEAST, _SLOW = 1e-7, 0.3
# Epochs through dense columns after which their Gram matrix does the rest, steps with it, rounds of one, and times that this is done.
_FEW_EPOCHS, _GRAM_STEPS, _ROUNDS, _CYCLES = 8, 12, 20, 4
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
        self._y = loss.y.astype(np.float64)
        self._models = DenseModels(loss, None, single=False) if isinstance(loss.X, Dense) else None
        self._has_gram = False
        self._images, self._mass = np.zeros((4, n)), np.zeros(1)
        self.features, self._points = np.empty(0, dtype=np.intp), np.empty((2, 0))
        self.points = self.steps = self.epochs = 0

    @property
    def w(self):
        """Coefficients of the features."""
        return self._points[0]

    @property
    def level(self):
        """Mean of the fitted values."""
        return float(np.mean(self._images[0]))

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
        if self._models is None:
            ends = self._loss.X.indptr
            entries = int(np.sum(ends[features + 1] - ends[features]))
            self._at_once = max(1, min(_EPOCHS, int(_BUDGET / (2 * entries + 1))))

    def minimise(self, penalty, form, goal, part):
        """Find the next point, under a penalty and its form.

        It is begun at a part of the way from the point before to this one; if that is negative, at this one, which becomes none.
        """
        sides = self._sides
        sides[0] = form.a[self.features]
        if not form.is_plain:
            sides[1], sides[2], sides[3] = form.b[self.features], form.lower[self.features], form.upper[self.features]
        self.points += 1
        if self._models is None:
            self._follow_in_parts(part, goal)
            return
        first = self._follow(part, goal, 2 if self._has_gram else _FEW_EPOCHS)
        for _ in range(_CYCLES):
            if first <= goal:
                return
            self._refine(penalty, form, goal)
            # an epoch through all columns of the set says whether some are missing
            before, first = first, self._follow(-1.0, goal, 1)
            if not first < before:
                # whole steps do not get nearer
                return

    def _follow_in_parts(self, part, goal):
        """Epochs through sparse columns, in calls of a bounded length."""
        for k in range(0, _EPOCHS, self._at_once):
            if self._follow(part if k == 0 else -1.0, goal, self._at_once) <= goal:
                return

    def _follow(self, part, goal, epochs):
        first, steps, epochs = follow(
            self._loss, _ONE, self._bends, self._loss.intercept, self.features, self._orders, self._sides,
            (self._points[0], self._points[1]), tuple(self._images), self._squares, self._sums, self._mass,
            (part, goal, _STEPS, epochs, _DEPTH, _LEAST, _SLOW),
        )  # fmt: skip
        self.steps += steps
        self.epochs += epochs
        return first

    def _refine(self, penalty, form, goal):
        """Newton steps with the Gram matrix of the columns in use, whose curvatures are kept from point to point."""
        loss, models, eta, w = self._loss, self._models, self._images[0], self._points[0]
        before, places = np.inf, None
        for _ in range(_GRAM_STEPS):
            z = loss.offset.added_to(eta)
            v = np.asarray(loss.sample_weight.values * loss.slope(self._y, z), dtype=np.float64)
            if places is None or not self._has_gram:
                bends = np.asarray(loss.sample_weight.values * loss.curvature(self._y, z), dtype=np.float64)
                largest = float(np.max(bends))
                # where no sample bends, no model has a minimum
                if not (0.0 < largest < np.inf) or models.is_full(np.count_nonzero(w)):
                    return
                places = self._extend(w, v, np.maximum(bends, _LEAST * largest))
                local = form.restrict(models.model.features)
            model = models.model
            models.place(w[places], v, is_exact=True)
            distance = float(np.max(distances(None, local, model.w, model.slope, None), initial=0.0))
            if distance <= goal:
                break
            if not (distance < before or self._has_gram):
                return
            self._has_gram = distance <= _SLOW * before
            before = distance
            model.minimise(penalty, local, max(_DEPTH * distance, 0.3 * goal), _ROUNDS)
            eta += models.image(model.w - w[places])
            if loss.intercept:
                eta += loss.constant.settled(loss, eta)
            w[places] = model.w
            self.steps += 1

    def _extend(self, w, v, bends):
        """The Gram matrix of all columns in use, new where the curvatures are too old; places of its columns in the set."""
        models = self._models
        if self._has_gram:
            is_new = w != 0.0
            is_new[np.searchsorted(self.features, models.model.features)] = False
            models.extend(self.features[is_new], w[is_new], v)
        else:
            is_used = w != 0.0
            models.renew(self.features[is_used], w[is_used], v, bends)
            self._has_gram = True
        return np.searchsorted(self.features, models.model.features)

    @property
    def held(self):
        """Features that have to stay in the set."""
        return self._models.model.features if self._has_gram else self.features[:0]

    def account(self):
        """The work so far, in words."""
        return f"columns of {self.features.size} features, {self.steps} steps and {self.epochs} epochs for {self.points} points"
