"""A loss on samples as a quadratic of a few coefficients, minimised through the columns of a sparse X."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt._jit import Term
from sparseopt.designs import CSC, CenteredCSC, Design, held_curvature
from sparseopt.kernels.columns import penalty_on, pull_columns, push_columns, scale_columns
from sparseopt.kernels.descent import descend
from sparseopt.losses.samples import Uniform
from sparseopt.solvers.working.newton import conjugate_gradients
from sparseopt.solvers.working.working_model import WorkingModel

# Epochs of one call of the kernel at most, and entries that it may visit: a tenth of a second.
_EPOCHS, _BUDGET = 50, 1e8
# Moves that are combined in Anderson's extrapolation, and epochs in one move.
_MEMORY, _AT_ONCE = 5, 2
# Conjugate gradients end at this part of their first residual, or after so many steps.
_CG_ACCURACY, _CG_STEPS = 0.03, 50


@dataclass(frozen=True)
class Squares(Term):
    """Half the sum of squares of a running vector, as kernels see a loss."""

    X: Design
    one: Uniform

    def coordinate_slope(self, running, j):
        return self.X.pull(j, running)

    def coordinate_bend(self, running, j, bound):
        return bound

    def move_bend(self, running, j, step, bend):
        return bend

    def move(self, running, j, step):
        self.X.push(j, step, self.one, running)

    def settle(self, running):
        """Centring has done it already."""


class CurvedModel(WorkingModel):
    """The quadratic with the slope v_i and the curvature h_i in each fitted value, the intercept minimised out.

    The columns are scaled by sqrt(h_i), so that the running vector is v_i / sqrt(h_i) to begin with, and
    centred where there is an intercept: a `CenteredCSC` takes off (sum of u) (mean of x_j) where
    the weights sum to one; here they sum to H, and its means are sqrt(H) times the means under h.
    """

    def __init__(self, design, *, has_intercept):
        super().__init__()
        n, p = design.shape
        self._design, self._has_intercept = design, has_intercept
        self._w, self._running = np.zeros(p), np.zeros(n + 1)
        self._squares, self._sums = np.zeros(p), np.zeros(p)
        self._entries, self._active = np.empty(design.n_entries), np.empty(p, dtype=np.intp)
        # one term for all models: a kernel takes long to tell the type of a new one
        scaled = CSC(self._entries, design.indices, design.indptr, n)
        if has_intercept:
            scaled = CenteredCSC(self._entries, design.indices, design.indptr, n, self._sums)
        self._quadratic = Squares(scaled, Uniform(np.float64(1.0)))

    def renew(self, features, w, v, weights):
        """Begin again with other features and curvatures, at the point w where the samples have the slopes v."""
        self._features, self.size = np.array(features), features.size
        self._root = np.sqrt(weights)
        self._total = float(np.sqrt(np.sum(weights))) if self._has_intercept else 0.0
        self._w[:] = 0.0
        self._scale(self._features)
        self.place(w, v)

    def _scale(self, features):
        design = self._design
        scale_columns(
            design.data, design.indices, design.indptr, features, self._root, self._entries, self._squares, self._sums
        )
        if self._total > 0.0:
            self._sums[features] /= self._total
            rest = self._squares[features] - self._sums[features] ** 2
            self._squares[features] = held_curvature(rest, self._sums[features])
        largest = float(np.max(self._squares[self._features], initial=0.0))
        self._squares[features] = np.maximum(self._squares[features], 1e-8 * largest if largest > 0.0 else 1.0)

    @property
    def w(self):
        return self._w[self.features]

    @property
    def slope(self):
        return self._pull(self.features)

    def account(self):
        return f"columns of {self.size} features, {self.epochs} epochs, {self.newton_steps} Newton steps"

    def _pull(self, features):
        out = np.empty(features.size)
        pull_columns(self._quadratic.X, features, self._running, out)
        return out

    def extend(self, features):
        """Add features."""
        self._features = np.append(self.features, features)
        self.size = self._features.size
        self._scale(features)

    def place(self, w, slopes):
        self._w[self.features] = w
        self.anchor(slopes)

    def anchor(self, slopes):
        """Take the slopes of the samples at the present point, from which those of the features follow."""
        self._running[:-1] = np.divide(slopes, self._root, out=np.zeros_like(slopes), where=self._root > 0.0)
        self._running[-1] = 0.0
        self._anchor = self._running.copy()

    def image(self):
        """What the fitted values have gained since the model was placed, less the intercept."""
        gain = (self._running - self._anchor)[:-1]
        return np.divide(gain, self._root, out=np.zeros_like(gain), where=self._root > 0.0)

    def descend(self, penalty, tol, patience):
        entries = 4.0 * self._design.n_entries * (self.size / self._w.size) + self.size
        features, points = self.features, []
        for _ in range(max(1, int(min(_EPOCHS, _BUDGET / entries)))):
            move, _, _ = descend(
                self._quadratic, penalty, self._w, self._running, self._squares, features, self._active, _AT_ONCE, tol
            )
            self.epochs += _AT_ONCE
            self.work += entries * _AT_ONCE
            if move <= tol:
                break
            points.append(np.concatenate([self._w[features], self._running]))
            if len(points) > _MEMORY:
                self._extrapolate(penalty, np.array(points))
                points = []
        return move

    def _extrapolate(self, penalty, points):
        """Go to the combination of the last points whose move would be smallest, if the objective falls (Anderson, 1965)."""
        moves = np.diff(points, axis=0)[:, : self.size]
        system = moves @ moves.T
        system[np.diag_indices(len(moves))] += 1e-12 * np.trace(system)
        try:
            weights = np.linalg.solve(system, np.ones(len(moves)))
        except np.linalg.LinAlgError:
            return
        point = (weights / np.sum(weights)) @ points[1:]
        w, running = point[: self.size], point[self.size :]
        if self._height(penalty, w, running) < self._height(penalty, self.w, self._running):
            self._w[self.features], self._running = w, running

    def _height(self, penalty, w, running):
        return (running[:-1] @ running[:-1] - running[-1] ** 2) / 2 + penalty_on(penalty, self.features, w)

    def direction(self, free, force, ridge):
        """Conjugate gradients with the diagonal as preconditioner."""
        columns, ridge = self.features[free], ridge[free]
        out = np.empty(free.size)

        def multiply(d):
            image = np.zeros(self._running.size)
            push_columns(self._quadratic.X, columns, d, self._quadratic.one, image)
            pull_columns(self._quadratic.X, columns, image, out)
            return out + ridge * d

        return conjugate_gradients(multiply, self._squares[columns] + ridge, -force, _CG_ACCURACY, _CG_STEPS)

    def bend(self, free, move):
        image = np.zeros(self._running.size)
        push_columns(self._quadratic.X, self.features[free], move, self._quadratic.one, image)
        out = np.empty(free.size)
        pull_columns(self._quadratic.X, self.features[free], image, out)
        return float(move @ out), image

    def apply(self, free, new, image):
        self._w[self.features[free]] = new
        self._running += image
