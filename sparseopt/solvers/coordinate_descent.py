"""Coordinate descent: minimise exactly, or by a bound on the curvature, in one coordinate after another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.conjugates import ConvexForm, convex_form
from sparseopt.kernels.descent import descend
from sparseopt.penalties import Penalty
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.newton import newton_on_support

# Matrix entries that one call of the kernel may visit: some 10 ms.
_CHUNK = 1e7
# Epochs before the first Newton step: easy problems are done by then.
_PATIENCE = 40
# Largest support for Newton steps, whose cost grows with its cube.
_NEWTON_SUPPORT = 1000


@dataclass
class DescentState(State):
    """State with the running vector of the loss."""

    running: np.ndarray | None = None
    curvatures: np.ndarray | None = None
    order: np.ndarray | None = None
    active: np.ndarray | None = None
    random: np.random.Generator | None = field(default=None, repr=False)
    next_newton: int = _PATIENCE


@dataclass(frozen=True, kw_only=True)
class CoordinateDescent(Solver):
    """Proximal coordinate descent (Tseng, 2001; Friedman et al., 2010).

    Each full epoch over all coordinates is followed by epochs over the nonzero ones. Where
    that is slow and the problem is convex, Newton steps on the support finish the work.

    Parameters
    ----------
    shuffled : bool, default False
        Visit the coordinates of each chunk in a new random order. Cyclic order is faster in
        memory; shuffling helps against unlucky orders.
    seed : int, default 0
        Of the shuffles; the same seed gives the same bytes.
    newton : bool, default True
        Newton steps on the support of slow convex problems.
    """

    shuffled: bool = False
    seed: int = 0
    newton: bool = True

    def rejects(self, problem):
        term = problem.proximal
        if term is None or not isinstance(term, Penalty):
            return "it moves one coordinate at a time, and the constraint ties coordinates together (only a Box under a convex penalty does not)"
        return None

    def init(self, problem, w):
        loss = problem.loss
        order = np.arange(w.size)
        return DescentState(
            w=w,
            running=loss.start(w),
            curvatures=loss.curvatures(),
            order=order,
            active=np.empty_like(order),
            random=np.random.default_rng(self.seed) if self.shuffled else None,
        )

    def step(self, problem, state, tol, max_iterations):
        if state.random is not None:
            state.random.shuffle(state.order)
        epochs = int(np.clip(_CHUNK / (state.w.size * state.running.size), 1, 100))
        term = problem.proximal
        state.residual, done = descend(
            problem.loss, term, state.w, state.running, state.curvatures, state.order, state.active,
            min(epochs, max_iterations), tol,
        )
        state.iterations += done
        if self.newton and state.residual > tol and state.iterations >= state.next_newton:
            state.next_newton = 2 * state.iterations
            self._finish(problem, convex_form(term, state.w.size), state)
        return state

    def _finish(self, problem, form, state):
        """Newton steps on the support, kept if they lower the objective."""
        if not isinstance(form, ConvexForm) or not 0 < np.count_nonzero(state.w) <= _NEWTON_SUPPORT:
            return
        old = state.w.astype(np.float64)
        new = newton_on_support(problem.loss, form, old)
        if problem.loss.evaluate(new) + form.value(new) < problem.loss.evaluate(old) + form.value(old):
            state.w[:] = new
            state.running = problem.loss.start(state.w)
