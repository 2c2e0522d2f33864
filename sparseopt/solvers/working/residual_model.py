"""The model of a working set through the columns of X, without a matrix of its own."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from sparseopt.designs import CSC, CenteredDense, Dense, held_curvature
from sparseopt.kernels.columns import pull_columns
from sparseopt.kernels.descent import descend
from sparseopt.solvers.working.newton import conjugate_gradients
from sparseopt.solvers.working.working_model import BUDGET, EPOCHS, LITTLE, WorkingModel

# Conjugate gradients end at this part of their first residual, or after so many steps.
_CG_ACCURACY, _CG_STEPS = 1e-3, 50

# What a Gram matrix of sparse columns costs in multiplications of descent: for each of their entries, beside one for each
# of its row; for an entry of X and a sample in the looks to come; and the share of a product of a factorisation.
_TURN, _ENTRY, _SAMPLE, _FACTOR = 6.0, 6.0, 24.0, 1.0 / 30.0
# An epoch on a part of the entries so small costs next to nothing beside a look at all of them.
_FEW = 20
# Entries of columns that take as long as one of G, and the largest set that changes over.
_PACE, _LARGEST = 12.0, 4096


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
        is_curved = curvatures.min(initial=1.0) > 0.0
        self._curvatures = (
            curvatures if is_curved else np.where(curvatures > 0, curvatures, LITTLE * curvatures.max(initial=1.0))
        )
        self._weights = np.asarray(loss.sample_weight.values)

    @property
    def w(self):
        return self._w[self.features]

    @property
    def slope(self):
        return self._pull(self.features)

    def pull(self):
        """Slopes of the loss in all features, as far as what is carried along is exact."""
        if type(self._loss.X) is CSC:
            # what is read from end to end needs no list of columns
            return np.array(self._loss.X.rmatvec(self._running[:-1]), dtype=np.float64)
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

    @property
    def is_quick(self):
        return _FEW * self._n_entries <= self._loss.X.n_entries

    @property
    def is_dear(self):
        """Whether descent has cost what a Gram matrix of the set would have, and looks without the running vector."""
        X = self._loss.X
        if isinstance(X, Dense | CenteredDense) or not 0 < self.size <= _LARGEST:
            return False
        entries, n = self._n_entries, X.shape[0]
        price = (_TURN + entries / n) * entries + _FACTOR * self.size**3 + _ENTRY * X.n_entries + _SAMPLE * n
        # of as many epochs again, those on G would cost this part
        part = self.size**2 / (_PACE * entries + 1.0)
        return (1.0 - part) * self.work >= price

    @cached_property
    def _is_flat(self):
        """Constant columns, whose products with themselves are rounding."""
        curvatures = self._loss.curvatures()
        means = self._loss.X.means if self._loss.intercept else np.zeros(curvatures.size)
        return curvatures <= held_curvature(np.zeros_like(curvatures), means)

    def place(self, w, slopes):
        self._w[self.features] = w
        self.anchor(slopes)

    def anchor(self, slopes):
        self._running = self._loss.start(self._w)

    def descend(self, penalty, tol, patience):
        entries = 4.0 * self._n_entries + self.size  # an entry in its row costs as much as four in a row
        epochs = max(1, int(min(EPOCHS, BUDGET / (3 * entries))))
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
