"""The least worst loss on one support after another, and what exchanges of features promise.

With the weights lambda of the losses that belong to a support S, the mean of the losses is below the worst one on every
other support, too. So what a swap leaves of the mean, which is known for all swaps at once (least squares), is a bound for
what it leaves of the worst: only swaps for which that is better than S are worth a fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparseopt.constraints import Box
from sparseopt.losses import LeastSquares, Perturbed
from sparseopt.losses.quadratic import quadratic_model
from sparseopt.penalties import L1, Zero
from sparseopt.problem import Problem
from sparseopt.proofs.duality import dual_bound
from sparseopt.proofs.worst_bound import bound_by_weights
from sparseopt.solvers.worst_case.epigraph import Terms, minimise_epigraph
from sparseopt.solvers.worst_case.group_models import GramGroups, NormGroups, group_model

# Relative gap to which supports are fitted.
_CLOSE = 1e-10
# Rounding of sums of Gram matrices, in units of the losses at zero.
_ROUNDING = 1e-13
# Fits that are remembered.
_KEPT = 20_000


@dataclass(frozen=True, eq=False)
class Fit:
    """The least worst loss on a support."""

    support: np.ndarray
    objective: float
    #: Coefficients on the support, the intercept behind them where there is one.
    x: np.ndarray
    weights: np.ndarray


class WorstSupports:
    """All supports of a best subset problem with the worst of several losses.

    Parameters
    ----------
    problem : Problem
        With a `WorstCase`.
    subset : SubsetProblem
        The same as it reads.
    """

    def __init__(self, problem, subset):
        self.perturbed = problem.loss if isinstance(problem.loss, Perturbed) else None
        self.loss, self.subset = problem.loss if self.perturbed is None else self.perturbed.loss, subset
        self.model = group_model(self.loss)
        self.is_squares = isinstance(self.loss.losses[0], LeastSquares)
        self.is_smooth = not (subset.l1 or subset.has_bounds or self.perturbed is not None)
        p = subset.n_features
        self.slope = np.full(p, subset.l1) if self.perturbed is None else self.perturbed.radius
        self.lower = np.full(p, -np.inf) if subset.lower is None else subset.lower
        self.upper = np.full(p, np.inf) if subset.upper is None else subset.upper
        nothing = self.fitted(np.empty(0, dtype=np.intp))
        #: What rounding is relative to.
        self.scale = float(np.max(np.abs(self.model.move_to(np.zeros(self.model.size))[0])))
        self._known = {b"": nothing}

    @property
    def count(self):
        """Supports that were fitted."""
        return len(self._known)

    def fit(self, support):
        """The `Fit` of a sorted support."""
        key = support.tobytes()
        if key not in self._known:
            if len(self._known) > _KEPT:
                self._known = {b"": self._known[b""]}
            self._known[key] = self.fitted(support)
        return self._known[key]

    def fitted(self, support, price=None):
        """The `Fit` of a support, which is not remembered, at another price than that of its features perhaps."""
        subset, terms = self.subset, self.terms(support)
        price = subset.alpha * support.size if price is None else price
        # a required coefficient may be zero, and bounds may leave one number only
        free = np.flatnonzero(terms.lower < terms.upper)
        model = self.columns(support)
        model = model if self.perturbed is None else NormGroups(model)
        x = np.where(terms.lower < terms.upper, 0.0, terms.lower)
        if free.size < x.size:
            model, terms_free = _held(model, x, free), terms.restrict(free)
        else:
            terms_free = terms
        if free.size == 0:
            values = model.move_to(np.zeros(0))[0]
            height = self._worth(float(np.max(values)) + terms.value(x))
            return Fit(support, height + price, x, np.eye(values.size)[np.argmax(values)])
        points = minimise_epigraph(model, terms_free, np.zeros(free.size), _CLOSE)
        best = None
        for found_point, weights in points:
            point = np.clip(found_point, terms_free.lower, terms_free.upper)
            if not (np.all(np.isfinite(point)) and np.all(np.isfinite(weights))):
                continue
            height = float(np.max(model.move_to(point)[0])) + terms_free.value(point)
            if best is None or height <= best[0] + 1e-13 * abs(height):
                best = height, point, np.maximum(weights, 0.0) / np.maximum(weights, 0.0).sum()
        if best is None:
            return Fit(support, np.inf, x, np.full(model.n_groups, 1.0 / model.n_groups))
        x[free] = best[1]
        held = np.setdiff1d(np.arange(x.size), free)
        return Fit(support, self._worth(best[0] + terms.restrict(held).value(x[held])) + price, x, best[2])

    def _worth(self, height):
        """The loss that belongs to a height; of lengths it is half their square."""
        return height if self.perturbed is None else height * height / 2.0

    def terms(self, support):
        """Penalty and bounds of the coefficients on a support, without prices."""
        subset, size = self.subset, support.size
        arrays = (self.slope[support], np.full(size, subset.ridge), self.lower[support], self.upper[support])
        if self.loss.intercept:
            arrays = tuple(
                np.append(array, end) for array, end in zip(arrays, (0.0, 0.0, -np.inf, np.inf), strict=True)
            )
        return Terms(*arrays)

    def columns(self, support):
        """The model on a support, and the intercept."""
        places = np.append(support, self.subset.n_features) if self.loss.intercept else support
        part = self.model.restrict(places.astype(np.intp))
        if self.is_squares and not isinstance(part, GramGroups):
            return GramGroups.from_rows(self.loss, part.A)
        return part

    def coefficients(self, fit):
        """All coefficients of a fit."""
        w = np.zeros(self.subset.n_features)
        w[fit.support] = fit.x[: fit.support.size]
        return w

    def bound(self, support, weights):
        """What weights prove of all points on a support, without prices: the least mean of the losses there."""
        if self.perturbed is not None:
            loss = self.perturbed.restrict(support)
            box = Box(self.lower[support], self.upper[support]) if self.subset.has_bounds and support.size else None
            w = self.fit(support).x[: support.size]
            return bound_by_weights(Problem(loss, constraint=box), w, weights, None)
        gram, linear, constant = self.mean(support, weights)
        gram[np.diag_indices(support.size)] += self.subset.ridge
        slack = _ROUNDING * self.scale
        if support.size == 0:
            return constant - slack
        if self.is_smooth:
            x = np.linalg.lstsq(gram, linear, rcond=1e-13)[0]
            penalty, constraint = Zero(), None
        else:
            x = self.fit(support).x[: support.size]
            penalty = L1(self.subset.l1) if self.subset.l1 else Zero()
            constraint = Box(self.lower[support], self.upper[support]) if self.subset.has_bounds else None
        inner = Problem(quadratic_model(gram, -linear), penalty, constraint)
        return dual_bound(inner, x, gram @ x - linear) + constant - slack

    def mean(self, support, weights):
        """The mean of losses of least squares on a support, as x'Gx / 2 - q'x + c, the intercept minimised out."""
        model = self.columns(support)
        gram, linear, constant = model.hessian(weights), weights @ model.pulls, float(weights @ model.constants)
        if not self.loss.intercept:
            return np.array(gram), linear, constant
        shift, mean = gram[:-1, -1] / gram[-1, -1], linear[-1] / gram[-1, -1]
        centred = gram[:-1, :-1] - gram[-1, -1] * np.outer(shift, shift)
        return centred, linear[:-1] - linear[-1] * shift, constant - linear[-1] * mean / 2

    def exchanges(self, fit):
        """Supports that are one exchange, entry or exit away, with what the mean of the losses promises, the best first.

        Only those that promise an improvement.
        """
        subset, S = self.subset, fit.support
        p, size = subset.n_features, S.size
        rows, pull, bends = self.near(fit)
        on = np.append(S, p) if self.loss.intercept else S
        inner = rows[:, on].copy()
        inner[np.diag_indices(on.size)] += np.append(np.full(size, subset.ridge), np.zeros(on.size - size))
        inverse = np.linalg.pinv(inner, hermitian=True) if on.size else np.zeros((0, 0))
        C = inverse @ rows[:, :p]
        d = bends[:p] + subset.ridge - np.sum(rows[:, :p] * C, axis=0)
        outside = np.ones(p, dtype=bool)
        outside[S], outside[subset.forbidden] = False, False
        outside &= d > 1e-10 * np.maximum(bends[:p], 1e-300)
        others = np.flatnonzero(outside)
        trials = []
        leaving = np.array([i for i in range(size) if S[i] not in subset.required], dtype=np.intp)
        own = np.maximum(np.diagonal(inverse)[leaving], 1e-300)
        b = fit.x[leaving]
        if size < subset.k:
            trials.append((subset.alpha - pull[others] ** 2 / (2.0 * d[others]), np.full(others.size, -1), others))
        if subset.alpha:
            trials.append((b * b / (2.0 * own) - subset.alpha, leaving, np.full(leaving.size, -1)))
        if leaving.size and others.size:
            lean = C[np.ix_(leaving, others)]
            gain = (pull[others] + (b / own)[:, None] * lean) ** 2 / (2.0 * (d[others] + lean * lean / own[:, None]))
            change = (b * b / (2.0 * own))[:, None] - gain
            trials.append((change.ravel(), np.repeat(leaving, others.size), np.tile(others, leaving.size)))
        if not trials:
            return []
        change, leave, enter = (np.concatenate(parts) for parts in zip(*trials, strict=True))
        # the promise is one for squares and a ridge only
        least = -1e-10 * max(abs(fit.objective), 1e-6 * self.scale) if self.is_smooth else np.inf
        is_better = np.flatnonzero(change < least)
        order = is_better[np.argsort(change[is_better], kind="stable")]
        return [(float(change[i]), _exchanged(S, int(leave[i]), int(enter[i]))) for i in order[: 50 * max(size, 1)]]

    def near(self, fit):
        """Rows of the curvature of the mean on the support, the pulls outside of it, and the diagonal."""
        p, S = self.subset.n_features, fit.support
        on = np.append(S, p) if self.loss.intercept else S
        if isinstance(self.model, GramGroups):
            rows = np.tensordot(fit.weights, self.model.grams[:, on], 1)
            bends = fit.weights @ np.diagonal(self.model.grams, axis1=1, axis2=2)
            return rows, (fit.weights @ self.model.pulls - fit.x @ rows)[:p], bends
        A, starts = self.model.A, self.model.starts
        slopes, curvature = self.loss.derivatives(A[:, on] @ fit.x)[1:]
        mass = self.model.weights * np.repeat(fit.weights, np.diff(starts))
        bent = mass * curvature
        return (A[:, on] * bent[:, None]).T @ A, -(A.T @ (mass * slopes))[:p], bent @ (A * A)


def _held(model, x, free):
    """A model of the free coefficients with the others at x."""
    if isinstance(model, NormGroups):
        return NormGroups(_held(model.inner, x, free))
    if isinstance(model, GramGroups):
        curved = model.grams @ x
        constants = model.constants + (curved / 2 - model.pulls) @ x
        return GramGroups(model.grams[:, free[:, None], free], (model.pulls - curved)[:, free], constants)
    loss = model.loss
    offsets = np.split(model.A @ x, model.starts[1:-1])
    losses = tuple(
        replace(part, offset=part.offset.added_to(np.zeros(part.y.size)) + more)
        for part, more in zip(loss.losses, offsets, strict=True)
    )
    return type(model)(replace(loss, losses=losses), model.A[:, free])


def _exchanged(support, leave, enter):
    changed = np.delete(support, leave) if leave >= 0 else support
    return np.sort(np.append(changed, enter)).astype(np.intp) if enter >= 0 else changed
