"""Paths on little dense data: many points in one call of a kernel, and one look at all of them.

A point of such a path takes a few microseconds, less than a single call. Those whose certificates, from the data, are within
the tolerance are final; the first that is not is left to `solve`, and the path goes on from there.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sparseopt.certificate import certify_row
from sparseopt.conjugates import ridged_norms
from sparseopt.designs import CenteredDense, Dense
from sparseopt.losses import Gamma, LeastSquares, Logistic, Poisson
from sparseopt.losses.samples import slope_at_zero
from sparseopt.proofs.many_points import look_at_many
from sparseopt.solution import Solution, Status
from sparseopt.solvers.working.little_followers import GramFollower, SampleFollower

# Entries of X, and features, up to which this is quicker than batches, and the tolerance below which sums are rounding.
_ENTRIES, _FEATURES, _FINEST = 1 << 17, 500, 1e-11
# Fitted values and coefficients that are looked at together.
_TOGETHER = 1 << 17
# Newton steps that a point may take.
_STEPS = 60
# Other losses, whose conjugates take many points at once.
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


def solved(problem, tol, max_iter):
    """The solution of a problem with a loss on little data, which is not least squares, or None; and where else to begin, or None."""
    is_enough = max_iter is None or (type(max_iter) is int and max_iter >= _STEPS)
    if type(problem.loss) not in _SMOOTH or not is_enough:
        return None, None
    if (run := begun(problem, (problem.penalty,), None, tol)) is None:
        return None, None
    run.advance(1)
    return (None, run.near()) if run.needs_help else (run.solution(0), None)


class LittlePath:
    """A path in the making: what is known of its points, of which solutions are made when they are asked for."""

    def __init__(self, problem, terms, forms, tol):
        self.problem, self.terms, self.tol, self._forms = problem, terms, tol, forms
        loss, count = problem.loss, len(terms)
        steepest = float(np.maximum.reduce(np.abs(slope_at_zero(loss)), initial=0.0))
        strengths = np.concatenate([[steepest, steepest], forms[:, 0].max(axis=1)])
        kind = GramFollower if type(loss) is LeastSquares else SampleFollower
        self._follower = kind(loss, forms, strengths, tol)
        self._most = max(1, _TOGETHER // sum(loss.X.shape))
        #: Points so far, their coefficients and intercepts, and the loss at each.
        self.count, self.W = 0, np.empty((count, loss.n_features))
        self.intercepts, self.fits = np.empty(count), np.empty(count)
        self._looks, self._begins, self._others = [], [], {}
        self.needs_help = False

    def advance(self, most):
        """Solve at most so many points, and keep those that pass; a bounded piece of work."""
        start, follower, begin = time.perf_counter(), self._follower, self.count
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # far out nothing passes
            end, *work = follower.follow(begin, min(begin + min(most, self._most), len(self.terms)))
            if end > begin:
                self._look_at(begin, end, start, work)
        self.needs_help = self.count < max(end, begin + 1)

    def near(self):
        """Where to begin with the point that needs help: where the kernel has left it, if that is lower than the one before."""
        here = replace(self.problem, penalty=self.terms[self.count])
        before = self.W[self.count - 1] if self.count else np.zeros(self.problem.n_features)
        w = self._follower.w.copy()
        return w if np.isfinite(w).all() and here.objective(w) < here.objective(before) else before

    def accept(self, solution, fit):
        """Go on from a solution that was found elsewhere."""
        place = self.count
        self.W[place], self.fits[place], self._others[place] = solution.w, fit, solution
        self.intercepts[place] = solution.intercept
        self._follower.begin_at(self.W[place])
        self.count, self.needs_help = place + 1, False

    def _look_at(self, begin, end, start, work):
        loss, follower, forms = self.problem.loss, self._follower, self._forms[begin:end]
        W = np.add(follower.points[begin:end], 0.0, out=self.W[begin:end])  # a negative zero becomes a zero
        looks = look_at_many(loss, forms[:, 0], forms[:, 1], W, follower.levels[begin:end])
        # over the objective alone, these are no smaller than the gaps of certificates
        has_passed = looks.objective - looks.bound <= self.tol * np.abs(looks.objective)
        self.fits[begin:end], self.intercepts[begin:end] = looks.fit, looks.intercept
        self.count = end if has_passed.all() else begin + int(np.argmin(has_passed))
        account = f"{work[0]} Newton steps and {work[1]} epochs for {end - begin} points"
        self._begins.append(begin)
        self._looks.append((looks, (time.perf_counter() - start) / len(W), account))

    def solution(self, place):
        """The solution at a place, a new one."""
        if place in self._others:
            return self._others[place]
        batch = bisect_right(self._begins, place) - 1
        looks, seconds, account = self._looks[batch]
        w, row = self.W[place].copy(), place - self._begins[batch]
        return Solution(
            w=w,
            intercept=float(self.intercepts[place]),
            status=Status.CONVERGED,
            certificate=certify_row(self.problem, w.copy(), looks, row),
            iterations=int(self._follower.taken[place]),
            seconds=seconds,
            solver=self._follower.name,
            feature_names=self.problem.loss.feature_names,
            account=account,
        )


class LittleSolutions(Sequence):
    """The solutions of a little path that is done, each made when it is first asked for; pickled as a tuple."""

    def __init__(self, run):
        self._run, self._made = run, {}

    def __len__(self):
        return self._run.count

    def __getitem__(self, index):
        places = range(len(self))[index]
        return self._at(places) if isinstance(places, int) else tuple(map(self._at, places))

    def __reduce__(self):
        return tuple, (list(self),)

    def _at(self, place):
        # of several threads that ask at once, all get the same
        return self._made.get(place) or self._made.setdefault(place, self._run.solution(place))

    @property
    def w(self):
        """Coefficients, one row a solution."""
        return self._run.W[: len(self)].copy()

    @property
    def intercepts(self):
        """One intercept a solution."""
        return self._run.intercepts[: len(self)].copy()
