"""Paths of losses on samples in batches: several penalties are solved on one working set, then looked at together.

As in `batched_path`: points that pass are final, the first that does not is taken up again with the features it missed. Each
begins where the line through the two before it leads, and goes on by Newton steps through the columns of the set.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sparseopt.certificate import certify, certify_few
from sparseopt.conjugates import convex_form, has_conjugate
from sparseopt.constraints import Box
from sparseopt.forms import SeparableForm
from sparseopt.losses import Huber, Quantile, SampleLoss, SquaredHinge
from sparseopt.packed import FewNonzeros, packed
from sparseopt.penalties import Penalty
from sparseopt.problem import Problem
from sparseopt.proofs.several_samples import SampleLook, SampleLooks, examine_samples
from sparseopt.solution import Solution, Status
from sparseopt.solvers.prox_newton import ProxNewton
from sparseopt.solvers.working.followed_samples import FollowedSamples
from sparseopt.solvers.working.working_plan import distances

# Points in a batch, and seconds after which no other is begun, at most.
_LARGEST, _CHUNK = 8, 0.1
# A feature enters where its slope, were it to grow as fast as the penalty falls, times this, would reach the penalty.
_FORESIGHT = 0.5
# Distance to stationarity at which a point is left, as a part of what a gap allows, and of the strength of the penalty.
_SHARPNESS, _ROUGH = 0.5, 0.05
# It doubles, up to this, where all gaps of a batch are less than this part of the tolerance.
_BLUNTEST, _EASY = 4.0, 0.2
# A point fails for features that are missing, if these are further from stationarity than a part of what the set is.
_HARMLESS = 0.5
# Tries before a point is left to `solve`, and the part of the strength before below which it is so at once.
_TRIES, _FAR = 4, 0.5
# Points that were tried too often, after which the rest of the path is not tried any more.
_PATIENCE = 1
# Part of the last way that the next point is looked for at, at most.
_FURTHEST = 2.0


class _Stop(NamedTuple):
    """A point of the path that was looked at, and the strength of its penalty."""

    point: FewNonzeros
    look: SampleLook
    strength: float


class _Try(NamedTuple):
    """A point that is still to be looked at."""

    problem: Problem
    form: SeparableForm
    point: FewNonzeros
    #: With an intercept, the mean of the fitted values that the solver has carried along.
    level: float
    steps: int


def takes(problem, terms, solver):
    """Whether the path can be followed in batches: a loss on samples under convex penalties on single coefficients.

    Where the curvature of a sample jumps, whole Newton steps cross the kinks to and fro.
    """
    loss = problem.loss
    is_smooth = isinstance(loss, SampleLoss) and not isinstance(loss, Huber | Quantile | SquaredHinge)
    if not (is_smooth and has_conjugate(loss) and (solver is None or isinstance(solver, ProxNewton))):
        return False
    if not (problem.constraint is None or isinstance(problem.constraint, Box)):
        return False
    return all(
        isinstance(term, Penalty) and isinstance(convex_form(term, problem.n_features), SeparableForm) for term in terms
    )


def _strength(form):
    """The largest price of a form, of which equal ones are one in memory."""
    return float(form.a[0] if form.a.strides == (0,) else np.maximum.reduce(form.a, initial=0.0))


class BatchedSamples:
    """A path in the making: solutions so far, and the working set from which it goes on."""

    def __init__(self, problem, terms, solver, tol):
        self.problem, self.terms, self.tol = problem, terms, tol
        self._solver = repr(ProxNewton() if solver is None else solver)
        self.solutions: list = []
        self.problems: list = []
        self._looks, self._working = SampleLooks(problem.loss), FollowedSamples(problem.loss)
        self._batch, self._tries, self._sharpness, self._bluntest = 1, 0, _SHARPNESS, _BLUNTEST
        self._failures = 0
        self._is_in = np.zeros(problem.n_features, dtype=bool)
        self._begin(np.zeros(problem.n_features))

    def _begin(self, w):
        """Go on from any point."""
        support = np.flatnonzero(w)
        point = FewNonzeros(w.size, support, w[support].astype(np.float64))
        ((look, self._slopes),) = self._looks.at([point], [0.0])
        # at an optimum the steepest slope is the strength of the penalty
        self._trail = [_Stop(point, look, float(np.maximum.reduce(np.abs(self._slopes), initial=0.0)))] * 2

    @property
    def needs_help(self):
        """Whether the next point is far away, or has been tried too often; it is for `solve` then, and `accept`."""
        place = len(self.solutions)
        has_failed = self._tries > _TRIES or self._failures > _PATIENCE
        return has_failed or (self._tries == 0 and self._is_far(place, self._trail[1].strength))

    def _is_far(self, place, strength):
        """Whether a penalty is so weak beside another one that the strength should come down in steps."""
        return not _strength(convex_form(self.terms[place], self.problem.n_features)) > _FAR * strength

    def accept(self, problem, solution):
        """Go on from a solution that was found elsewhere."""
        self._failures += self._tries > _TRIES
        self.problems.append(problem)
        self.solutions.append(solution)
        self._tries, self._sharpness, self._batch = 0, _SHARPNESS, 1
        self._begin(solution.w)

    def advance(self):
        """Solve a batch and keep the points that pass; a bounded piece of work."""
        with np.errstate(over="ignore", invalid="ignore"):  # far out a loss is beyond all numbers, and nothing passes
            self._look_at(self._solve_some())

    def _solve_some(self):
        """Points of a batch, one after another, while the strength falls slowly and the time is not over."""
        start, first, problems = time.perf_counter(), len(self.solutions), []
        strength = self._trail[1].strength
        for place in range(first, min(first + self._batch, len(self.terms))):
            if problems and self._is_far(place, strength):
                break
            problems.append(replace(self.problem, penalty=self.terms[place]))
            strength = _strength(convex_form(self.terms[place], self.problem.n_features))
        forms = [convex_form(problem.proximal, problem.n_features) for problem in problems]
        self._choose(forms)
        found, ways = [], [stop.strength for stop in self._trail]
        for problem, form in zip(problems, forms, strict=True):
            if found and time.perf_counter() - start > _CHUNK:
                break
            # a point that did not pass is gone on with from where it is
            part = -1.0
            if found or not self._tries:
                way, rest = ways[-2] - ways[-1], ways[-1] - _strength(form)
                part = min(max(rest / way, 0.0), _FURTHEST) if way > 0.0 else 0.0
                ways.append(_strength(form))
            found.append(self._solve(problem, form, part))
        self._seconds = (time.perf_counter() - start) / len(found)
        return found

    def _look_at(self, batch):
        """Keep the points of a batch that pass, and say how the next is to be done."""
        passed, widest = 0, 0.0
        looks = self._looks.at([one.point for one in batch], [one.level for one in batch])
        for one in batch:
            look, self._slopes = next(looks)
            stop = _Stop(one.point, look, _strength(one.form))
            self._trail = [self._trail[1 if passed or not self._tries else 0], stop]
            is_number = np.isfinite(look.height) and np.all(np.isfinite(one.point.values))
            # steps that have left all numbers prove nothing, and cannot be gone on from
            certificate = self._certified(one, look, self._slopes) if is_number else None
            if not is_number or not certificate.relative_gap <= self.tol or certificate.violation > self.tol:
                break
            self._tries, passed, widest = 0, passed + 1, max(widest, certificate.relative_gap)
            self.solutions.append(self._solution(one, look, certificate))
            self.problems.append(one.problem)
        if passed == len(batch):
            self._batch = min(2 * self._batch, _LARGEST)
            if widest < _EASY * self.tol:
                self._sharpness = min(2.0 * self._sharpness, self._bluntest)
            return
        self._tries = 1 if passed else self._tries + 1
        self._batch = max(1, passed)
        if not is_number:
            self._tries = _TRIES + 1
        elif self._missed(one.form)[1] <= _HARMLESS * certificate.stationarity:
            # what was too blunt once is not tried again
            self._bluntest, self._sharpness = self._sharpness / 2.0, self._sharpness / 4.0

    def _choose(self, forms):
        """The working set of a batch: both supports from which it sets out, and what may violate optimality in it."""
        before, here = self._trail
        growth = _FORESIGHT * max(
            float(np.maximum.reduce(np.abs(self._slopes), initial=0.0)) - _strength(forms[-1]), 0.0
        )
        if not self._tries:
            self._is_in[:] = False
        for columns in (here.point.support, before.point.support, self._working.held):
            self._is_in[columns] = True
        for columns in (self._missed(forms[0])[0], self._missed(forms[-1], growth)[0]):
            self._is_in[columns] = True
        features = self._is_in.nonzero()[0]
        self._working.take(features, (here.point, here.look.eta), (before.point, before.look.eta))

    def _missed(self, form, growth=0.0):
        """Features outside of the set, whose slopes are beyond the penalty's, or would be with an a so much smaller; how far."""
        beyond = np.abs(self._slopes) > form.a - growth
        beyond[self._is_in] = False
        columns = beyond.nonzero()[0]
        part = form.restrict(columns)
        part = replace(part, a=np.maximum(part.a - growth, 0.0))
        missing = distances(None, part, np.zeros(columns.size), self._slopes[columns], None)
        return columns[missing > 0.0], float(np.maximum.reduce(missing, initial=0.0))

    def _solve(self, problem, form, part):
        working = self._working
        size, steps = float(np.add.reduce(np.abs(working.w))), working.steps
        # slopes that are d too large cost a bound d |w|_1
        enough = self.tol * self._trail[1].look.height / size if size > 0.0 else np.inf
        working.minimise(problem.proximal, form, min(self._sharpness * enough, _ROUGH * _strength(form)), part)
        places = working.w.nonzero()[0]
        # what is looked at is what is returned, also in float32
        values = working.w[places].astype(problem.dtype).astype(np.float64)
        point = FewNonzeros(problem.n_features, working.features[places], values)
        level = working.level if self.problem.loss.intercept else 0.0
        return _Try(problem, form, point, level, working.steps - steps)

    def _certified(self, one, look, slope):
        here = examine_samples(self.problem.loss, one.form, one.point, look, slope)
        return certify(one.problem, one.point.to_array()) if here is None else certify_few(one.problem, one.point, here)

    def _solution(self, one, look, certificate):
        loss, point = self.problem.loss, one.point
        return packed(
            Solution(
                w=FewNonzeros(point.size, point.support, point.values.astype(loss.dtype)),
                intercept=look.intercept,
                status=Status.CONVERGED,
                certificate=certificate,
                iterations=one.steps,
                seconds=self._seconds,
                solver=self._solver,
                feature_names=loss.feature_names,
                account=self._working.account(),
            )
        )
