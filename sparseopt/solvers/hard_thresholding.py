"""Iterative hard thresholding: a gradient step, then the k largest entries, then a refit on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.constraints import Cardinality
from sparseopt.penalties import Ridged, Zero
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State, beyond_loops
from sparseopt.solvers.working.newton import minimise_on

# Of a step, before it is too short to matter.
_HALVINGS = 40


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
        return rejects_refit(problem)

    def init(self, problem, w):
        w = problem.constraint.project(w.astype(np.float64))
        if self.refit:
            w = minimise_on(problem.loss, np.flatnonzero(w), w, ridge_of(problem))
        return ThresholdingState(w=w, height=problem.objective(w))

    def step(self, problem, state, tol, max_iterations):
        loss, k = problem.loss, problem.constraint.k
        ridge = ridge_of(problem)
        w = state.w
        slope = np.asarray(loss.gradient(w), dtype=np.float64) + ridge * w
        step = self._first_step(loss, w, slope, ridge, k)
        state.iterations += 1
        tried = np.flatnonzero(w) if np.any(w) else None
        shortest = 1.0 / max(loss.lipschitz() + ridge, np.finfo(np.float64).tiny)
        for _ in range(_HALVINGS):
            # a step of 1 / L never fails where it changes the support, so it is not jumped over
            is_shortest = step <= shortest
            step = max(step, shortest) if self.refit else step
            new = problem.constraint.project(w - step * slope)
            support = np.flatnonzero(new)
            if not self.refit or not np.array_equal(support, tried):
                # the step itself may overflow where the curvature has no bound; w does not
                begin = new if loss.has_bounded_curvature else w
                new = minimise_on(loss, support, begin, ridge) if self.refit else new
                height = problem.objective(new)
                if height < state.height - 1e-14 * abs(state.height):
                    state.residual = float(np.max(np.abs(new - w))) / step
                    state.w, state.height = new, height
                    return state
            if self.refit and is_shortest:
                break
            tried, step = support, step / 2.0
        best = minimise_on(loss, np.flatnonzero(w), w, ridge)
        if problem.objective(best) <= state.height:
            state.w = best
        state.residual, state.status = 0.0, Status.CONVERGED
        return state

    def _first_step(self, loss, w, slope, ridge, k):
        """The exact step along the slope on the support, or along its k largest entries where w is best there."""
        on = np.flatnonzero(w)
        if on.size == 0 or np.max(np.abs(slope[on])) <= 1e-8 * np.max(np.abs(slope)):
            on = np.argsort(-np.abs(slope), kind="stable")[:k]
        part = np.zeros_like(w)
        part[on] = slope[on]
        squares = float(part @ part)
        bend = float(part @ loss.hessian_near(w, part.astype(loss.dtype))) + ridge * squares
        return squares / bend if bend > 0.0 else 1.0


def rejects_refit(problem):
    """Why Newton steps cannot refit the problem on a support of at most k features, or None."""
    if reason := beyond_loops(problem):
        return reason
    if not isinstance(problem.constraint, Cardinality):
        return "it needs a Cardinality constraint, which says how many features it may take"
    match problem.penalty:
        case Zero() | Ridged(Zero()):
            return None
    return "it refits by Newton steps, which take no penalty but a ridge, Ridged(Zero(), beta)"


def ridge_of(problem):
    """Weight of the ridge."""
    return problem.penalty.beta if isinstance(problem.penalty, Ridged) else 0.0
