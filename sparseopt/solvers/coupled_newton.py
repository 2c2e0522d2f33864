"""Proximal Newton steps on working sets, for losses whose second derivative is known as a matrix."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.designs import Dense
from sparseopt.inputs import as_number
from sparseopt.losses import DualLoss
from sparseopt.penalties import BlockPenalty, Penalty, strengthened
from sparseopt.problem import Problem
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.coordinate_descent import CoordinateDescent
from sparseopt.solvers.proximal_gradient import ProximalGradient
from sparseopt.solvers.working.coupled_parts import distances_of, part_of
from sparseopt.solvers.working.working_plan import first_strength, no_worse_than_zero

# Part of the distance to stationarity to which that of a working set is brought down while many are missing,
# and what is left of the largest slope once few are.
_ROUGH, _FINE = 0.05, 1e-6
# Working sets in one call, where the last one was nearly whole and still some coefficients have to enter.
_SETS = 3
# Where what is left is not small enough, it is brought down to this part of it.
_FINER = 1e-3
# Part of the distance that a model is left with: it is only a model.
_DEPTH = 1e-2
# Steps on one working set at most, and multiplications of one call: a tenth of a second; and what a try of a step takes at
# least, where intercepts are to be found for it.
_STEPS, _BUDGET, _TRIAL = 30, 1e9, 3e7
# Distance, as a part of the largest slope, from which steps only fail to bring it down for want of precision.
_NEAR = 1e-3
# So many slow steps with new models show that float32 is not enough.
_SLOW = 3
# First damping of the curvature where a step fails, and its growth.
_DAMPED, _GROWTH = 1e-3, 10.0
# A new second derivative costs as much as so many steps with the old one.
_RENEWAL = 2.0
# Halvings of a step that does not bring the objective down as it should (Armijo, 1966).
_HALVINGS, _ARMIJO = 30, 1e-4
# Objectives that differ by less than this part may differ by rounding.
_ROUNDING = 1e-9
# Entries of X from which float32 saves time, and squares of columns within which it has the range.
_WORTH_SINGLE, _EXTREME = 1e5, 1e24


@dataclass
class CoupledState(State):
    """State with what is known of models so far."""

    #: Whether models are float32, though X is not.
    is_single: bool = False
    steps: int = 0
    renewals: int = 0
    #: Multiplications of the present call.
    work: float = 0.0
    #: Full steps with new models, one after another, that did not halve the distance to stationarity.
    slow: int = 0
    #: What is added to the diagonal of a second derivative, as a part of it, where steps fail.
    damping: float = 0.0
    #: Factor of the penalty's alpha: it comes down to 1.
    strength: float = 1.0
    #: Distance to stationarity that is to be reached at the end, as a part of the largest slope.
    fine: float = _FINE
    #: Curvature of the loss in each coefficient, where the penalty has no form; for distances.
    curvatures: np.ndarray | None = field(default=None, repr=False)
    #: Once steps make no progress, a plain method has the rest.
    plain: State | None = None

    def account(self):
        if self.plain is not None:
            return "handed over to a plain method"
        precision = "float32" if self.is_single else "float64"
        return f"{self.renewals} models in {self.steps} Newton steps, the last in {precision}"


@dataclass(frozen=True, kw_only=True)
class CoupledNewton(Solver):
    """Proximal Newton (Lee, Sun and Saunders, 2014) with the second derivative on a working set.

    For losses that couple their samples or outputs, `Cox` and `Multinomial`: what is coupled enters
    one matrix of the size of the working set, on which coordinates are descended, or the blocks of a
    penalty on groups. The steps are few, since they converge quadratically; a matrix is kept for
    further steps where these are quick enough with it, and costs half in float32, which exact slopes mend.

    Parameters
    ----------
    single_precision : bool, default True
        Matrices of a large dense X are float32. All that is proven is float64.
    shrink : float, default 0.25
        Factor of the strength of a convex penalty from one stage to the next; it begins where nothing
        outside of the support moves.
    """

    single_precision: bool = True
    shrink: float = 0.25

    def __post_init__(self):
        if not 0.0 < as_number(self.shrink, "shrink") < 1.0:
            raise ValueError(f"shrink must be between 0 and 1, got {self.shrink}: the strength has to fall.")

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
        loss, state = problem.loss, CoupledState(w=no_worse_than_zero(problem, np.array(w, dtype=np.float64)))
        state.is_single = self.single_precision and _suits_single(loss.X)
        if convex_form(problem.proximal, w.size) is None:
            state.curvatures = np.asarray(loss.curvatures(), dtype=np.float64)
        state.strength = _first_strength(problem.proximal, state.w, np.asarray(loss.gradient(state.w)))
        return state

    def step(self, problem, state, tol, max_iterations):
        if state.plain is not None:
            return _plainly(problem, state, tol, max_iterations)
        loss, w, state.work = problem.loss, state.w, 0.0
        state.strength = max(1.0, self.shrink * state.strength)
        stage = problem if state.strength == 1.0 else Problem(loss, _strengthened(problem.proximal, state.strength))
        for _ in range(min(_SETS, max_iterations)):
            part = part_of(stage, w, np.asarray(loss.gradient(w), dtype=np.float64), state.curvatures)
            goal = self._goal(part, state, tol)
            if part.coefficients.size:
                moves = self._improve(part, state, goal)
                w[part.coefficients] = part.x
                if not moves and state.strength == 1.0:
                    # a penalty that is not convex may rise on the way to the minimiser of the model
                    state.plain = _plain_method(problem).init(problem, w.astype(problem.dtype))
            state.iterations += 1
            if state.strength > 1.0:
                return state
            state.slope = np.asarray(loss.gradient(w), dtype=np.float64)
            state.residual = float(np.max(distances_of(problem, w, state.slope, state.curvatures), initial=0.0))
            if state.residual <= goal:
                # should that not be enough, it is to be much less
                state.fine *= _FINER
                return state
            if part.missing > part.few or state.plain is not None or state.work > _BUDGET:
                break
        if part.missing > part.few and state.residual > _FINE * part.scale:
            state.residual = np.inf  # no look at the gap is worth its price yet
        return state

    def _goal(self, part, state, tol):
        """The distance to stationarity that is asked for on a working set: a rough one while many coefficients are missing."""
        if state.strength > 1.0 or part.missing > part.few:
            return max(_ROUGH * part.largest, 0.3 * tol if state.strength == 1.0 else 0.0)
        return max(min(0.3 * tol, _FINE * part.scale), max(state.fine, 4.0 * np.finfo(np.float64).eps) * part.scale)

    def _improve(self, part, state, goal):
        """Newton steps on the working set until the goal or a limit; False where even damped ones do not go down."""
        distance, last, is_new = part.distance(), np.inf, False
        for _ in range(_STEPS):
            if distance <= goal or state.work > _BUDGET:
                break
            if part.H is None or _is_slow(distance, last, goal):
                if is_new and last <= distance <= _NEAR * part.scale:
                    # float32 may be too coarse; in float64 it is as near as it gets
                    if not state.is_single:
                        break
                    state.is_single = False
                part.renew(np.dtype(np.float32 if state.is_single else np.float64), state.damping)
                state.renewals += 1
                state.work += part.x.size**2 * part.loss.X.shape[0]
                is_new, last = True, np.inf
            else:
                is_new = False
            new = part.minimise(max(_DEPTH * distance, 0.3 * goal))
            state.steps += 1
            step = _go_towards(part, new)
            state.work += _TRIAL * (1.0 - np.log2(step) if step > 0.0 else _HALVINGS)
            if step == 0.0 and state.damping > 1.0:
                return False
            if step < 0.5:
                # the curvature changes too much on the way
                state.damping, part.H = max(_DAMPED, _GROWTH * state.damping), None
            elif step == 1.0:
                state.damping = state.damping / _GROWTH if state.damping > _DAMPED else 0.0
            last, distance = distance, part.distance()
            if step == 1.0 and is_new:
                # what float32 cannot tell from zero is flat for its models; in float64 much less is
                state.slow = state.slow + 1 if distance > 0.5 * last else 0
                if state.slow >= _SLOW and state.is_single:
                    state.is_single, part.H = False, None
        return True


def _plain_method(problem):
    return ProximalGradient() if isinstance(problem.proximal, BlockPenalty) else CoordinateDescent()


def _plainly(problem, state, tol, max_iterations):
    done = state.plain = _plain_method(problem).step(problem, state.plain, tol, max_iterations)
    state.w, state.residual, state.slope = done.w.astype(np.float64), done.residual, None
    state.iterations += 1
    return state


def _first_strength(penalty, w, slope):
    """The factor of alpha at which nothing outside of the support moves; 1 where that is not known."""
    if not penalty.is_convex:
        return 1.0
    if not isinstance(penalty, BlockPenalty):
        return first_strength(penalty, w, slope)
    is_zero = penalty.groups.spread(penalty.groups.norms(w), w.size) == 0.0
    factor = penalty.vanishing_factor(-np.where(is_zero, slope, 0.0))
    return max(1.0, factor) if np.isfinite(factor) else 1.0


def _strengthened(penalty, factor):
    return penalty.strengthened(factor) if isinstance(penalty, BlockPenalty) else strengthened(penalty, factor)


def _suits_single(X):
    """Whether models of this X are better in float32, as far as its size and its range say."""
    if not isinstance(X, Dense) or X.dtype != np.float64 or X.n_entries < _WORTH_SINGLE:
        return False
    sizes = X.squares[X.squares > 0.0]
    return bool(np.all((sizes > 1.0 / _EXTREME) & (sizes < _EXTREME)))


def _is_slow(distance, last, goal):
    """Whether at the present pace the old second derivative will cost more steps than a new one."""
    if last == np.inf:
        return False
    return last <= distance or np.log(goal / distance) < np.log(distance / last) * _RENEWAL


def _go_towards(part, new):
    """Go as far towards the minimiser of the model as the objective falls enough; returns the part of the way."""
    x, slope, direction = part.x, part.slope, new - part.x
    before, height = part.penalty(x), part.loss.evaluate(x)
    height += before
    step, reached = 1.0, new
    expected = float(slope @ direction) + part.penalty(new) - before
    for _ in range(_HALVINGS):
        enough, penalty = _ARMIJO * step * expected, part.penalty(reached)
        # a trial point may be so far out that the loss is beyond all numbers
        with np.errstate(over="ignore", invalid="ignore"):
            rise = part.loss.evaluate(reached) + penalty - height
        if rise <= enough or (rise <= _ROUNDING * abs(height) and _rise(part, reached) + penalty - before <= enough):
            part.go(reached)
            return step
        step /= 2.0
        reached = x + step * direction
    return 0.0


def _rise(part, reached):
    """Rise of the loss from the point, told by slopes: it keeps its digits where values differ by rounding only.

    The trapezoidal rule is exact for a quadratic loss (Hager and Zhang, 2005).
    """
    mean = (part.slope + np.asarray(part.loss.gradient(reached), dtype=np.float64)) / 2.0
    return float(mean @ (reached - part.x))
