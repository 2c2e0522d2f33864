"""Quadratic models of the loss on a working set, and how they are minimised with a penalty.

The model at the anchor w is slope.(x - w) + (x - w)'G(x - w) / 2 + g(x). `GramModel` holds G and
changes a coordinate at the price of one of its rows; `ResidualModel` goes through the columns of
X instead, which is cheaper where they are sparse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from sparseopt.designs import held_curvature
from sparseopt.kernels.columns import penalty_on, pull_columns
from sparseopt.kernels.descent import descend
from sparseopt.kernels.gram import descend_gram, gather, height, image_into
from sparseopt.solvers.working.local_forms import local_form_on
from sparseopt.solvers.working.newton import conjugate_gradients, newton_direction, slide
from sparseopt.solvers.working.support_system import SupportSystem

# Moves that are combined in Anderson's extrapolation; five is what Bertrand and Massias (2021) use.
_MEMORY = 5
# A first allocation, in features.
_CAPACITY = 64
# Epochs of one call of a kernel at most, and multiplications of one call of `minimise`: a tenth of a second.
_EPOCHS, _BUDGET = 50, 3e8
# Epochs in which the signs keep still before Newton steps.
_PATIENCE = 2
# Newton steps in a row, at first and at most: a sign pattern that is hard to find takes many.
_STEPS, _MOST_STEPS = 4, 128
# Steps that are tried along a direction without curvature.
_HALVINGS = 7
# Largest support of which eigenvalues are taken where a factorisation fails.
_EIGEN = 600
# Where no move of an epoch reaches a tolerance, so many times it may be left of the distance to stationarity:
# in columns with a large part in common, moves are much less than what is left.
_SETTLED = 3.0
# Curvature, relative to the largest, of a feature whose column is zero.
_LITTLE = 1e-8
# Multiplications that take as long as what a Newton step does besides: borders of its system, and Python.
_OVERHEAD = 1.5e6
# And of descent, whose multiplications are half as quick, and as long as what it does besides for a coordinate.
_SLOWNESS, _VISIT = 2.0, 20.0
# Rounds after which a model is given up whose precision does not do for Newton steps.
_COARSE = 4
# Conjugate gradients end at this part of their first residual, or after so many steps.
_CG_ACCURACY, _CG_STEPS = 1e-3, 50


class WorkingModel(ABC):
    """What a working set needs of a model: to grow, to be anchored in exact slopes, to be minimised."""

    #: How many times as many features may enter at once as where each costs a row of a Gram matrix.
    eagerness: ClassVar[int] = 1

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

    def minimise(self, penalty, form, tol, rounds, *, is_warm=False):
        """Descend until no move reaches `tol`, with Newton steps where the penalty has a separable form.

        Returns whether that was reached within so many rounds; a call is cut short after some work, so that
        the run can be stopped.
        """
        end = self.work + _BUDGET
        patience = max(_PATIENCE, self.spare_epochs)
        if is_warm and form is not None and self.size and patience < _EPOCHS:
            # the signs of a neighbour on a path are mostly right
            self._newton(form)
        self.is_too_coarse = False
        for k in range(rounds if self.size else 0):
            if self.work >= end or (self.is_too_coarse and k >= _COARSE):
                break
            if self.descend(penalty, tol, patience) <= tol and self._is_near(form, _SETTLED * tol):
                return True
            for _ in range(min(_STEPS << k, _MOST_STEPS)):
                here = local_form_on(penalty, self.features, self.w) if form is None else form
                went = None if here is None else self._newton(here)
                if went is None and form is None and here is not None:
                    went = self._escape(penalty, here)
                if went is not False or self.work >= end:
                    break
            # where Newton steps fail, epochs have to do: extrapolated ones
            patience = max(_EPOCHS if went is None else _PATIENCE, self.spare_epochs)
            if form is not None and self._is_near(form, tol):
                return True
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
        self.work += _OVERHEAD + 4.0 * free.size * self.size
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


class GramModel(WorkingModel):
    """The model with G in memory.

    G may be float32: the model is then a little off the loss, which the next exact slopes mend
    (iterative refinement). A small ridge keeps it positive definite. The point and the slope are
    float64 always. A small model that `descends_far` takes as many epochs as cost a Newton step before one.
    """

    def __init__(self, dtype, *, descends_far=True):
        super().__init__()
        self._descends_far = descends_far
        self.system = SupportSystem(dtype)
        # rounding of a sum of products, relative to the diagonal
        self._ridge = 8.0 * float(np.finfo(dtype).eps)
        self._gram, self._vectors = np.empty((0, 0), dtype=dtype), np.empty((3, 0))

    @property
    def w(self):
        return self._vectors[0, : self.size]

    @property
    def slope(self):
        return self._vectors[1, : self.size]

    def account(self):
        return (
            f"Gram matrix of {self.size} features in {self._gram.dtype}, {self.epochs} epochs, "
            f"{self.newton_steps} Newton steps from {self.system.factorisations} factorisations"
        )

    @property
    def spare_epochs(self):
        if not self._descends_far:
            return 0
        return int(_OVERHEAD / (_SLOWNESS * max(self.size, 1) * (_VISIT + self.size / 2)))

    @property
    def linear(self):
        """Slope of the model at zero."""
        return self._vectors[2, : self.size]

    def restrict(self, keep):
        """Leave out features, whose coefficients are zero."""
        kept = np.flatnonzero(keep)
        size = kept.size
        # in place: entries move up and to the left, past none that is still to be read
        gather(self._gram, kept, kept, self._gram)
        self._features[:size], self._vectors[:, :size] = self.features[keep], self._vectors[:, : self.size][:, keep]
        self.size = size
        self.system.forget()

    def extend(self, features, rows, w, slope):
        """Add features; `rows` are theirs of G, their own columns last."""
        first, size = self.size, self.size + features.size
        self._reserve(size)
        self._features[first:size] = features
        self._gram[first:size, :size] = rows
        if first:
            self._gram[:first, first:size] = rows[:, :first].T
        diagonal = self._gram.reshape(-1)[:: len(self._gram) + 1]
        own = diagonal[first:size]
        own *= 1.0 + self._ridge
        if not own.min(initial=np.inf) > 0.0:
            # where a column is zero, the penalty alone decides: a little curvature lets descent get there
            largest = float(diagonal[:size].max())
            own[~(own > 0.0)] = _LITTLE * largest if largest > 0.0 else 1.0
        self.size = size
        self._vectors[0, first:size], self._vectors[1, first:size] = w, slope
        self.linear[:] = self.slope - self._image(self.w)

    def _reserve(self, size):
        old = self._vectors.shape[1]
        if size <= old:
            return
        capacity = max(2 * old, size, _CAPACITY)
        gram, features, vectors = self._gram, self._features, self._vectors
        self._gram = np.zeros((capacity, capacity), dtype=gram.dtype)
        self._features, self._vectors = np.empty(capacity, dtype=np.intp), np.empty((3, capacity))
        if self.size:
            self._gram[: self.size, : self.size] = gram[: self.size, : self.size]
            self._features[: self.size], self._vectors[:, : self.size] = features[: self.size], vectors[:, : self.size]

    def place(self, w, slopes):
        self.w[:] = w
        self.anchor(slopes)

    def anchor(self, slopes):
        self.slope[:] = slopes
        self.linear[:] = slopes - self._image(self.w)

    def _image(self, d):
        out = np.empty(d.size)
        image_into(self._gram, d, out)
        return out

    def height(self, penalty):
        """Objective of the model at its point, up to a constant."""
        return height(penalty, self.features, self.linear, self.w, self.slope)

    def kept(self):
        """The point, to be restored."""
        return self._vectors[:2, : self.size].copy()

    def origin(self):
        """The point where all coefficients are zero."""
        return np.stack([np.zeros(self.size), self.linear])

    def restore(self, point):
        """Go to a point that was kept; no feature may have entered or left since."""
        self._vectors[:2, : self.size] = point

    def descend(self, penalty, tol, patience):
        k, rows = self.size, _MEMORY + 1
        points, slopes = np.empty((2, rows, k))
        left = max(1, int(min(_EPOCHS if patience < rows else patience, _BUDGET / (3 * k * k))))
        # where epochs are quicker than an extrapolation, there are several times as many between two
        at_once = rows * max(1, self.spare_epochs // (rows * _MEMORY))
        while True:
            move, epochs = descend_gram(
                penalty, self._gram, self.features, self.w, self.slope,
                points, slopes, min(left, at_once), tol, patience,
            )  # fmt: skip
            self.epochs += epochs
            self.work += epochs * k * (1.0 + np.count_nonzero(self.w))
            left -= epochs
            if epochs < at_once or move <= tol or left <= 0:
                return move
            self._extrapolate(penalty, points, slopes)

    def sweep(self, penalty, tol, epochs):
        """Epochs as they are, until no move reaches `tol`."""
        k = self.size
        epochs = max(1, int(min(epochs, _BUDGET / (3 * k * k + 1))))
        last = np.empty((2, 1, k))
        _, epochs = descend_gram(
            penalty, self._gram, self.features, self.w, self.slope, last[0], last[1], epochs, tol, epochs
        )
        self.epochs += epochs
        self.work += epochs * k * (1.0 + np.count_nonzero(self.w))

    def _extrapolate(self, penalty, points, slopes):
        """Go to the combination of the last points whose moves nearly cancel, if it is lower (Anderson, 1965).

        The slope is affine in the point, so that it is combined alike.
        """
        moves = np.diff(points, axis=0)
        system = moves @ moves.T
        system[np.diag_indices(_MEMORY)] += 1e-12 * np.trace(system) + np.finfo(np.float64).tiny
        weights = np.linalg.solve(system, np.ones(_MEMORY))
        total = np.sum(weights)
        if total == 0.0 or not np.isfinite(total):
            return
        weights /= total
        w, slope = weights @ points[1:], weights @ slopes[1:]
        if height(penalty, self.features, self.linear, w, slope) < self.height(penalty):
            self.w[:], self.slope[:] = w, slope

    def direction(self, free, force, ridge):
        return self.system.solve(self._gram, ridge, free, -force)

    def singular_direction(self, free, force, ridge):
        if self._gram.dtype == np.float32:
            self.is_too_coarse = True
        if free.size > _EIGEN or self._gram.dtype == np.float32:
            return None, None
        self.work += 10.0 * free.size**3
        return newton_direction(self._gram[np.ix_(free, free)] + np.diag(ridge[free]), force)

    def flat_direction(self):
        return self.system.flattest()

    def bend(self, free, move):
        full = np.zeros(self.size)
        full[free] = move
        image = self._image(full)
        return float(move @ image[free]), image

    def apply(self, free, new, image):
        self.w[free] = new
        self.slope[:] += image


class ResidualModel(WorkingModel):
    """Least squares on the working set, through the columns of X themselves; its slopes are exact."""

    eagerness = 5

    def __init__(self, loss, w):
        super().__init__()
        self._features = np.empty(w.size, dtype=np.intp)
        self._loss = loss
        #: Entries of the columns of the set.
        self._n_entries = 0
        self._w = np.array(w, dtype=np.float64)
        self._running = loss.start(self._w)
        self._active = np.empty(w.size, dtype=np.intp)
        curvatures = loss.curvatures()
        self._curvatures = np.where(curvatures > 0, curvatures, _LITTLE * curvatures.max(initial=1.0))
        self._weights = np.asarray(loss.sample_weight.values)
        # constant columns, whose products with themselves are rounding
        means = loss.X.means if loss.intercept else np.zeros(w.size)
        self._is_flat = curvatures <= held_curvature(np.zeros_like(curvatures), means)

    @property
    def w(self):
        return self._w[self.features]

    @property
    def slope(self):
        return self._pull(self.features)

    def pull(self):
        """Slopes of the loss in all features, as far as what is carried along is exact."""
        return self._pull(np.arange(self._w.size))

    def _pull(self, features):
        out = np.empty(features.size)
        pull_columns(self._loss.X, features, self._running, out)
        return out

    def account(self):
        return f"residuals of {self.size} features, {self.epochs} epochs, {self.newton_steps} Newton steps"

    def extend(self, features):
        """Add features."""
        self._features[self.size : self.size + features.size] = features
        self.size += features.size
        X = self._loss.X
        ends = getattr(X, "indptr", None)
        self._n_entries += (
            X.shape[0] * features.size if ends is None else int(np.sum(ends[features + 1] - ends[features]))
        )

    def place(self, w, slopes):
        self._w[self.features] = w
        self.anchor(slopes)

    def anchor(self, slopes):
        self._running = self._loss.start(self._w)

    def descend(self, penalty, tol, patience):
        entries = 4.0 * self._n_entries + self.size  # an entry in its row costs as much as four in a row
        epochs = max(1, int(min(_EPOCHS, _BUDGET / (3 * entries))))
        move, epochs, visits = descend(
            self._loss, penalty, self._w, self._running, self._curvatures, self.features, self._active, epochs, tol
        )
        self.epochs += epochs
        self.work += visits * entries / self.size
        return move

    def direction(self, free, force, ridge):
        """Conjugate gradients with the diagonal as preconditioner."""
        columns, ridge = self.features[free], ridge[free]
        part, moves = self._loss.X.restrict(columns), ~self._is_flat[columns] | (ridge > 0.0)

        def multiply(d):
            return moves * (part.rmatvec(self._weights * part.matvec(d)) + ridge * d)

        return conjugate_gradients(
            multiply, self._curvatures[columns] + ridge, -(moves * force), _CG_ACCURACY, _CG_STEPS
        )

    def bend(self, free, move):
        image = self._loss.X.restrict(self.features[free]).matvec(move)
        return float(np.sum(self._weights * image * image)), image

    def apply(self, free, new, image):
        self._w[self.features[free]] = new
        self._running[:-1] += self._weights * image
