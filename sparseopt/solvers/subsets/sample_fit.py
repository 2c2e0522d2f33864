"""The best coefficients on one support under a loss on samples: Newton's method, within bounds where there are some."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.losses import Huber, SquaredHinge
from sparseopt.solvers.subsets.relaxed_minimum import minimise_relaxed
from sparseopt.solvers.working.newton import newton_direction

# Newton steps, halvings of one, and what rounding may hide of the objective.
_STEPS, _HALVINGS, _ROUNDING = 50, 40, 1e-15
# A whole step that was to gain no more than this part of the objective leaves only rounding.
_LAST = 1e-8
# Least curvature of a sample, as a part of the largest there may be.
_DAMPING = 1e-6


@dataclass(frozen=True, eq=False)
class SupportFit:
    """The minimiser on a support: positions in the view, coefficients there, intercept, objective."""

    support: np.ndarray
    x: np.ndarray
    intercept: float
    objective: float
    #: False where Newton's method did not come to an end: the samples are separated, and there is no minimiser.
    is_minimal: bool = True


def fit_support(view, subset, support, x, intercept):
    """The `SupportFit` of the loss and penalty, from the coefficients x."""
    return _Newton(view, subset, support, x, intercept).run()


class _Newton:
    def __init__(self, view, subset, support, x, intercept):
        self.view, self.subset, self.support = view, subset, support
        self.rows, self.intercept = view.rows[support], intercept
        self.is_smooth = not isinstance(view.loss, Huber | SquaredHinge)
        features = view.features[support]
        self.lower = np.full(support.size, -np.inf) if subset.lower is None else subset.lower[features]
        self.upper = np.full(support.size, np.inf) if subset.upper is None else subset.upper[features]
        self.x = np.clip(np.asarray(x, dtype=np.float64), self.lower, self.upper)
        self.point = view.point(self.x @ self.rows + intercept)
        self.height = self._height(self.point, self.x)

    def _height(self, point, x):
        return point.height + self.subset.ridge * float(x @ x) / 2 + self.subset.l1 * float(np.abs(x).sum())

    def run(self):
        # of nothing there is nothing to find
        is_minimal = not self.support.size and not self.view.loss.intercept
        for _ in range(0 if is_minimal else _STEPS):
            if not self._step():
                is_minimal = True
                break
        is_there, required = self.x != 0.0, self.subset.required
        if required.size:
            is_there |= np.isin(self.view.features[self.support], required)
        count = np.count_nonzero(is_there)
        return SupportFit(self.support, self.x, self.intercept, self.height + self.subset.alpha * count, is_minimal)

    def _step(self):
        """One damped Newton step; whether the objective has fallen."""
        view, loss = self.view, self.view.loss
        bends = view.bends(self.point, _DAMPING)
        if loss.intercept and not bends.any():
            bends = self._settled()
            if not bends.any():
                return False
        mass = view.s * self.point.raw
        rows, centre, total = self.rows, 0.0, float(bends.sum())
        slope = rows @ mass + self.subset.ridge * self.x
        if loss.intercept:
            centre = rows @ bends / total
            slope -= centre * mass.sum()
            rows = rows - centre[:, None]
        curvature = (rows * bends) @ rows.T
        np.einsum("ii->i", curvature)[:] += self.subset.ridge
        move, gain = self._direction(curvature, slope)
        image = move @ rows
        shift = 0.0
        if loss.intercept:
            shift = -float(mass.sum()) / total
            gain += shift * float(mass.sum())
            image += shift
            shift -= float(centre @ move)
        if not -gain > _ROUNDING * abs(self.height):
            return False
        step = 1.0
        for _ in range(_HALVINGS):
            x = np.clip(self.x + step * move, self.lower, self.upper)
            point = view.point(self.point.eta + step * image)
            height = self._height(point, x)
            if height <= self.height + 1e-4 * step * gain:
                break
            step /= 2.0
        else:
            return False
        has_fallen = self.height - height > _ROUNDING * abs(height)
        if step == 1.0 and -gain <= _LAST * abs(height) and self.is_smooth:
            has_fallen = False
        self.x, self.point, self.height = x, point, height
        self.intercept += step * shift
        return has_fallen

    def _settled(self):
        """Curvatures after a step to the best intercept, from so far out that all of them were zero in these numbers."""
        shift = float(self.view.loss.constant.settled(self.view.loss, self.point.eta))
        self.point, self.intercept = self.view.point(self.point.eta + shift), self.intercept + shift
        self.height = self._height(self.point, self.x)
        return self.view.bends(self.point, _DAMPING)

    def _direction(self, curvature, slope):
        """The step to the minimiser of the model within bounds, and what it is expected to gain."""
        x, l1 = self.x, self.subset.l1
        move = newton_direction(curvature, slope)[0] if slope.size else slope
        if not l1 and np.all((x + move >= self.lower) & (x + move <= self.upper)):
            return move, float(slope @ move)
        new, status = x.copy(), np.ones(x.size, dtype=np.int8)  # all are in
        tol = 1e-18 * max(abs(self.height), np.finfo(np.float64).tiny)
        costs = (np.zeros(x.size), l1, self.lower, self.upper, status, 0.0)
        minimise_relaxed(curvature, curvature @ x - slope, new, -slope, curvature.diagonal().copy(), costs, tol)
        return new - x, float(slope @ (new - x)) + l1 * float(np.abs(new).sum() - np.abs(x).sum())
