"""Proximal gradient descent: ISTA, and FISTA with restarts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.inputs import as_number
from sparseopt.kernels.gradient import descend_along_gradient
from sparseopt.solvers.base import Solver, State, beyond_loops

# Matrix entries that one call of the kernel may visit: some 10 ms.
_CHUNK = 1e7
# Growth of the step after each iteration that did not shrink it: on a sparse support f curves
# less than everywhere, and the step finds out.
_GROWTH = 1.05
# Relative lengths of so many units of precision are no measure of curvature.
_ROUNDING = 64.0
# Of the first estimate of the curvature; the step is halved where it was too small.
_POWER_ITERATIONS = 5


@dataclass
class GradientState(State):
    """State with the extrapolated point and the images of both under the loss's linear map."""

    v: np.ndarray | None = None
    new: np.ndarray | None = None
    images: tuple = ()
    slope: np.ndarray | None = None
    numbers: np.ndarray | None = None
    #: The penalty or set, with memory of its own.
    term: object = None
    objective: float = np.inf


@dataclass(frozen=True, kw_only=True)
class ProximalGradient(Solver):
    """Gradient step on the loss, prox of the penalty or projection on the set.

    Parameters
    ----------
    accelerated : bool, default True
        FISTA (Beck and Teboulle, 2009); False is ISTA (Daubechies et al., 2004).
    step_length : float > 0, optional
        Fixed step length, in units of 1 / curvature. By default the step starts from an
        estimate of the curvature, halves where f curves more (Beck and Teboulle, 2009) and
        grows by 5 % an iteration (Scheinberg et al., 2014).
    restarts : bool, default True
        Drop the momentum when it turns against the step (O'Donoghue and Candes, 2015).
    monotone : bool, default False
        Also drop it when the objective rises, so that the objective never does (to rounding).
        Costs a product with X for each iteration, to evaluate it.
    """

    accelerated: bool = True
    step_length: float | None = None
    restarts: bool = True
    monotone: bool = False

    def __post_init__(self):
        if self.step_length is not None:
            object.__setattr__(self, "step_length", as_number(self.step_length, "step_length", above=0.0))

    def rejects(self, problem):
        if reason := beyond_loops(problem):
            return reason
        if problem.proximal is None:
            return "no formula is known for the prox of this penalty on this constraint"
        return None

    def init(self, problem, w):
        loss = problem.loss
        size, dtype = loss.image_size, loss.dtype
        image = loss.image(w)
        scratch = tuple(np.zeros(size, dtype=dtype) for _ in range(3))
        curvature = loss.rough_lipschitz(_POWER_ITERATIONS, w) if self.step_length is None else 1.0 / self.step_length
        numbers = np.array([1.0 / curvature if curvature > 0 else 1.0, 1.0])
        return GradientState(
            w=w,
            v=w.copy(),
            new=np.empty_like(w),
            images=(image, image.copy(), *scratch, np.empty_like(w)),
            slope=np.empty_like(w),
            numbers=numbers,
            term=problem.proximal.private(w.size),
        )

    def step(self, problem, state, tol, max_iterations):
        iterations = int(np.clip(_CHUNK / max(problem.loss.n_entries, 1), 1, 1000))
        if not self.monotone:
            return self._advance(problem, state, tol, min(iterations, max_iterations))
        for _ in range(min(iterations, max_iterations)):
            before, image = state.w.copy(), state.images[0].copy()
            self._advance(problem, state, tol, 1)
            objective = problem.objective(state.w)
            if objective > state.objective:
                # the momentum went uphill: begin again from the point before, with a plain step
                for point in (state.w, state.v):
                    point[:] = before
                for copied in state.images[:2]:
                    copied[:] = image
                state.numbers[1] = 1.0
                continue
            state.objective = objective
            if state.residual <= tol:
                break
        return state

    def _advance(self, problem, state, tol, iterations):
        adapts = self.step_length is None
        rounding = (_ROUNDING * float(np.finfo(problem.dtype).eps)) ** 2
        options = (self.accelerated, self.restarts, adapts, _GROWTH if adapts else 1.0, rounding)
        state.residual, done = descend_along_gradient(
            problem.loss,
            state.term,
            state.w,
            state.v,
            state.new,
            state.images,
            state.slope,
            state.numbers,
            options,
            iterations,
            tol,
        )
        state.iterations += done
        return state
