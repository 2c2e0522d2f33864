"""Paths on little dense data: many points in one call of a kernel, and one look at all of them.

A point of such a path takes a few microseconds, less than a single call. Those whose certificates, from the data, are within
the tolerance are final; the first that is not is left to `solve`, and the path goes on from there.
"""

from __future__ import annotations

import time

import numpy as np

from sparseopt.certificate import certify_rows
from sparseopt.conjugates import ridged_norms
from sparseopt.designs import CenteredDense, Dense
from sparseopt.losses import Gamma, LeastSquares, Logistic, Poisson
from sparseopt.losses.samples import slope_at_zero
from sparseopt.proofs.many_points import look_at_many
from sparseopt.solution import Solution, Status
from sparseopt.solvers.working.little_followers import GramFollower, SampleFollower

# Entries of X, and features, up to which this is quicker than batches, and the tolerance below which sums are rounding.
_ENTRIES, _FEATURES, _FINEST = 1 << 17, 400, 1e-11
# Fitted values and coefficients that are looked at together.
_TOGETHER = 1 << 17
# The part of the strength before below which a point of a loss on samples may be too far away for whole Newton steps.
_SMOOTH = (Logistic, Poisson, Gamma)


def begun(problem, terms, solver, tol):
    """The path, if it is one for this; None of another one."""
    loss = problem.loss
    if solver is not None or problem.constraint is not None or type(loss) not in (LeastSquares, *_SMOOTH):
        return None
    X = loss.X
    is_little = type(X) in (Dense, CenteredDense) and X.dtype == np.float64 and 0 < X.n_entries <= _ENTRIES
    if not is_little or X.shape[1] > _FEATURES or not tol >= _FINEST:
        return None
    forms = ridged_norms(terms, loss.n_features)
    return None if forms is None else LittlePath(problem, terms, forms, tol)


class LittlePath:
    """A path in the making."""

    def __init__(self, problem, terms, forms, tol):
        self.problem, self.terms, self.tol, self._forms = problem, terms, tol, forms
        loss = problem.loss
        steepest = float(np.maximum.reduce(np.abs(slope_at_zero(loss)), initial=0.0))
        strengths = np.concatenate([[steepest, steepest], forms[:, 0].max(axis=1)])
        kind = GramFollower if type(loss) is LeastSquares else SampleFollower
        self._follower = kind(loss, forms, strengths, tol)
        self._most = max(1, _TOGETHER // sum(loss.X.shape))
        self.solutions, self.fits, self.needs_help = [], [], False

    def advance(self):
        """Solve some points, and keep those that pass; a bounded piece of work."""
        start, follower, begin = time.perf_counter(), self._follower, len(self.solutions)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # far out nothing passes
            end, steps, epochs = follower.follow(begin, min(begin + self._most, len(self.terms)))
            if end > begin:
                self._look_at(slice(begin, end), start, f"{steps} Newton steps and {epochs} epochs for {end - begin} points")
        self.needs_help = len(self.solutions) < max(end, begin + 1)

    def accept(self, solution, fit):
        """Go on from a solution that was found elsewhere."""
        self.solutions.append(solution)
        self.fits.append(fit)
        self._follower.begin_at(solution.w)
        self.needs_help = False

    def _look_at(self, these, start, account):
        loss, follower, forms = self.problem.loss, self._follower, self._forms[these]
        W = follower.points[these] + 0.0  # a negative zero becomes a zero
        looks = look_at_many(loss, forms[:, 0], forms[:, 1], W, follower.levels[these])
        seconds = (time.perf_counter() - start) / len(W)
        certificates = certify_rows(self.problem, W, looks)
        for w, fit, intercept, certificate in zip(W, looks.fit.tolist(), looks.intercept.tolist(), certificates, strict=True):
            if not abs(certificate.relative_gap) <= self.tol:
                return
            self.fits.append(fit)
            self.solutions.append(
                Solution(
                    w=w.copy(),
                    intercept=intercept,
                    status=Status.CONVERGED,
                    certificate=certificate,
                    iterations=1,
                    seconds=seconds,
                    solver=follower.name,
                    feature_names=loss.feature_names,
                    account=account,
                )
            )
