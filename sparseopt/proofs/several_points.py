"""Least squares under a penalty on single coefficients, looked at in several points of few nonzeros.

Of a coefficient that is zero, and whose slope is within [-a, a], bound and distance know no more than that: its conjugate
is zero, and so is its distance. So a look at a point is a product with X each way, one comparison with a, and formulas on
the few coefficients that are left. Products with a dense X are made for several points at once. With a sparse one, a
point of few nonzeros reaches few rows, and f'(w) = f'(0) + X'S X w is a sum over those.
"""

from __future__ import annotations

import numpy as np

from sparseopt.designs import CSC, CenteredCSC
from sparseopt.kernels.columns import combine_sparse
from sparseopt.losses.least_squares import Residual
from sparseopt.proofs.duality import ROUNDING, half_squares
from sparseopt.proofs.examination import NEXT_TO_NOTHING, Examination

# Rows, and entries in them, as a part of all, up to which a sum over rows pays.
_ROWS, _ENTRIES = 0.5, 0.4


class Looks:
    """Residuals and slopes of a loss at one point after another."""

    def __init__(self, loss):
        X = loss.X
        self._loss, self._weights = loss, np.asarray(loss.sample_weight.values, dtype=np.float64)
        self._rows, self._start, self._slope = None, None, np.empty(loss.n_features)
        self._goes_by_rows = isinstance(X, CSC | CenteredCSC) and X.dtype == np.float64

    def at(self, points):
        """(residual, slope) at each of the points; the slope may be overwritten by the next."""
        for k, point in enumerate(points):
            found = self._by_rows(point) if self._goes_by_rows else None
            if found is None:
                yield from self._by_columns(points[k:])
                return
            yield found

    def _by_rows(self, point):
        X, loss = self._loss.X, self._loss
        image = np.empty(X.shape[0])
        combine_sparse(X.data, X.indices, X.indptr, point.support, point.values, image)
        reached = (image != 0.0).nonzero()[0]
        # along a path there will be more and more
        self._goes_by_rows = reached.size <= _ROWS * image.size and self._are_few(reached)
        if not self._goes_by_rows:
            self._rows = None
            return None
        masses = (self._weights * image)[reached]
        combine_sparse(self._rows.data, self._rows.indices, self._rows.indptr, reached, masses, self._slope)
        self._slope += self._start
        if isinstance(X, CenteredCSC):
            # weights have the sum one, and the weighted sum of a column is its mean
            shift = X.means[point.support] @ point.values
            image -= shift
            self._slope -= shift * X.means
        return self._residual(image - loss.target), self._slope

    def _are_few(self, reached):
        """Whether these rows have few of all entries."""
        if self._rows is None:
            self._rows = self._loss.X.matrix.tocsr()
            self._start = self._loss.gradient(np.zeros(self._slope.size))
        ends = self._rows.indptr
        return int(np.sum(ends[reached + 1] - ends[reached])) <= _ENTRIES * self._rows.data.size

    def _by_columns(self, points):
        loss, p = self._loss, self._loss.n_features
        block = np.zeros((p, len(points)), order="F")
        for k, point in enumerate(points):
            block[point.support, k] = point.values
        values = np.asfortranarray(loss.X.matvec(block) - loss.target[:, None])
        weights = self._weights
        pulls = np.asarray(loss.X.rmatvec(values * (weights if weights.ndim == 0 else weights[:, None])))
        for k in range(len(points)):
            yield self._residual(values[:, k]), np.ascontiguousarray(pulls[:, k], dtype=np.float64)

    def _residual(self, values):
        mass = self._weights * values
        return Residual(values, mass, float(np.add.reduce(mass * values)))


def counted(form, point, slope):
    """The coefficients of which more is to be said: the form on them, their values and slopes; None where others count, too."""
    if not form.holds_zero:
        return None
    # a slope that is no number is one of those that count
    counts = np.logical_not(np.abs(slope) <= form.a)
    counts[point.support] = True
    columns = counts.nonzero()[0]
    part, here = form.restrict(columns), slope[columns]
    w = np.zeros(columns.size)
    w[np.searchsorted(columns, point.support)] = point.values
    return None if part.stuck(-here) is not None else (part, w, here)


def examine_few(loss, form, point, residual, slope):
    """The examination of a point from its residual and slope; None where the formulas for few nonzeros do not do."""
    if (found := counted(form, point, slope)) is None:
        return None
    part, w, here = found
    scale = part.largest_scale(-here)
    scale, value, size = half_squares(
        loss, residual.values, residual.mass, residual.squares, scale, may_shrink=part.is_homogeneous
    )
    conjugate = part.conjugate_near(-scale * here)
    bound = -value - conjugate - ROUNDING * (size + abs(conjugate))
    objective = residual.squares / 2 + part.value(w)
    distance = float(np.max(part.subgradient_distance(w, here), initial=0.0))
    if distance * np.abs(w).sum() <= NEXT_TO_NOTHING * objective < objective - bound:
        return None
    # in this order of the two, a bound that is no number is none
    return Examination(objective, slope, max(-np.inf, bound), distance)
