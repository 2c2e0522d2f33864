"""Splicing: several features of the support for several others at once, by what each is worth alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.inputs import as_count
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.hard_thresholding import rejects_refit, ridge_of
from sparseopt.solvers.working.newton import minimise_on

# Fall of the objective, as a part of it, that is worth an exchange.
_FALL = 1e-10


@dataclass
class SplicingState(State):
    """State with the objective at w."""

    height: float = np.inf


@dataclass(frozen=True, kw_only=True)
class Splicing(Solver):
    """Splicing (Zhu, Wen, Zhu, Zhang and Wang, 2020) for at most k nonzeros.

    A feature inside is worth curvature * w**2 / 2, one outside slope**2 / (2 curvature). The C worst inside are exchanged
    for the C best outside, with a refit, for falling C until the objective falls. Both values forget how features are
    correlated; `LocalSearch` values single exchanges exactly.

    Parameters
    ----------
    most : int, default 5
        Features that are exchanged at once, at most.
    """

    most: int = 5

    def __post_init__(self):
        object.__setattr__(self, "most", as_count(self.most, "most", least=1))

    def rejects(self, problem):
        return rejects_refit(problem)

    def init(self, problem, w):
        loss, ridge, k = problem.loss, ridge_of(problem), problem.constraint.k
        w = w.astype(np.float64)
        slope, curvatures = self._terms(problem, w)
        missing = max(k - np.count_nonzero(w), 0)
        outside = np.where((w == 0.0) & (curvatures > 0.0), slope**2 / np.maximum(curvatures, 1e-300), -np.inf)
        w = problem.constraint.project(w)
        best = np.argsort(-outside, kind="stable")[:missing]
        support = np.union1d(np.flatnonzero(w), best[outside[best] > 0.0]).astype(np.intp)
        w = minimise_on(loss, support, w, ridge)
        return SplicingState(w=w, height=problem.objective(w))

    def step(self, problem, state, tol, max_iterations):
        w = state.w
        state.iterations += 1
        support = np.flatnonzero(w)
        slope, curvatures = self._terms(problem, w)
        outside = (w == 0.0) & (curvatures > 0.0) & (slope != 0.0)
        inside = support[np.argsort(curvatures[support] * w[support] ** 2, kind="stable")]
        gains = np.where(outside, slope**2 / np.where(outside, curvatures, 1.0), -np.inf)
        others = np.argsort(-gains, kind="stable")[: min(self.most, np.count_nonzero(outside))]
        for count in range(min(self.most, support.size, others.size), 0, -1):
            trial = np.append(np.setdiff1d(support, inside[:count]), others[:count])
            new = minimise_on(problem.loss, np.sort(trial), w, ridge_of(problem))
            height = problem.objective(new)
            if height < state.height - _FALL * abs(state.height):
                state.residual, state.w, state.height = state.height - height, new, height
                return state
        state.residual, state.status = 0.0, Status.CONVERGED
        return state

    def _terms(self, problem, w):
        """Slopes and curvatures of loss and ridge."""
        loss, ridge = problem.loss, ridge_of(problem)
        slope = np.asarray(loss.gradient(w), dtype=np.float64) + ridge * w
        return slope, np.asarray(loss.curvatures_near(w), dtype=np.float64) + ridge
