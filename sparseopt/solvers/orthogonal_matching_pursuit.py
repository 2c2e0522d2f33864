"""Orthogonal matching pursuit: the steepest feature, then a refit, until there are k."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.hard_thresholding import rejects_refit, ridge_of
from sparseopt.solvers.working.newton import minimise_on

# Slopes below this part of the largest at zero are rounding.
_ROUNDING = 1e-13


@dataclass
class PursuitState(State):
    """State with the curvature of each feature, and those that a refit has left as they were."""

    curvatures: np.ndarray | None = None
    scale: float = 0.0
    idle: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class OrthogonalMatchingPursuit(Solver):
    """Orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad, 1993) for at most k nonzeros.

    Each step adds the feature whose slope promises most, slope**2 / (2 curvature), and refits all of them. What has come
    in stays, so that one early mistake is not mended: `LocalSearch` begins in a similar way and mends it.
    """

    def rejects(self, problem):
        return rejects_refit(problem)

    def init(self, problem, w):
        loss = problem.loss
        w = problem.constraint.project(w.astype(np.float64))
        w = minimise_on(loss, np.flatnonzero(w), w, ridge_of(problem))
        scale = float(np.max(np.abs(loss.gradient(np.zeros_like(w))), initial=0.0))
        curvatures = np.asarray(loss.curvatures_near(w), dtype=np.float64) + ridge_of(problem)
        return PursuitState(w=w, curvatures=curvatures, scale=scale, idle=np.zeros(w.size, dtype=bool))

    def step(self, problem, state, tol, max_iterations):
        w, ridge = state.w, ridge_of(problem)
        state.iterations += 1
        slope = np.asarray(problem.loss.gradient(w), dtype=np.float64) + ridge * w
        closed = (w != 0.0) | state.idle | ~(state.curvatures > 0.0) | (np.abs(slope) <= _ROUNDING * state.scale)
        promise = np.where(closed, -np.inf, slope**2 / np.where(closed, 1.0, state.curvatures))
        j = int(np.argmax(promise)) if w.size else 0
        if np.count_nonzero(w) >= problem.constraint.k or promise[j] == -np.inf:
            state.residual, state.status = 0.0, Status.CONVERGED
            return state
        state.w = minimise_on(problem.loss, np.append(np.flatnonzero(w), j), w, ridge)
        # a combination of what is there already
        state.idle[j] = state.w[j] == 0.0
        return state
