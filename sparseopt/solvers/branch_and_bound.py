"""Branch and bound: the best support, and a proof that there is none better."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.gram_models import gram_model
from sparseopt.solvers.perspective_diagonal import largest_diagonal
from sparseopt.solvers.quadratic_relaxation import QuadraticRelaxation
from sparseopt.solvers.support_fit import best_on_support
from sparseopt.solvers.tree import Tree
from sparseopt.subsets import SubsetProblem

# Seconds of a step, after which limits and callbacks are looked at.
_CHUNK = 0.05
# The gap is relative to the objective, but to no less than this part of that at zero, as in the certificate.
_FLOOR = 1e-6
# Of the tolerance, which rounding in the certificate leaves to the search.
_PART = 0.999


@dataclass
class TreeState(State):
    """State with the tree, and what is still to be done before there is one."""

    preparation: object = field(default=None, repr=False)
    tree: Tree | None = field(default=None, repr=False)

    def account(self):
        if self.tree is None:
            return "no node was visited"
        return f"{self.tree.visited} nodes"


@dataclass(frozen=True, kw_only=True)
class BranchAndBound(Solver):
    """The best subset with its proof, by branch and bound on the perspective relaxation.

    `tol` is the relative gap between the objective and the bound that is proven for all supports;
    an iteration is a node.

    Parameters
    ----------
    keep_proof : bool, default False
        Keep the tree, so that the certificate can be verified without this solver.
    """

    keep_proof: bool = False

    def rejects(self, problem):
        subset = SubsetProblem.of(problem)
        if isinstance(subset, str):
            return subset
        if not isinstance(problem.loss, LeastSquares | Quadratic):
            return "it takes least squares and quadratics"
        if subset.groups is not None or subset.has_rows or subset.parents:
            return "it chooses single features; LocalSearch takes groups, rows and hierarchies"
        return None

    def init(self, problem, w):
        state = TreeState(w=w)
        state.preparation = self._prepare(problem, state)
        return state

    def step(self, problem, state, tol, max_iterations):
        until = time.perf_counter() + _CHUNK
        while state.preparation is not None:
            if next(state.preparation, "ready") == "ready":
                state.preparation = None
            if time.perf_counter() >= until:
                return state
        if state.status is not None:
            return state
        tree = state.tree
        state.iterations += tree.run(until, max_iterations)
        state.w, state.lower_bound = tree.point, tree.lower_bound
        if tree.is_finished:
            reached = tree.objective - state.lower_bound <= state.tolerance * max(abs(tree.objective), tree.floor)
            state.status = Status.CONVERGED if reached else Status.STALLED
        return state

    def _prepare(self, problem, state):
        """Read the problem, find an incumbent and begin the tree, in parts."""
        subset, loss = SubsetProblem.of(problem), problem.loss
        yield
        model = gram_model(loss)
        yield
        objective, point = _forward(model, subset)
        state.w = point
        yield
        diagonal = largest_diagonal(model, subset)
        relaxation = QuadraticRelaxation(model, subset, diagonal, keep_points=self.keep_proof)
        state.tree = Tree(
            relaxation,
            relaxation.first_status(),
            objective,
            point,
            tolerance=_PART * state.tolerance,
            floor=_FLOOR * abs(problem.objective(np.zeros(problem.n_features))),
            keep_proof=self.keep_proof,
        )


def _forward(model, subset):
    """A first support: the feature that gains most, one after another."""
    support = list(subset.required)
    best = best_on_support(model, subset, np.array(support, dtype=np.intp))
    banned = np.zeros(model.n_features, dtype=bool)
    banned[subset.forbidden] = True
    pull = np.empty(model.n_features)
    while len(support) < subset.k:
        chosen = np.array(sorted(support), dtype=np.intp)
        model.block(chosen)
        model.pull(chosen, best[1][chosen], pull)
        gains = np.where(
            banned, -1.0, np.square(pull) / np.maximum(model.bends + subset.ridge, np.finfo(np.float64).tiny)
        )
        gains[chosen] = -1.0
        j = int(np.argmax(gains))
        if gains[j] <= 0.0:
            break
        found = best_on_support(model, subset, np.array(sorted([*support, j]), dtype=np.intp))
        if found[0] >= best[0]:
            break
        support.append(j)
        best = found
    return best
