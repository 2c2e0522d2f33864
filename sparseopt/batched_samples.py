"""Paths of losses on samples in batches: several penalties are solved on one working set, then looked at together.

As in `batched_path`: points that pass are final, the first that does not is taken up again with the features it missed. Each
begins where the line through the two before it leads, and goes on by Newton steps through the columns of the set.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from sparseopt.certificate import certify, certify_few
from sparseopt.conjugates import convex_form, has_conjugate
from sparseopt.constraints import Box
from sparseopt.forms import SeparableForm
from sparseopt.losses import SampleLoss
from sparseopt.packed import FewNonzeros, packed
from sparseopt.penalties import Penalty
from sparseopt.proofs.several_samples import SampleLooks, examine_samples
from sparseopt.solution import Solution, Status
from sparseopt.solvers.prox_newton import ProxNewton
from sparseopt.solvers.working.followed_samples import FollowedSamples
from sparseopt.solvers.working.working_plan import distances

# Points in a batch, at most.
_LARGEST = 8
# A feature enters where its slope, were it to grow as fast as the penalty falls, times this, would reach the penalty.
_FORESIGHT = 0.5
# Distance to stationarity at which a point is left, as a part of what a gap allows, and of the strength of the penalty.
_SHARPNESS, _ROUGH = 0.5, 0.05
# It doubles, up to this, where all gaps of a batch are less than this part of the tolerance.
_BLUNTEST, _EASY = 4.0, 0.2
# A point fails for features that are missing, if these are further from stationarity than a part of what the set is.
_HARMLESS = 0.5
# Tries before a point is left to `solve`, and part of the last way that the next point is looked for at.
_TRIES, _FURTHEST = 5, 2.0


def takes(problem, terms, solver):
    """Whether the path can be followed in batches: a loss on samples under convex penalties on single coefficients."""
    loss = problem.loss
    if not (isinstance(loss, SampleLoss) and has_conjugate(loss) and (solver is None or isinstance(solver, ProxNewton))):
        return False
    if not (problem.constraint is None or isinstance(problem.constraint, Box)):
        return False
    forms = [convex_form(term, problem.n_features) for term in terms if isinstance(term, Penalty)]
    return len(forms) == len(terms) and all(isinstance(form, SeparableForm) and form.holds_zero for form in forms)


class BatchedSamples:
    """A path in the making: solutions so far, and the working set from which it goes on."""

    def __init__(self, problem, terms, solver, tol):
        self.problem, self.terms, self.tol = problem, terms, tol
        self._solver = repr(ProxNewton() if solver is None else solver)
        self.solutions: list = []
        self.problems: list = []
        self._looks, self._working = SampleLooks(problem.loss), FollowedSamples(problem.loss)
        self._batch, self._tries, self._sharpness = 1, 0, _SHARPNESS
        self._bluntest = _BLUNTEST
        self._is_in = np.zeros(problem.n_features, dtype=bool)
        self._begin(np.zeros(problem.n_features))

    def _begin(self, w):
        """Go on from any point."""
        support = np.flatnonzero(w)
        point = FewNonzeros(w.size, support, w[support].astype(np.float64))
        ((look, self._slopes),) = self._looks.at([point], [0.0])
        self._height = look.height
        self._trail = [(point, look)] * 2
        self._strengths = [self._strength(max(len(self.solutions) - 1, 0))] * 2

    def _strength(self, place):
        return float(np.max(convex_form(self.terms[place], self.problem.n_features).a, initial=0.0))

    @property
    def needs_help(self):
        """Whether the next point has been tried too often; it is for `solve` then, and `accept`."""
        return self._tries > _TRIES

    def accept(self, problem, solution):
        """Go on from a solution that was found elsewhere."""
        self.problems.append(problem)
        self.solutions.append(solution)
        self._tries, self._sharpness, self._batch = 0, _SHARPNESS, 1
        self._begin(solution.w)

    def advance(self):
        """Solve a batch and keep the points that pass; a bounded piece of work."""
        start = time.perf_counter()
        first = len(self.solutions)
        problems = [replace(self.problem, penalty=term) for term in self.terms[first : first + self._batch]]
        forms = [convex_form(problem.proximal, problem.n_features) for problem in problems]
        self._choose(forms)
        points = [
            self._solve(problem.proximal, form, is_new=k > 0 or not self._tries)
            for k, (problem, form) in enumerate(zip(problems, forms, strict=True))
        ]
        looks, passed = self._looks.at(points, [self._trail[1][1].intercept] * len(points)), 0
        widest = 0.0
        for problem, form, point in zip(problems, forms, points, strict=True):
            look, self._slopes = next(looks)
            self._height = look.height
            certificate = self._certified(problem, form, point, look, self._slopes)
            has_passed = certificate.relative_gap <= self.tol and certificate.violation <= self.tol
            if passed or self._tries == 0:
                self._trail = [self._trail[1], (point, look)]
            else:
                self._trail[1] = point, look
            if not has_passed:
                break
            self._tries, passed, widest = 0, passed + 1, max(widest, certificate.relative_gap)
            self.solutions.append(self._solution(point, look, certificate, start, len(points)))
            self.problems.append(problem)
        if passed == len(points):
            self._batch = min(2 * self._batch, _LARGEST)
            if widest < _EASY * self.tol:
                self._sharpness = min(2.0 * self._sharpness, self._bluntest)
            return
        self._tries = 1 if passed else self._tries + 1
        self._batch = max(1, passed)
        if self._missed(form)[1] <= _HARMLESS * certificate.stationarity:
            # what was too blunt once is not tried again
            self._bluntest, self._sharpness = self._sharpness / 2.0, self._sharpness / 4.0

    def _choose(self, forms):
        """The working set of a batch: both supports from which it sets out, and what may violate optimality in it."""
        (here, look), (before, last) = self._trail[1], self._trail[0]
        steepest = float(np.maximum.reduce(np.abs(self._slopes), initial=0.0))
        growth = _FORESIGHT * max(steepest - float(np.maximum.reduce(forms[-1].a)), 0.0)
        if not self._tries:
            self._is_in[:] = False
        for columns in (here.support, before.support, self._working.held):
            self._is_in[columns] = True
        for columns in (self._missed(forms[0])[0], self._missed(forms[-1], growth)[0]):
            self._is_in[columns] = True
        self._working.take(self._is_in.nonzero()[0], (here, look.eta), (before, last.eta))

    def _missed(self, form, growth=0.0):
        """Features outside of the set, whose slopes are beyond the penalty's, or would be with an a so much smaller; how far."""
        beyond = np.abs(self._slopes) > form.a - growth
        beyond[self._is_in] = False
        columns = beyond.nonzero()[0]
        part = form.restrict(columns)
        part = replace(part, a=np.maximum(part.a - growth, 0.0))
        missing = distances(None, part, np.zeros(columns.size), self._slopes[columns], None)
        return columns[missing > 0.0], float(np.maximum.reduce(missing, initial=0.0))

    def _solve(self, penalty, form, *, is_new):
        working, steps = self._working, self._strengths
        strength, part = float(np.maximum.reduce(form.a)), -1.0
        if is_new:
            way = steps[0] - steps[1]
            part = min(max((steps[1] - strength) / way, 0.0), _FURTHEST) if way > 0.0 else 0.0
            self._strengths = [steps[1], strength]
        size = float(np.add.reduce(np.abs(working.w)))
        # slopes that are d too large cost a bound d |w|_1
        enough = self.tol * self._height / size if size > 0.0 else np.inf
        working.minimise(penalty, form, min(self._sharpness * enough, _ROUGH * strength), part)
        places = working.w.nonzero()[0]
        # what is looked at is what is returned, also in float32
        values = working.w[places].astype(self.problem.dtype).astype(np.float64)
        return FewNonzeros(self.problem.n_features, working.features[places], values)

    def _certified(self, problem, form, point, look, slope):
        here = examine_samples(problem.loss, form, point, look, slope)
        return certify(problem, point.to_array()) if here is None else certify_few(problem, point, here)

    def _solution(self, point, look, certificate, start, count):
        loss = self.problem.loss
        return packed(
            Solution(
                w=FewNonzeros(point.size, point.support, point.values.astype(loss.dtype)),
                intercept=look.intercept,
                status=Status.CONVERGED,
                certificate=certificate,
                iterations=self._working.steps,
                seconds=(time.perf_counter() - start) / count,
                solver=self._solver,
                feature_names=loss.feature_names,
                account=self._working.account(),
            )
        )
