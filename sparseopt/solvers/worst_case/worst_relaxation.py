"""Bounds for sets of supports of the worst of several losses, for branch and bound.

For fixed weights of the losses, the best subset of their mean bounds the best subset of the worst loss, whatever the weights:
its perspective relaxation (`quadratic_relaxation`) is the first bound of a node. The second forgets how many features may be
in and minimises the worst loss over all that are left, which brings weights of its own: with G the curvature of the mean at
these weights and x its minimiser, leaving feature j out costs x_j**2 / (2 (G**-1)_jj) at least, and leaving out several the
sum of d_j x_j**2 / 2 at least, where G - diag(d) is positive semidefinite (Furnival and Wilson, 1974, and Frangioni and
Gentile, 2007, for the mean). A node is finished by the fit of its one support.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from sparseopt.solvers.trees.quadratic_relaxation import QuadraticRelaxation
from sparseopt.solvers.trees.tree import FREE, IN, OUT, Relaxation, Relaxed

# What the exact bound of a support may lose by rounding, in units of the losses at zero.
_ROUNDING = 1e-12


class WorstRelaxation(Relaxation):
    """The bounds of one problem.

    Parameters
    ----------
    supports : WorstSupports
    mean : QuadraticRelaxation or None
        Of the mean of the losses at good weights.
    shift : float
        What the baselines take off that mean.
    """

    def __init__(self, supports, mean: QuadraticRelaxation | None, shift):
        self.supports, self.mean, self.shift = supports, mean, shift
        self.subset, self.n_units = supports.subset, supports.subset.n_features
        self.slack = _ROUNDING * supports.scale

    def first_status(self):
        """What the problem itself fixes."""
        status = np.full(self.n_units, FREE, dtype=np.int8)
        status[self.subset.forbidden] = OUT
        status[self.subset.required] = IN
        return status

    def evaluate(self, support):
        support = np.sort(np.asarray(support, dtype=np.intp))
        if support.size > self.subset.k:
            return np.inf, np.zeros(self.n_units)
        fit = self.supports.fit(support)
        return fit.objective, self.supports.coefficients(fit)

    def relax(self, status, start, threshold, until):
        inside = np.flatnonzero(status == IN)
        if inside.size > self.subset.k:
            return Relaxed(np.inf)
        if inside.size == self.subset.k:
            status[status == FREE] = OUT
        if not np.any(status == FREE):
            fit = self.supports.fit(inside)
            price = self.subset.alpha * inside.size
            bound = self.supports.bound(inside, fit.weights) + price - self.slack
            return Relaxed(bound, support=inside)
        found = Relaxed(-np.inf)
        if self.mean is not None:
            found = self.mean.relax(status, start, threshold + self.shift, until)
            found.bound -= self.shift + self.slack
            if not found.is_finished or found.bound >= threshold:
                return found
            if not np.any(status == FREE) or np.count_nonzero(status == IN) >= self.subset.k:
                return self.relax(status, None, threshold, until)
        bound, unit = self._without_limit(status, threshold)
        found.bound = max(found.bound, bound)
        if found.bound < threshold and (found.unit < 0 or status[found.unit] != FREE):
            if not np.any(status == FREE):
                return self.relax(status, None, threshold, until)
            found.unit = unit if unit >= 0 and status[unit] == FREE else int(np.flatnonzero(status == FREE)[0])
        return found

    def _without_limit(self, status, threshold):
        """A bound by all features that are left, and the one that is missed most; features are fixed in `status`."""
        supports, subset = self.supports, self.subset
        left = np.flatnonzero(status != OUT)
        is_free = status[left] == FREE
        fit = supports.fitted(left, 0.0)
        inside = int(np.count_nonzero(~is_free))
        base = supports.bound(left, fit.weights) + subset.alpha * inside - self.slack
        x = fit.x[: left.size]
        most = int(np.argmax(np.where(is_free, np.abs(x), -1.0)))
        if base >= threshold or not supports.is_smooth:
            return base, int(left[most])
        gram, linear, _ = supports.mean(left, fit.weights)
        gram[np.diag_indices(left.size)] += subset.ridge
        factor, fault = lapack.dpotrf(gram, lower=1)
        if fault or np.min(factor.diagonal() ** 2 / np.maximum(gram.diagonal(), 1e-300)) < 1e-9:
            return base, int(left[most])
        inverse = lapack.dpotri(factor, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        x = inverse @ linear
        costs = x * x / (2.0 * inverse.diagonal())
        most = int(np.argmax(np.where(is_free, costs, -1.0)))
        # no point without feature j is better than this
        keep = is_free & (base + costs >= threshold)
        status[left[keep]] = IN
        out = int(np.count_nonzero(is_free)) - (subset.k - inside)
        if out <= 0:
            return base, int(left[most])
        own = np.sort(costs[is_free])
        root = 1.0 / np.sqrt(inverse.diagonal())
        # G - diag(d) stays semidefinite for d = root**2 / (largest eigenvalue of the scaled inverse)
        largest = float(np.linalg.eigvalsh(root[:, None] * inverse * root)[-1]) * (1.0 + 1e-10)
        together = float(np.sum(own[:out])) / largest
        return base + max(own[out - 1], together), int(left[most])
