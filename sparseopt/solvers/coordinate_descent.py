"""Coordinate descent: minimise exactly, or by a bound on the curvature, in one coordinate after another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.forms import SeparableForm
from sparseopt.kernels.descent import descend
from sparseopt.penalties import Penalty
from sparseopt.solvers.base import Solver, State, beyond_loops
from sparseopt.solvers.working.newton import newton_move

# Matrix entries that one call of the kernel may visit: some 10 ms.
_CHUNK = 1e7
# Multiplications of a Newton step, which are those of matrix products and factorisations, that take
# as long as one of descent.
_SPEEDUP = 8
# Multiplications that take as long as the overhead of a Newton step, a millisecond.
_FIXED_WORK = 1e7
# Epochs of descent before the first phase at the latest.
_LAST_CALL = 200
# And after a phase that ended well, to let the sign pattern settle again.
_SOON = 20
# Largest support for Newton steps, whose cost grows with its cube.
_NEWTON_SUPPORT = 1000
# The running vector keeps the rounding of what it was; it is made anew once it is this part of that.
_FALLEN = 1e-3


@dataclass
class DescentState(State):
    """State with the running vector of the loss."""

    running: np.ndarray | None = None
    #: Largest entry of the running vector when it was last made from w.
    size: float = 0.0
    curvatures: np.ndarray | None = None
    order: np.ndarray | None = None
    active: np.ndarray | None = None
    random: np.random.Generator | None = field(default=None, repr=False)
    #: Multiplications of descent since the last phase of Newton steps, and how many the next waits for.
    work: float = 0.0
    patience: float = 0.0
    #: Multiplications that the present phase of Newton steps may still take; none outside of one.
    budget: float = 0.0
    #: Epochs after which a phase begins, however little they took: tiny problems must not use up max_iter.
    next_phase: int = _LAST_CALL


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
        if reason := beyond_loops(problem):
            return reason
        term = problem.proximal
        if term is None or not isinstance(term, Penalty):
            return "it moves one coordinate at a time, and the penalty or the constraint ties coordinates together (only a Box under a convex penalty does not)"
        return None

    def init(self, problem, w):
        loss = problem.loss
        order, running = np.arange(w.size), loss.start(w)
        return DescentState(
            w=w,
            running=running,
            size=_largest(running),
            curvatures=_positive(loss.curvatures_near(w)),
            order=order,
            active=np.empty_like(order),
            random=np.random.default_rng(self.seed) if self.shuffled else None,
        )

    def step(self, problem, state, tol, max_iterations):
        if self.newton and self._finishes(problem, state):
            return state
        if state.random is not None:
            state.random.shuffle(state.order)
        epochs = int(np.clip(_CHUNK / max(problem.loss.n_entries, 1), 1, 100))
        state.residual, done, visits = descend(
            problem.loss,
            problem.proximal,
            state.w,
            state.running,
            state.curvatures,
            state.order,
            state.active,
            min(epochs, max_iterations),
            tol,
        )
        state.iterations += done
        state.work += visits * (problem.loss.n_entries / state.w.size)
        if _largest(state.running) < _FALLEN * state.size:
            self._renew(problem, state)
        return state

    def _renew(self, problem, state):
        """Make the running vector from w."""
        state.running = problem.loss.start(state.w)
        state.size = _largest(state.running)

    def _finishes(self, problem, state):
        """Whether a Newton step on the support was taken instead of descent.

        Newton steps come in phases, each no longer than the descent before it. A phase that ends at
        the minimiser of its sign pattern is soon followed by another; one that runs out of budget or
        brings nothing doubles the descent before the next.
        """
        form = convex_form(problem.proximal, state.w.size)
        size = np.count_nonzero(state.w)
        if not isinstance(form, SeparableForm) or not 0 < size <= _NEWTON_SUPPORT:
            return False
        cost = (size * size * (state.running.size + size) + _FIXED_WORK) / _SPEEDUP
        if state.budget == 0.0 and (
            state.work >= max(state.patience, 4.0 * cost) or state.iterations >= state.next_phase
        ):
            state.budget, state.work = max(state.work, 4.0 * cost), 0.0
            state.next_phase = 2 * state.iterations + _LAST_CALL
        if state.budget == 0.0:
            return False
        old = state.w.astype(np.float64)
        new, is_cut = newton_move(problem.loss, form, old)
        has_gained = bool(np.any(new != old))
        state.budget -= cost
        if not has_gained or state.budget <= 0.0:
            state.patience, state.budget = 2.0 * max(state.patience, 4.0 * cost), 0.0
        elif not is_cut:
            state.patience, state.budget, state.next_phase = 0.0, 0.0, state.iterations + _SOON
        if has_gained:
            state.w[:] = new
            self._renew(problem, state)
            state.iterations += 1
        return has_gained


def _largest(running):
    return float(np.max(np.abs(running), initial=0.0))


def _positive(curvatures):
    """The bounds, with a small one where f is flat: there the penalty, a box or a linear term decides."""
    largest = curvatures.max(initial=0.0)
    small = curvatures.dtype.type(1e-8 * largest if largest > 0 else 1.0)
    return np.where(curvatures > 0, curvatures, small)
