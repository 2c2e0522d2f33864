"""Paths in batches: several penalties are solved on one working set, then looked at with one product.

Along a path most of the time goes into looks at all of X, one or two for each penalty, and each is
as slow as memory. A look at several points at once is a product of matrices, five times cheaper a
point. It gives the exact slope at each point in float64, hence its certificate. Points that pass
are final; the first that does not is taken up again with the features it missed.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from sparseopt.certificate import certify
from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box
from sparseopt.forms import SeparableForm
from sparseopt.kernels.gram import separable_distances
from sparseopt.losses import LeastSquares
from sparseopt.losses.samples import remember
from sparseopt.penalties import Penalty
from sparseopt.solution import Solution, Status
from sparseopt.solvers.working_set import WorkingSet

# Points in a batch at most, and features that one may bring into the set, as a part of it.
_LARGEST, _GROWTH = 8, 0.5
# A feature enters where its slope, were it to grow as fast as the penalty falls, times this, would reach the penalty.
_FORESIGHT = 0.1
# Last move at which a point is left, as a part of the tolerance times the largest slope; less after it did not pass.
_SHARPNESS = 1.0
# Rounds of descent and Newton steps for a point, and tries before it is left to `solve`.
_ROUNDS, _TRIES = 30, 6


def takes(problem, terms, solver):
    """Whether the path can be followed in batches: least squares under convex penalties on single coefficients."""
    if not (isinstance(problem.loss, LeastSquares) and (solver is None or isinstance(solver, WorkingSet))):
        return False
    if not (problem.constraint is None or isinstance(problem.constraint, Box)):
        return False
    return all(
        isinstance(term, Penalty) and isinstance(convex_form(term, problem.n_features), SeparableForm) for term in terms
    )


class BatchedPath:
    """A path in the making: solutions so far, and the model from which it goes on."""

    def __init__(self, problem, terms, solver, tol):
        self.problem, self.terms, self.tol = problem, terms, tol
        self.solver = WorkingSet() if solver is None else solver
        self.solutions = []
        self._w = np.zeros(problem.n_features)
        self._batch, self._tries, self._sharpness = 1, 0, _SHARPNESS
        self._begin()

    def _begin(self):
        self._state = self.solver.init(replace(self.problem, penalty=self.terms[0]), self._w.copy())
        self._slopes = self._state.slopes

    @property
    def is_done(self):
        """Whether every penalty has its solution."""
        return len(self.solutions) == len(self.terms)

    @property
    def needs_help(self):
        """Whether the next point has been tried too often; it is for `solve` then, and `accept`."""
        return self._tries > _TRIES

    def accept(self, solution):
        """Go on from a solution that was found elsewhere."""
        self.solutions.append(solution)
        self._w, self._tries, self._sharpness = np.asarray(solution.w, dtype=np.float64).copy(), 0, _SHARPNESS
        self._begin()

    def advance(self):
        """Solve a batch and keep the points that pass; a bounded piece of work."""
        start = time.perf_counter()
        first = len(self.solutions)
        problems = [replace(self.problem, penalty=term) for term in self.terms[first : first + self._batch]]
        p = self.problem.n_features
        forms = [convex_form(problem.proximal, p) for problem in problems]
        self._admit(self._expected(forms))
        points = np.zeros((p, len(problems)), order="F")
        for k, (problem, form) in enumerate(zip(problems, forms, strict=True)):
            # what is looked at is what is returned, also in float32
            points[:, k] = self._solve(problem, form).astype(problem.dtype)
        images, slopes = self._look(points)
        seconds = (time.perf_counter() - start) / len(problems)
        for k, problem in enumerate(problems):
            solution = self._certified(problem, points[:, k], images[:, k], slopes[:, k], seconds)
            if not solution.certificate.relative_gap <= self.tol or solution.certificate.violation > self.tol:
                self._retry(forms[k], points[:, k], slopes[:, k], passed=k)
                return
            self.solutions.append(solution)
            self._w, self._slopes, self._tries = points[:, k], slopes[:, k], 0
        self._state.model.place(self._w[self._state.model.features], self._slopes[self._state.model.features])
        self._batch = min(2 * self._batch, _LARGEST)

    def _expected(self, forms):
        """Features that may violate optimality somewhere in the batch."""
        last = forms[-1]
        before = float(np.max(np.abs(self._slopes), initial=0.0))
        held = last.a > 0.0
        weakest = float(np.max(last.a[held], initial=0.0))
        # were every slope to grow as fast as the penalty falls ...
        growth = _FORESIGHT * max(before - weakest, 0.0)
        relaxed = replace(last, a=np.maximum(last.a - growth, 0.0))
        return self._violators(relaxed, self._w, self._slopes)

    def _violators(self, form, w, slopes):
        distances = np.empty(w.size)
        separable_distances(form.a, form.b, form.lower, form.upper, w, slopes, distances)
        distances[self._state.is_in] = 0.0
        count = int(np.count_nonzero(distances))
        most = max(self.solver.fewest, int(_GROWTH * self._state.model.size))
        if count <= most:
            return np.flatnonzero(distances)
        return np.sort(np.argpartition(-distances, most - 1)[:most])

    def _admit(self, features):
        self._state.w, self._state.slopes = self._w, self._slopes
        self.solver.extend(self._state, features)

    def _solve(self, problem, form):
        model = self._state.model
        local = form.restrict(model.features)
        goal = self._sharpness * self.tol * float(np.max(np.abs(model.slope), initial=0.0))
        model.minimise(problem.proximal, local, goal, _ROUNDS, is_warm=True)
        w = np.zeros(self._w.size)
        w[model.features] = model.w
        return w

    def _look(self, points):
        """Fitted values and exact slopes at several points, with two products."""
        loss = self.problem.loss
        images = loss.X.matvec(points)
        weights = np.asarray(loss.sample_weight.values, dtype=np.float64)
        rest = (images - loss.target[:, None]) * (weights if weights.ndim == 0 else weights[:, None])
        return images, np.asarray(loss.X.rmatvec(rest), dtype=np.float64)

    def _certified(self, problem, w, image, slope, seconds):
        loss = problem.loss
        remember(loss, "_fitted", w, np.ascontiguousarray(image))
        remember(loss, "_gradient", w, np.ascontiguousarray(slope))
        certificate = certify(problem, w)
        return Solution(
            w=w.astype(problem.dtype) + 0.0,
            intercept=loss.intercept_at(w),
            status=Status.CONVERGED,
            certificate=certificate,
            iterations=self._tries + 1,
            seconds=seconds,
            solver=repr(self.solver),
            feature_names=loss.feature_names,
            account=self._state.account(),
        )

    def _retry(self, form, w, slopes, *, passed):
        """Take up a point that did not pass: with the features it missed, or more exactly."""
        missed = self._violators(form, w, slopes)
        model = self._state.model
        if missed.size == 0:
            self._sharpness *= 0.1
        self._w, self._slopes = w, slopes
        model.place(w[model.features], slopes[model.features])
        self._admit(missed)
        self._tries = 1 if passed else self._tries + 1
        self._batch = max(1, passed)
