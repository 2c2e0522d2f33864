"""Iterative hard thresholding: a gradient step, then the k largest entries, then a refit on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.constraints import Cardinality
from sparseopt.penalties import Ridged, Zero
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.newton import minimise_on


@dataclass
class ThresholdingState(State):
    """State with the objective at w."""

    height: float = np.inf


@dataclass(frozen=True, kw_only=True)
class HardThresholding(Solver):
    """Normalised iterative hard thresholding (Blumensath and Davies, 2010) for at most k nonzeros.

    The step is the exact one on the present support and is halved until the objective falls.

    Parameters
    ----------
    refit : bool, default True
        Minimise over each new support (hard thresholding pursuit, Foucart, 2011). False is
        plain thresholding, with a refit at the end only.
    """

    refit: bool = True

    def rejects(self, problem):
        if not isinstance(problem.constraint, Cardinality):
            return "it needs a Cardinality constraint to project on"
        match problem.penalty:
            case Zero() | Ridged(Zero()):
                return None
        return "it refits by Newton steps, which take no penalty but a ridge, Ridged(Zero(), beta)"

    def init(self, problem, w):
        w = problem.constraint.project(w.astype(np.float64))
        return ThresholdingState(w=w, height=problem.objective(w))

    def step(self, problem, state, tol, max_iterations):
        loss, k = problem.loss, problem.constraint.k
        ridge = problem.penalty.beta if isinstance(problem.penalty, Ridged) else 0.0
        w = state.w
        slope = np.asarray(loss.gradient(w), dtype=np.float64) + ridge * w
        on = np.flatnonzero(w) if np.any(w) else np.argsort(-np.abs(slope), kind="stable")[:k]
        part = np.zeros_like(w)
        part[on] = slope[on]
        bend = float(part @ loss.hessian_bound(part.astype(loss.dtype))) + ridge * float(part @ part)
        # on a support where w is already best, the slope on it vanishes: any step length would do
        step = float(part @ part) / bend if bend > 0 and np.any(w) and np.max(np.abs(part)) > 1e-8 * np.max(np.abs(slope)) else 0.0
        if step == 0.0:
            step = 1.0 / max(loss.lipschitz() + ridge, np.finfo(np.float64).tiny)
        state.iterations += 1
        for _ in range(40):
            new = problem.constraint.project(w - step * slope)
            support = np.flatnonzero(new)
            if self.refit:
                new = minimise_on(loss, support, new, ridge)
            height = problem.objective(new)
            if height < state.height - 1e-14 * abs(state.height):
                state.residual = float(np.max(np.abs(new - w))) / step
                state.w, state.height = new, height
                return state
            step /= 2.0
        best = minimise_on(loss, np.flatnonzero(w), w, ridge)
        if problem.objective(best) <= state.height:
            state.w = best
        state.residual, state.status = 0.0, Status.CONVERGED
        return state
