"""A loss on samples under a penalty on single coefficients, looked at in several points of few nonzeros.

As in `several_points`, a coefficient that is zero and whose slope is within [-a, a] is done with. Products with X' are made
for several points at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparseopt.conjugates import loss_conjugate
from sparseopt.designs import CSC
from sparseopt.kernels.columns import combine_sparse
from sparseopt.proofs.duality import ROUNDING, balanced
from sparseopt.proofs.examination import NEXT_TO_NOTHING, Examination
from sparseopt.proofs.several_points import counted

# Part of the slopes that may have to be taken off for an intercept that is settled.
_SETTLED = 1e-12


class SampleLook(NamedTuple):
    """What a loss on samples says of one point."""

    #: Fitted values without offsets, and the intercept in them.
    eta: np.ndarray
    intercept: float
    #: The loss.
    height: float
    #: Slope of phi in each fitted value; with an intercept, their weighted sum is zero.
    v: np.ndarray
    #: Whether that took no more than rounding.
    is_settled: bool


class SampleLooks:
    """Fitted values and slopes of a loss on samples at several points."""

    def __init__(self, loss):
        self._loss, self._y = loss, loss.y.astype(np.float64)
        self._weights = np.asarray(loss.sample_weight.values, dtype=np.float64)

    def at(self, points, levels):
        """(look, slope) at each of the points; an intercept is looked for where it brings the mean fitted value to a level."""
        looks = [self._look(point, level) for point, level in zip(points, levels, strict=True)]
        X = self._loss.X
        if len(looks) == 1:
            yield looks[0], np.asarray(X.rmatvec(self._weights * looks[0].v), dtype=np.float64)
            return
        pulls = np.asarray(X.rmatvec(np.stack([self._weights * look.v for look in looks]).T))
        for look, slope in zip(looks, pulls.T, strict=True):
            yield look, np.ascontiguousarray(slope, dtype=np.float64)

    def _look(self, point, level):
        loss, X = self._loss, self._loss.X
        if isinstance(X, CSC) and X.dtype == np.float64:
            eta = np.empty(X.n_rows)
            combine_sparse(X.data, X.indices, X.indptr, point.support, point.values, eta)
        else:
            eta = np.asarray(X.matvec(point.to_array()), dtype=np.float64)
        intercept = 0.0
        if loss.intercept:
            near = level - float(np.mean(eta))
            eta = eta + near
            rest = float(loss.constant.settled(loss, eta))
            eta, intercept = eta + rest, near + rest
        z = loss.offset.added_to(eta)
        v = np.asarray(loss.slope(self._y, z), dtype=np.float64)
        # a logarithm of targets in single precision would be no better than these
        height = float(np.add.reduce(self._weights * loss.value(self._y, z)))
        if not loss.intercept:
            return SampleLook(eta, intercept, height, v, is_settled=True)
        slopes = balanced(v, self._weights)
        is_settled = bool(np.max(np.abs(slopes - v)) <= _SETTLED * np.max(np.abs(v)))
        return SampleLook(eta, intercept, height, slopes, is_settled)


def examine_samples(loss, form, point, look, slope):
    """The examination of a point from a look at it; None where the formulas for few nonzeros do not do."""
    if not look.is_settled or (found := counted(form, point, slope)) is None:
        return None
    part, w, here = found
    scale = part.largest_scale(-here)
    terms = np.asarray(loss.sample_weight.values, dtype=np.float64) * loss_conjugate(loss, scale * look.v)
    value, size = float(np.add.reduce(terms)), float(np.add.reduce(np.abs(terms)))
    conjugate = part.conjugate_near(-scale * here)
    bound = -value - conjugate - ROUNDING * (size + abs(conjugate))
    objective = look.height + part.value(w)
    distance = float(np.maximum.reduce(part.subgradient_distance(w, here), initial=0.0))
    if distance * np.add.reduce(np.abs(w)) <= NEXT_TO_NOTHING * objective < objective - bound:
        return None
    # in this order of the two, a bound that is no number is none
    return Examination(objective, slope, max(-np.inf, bound), distance)
