"""The support with the least worst loss, and a proof that there is none better."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy

from sparseopt.constraints import Duals
from sparseopt.losses import LeastSquares, Perturbed, WorstCase
from sparseopt.problem import Problem
from sparseopt.solution import Status, UnsupportedProblem
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.branch_and_bound import BranchAndBound
from sparseopt.solvers.minimax_search import rejects_subset, search, within
from sparseopt.solvers.subsets.gram_models import WholeGram, gram_model
from sparseopt.solvers.trees.perspective_diagonal import largest_diagonal
from sparseopt.solvers.trees.quadratic_relaxation import QuadraticRelaxation
from sparseopt.solvers.trees.tree import Tree
from sparseopt.solvers.worst_case.worst_relaxation import WorstRelaxation
from sparseopt.solvers.worst_case.worst_supports import WorstSupports
from sparseopt.subsets import SubsetProblem

# Seconds of a step, after which limits and callbacks are looked at.
_CHUNK = 0.05
# The gap is relative to the objective, but to no less than this part of that at zero, as in the certificate.
_FLOOR = 1e-6
# Of the tolerance, which rounding in the certificate leaves to the search.
_PART = 0.99
# Best subsets of means of the losses that are looked for, and nodes that each of them may take.
_MEANS, _NODES = 12, 3000
_KICKS = 3
# Most features: each node inverts a matrix of their size.
_LARGEST = 200


@dataclass
class MinimaxTreeState(State):
    """State with the tree, and what is still to be done before there is one."""

    preparation: object = field(default=None, repr=False)
    supports: WorstSupports | None = field(default=None, repr=False)
    tree: Tree | None = field(default=None, repr=False)
    best: object = field(default=None, repr=False)
    #: Best weights found, and what they prove.
    weights: np.ndarray | None = field(default=None, repr=False)

    def account(self):
        nodes = 0 if self.tree is None else self.tree.visited
        return f"{nodes} nodes, {self.supports.count} supports"


@dataclass(frozen=True, kw_only=True)
class MinimaxBranchAndBound(Solver):
    """The best subset for the worst of several losses of least squares, with a bound for all subsets.

    `tol` is the relative gap between the objective and the bound; an iteration is a node. For fixed weights of the losses
    the best subset of their mean, by `BranchAndBound`, bounds all subsets. Good weights come from cutting planes (Kelley,
    1960): each subset that was best for a mean is one cut. Where that leaves a gap, a tree closes it: its nodes have the
    bound of the best mean, by the perspective relaxation, and that of the worst loss without a limit on the features, with
    weights of their own; its leaves are fits of single subsets.

    Notes
    -----
    For up to 200 features; some 30 take seconds to minutes where k is small or large. The bound is the solver's: the
    certificate says "bound", and cannot be verified without it.
    """

    usual_limit: ClassVar[int] = 2**62

    def rejects(self, problem):
        if reason := rejects_subset(problem):
            return reason
        if isinstance(problem.loss, WorstCase) and not isinstance(problem.loss.losses[0], LeastSquares):
            return "it bounds means of the losses as quadratics, which only LeastSquares has"
        if problem.n_features > _LARGEST:
            return f"it takes at most {_LARGEST} features; MinimaxSearch takes more, without a bound"
        return None

    def init(self, problem, w):
        subset = SubsetProblem.of(problem)
        supports = WorstSupports(problem, subset)
        state = MinimaxTreeState(w=subset.entered(np.zeros_like(w)), supports=supports)
        state.preparation = self._prepare(problem, state, w)
        return state

    def step(self, problem, state, tol, max_iterations):
        until = time.perf_counter() + _CHUNK
        while state.preparation is not None:
            if next(state.preparation, "ready") == "ready":
                state.preparation = None
            if time.perf_counter() >= until:
                break
        else:
            if state.status is not None:
                return state
            tree = state.tree
            before = tree.visited
            tree.run(until, max_iterations)
            state.iterations += tree.visited - before
            state.lower_bound = max(state.lower_bound, tree.lower_bound)
            if tree.point is not None:
                self._offer(problem, state, state.supports.fit(np.flatnonzero(tree.point).astype(np.intp)))
            if tree.is_finished:
                state.status = Status.CONVERGED
        self._judge(problem, state)
        return state

    def _offer(self, problem, state, fit):
        """Take a fit for the result where it is better."""
        if state.best is None or fit.objective < state.best.objective:
            w = within(state.supports, fit, problem.dtype)
            if state.best is None or problem.objective(w) < problem.objective(state.w):
                state.best, state.w = fit, w
                state.duals = Duals(np.zeros(0), np.zeros(0), fit.weights)

    def _judge(self, problem, state):
        """End the run where the gap is closed."""
        if (
            state.status is Status.STALLED
            or state.best is None
            or (state.status is None and state.lower_bound == -np.inf)
        ):
            return
        objective = problem.objective(state.w)
        scale = max(abs(objective), self._floor(problem))
        digits = 16.0 * float(np.finfo(problem.dtype).eps) * state.supports.scale
        is_reached = objective - state.lower_bound <= state.tolerance * scale + digits
        if is_reached:
            state.status = Status.CONVERGED
        elif state.status is not None:
            state.status = Status.STALLED

    @staticmethod
    def _floor(problem):
        return _FLOOR * abs(problem.objective(np.zeros(problem.n_features)))

    def _prepare(self, problem, state, w):
        """Find a support, good weights, and begin the tree, in parts: a generator."""
        supports = state.supports
        for fit in search(problem, supports, np.flatnonzero(w), _KICKS, 0):
            self._offer(problem, state, fit)
            yield
        weights, mean = state.best.weights, None
        if not isinstance(problem.loss, Perturbed):
            weights = yield from self._weights(problem, state)
            if state.status is not None:
                return
            mean = yield from self._mean(problem, weights, supports.subset)
        relaxation = WorstRelaxation(supports, mean, float(weights @ supports.loss.baselines))
        state.tree = Tree(
            relaxation,
            relaxation.first_status(),
            state.best.objective,
            supports.coefficients(state.best),
            tolerance=_PART * state.tolerance,
            floor=self._floor(problem),
            lower_bound=state.lower_bound,
        )

    def _weights(self, problem, state):
        """Weights for which the best subset of the mean is as bad as can be, by cutting planes: a generator."""
        loss, supports, count = problem.loss, state.supports, problem.loss.n_groups
        best, cuts, offsets = state.best.weights, [], []
        trial, finder = best, BranchAndBound()
        for turn in range(_MEANS if count > 1 else 1):
            inner = Problem(loss.mixture(trial), problem.penalty, problem.constraint)
            if finder.rejects(inner):
                return best
            found = finder.init(inner, supports.coefficients(state.best).astype(inner.dtype))
            found.tolerance = 0.1 * state.tolerance
            try:
                while found.status is None and found.iterations < _NODES:
                    found = finder.step(inner, found, 0.0, _NODES - found.iterations)
                    yield
            except UnsupportedProblem:  # features depend on each other: the tree proves what it can
                return best
            bound = found.lower_bound - float(trial @ loss.baselines) - 1e-13 * supports.scale
            if bound > state.lower_bound or turn == 0:
                state.lower_bound, best = max(state.lower_bound, bound), trial
            point = np.asarray(found.w, dtype=np.float64)
            self._offer(problem, state, supports.fit(np.flatnonzero(point).astype(np.intp)))
            self._judge(problem, state)
            if state.status is not None or found.status is None:
                return best
            # the mean at any weights is no larger than at this point
            cuts.append(_losses_at(loss, point, inner))
            offsets.append(problem.objective(point) - loss.evaluate(point))
            ceiling, ideal = _best_weights(np.array(cuts), np.array(offsets))
            if ideal is None or ceiling <= state.lower_bound + 1e-3 * (state.best.objective - state.lower_bound):
                return best
            trial = 0.5 * (ideal + best) if turn % 2 == 0 else ideal
            yield
        return best

    @staticmethod
    def _mean(problem, weights, subset):
        """The relaxation of the mean; None where it would prove nothing: a generator that returns it."""
        inner = problem.loss.mixture(weights)
        model = yield from gram_model(inner)
        if isinstance(model, WholeGram) and (diagonal := (yield from largest_diagonal(model))) is not None:
            model.move_diagonal(diagonal)
        relaxation = QuadraticRelaxation(model, subset, keep_points=True)
        return None if relaxation.unbounded() >= 0 else relaxation


def _losses_at(loss, point, inner):
    """All losses at a point, with the intercept that is best for the mean."""
    stack = loss.stack
    eta = stack.A @ point + inner.loss.intercept_at(point)
    return loss.per_loss(loss.derivatives(eta)[0]) - loss.baselines


def _best_weights(cuts, offsets):
    """The largest t with t <= cut.weights + offset for every cut, and the weights; None where that fails."""
    count = cuts.shape[1]
    A = np.column_stack([-cuts, np.ones(len(cuts))])
    equal = np.append(np.ones(count), 0.0)[None]
    found = scipy.optimize.linprog(
        np.append(np.zeros(count), -1.0), A, offsets, equal, [1.0], [(0.0, 1.0)] * count + [(None, None)]
    )
    if found.x is None:
        return np.inf, None
    weights = np.maximum(found.x[:-1], 0.0)
    return float(found.x[-1]), weights / weights.sum()
