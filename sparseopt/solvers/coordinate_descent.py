"""Coordinate descent: minimise exactly, or by a bound on the curvature, in one coordinate after another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.conjugates import ConvexForm, convex_form
from sparseopt.kernels.descent import descend
from sparseopt.penalties import Penalty
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.newton import newton_move

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
    patience: int = _PATIENCE
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
        form = convex_form(problem.proximal, state.w.size)
        if self._is_due(state, form):
            self._finish(problem, form, state)
            return state
        if state.random is not None:
            state.random.shuffle(state.order)
        epochs = int(np.clip(_CHUNK / (state.w.size * state.running.size), 1, 100))
        state.residual, done = descend(
            problem.loss, problem.proximal, state.w, state.running, state.curvatures, state.order, state.active,
            min(epochs, max_iterations), tol,
        )
        state.iterations += done
        return state

    def _is_due(self, state, form):
        """Whether a Newton step is next: descent has been slow, and the support is small enough."""
        if not self.newton or state.iterations < state.next_newton or not isinstance(form, ConvexForm):
            return False
        return 0 < np.count_nonzero(state.w) <= _NEWTON_SUPPORT

    def _finish(self, problem, form, state):
        """One Newton step on the support, and the running vector that belongs to where it leads."""
        old = state.w.astype(np.float64)
        new, is_cut = newton_move(problem.loss, form, old)
        state.w[:] = new
        state.running = problem.loss.start(state.w)
        state.iterations += 1
        if not is_cut:
            # the sign pattern's minimiser is reached: descend again, longer if that was no gain
            gained = not np.array_equal(new, old)
            state.patience = 10 if gained else 2 * state.patience
            state.next_newton = state.iterations + state.patience
