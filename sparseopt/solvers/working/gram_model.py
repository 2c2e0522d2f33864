"""The model of a working set with its matrix in memory."""

from __future__ import annotations

import numpy as np

from sparseopt.kernels.gram import descend_gram, gather, height, image_into, last_of_image
from sparseopt.kernels.gram_newton import minimise_on_gram
from sparseopt.kernels.kicks import kick, settle_gram, shake
from sparseopt.solvers.working.newton import newton_direction
from sparseopt.solvers.working.support_system import SupportSystem
from sparseopt.solvers.working.working_model import BUDGET, EPOCHS, LITTLE, OVERHEAD, WorkingModel

# Moves that are combined in Anderson's extrapolation; five is what Bertrand and Massias (2021) use.
_MEMORY = 5
# A first allocation, in features: at least so many, and so many times as many as there are; what is not used takes no memory.
_CAPACITY, _ROOM = 64, 4
# Features, and nonzero coefficients, up to which one call of a kernel goes to the minimum, and its epochs: most of the
# time would go into calls.
_LITTLE_SET, _LITTLE_SUPPORT, _ENOUGH = 400, 100, 400
# Largest support of which eigenvalues are taken where a factorisation fails.
_EIGEN = 600
# Curvature, relative to the diagonal, that then is added for Newton steps on a larger one.
_SLACK = 1e-7
# And of descent, whose multiplications are half as quick, and as long as what it does besides for a coordinate.
_SLOWNESS, _VISIT = 2.0, 20.0


class GramModel(WorkingModel):
    """The model with G in memory.

    G may be float32: the model is then a little off the loss, which the next exact slopes mend
    (iterative refinement). A small ridge keeps it positive definite. The point and the slope are
    float64 always. A small model that `descends_far` takes as many epochs as cost a Newton step before one.
    """

    def __init__(self, dtype, *, descends_far=True):
        super().__init__()
        self._descends_far, self.has_quick_epochs = descends_far, dtype == np.float32
        self.system = SupportSystem(dtype)
        # rounding of a sum of products, relative to the diagonal
        self._unit = float(np.finfo(dtype).eps)
        self._ridge = 8.0 * self._unit
        self._gram, self._vectors = np.empty((0, 0), dtype=dtype), np.empty((3, 0))
        #: The point at which slopes were exact.
        self._anchor = np.empty(0)
        #: A large support has had columns that are combinations of others.
        self._is_singular = False

    @property
    def w(self):
        return self._vectors[0, : self.size]

    @property
    def slope(self):
        return self._vectors[1, : self.size]

    def account(self):
        return (
            f"Gram matrix of {self.size} features in float{8 * self._gram.itemsize}, {self.epochs} epochs, "
            f"{self.newton_steps} Newton steps from {self.system.factorisations} factorisations"
        )

    @property
    def spare_epochs(self):
        if not self._descends_far:
            return 0
        return int(OVERHEAD / (_SLOWNESS * max(self.size, 1) * (_VISIT + self.size / 2)))

    def goes_to_the_end(self, form, tol):
        k = self.size
        if k > _LITTLE_SET or np.count_nonzero(self.w) > _LITTLE_SUPPORT or form.can_stick:
            return False
        gram, memory = self._gram[:k, :k].astype(np.float64), np.empty((k + 4, k))
        off, epochs, steps = minimise_on_gram(
            gram, memory[0], 0.0, gram, form.a, form.b, form.lower, form.upper, self.w, self.slope,
            memory, np.empty(k, dtype=np.uint64), _ENOUGH, tol, 0.0,
        )  # fmt: skip
        self._count(epochs)
        self.newton_steps += steps
        self.system.factorisations += steps
        self.work += steps * np.count_nonzero(self.w) ** 3 / 6.0
        return off <= tol

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
        self.size, self._anchor = size, np.empty(0)
        self.system.forget()

    def extend(self, features, rows, w, slope):
        """Add features; `rows` are theirs of G, their own columns last."""
        first, size = self.size, self.size + features.size
        self._reserve(size)
        self._features[first:size] = features
        # the columns of rows follow one another in memory, and their own block is symmetric
        self._gram[first:size, first:size] = rows[:, first:].T
        if first:
            self._gram[first:size, :first] = rows[:, :first]
            self._gram[:first, first:size] = rows[:, :first].T
        diagonal = self._gram.reshape(-1)[:: len(self._gram) + 1]
        own = diagonal[first:size]
        own *= 1.0 + self._ridge
        if not own.min(initial=np.inf) > 0.0:
            # where a column is zero, the penalty alone decides: a little curvature lets descent get there
            largest = float(diagonal[:size].max())
            own[~(own > 0.0)] = LITTLE * largest if largest > 0.0 else 1.0
        self.size = size
        self._vectors[0, first:size], self._vectors[1, first:size] = w, slope
        # where the new ones are zero, those of the others are what they were
        begin = 0 if w.any() else first
        image = np.empty(size - begin)
        last_of_image(self._gram, self.w, image)
        self.linear[begin:] = self.slope[begin:] - image

    def _reserve(self, size):
        old = self._vectors.shape[1]
        if size <= old:
            return
        capacity = max(2 * old, size if old else _ROOM * size, _CAPACITY)
        gram, features, vectors = self._gram, self._features, self._vectors
        self._gram = np.empty((capacity, capacity), dtype=gram.dtype)
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
        self._anchor = self.w.copy()

    @property
    def drift(self):
        """About how far slopes are off since they were exact, by the rounding of G; infinite where it has grown since."""
        k = self.size
        if self._anchor.size != k:
            return np.inf
        largest = float(np.max(self._gram.diagonal()[:k], initial=0.0))
        return self._unit * largest * float(np.sum(np.abs(self.w - self._anchor)))

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
        most = max(1, int(min(EPOCHS if patience < rows else patience, BUDGET / (3 * k * k))))
        # where epochs are quicker than an extrapolation, there are several times as many between two
        at_once = rows * max(1, self.spare_epochs // (rows * _MEMORY))
        move, epochs = descend_gram(
            penalty, self._gram, self.features, self.linear, self.w, self.slope,
            np.empty((_MEMORY, rows)), points, slopes, most, at_once, tol, patience,
        )  # fmt: skip
        self._count(epochs)
        return move

    def sweep(self, penalty, tol, epochs):
        """Epochs as they are, until no move reaches `tol`."""
        epochs = max(1, int(min(epochs, BUDGET / (3 * self.size**2 + 1))))
        self._count(settle_gram(penalty, self._gram, self._steps(), self.features, self.w, self.slope, epochs, tol))

    def shake(self, ways, penalty, kept, lowest, epochs, rough, fine):
        """Settle under two penalties and then `penalty`; the height that was reached, and what is not lower than `lowest` undone."""
        reached, epochs = shake(
            *ways, penalty, self._gram, self._steps(), self.features, self.linear, self.w, self.slope,
            kept, lowest, epochs, rough, fine,
        )  # fmt: skip
        self._count(epochs)
        return reached

    def kick(self, penalty, first, most, fall, epochs, rough, fine, patience):
        """Kicks of coordinates to lower minima; which is next, how many there were, and how many have missed since the last that has not."""
        place, kicks, misses, epochs = kick(
            penalty, self._gram, self._steps(), self.features, self.linear, self.w, self.slope, self.kept(),
            first, most, fall, epochs, rough, fine, patience,
        )  # fmt: skip
        self._count(epochs)
        return place, kicks, misses

    def _steps(self):
        """Inverses of the diagonal, which is positive."""
        return 1.0 / self._gram.reshape(-1)[:: len(self._gram) + 1][: self.size].astype(np.float64)

    def _count(self, epochs):
        self.epochs += epochs
        self.work += epochs * self.size * (1.0 + np.count_nonzero(self.w))

    def direction(self, free, force, ridge):
        if self._is_singular:
            ridge = ridge + _SLACK * self._gram.diagonal()[: self.size]
        return self.system.solve(self._gram, ridge, free, -force)

    def singular_direction(self, free, force, ridge):
        if self._gram.dtype == np.float32:
            self.is_too_coarse = True
        if self._gram.dtype == np.float32:
            return None, None
        if free.size > _EIGEN and not self._is_singular:
            # where columns are combinations of others, a little curvature carries coordinates far, to their walls
            self._is_singular = True
            return self.direction(free, force, ridge), None
        if free.size > _EIGEN:
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
