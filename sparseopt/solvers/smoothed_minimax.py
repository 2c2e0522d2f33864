"""The least worst loss of many samples and features: proximal gradient descent on a smoothed maximum."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import scipy

from sparseopt.certificate import certify_private
from sparseopt.constraints import Duals
from sparseopt.losses import Perturbed
from sparseopt.proofs.worst_bound import form_of
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.minimax import rejects_convex
from sparseopt.solvers.worst_case.epigraph import Terms
from sparseopt.solvers.worst_case.group_models import with_constant

# Seconds of a step, after which limits and callbacks are looked at.
_CHUNK = 0.05
# The smoothing begins at this part of the loss at zero and is divided by this number where it dominates the gap.
_FIRST, _LESS = 0.1, 3.0
# With less smoothing than the gap asks for, iterations take longer than with too much: it is waited for so many.
_LATE = 500
# Iterations between two looks at the gap, at first; and by how much a step grows each time.
_LOOK, _GROWTH = 20, 1.1


@dataclass
class SmoothedState(State):
    """State with the smoothing and the two points of the accelerated method."""

    A: object = field(default=None, repr=False)
    terms: Terms | None = field(default=None, repr=False)
    x: np.ndarray | None = field(default=None, repr=False)
    #: The extrapolated point, and the images of both under A.
    v: np.ndarray | None = field(default=None, repr=False)
    images: tuple = field(default=(), repr=False)
    momentum: float = 1.0
    smoothing: float = 1.0
    length: float = 1.0
    look: int = _LOOK
    gap: float = np.inf
    #: When the smoothing is lowered at the latest.
    late: int = _LATE

    def account(self):
        return f"smoothed to {self.smoothing:.1e}"


@dataclass(frozen=True, kw_only=True)
class SmoothedMinimax(Solver):
    """Accelerated proximal gradient on a smoothed worst loss: two products with X an iteration, and no factorisation.

    The worst loss is replaced by mu log sum_g exp(L_g / mu), which is above it by mu log G at most for G losses (Nesterov,
    2005), and mu is lowered as the gap asks for it. The weights of the losses in its slope prove the gap. Good to a
    relative gap of some 1e-4; `Minimax` is quicker and exact where the smaller side of X has less than some thousands.
    """

    usual_limit = 100_000

    def rejects(self, problem):
        if isinstance(problem.loss, Perturbed):
            return "norms of residuals are not smooth; Minimax takes Perturbed losses"
        return rejects_convex(problem)

    def init(self, problem, w):
        loss = problem.loss
        terms, A = Terms.of(form_of(problem), has_intercept=loss.intercept), with_constant(loss)
        x = np.append(w, 0.0) if loss.intercept else w.astype(np.float64)
        x = np.clip(x, terms.lower, terms.upper)
        state = SmoothedState(w=x[: problem.n_features].copy(), A=A, terms=terms, x=x, v=x.copy())
        state.images = A @ x, A @ x
        values = loss.per_loss(loss.derivatives(state.images[0])[0]) - loss.baselines
        size = max(float(np.max(values)) - min(float(np.min(values)), 0.0), 1e-300)
        state.smoothing = _FIRST * size / max(np.log(loss.n_groups), 1.0)
        squares = A.multiply(A).sum() if hasattr(A, "multiply") else float(np.sum(A * A))
        state.length = A.shape[0] / max(float(squares), 1e-300)
        return state

    def step(self, problem, state, tol, max_iterations):
        until, last = time.perf_counter() + _CHUNK, state.iterations + max_iterations
        while state.iterations < last and state.status is None:
            self._advance(problem.loss, state)
            if state.iterations >= state.look:
                self._judge(problem, state)
            if time.perf_counter() >= until:
                break
        if state.iterations >= last:
            self._judge(problem, state)
        return state

    def _advance(self, loss, state):
        """One iteration of FISTA with restarts (Beck and Teboulle, 2009; O'Donoghue and Candes, 2015)."""
        height, slope, _ = self._smoothed(loss, state.A, state.images[1], state.smoothing)
        state.length *= _GROWTH
        while True:
            new = _prox(state.terms, state.v - state.length * slope, state.length)
            d = new - state.v
            image = state.A @ new
            risen = self._smoothed(loss, state.A, image, state.smoothing, only_height=True)
            room = height + float(slope @ d) + float(d @ d) / (2.0 * state.length)
            if risen <= room + 1e-13 * abs(height) or state.length < 1e-30:
                break
            state.length /= 2.0
        move = new - state.x
        if float((state.v - new) @ move) > 0.0:
            state.momentum = 1.0
        momentum = (1.0 + np.sqrt(1.0 + 4.0 * state.momentum**2)) / 2.0
        beta = (state.momentum - 1.0) / momentum
        state.v = new + beta * move
        state.images = image, image + beta * (image - state.images[0])
        state.x, state.momentum = new, momentum
        state.residual = float(np.max(np.abs(d), initial=0.0)) / state.length
        state.iterations += 1

    @staticmethod
    def _smoothed(loss, A, image, smoothing, *, only_height=False):
        """The smoothed worst loss, its slope, and the weights of the losses in it."""
        values, slopes, _ = loss.derivatives(image)
        values = loss.per_loss(values) - loss.baselines
        top = float(np.max(values))
        height = top + smoothing * float(np.log(np.sum(np.exp((values - top) / smoothing))))
        if only_height:
            return height
        weights = scipy.special.softmax((values - top) / smoothing)
        stack = loss.stack
        mass = stack.weights * slopes * np.repeat(weights, np.diff(stack.starts))
        return height, A.T @ mass, weights

    def _judge(self, problem, state):
        """Look at the gap, and lower the smoothing where that is what is left of it."""
        loss = problem.loss
        weights = self._smoothed(loss, state.A, state.images[0], state.smoothing)[2]
        w = state.x[: problem.n_features].astype(problem.dtype)
        if not (np.all(np.isfinite(weights)) and np.all(np.isfinite(w))):
            state.status = Status.STALLED  # out of the range of numbers: the best point before is the result
            return
        duals = Duals(np.zeros(0), np.zeros(0), weights)
        found = certify_private(problem, w.astype(np.float64), duals=duals)
        if abs(found.relative_gap) <= state.gap:
            state.w, state.duals, state.gap = w, duals, abs(found.relative_gap)
        if state.gap <= state.tolerance:
            state.status = Status.CONVERGED
            return
        blur = state.smoothing * np.log(loss.n_groups) if loss.n_groups > 1 else 0.0
        # at the minimiser of the smoothed loss the gap is no more than the blur
        if abs(found.gap) <= 2.0 * blur or state.iterations >= state.late:
            if state.smoothing < 1e-3 * state.tolerance * found.reference:
                state.status = Status.STALLED
            state.smoothing /= _LESS
            state.momentum, state.v, state.images = 1.0, state.x.copy(), (state.images[0], state.images[0].copy())
            state.late = 2 * state.iterations + _LATE
        state.look = state.iterations + max(_LOOK, state.iterations // 5)


def _prox(terms, v, length):
    """The prox of the penalty within the bounds."""
    shrunk = np.sign(v) * np.maximum(np.abs(v) - length * terms.a, 0.0) / (1.0 + length * terms.b)
    return np.clip(shrunk, terms.lower, terms.upper) + 0.0
