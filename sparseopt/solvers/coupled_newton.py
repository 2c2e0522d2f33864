"""Proximal Newton steps on working sets, for losses whose second derivative is known as a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.conjugates import convex_form, penalty_value
from sparseopt.forms import SeparableForm
from sparseopt.losses import DualLoss
from sparseopt.losses.quadratic import quadratic_model
from sparseopt.penalties import BlockPenalty, Penalty
from sparseopt.problem import Problem
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.block_descent import BlockDescent
from sparseopt.solvers.coordinate_descent import CoordinateDescent
from sparseopt.solvers.proximal_gradient import ProximalGradient
from sparseopt.solvers.row_descent import RowEntries, row_distances
from sparseopt.solvers.working_model import GramModel
from sparseopt.solvers.working_plan import no_worse_than_zero

# Coefficients that enter at once: at least so many, or as many as there are in use.
_FEWEST = 50
# Part of the distance to a fixed point to which that of the model is brought down.
_DEPTH = 1e-2
# Rounds of epochs and Newton steps on one model at most.
_ROUNDS = 60
# Epochs of block descent in a round.
_EPOCHS = 100
# Curvature below this part of the largest is none to divide by.
_FLAT = 1e-12
# Halvings of a step that does not bring the objective down as it should (Armijo, 1966).
_HALVINGS, _ARMIJO = 30, 1e-4
# Objectives that differ by less than this part may differ by rounding.
_ROUNDING = 1e-9


@dataclass
class CoupledState(State):
    """State with that of the plain method that has the rest, once steps make no progress."""

    plain: State | None = None

    def account(self):
        return "" if self.plain is None else "handed over to a plain method"


@dataclass(frozen=True, kw_only=True)
class CoupledNewton(Solver):
    """Proximal Newton (Lee, Sun and Saunders, 2014) with the exact second derivative on a working set.

    For losses that couple their samples or outputs, `Cox` and `Multinomial`: what is coupled enters
    one matrix of the size of the working set, on which coordinates are descended, or the blocks of a
    penalty on groups. The steps are few, since they converge quadratically.
    """

    def rejects(self, problem):
        if not isinstance(problem.loss, DualLoss):
            return "it takes losses that couple samples or outputs, which bring their second derivative as a matrix"
        term = problem.proximal
        if isinstance(term, BlockPenalty):
            is_known = convex_form(term, problem.n_features) is not None
            return None if is_known else "the penalty of groups is not convex, and its fixed points are not measured"
        if not isinstance(term, Penalty):
            return "it moves a coordinate or a group at a time; the penalty or the constraint ties all together"
        return None

    def init(self, problem, w):
        return CoupledState(w=no_worse_than_zero(problem, np.asarray(w, dtype=np.float64)))

    def step(self, problem, state, tol, max_iterations):
        if state.plain is not None:
            return _plainly(problem, state, tol, max_iterations)
        loss, w = problem.loss, state.w
        slope = np.asarray(loss.gradient(w), dtype=np.float64)
        distance = _distances(problem, w, slope)
        chosen, penalty = _working_set(problem.proximal, w, distance)
        if chosen.size:
            H = loss.hessian(w, chosen)
            diagonal = np.einsum("ii->i", H)
            diagonal[:] = np.maximum(diagonal, max(_FLAT * np.max(diagonal), np.finfo(np.float64).tiny))
            goal = max(_DEPTH * float(np.max(distance)), 0.1 * tol)
            minimise = _minimise_blocks if isinstance(penalty, BlockPenalty) else _minimise
            new = minimise(penalty, chosen, H, w, slope, goal)
            state.w = _towards(problem, w, chosen, new, slope)
            if state.w is w:
                # a penalty that is not convex may rise on the way to the minimiser of the model
                state.plain = _plain_method(problem).init(problem, w.astype(problem.dtype))
        state.iterations += 1
        state.slope = np.asarray(loss.gradient(state.w), dtype=np.float64)
        state.residual = float(np.max(_distances(problem, state.w, state.slope), initial=0.0))
        return state


def _plain_method(problem):
    return ProximalGradient() if isinstance(problem.proximal, BlockPenalty) else CoordinateDescent()


def _plainly(problem, state, tol, max_iterations):
    done = state.plain = _plain_method(problem).step(problem, state.plain, tol, max_iterations)
    state.w, state.residual, state.slope = done.w.astype(np.float64), done.residual, None
    state.iterations += 1
    return state


def _distances(problem, w, slope):
    """How far each coefficient is from a fixed point, in the units of the slope."""
    form = convex_form(problem.proximal, w.size)
    found = None if form is None else form.subgradient_distance(w, slope)
    if found is not None:
        return found
    bends = np.asarray(problem.loss.curvatures(), dtype=np.float64)
    return row_distances(RowEntries(problem.proximal), w[:, None], slope[:, None], bends)


def _working_set(penalty, w, distance):
    """The coefficients in use and the most distant others, by groups where there are groups; the penalty on these."""
    if not isinstance(penalty, BlockPenalty):
        return _in_use_or_distant(w != 0.0, distance, _FEWEST), penalty
    groups = penalty.groups
    distances = groups.norms(distance)
    chosen = _in_use_or_distant(groups.norms(w) > 0.0, distances, max(_FEWEST * distances.size // w.size, 1))
    if chosen.size == 0:
        return chosen, penalty
    everything = np.arange(w.size)
    return np.concatenate([everything[groups.columns(g)] for g in chosen]), penalty.restricted(chosen)


def _in_use_or_distant(in_use, distance, fewest):
    outside = np.where(in_use, 0.0, distance)
    count = min(np.count_nonzero(outside), max(fewest, np.count_nonzero(in_use)))
    new = np.argpartition(-outside, count - 1)[:count] if count else np.empty(0, dtype=np.intp)
    return np.sort(np.concatenate([np.flatnonzero(in_use), new]))


def _minimise_blocks(penalty, chosen, H, w, slope, goal):
    """Minimiser of the quadratic model plus a penalty on groups, which are those of the chosen coefficients."""
    model = Problem(quadratic_model(H, slope[chosen] - H @ w[chosen]), penalty)
    solver = BlockDescent(continuation=False)
    state = solver.init(model, w[chosen])
    for _ in range(_ROUNDS):
        state = solver.step(model, state, goal, _EPOCHS)
        if state.residual <= goal:
            break
    return state.w


def _minimise(penalty, chosen, H, w, slope, goal):
    """Minimiser of the quadratic model plus the penalty over the chosen coefficients."""
    form = convex_form(penalty, w.size)
    local = None
    if isinstance(form, SeparableForm):
        local = SeparableForm(*(part[chosen] for part in (form.a, form.b, form.lower, form.upper)))
    model = GramModel(np.float64)
    model.extend(chosen, H, w[chosen], slope[chosen])
    model.minimise(penalty, local, goal, _ROUNDS)
    return model.w


def _towards(problem, w, chosen, new, slope):
    """The point on the way to the minimiser of the model from which the objective has fallen enough."""
    direction = np.zeros_like(w)
    direction[chosen] = new - w[chosen]
    before, height = penalty_value(problem.proximal, w), problem.objective(w)
    step, reached = 1.0, w + direction
    expected = float(slope @ direction) + penalty_value(problem.proximal, reached) - before
    for _ in range(_HALVINGS):
        enough = _ARMIJO * step * expected
        rise = problem.objective(reached) - height
        if rise <= enough:
            return reached
        if rise <= _ROUNDING * abs(height) and _change(problem, w, reached, slope) <= enough:
            return reached
        step /= 2.0
        reached = w + step * direction
    return w


def _change(problem, w, reached, slope):
    """Change of the objective from w, told by slopes: it keeps its digits where values differ by rounding only.

    The trapezoidal rule is exact for a quadratic loss (Hager and Zhang, 2005).
    """
    mean = (slope + np.asarray(problem.loss.gradient(reached), dtype=np.float64)) / 2.0
    change = penalty_value(problem.proximal, reached) - penalty_value(problem.proximal, w)
    return float(mean @ (reached - w)) + change
