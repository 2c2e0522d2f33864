"""Paths in batches: several penalties are solved on one working set, then looked at one after another.

Along a path most of the time goes into looks at all of X, one or two for each penalty, and each is
as slow as memory. A look at several points of a dense X at once is a product of matrices, five times cheaper a
point; of a sparse X the rows that the points reach are enough. It gives the exact slope at each point in float64,
hence its certificate. Points that pass are final; the first that does not is taken up again with the features it missed.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from sparseopt.certificate import certify, certify_few
from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box
from sparseopt.forms import SeparableForm
from sparseopt.losses import LeastSquares
from sparseopt.losses.samples import remember
from sparseopt.packed import FewNonzeros, packed
from sparseopt.penalties import Penalty
from sparseopt.proofs.several_points import Looks, examine_few
from sparseopt.solution import Solution, Status
from sparseopt.solvers.working.working_plan import distances
from sparseopt.solvers.working_set import WorkingSet

# Points in a batch, and at most where a model has so small a part of the entries of X that solving costs less than looking;
# and features that a batch may bring into the set, as a part of it.
_USUAL, _LARGEST, _SMALL, _GROWTH = 8, 16, 0.1, 0.5
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
        self.solutions: list = []
        self.problems: list = []
        self._looks = Looks(problem.loss)
        self._batch, self._tries, self._sharpness = 1, 0, _SHARPNESS
        self._begin(np.zeros(problem.n_features))

    def _begin(self, w):
        self._first = replace(self.problem, penalty=self.terms[0])
        self._state = self.solver.init(self._first, w)

    @property
    def is_done(self):
        """Whether every penalty has its solution."""
        return len(self.solutions) == len(self.terms)

    @property
    def needs_help(self):
        """Whether the next point has been tried too often; it is for `solve` then, and `accept`."""
        return self._tries > _TRIES

    def accept(self, problem, solution):
        """Go on from a solution that was found elsewhere."""
        self.problems.append(problem)
        self.solutions.append(solution)
        self._tries, self._sharpness = 0, _SHARPNESS
        self._begin(np.array(solution.w, dtype=np.float64))

    def advance(self):
        """Solve a batch and keep the points that pass; a bounded piece of work."""
        start = time.perf_counter()
        first, state = len(self.solutions), self._state
        if state.model.is_dear:
            # descent through the columns has cost what their Gram matrix does
            self.solver.start(self._first, state, single=False, has_gram=True)
        problems = [replace(self.problem, penalty=term) for term in self.terms[first : first + self._batch]]
        forms = [convex_form(problem.proximal, problem.n_features) for problem in problems]
        self.solver.extend(state, self._expected(forms[-1]))
        points = [self._solve(problem, form) for problem, form in zip(problems, forms, strict=True)]
        looks, passed = self._looks.at(points), []
        for problem, form, point in zip(problems, forms, points, strict=True):
            residual, state.slopes = next(looks)
            certificate = self._certified(problem, form, point, residual, state.slopes)
            if not certificate.relative_gap <= self.tol or certificate.violation > self.tol:
                break
            passed.append((point, certificate))
            self.problems.append(problem)
        # where the last look was
        state.w, features = point.to_array(), state.model.features
        seconds = (time.perf_counter() - start) / len(points)
        for found in passed:
            self.solutions.append(self._solution(*found, seconds))
            self._tries = 0
        if len(passed) == len(points):
            if state.columns is not None:
                # what a model in residuals carries along is rounded little
                state.model.place(state.w[features], state.slopes[features])
            is_small = state.model.size**2 <= _SMALL * self.problem.loss.X.n_entries
            self._batch = min(2 * self._batch, _LARGEST if is_small else _USUAL)
        else:
            self._retry(form, len(passed))

    def _expected(self, last):
        """Features that may violate optimality somewhere in the batch, whose last form this is."""
        before = float(np.max(np.abs(self._state.slopes), initial=0.0))
        weakest = float(np.max(last.a, initial=0.0))
        # were every slope to grow as fast as the penalty falls ...
        growth = _FORESIGHT * max(before - weakest, 0.0)
        return self._violators(last, growth)

    def _violators(self, form, growth=0.0):
        """Features outside of the set, whose slopes violate optimality, or would with an a so much smaller."""
        state = self._state
        reach = np.abs(state.slopes) > (form.a - growth)
        reach[state.is_in] = False
        columns = reach.nonzero()[0]
        part = form.restrict(columns)
        part = replace(part, a=np.maximum(part.a - growth, 0.0))
        steps = distances(None, part, np.zeros(columns.size), state.slopes[columns], None)
        columns, steps = columns[steps > 0.0], steps[steps > 0.0]
        most = max(self.solver.fewest, int(_GROWTH * state.model.size))
        if columns.size <= most:
            return columns
        return np.sort(columns[np.argpartition(-steps, most - 1)[:most]])

    def _solve(self, problem, form):
        model = self._state.model
        goal = self._sharpness * self.tol * float(np.max(np.abs(model.slope), initial=0.0))
        # through sparse columns a few epochs get there before conjugate gradients do
        has_gram = self._state.columns is not None
        model.minimise(problem.proximal, form.restrict(model.features), goal, _ROUNDS, is_warm=has_gram)
        w = model.w
        places = w.nonzero()[0]
        features = model.features[places]
        order = np.argsort(features)
        # what is looked at is what is returned, also in float32
        values = w[places[order]].astype(problem.dtype).astype(np.float64)
        return FewNonzeros(problem.n_features, features[order], values)

    def _certified(self, problem, form, point, residual, slope):
        here = examine_few(problem.loss, form, point, residual, slope)
        if here is not None:
            return certify_few(problem, point, here)
        w = point.to_array()
        remember(problem.loss, "_gradient", w, slope.copy())
        return certify(problem, w)

    def _solution(self, point, certificate, seconds):
        loss = self.problem.loss
        return packed(
            Solution(
                w=FewNonzeros(point.size, point.support, point.values.astype(loss.dtype)),
                intercept=loss.intercept_on(point.support, point.values),
                status=Status.CONVERGED,
                certificate=certificate,
                iterations=self._tries + 1,
                seconds=seconds,
                solver=repr(self.solver),
                feature_names=loss.feature_names,
                account=self._state.account(),
            )
        )

    def _retry(self, form, passed):
        """Take up a point that did not pass: with the features it missed, or more exactly."""
        state = self._state
        missed = self._violators(form)
        if missed.size == 0:
            self._sharpness *= 0.1
        state.model.place(state.w[state.model.features], state.slopes[state.model.features])
        self.solver.extend(state, missed)
        self._tries = 1 if passed else self._tries + 1
        self._batch = max(1, passed)
