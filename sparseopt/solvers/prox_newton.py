"""Proximal Newton steps on working sets, for losses that are sums over samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.designs import Dense
from sparseopt.forms import ConvexForm, SeparableForm
from sparseopt.kernels.columns import penalty_on
from sparseopt.losses import SampleLoss
from sparseopt.losses.samples import fitted, remember
from sparseopt.penalties import Penalty, strengthened
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.coordinate_descent import CoordinateDescent
from sparseopt.solvers.working.sample_models import DenseModels, SampleModels, SparseModels
from sparseopt.solvers.working.working_plan import (
    check_options,
    distances,
    enter_domain,
    entering_features,
    first_strength,
    inseparable,
    no_worse_than_zero,
)

# Part of the strength of the penalty to which a stage is solved, while features are missing.
_ROUGH = 0.05
# And at the end: what is left of the largest slope, where nothing is known of the gap, and at the least.
_FINE = 1e-6
_FINEST = 1e-9
# Part of the distance to stationarity that a model is left with: it is only a model.
_DEPTH = 0.1
# Part of the strength from which the slope of a feature at zero keeps it in a new model.
_NEAR = 0.9
# Rounds of descent and Newton steps on a model.
_ROUNDS = 20
# Steps in one stage at most; multiplications of one call, a tenth of a second; and what a try of a step costs at least.
_STEPS, _BUDGET, _TRIAL = 30, 1e9, 1e7
# Halvings of a step that does not bring the objective down as it should (Armijo, 1966), and what rounding may hide.
_HALVINGS, _ARMIJO, _SLACK = 40, 1e-4, 1e-14
# Least curvature of a sample, as a part of the largest, where steps succeed; its first value where one fails, and growth.
_LEAST, _DAMPED, _GROWTH = 1e-7, 1e-3, 10.0
# Parts less than this are rounding.
_ROUNDING = 1e-16
# Differences of slopes over less than this, relative to the fitted values, are rounding.
_NARROW = 1e-8


class SamplePoint:
    """A loss on samples at one point, by the fitted values there."""

    def __init__(self, loss, y, eta):
        self.loss, self.y = loss, y
        # a trial point may be so far out that the loss is beyond all numbers
        with np.errstate(over="ignore", invalid="ignore"):
            self.eta = eta + loss.constant.settled(loss, eta)
            self.z = loss.offset.added_to(self.eta)
            self.height = float(np.sum(loss.sample_weight.values * loss.value(y, self.z), dtype=np.float64))

    @cached_property
    def slopes(self):
        """Slope of the loss in each fitted value."""
        return np.asarray(self.loss.sample_weight.values * self.loss.slope(self.y, self.z), dtype=np.float64)

    def bends(self, spread, damping):
        """Second derivative in each fitted value, at least `damping` of the bound on it, or of the largest.

        It is the mean on both sides as far as `spread`, which tells a loss with kinks in its slope how many samples
        a step will carry across them.
        """
        loss, y, z = self.loss, self.y, self.z
        if spread > _NARROW * np.max(np.abs(z)):
            bends = (loss.slope(y, z + spread) - loss.slope(y, z - spread)) / (2.0 * spread)
        else:
            bends = np.asarray(loss.curvature(y, z), dtype=np.float64)
        bound = loss.smoothness()
        bends = np.maximum(bends, damping * (bound if np.isfinite(bound) else np.max(bends)))
        return np.asarray(loss.sample_weight.values * bends, dtype=np.float64)


@dataclass
class Stage:
    """What is to be minimised on the working set at present, and how finely."""

    penalty: Penalty
    form: ConvexForm | None
    goal: float
    #: Whether the penalty has its full strength and nearly no feature is missing.
    is_last: bool
    steps: int = 0
    #: The form on the working set.
    local: SeparableForm | None = None


@dataclass
class NewtonState(State):
    """State with the models, and the slopes of the loss in all features."""

    models: SampleModels | None = None
    point: SamplePoint | None = field(default=None, repr=False)
    is_in: np.ndarray | None = None
    slopes: np.ndarray | None = None
    #: Curvature of the loss in each feature, where the penalty has no form; for distances.
    curvatures: np.ndarray | None = None
    #: Factor of the penalty's alpha: it comes down to 1.
    strength: float = 1.0
    #: How far the last step moved the fitted values, and the least curvature.
    spread: float = 0.0
    #: Points that the last step has tried on its line.
    trials: int = 0
    damping: float = _LEAST
    stage: Stage | None = None
    #: What the last step with the present model left of the distance to stationarity; zero before the first.
    pace: float = 0.0
    last_exact: float = np.inf
    #: Once steps make no progress, plain coordinate descent has the rest.
    descent: State | None = None
    renewals: int = 0

    def account(self):
        if self.descent is not None:
            return "handed over to CoordinateDescent"
        done = f"{self.renewals} models in {self.iterations} steps"
        # a run may end when a model was given up and the next one is still to come
        return done if self.models.model is None else f"{done}, the last by {self.models.model.account()}"


@dataclass(frozen=True, kw_only=True)
class ProxNewton(Solver):
    """Proximal Newton on working sets (Lee, Sun and Saunders, 2014; Friedman et al., 2010), for losses on samples.

    The strength of the penalty comes down from where w = 0 is optimal, and features enter a working
    set as in `WorkingSet`. On the set the loss is replaced by a quadratic with the slopes and curvatures of
    the samples; it is minimised with the penalty, and a line search on the objective itself says how far
    to go. A quadratic keeps its curvature for as long as steps with it are quick enough, which only needs
    new slopes (quasi-Newton; compare Massias et al., 2020).

    Parameters
    ----------
    single_precision : bool, default True
        Screen with a copy of a dense float64 X in 16 bits (a quarter of its memory), and keep the models in
        float32; the last steps start from float64 slopes, and all that is proven is float64. False saves the memory.
    shrink : float, default 0.25
        Factor of the strength of a convex penalty from one stage to the next.
    concave_shrink : float, default 0.85
        The same for other penalties: going slowly finds better minima.
    fewest : int, default 100
        Features that may enter at once, however small the support.
    growth : float, default 1.5
        Features that may enter at once, as a part of the support.
    """

    single_precision: bool = True
    shrink: float = 0.25
    concave_shrink: float = 0.85
    fewest: int = 100
    growth: float = 1.5

    def __post_init__(self):
        check_options(self)

    def rejects(self, problem):
        if reason := inseparable(problem):
            return reason
        if not isinstance(problem.loss, SampleLoss):
            return f"it takes losses on samples such as Logistic or Poisson, not {type(problem.loss).__name__}; WorkingSet is for LeastSquares"
        return None

    def init(self, problem, w):
        w = np.array(w, dtype=np.float64)
        enter_domain(problem.proximal, w)
        state = NewtonState(w=no_worse_than_zero(problem, w))
        self._start(problem, state, single=self.single_precision and DenseModels.prefer_single(problem.loss))
        return state

    def _start(self, problem, state, *, single):
        """New models at state.w, with the support as working set."""
        loss, w = problem.loss, state.w
        state.point = SamplePoint(loss, loss.y.astype(np.float64), np.array(fitted(loss, w), dtype=np.float64))
        v = state.point.slopes
        state.models = DenseModels(loss, v, single=single) if isinstance(loss.X, Dense) else SparseModels(loss)
        if state.models.slopes_at_start is not None:
            state.slopes = np.array(remember(loss, "_gradient", w, state.models.slopes_at_start))
        else:
            state.slopes = np.array(loss.gradient(w), dtype=np.float64)
        if not isinstance(convex_form(problem.proximal, w.size), SeparableForm):
            state.curvatures = np.asarray(loss.curvatures_near(w), dtype=np.float64)
        state.is_in, state.last_exact, state.stage, state.pace = w != 0.0, np.inf, None, 0.0
        state.strength = first_strength(problem.proximal, w, state.slopes)

    def step(self, problem, state, tol, max_iterations):
        if state.descent is not None:
            return self._descend(problem, state, tol, max_iterations)
        if state.stage is None:
            self._plan(problem, state, tol)
            if state.descent is not None:
                return self._descend(problem, state, tol, max_iterations)
        state.residual, state.slope = np.inf, None
        if self._improve(problem, state, max_iterations):
            self._look(problem, state)
        return state

    def _plan(self, problem, state, tol):
        """Let features in, and say what is to be minimised next and how finely."""
        shrink = self.shrink if problem.proximal.is_convex else self.concave_shrink
        state.strength = max(1.0, shrink * state.strength)
        is_final = state.strength == 1.0
        penalty = problem.proximal if is_final else strengthened(problem.proximal, state.strength)
        form = convex_form(penalty, state.w.size)
        missing = distances(penalty, form, state.w, state.slopes, state.curvatures)
        largest = float(np.max(missing, initial=0.0))
        missing[state.is_in] = 0.0
        entering, support = np.count_nonzero(missing), np.count_nonzero(state.w)
        count = state.models.eagerness * max(self.fewest, int(self.growth * support))
        new = entering_features(state.is_in, state.slopes, missing, count)
        if state.models.is_full(np.count_nonzero(state.is_in) + new.size):
            state.descent = CoordinateDescent().init(problem, state.w.astype(problem.dtype))
            return
        is_last = is_final and entering <= max(10, support // 10)
        scale = float(np.max(np.abs(state.slopes), initial=0.0))
        goal = _ROUGH * min(largest, scale)
        if is_last:
            goal = min(goal, self._sufficient(state, form, scale), 0.3 * tol)
            goal = max(goal, 4.0 * np.finfo(np.float64).eps * scale)
        state.stage = Stage(penalty, form, goal, is_last)
        model = state.models.model
        if is_last and model is not None and model.size and not self._is_slow(state, largest):
            if new.size:
                state.models.extend(new, state.w[new], state.point.slopes)
                state.is_in[new] = True
            self._restrict(state)
            self._place(state, model.w)
        else:
            self._renew(state, new)

    def _sufficient(self, state, form, scale):
        """Distance to stationarity that should do for the gap that the run is asked for.

        Slopes that are d too large for a|w| have to be scaled by a / (a + d), which costs a bound d |w|_1.
        """
        size = float(np.sum(np.abs(state.w)))
        if not isinstance(form, SeparableForm) or state.tolerance == 0.0 or size == 0.0:
            return _FINE * scale
        objective = state.point.height + form.value(state.w)
        # where the fit is nearly perfect, the run will say how fine it has to be
        return max(0.8 * state.tolerance * objective / size, _FINEST * scale)

    def _renew(self, state, new):
        """A model with the curvatures of the point, on the support, what is nearly in it, and new features."""
        stage, keep = state.stage, state.w != 0.0
        steep = stage.form.a if isinstance(stage.form, SeparableForm) else 0.0
        keep |= state.is_in & (np.abs(state.slopes) >= _NEAR * steep)
        keep[new] = True
        features = np.flatnonzero(keep)
        state.models.renew(
            features, state.w[features], state.point.slopes, state.point.bends(state.spread, state.damping)
        )
        self._restrict(state)
        state.is_in, state.pace = keep, 0.0
        state.renewals += 1
        if stage.is_last and state.models.is_single:
            self._place(state, state.w[features])

    def _restrict(self, state):
        """Bring the form of the penalty to the features of the model."""
        stage = state.stage
        if isinstance(stage.form, SeparableForm):
            stage.local = stage.form.restrict(state.models.model.features)

    def _place(self, state, w):
        """Bring the model to the point."""
        models = state.models
        models.place(w, state.point.slopes, is_exact=state.stage.is_last)
        state.slopes[models.model.features] = models.model.slope

    def _improve(self, problem, state, max_iterations):
        """Proximal Newton steps on the working set; whether the stage is over."""
        stage, models, work = state.stage, state.models, 0.0
        distance = self._distance(state)
        for _ in range(max_iterations):
            if distance <= stage.goal or stage.steps >= _STEPS:
                break
            if self._is_slow(state, distance):
                self._renew(state, np.empty(0, dtype=np.intp))
                distance = self._distance(state)
            stage.steps += 1
            state.iterations += 1
            if not self._advance(problem, state, distance):
                break
            reached = self._distance(state)
            # where the step was cut short, the curvature changes too much on the way
            state.pace = max(state.pace, reached / distance) if distance > 0.0 else 0.0
            distance = reached
            work += models.model.size * problem.loss.y.size + _TRIAL * state.trials
            if work > _BUDGET:
                return False
        return True

    def _distance(self, state):
        """Largest distance to stationarity on the working set."""
        stage, features = state.stage, state.models.model.features
        if stage.local is not None:
            missing = distances(stage.penalty, stage.local, state.w[features], state.slopes[features], None)
        else:
            missing = distances(stage.penalty, None, state.w, state.slopes, state.curvatures)[features]
        return float(np.max(missing, initial=0.0))

    def _is_slow(self, state, distance):
        """Whether at the present pace the old curvatures will cost more steps than new ones."""
        goal, pace = state.stage.goal, state.pace
        return pace >= 1.0 or (
            pace > 0.0 and np.log(max(goal / distance, _ROUNDING)) < np.log(pace) * state.models.cost()
        )

    def _advance(self, problem, state, distance):
        """One step to the minimiser of the model, or part of the way; whether the objective has fallen."""
        loss, stage, models = problem.loss, state.stage, state.models
        model = models.model
        features, before, slope = model.features, np.array(model.w), state.slopes[model.features]
        local = stage.local
        model.minimise(stage.penalty, local, max(_DEPTH * distance, 0.3 * stage.goal), _ROUNDS)
        move = model.w - before
        image, height = models.image(move), state.point.height
        at_start = self._penalty(state, local, before)
        gain = min(float(slope @ move) + self._penalty(state, local, before + move) - at_start, 0.0)
        slack, step = _SLACK * abs(height + at_start), 1.0
        for trial in range(_HALVINGS):
            state.trials = trial + 1
            w = before + step * move
            point = SamplePoint(loss, state.point.y, state.point.eta + step * image)
            fall = height - point.height + at_start - self._penalty(state, local, w)
            if fall >= -_ARMIJO * step * gain - slack:
                break
            step /= 2.0
        else:
            w, point, step = before, state.point, 0.0
        # the image may hold a large constant, which the intercept takes off
        state.spread = float(np.mean(np.abs(point.eta - state.point.eta)))
        state.w[features], state.point = w, point
        self._place(state, w)
        state.pace = 0.0
        if step == 1.0:
            state.damping = max(_LEAST, state.damping / _GROWTH)
        elif step < 0.5:
            state.pace, state.damping = 1.0, max(_DAMPED, _GROWTH * state.damping)
        return step > 0.0 or state.damping <= 1.0

    def _penalty(self, state, local, w):
        """The penalty at a point of the working set."""
        if local is not None:
            return float(local.a @ np.abs(w) + (local.b * w) @ w / 2)
        return penalty_on(state.stage.penalty, state.models.model.features, w)

    def _look(self, problem, state):
        """Slopes of the loss in all features: exact ones at the end."""
        loss, stage, state.stage = problem.loss, state.stage, None
        if not stage.is_last:
            state.slopes = state.models.screen(state.point.slopes)
            return
        state.slope = np.asarray(loss.gradient(state.w), dtype=np.float64)
        state.slopes = state.slope.copy()
        state.point = SamplePoint(loss, state.point.y, np.array(fitted(loss, state.w), dtype=np.float64))
        if state.curvatures is not None and not loss.has_bounded_curvature:
            state.curvatures = np.asarray(loss.curvatures_near(state.w), dtype=np.float64)
        missing = distances(stage.penalty, stage.form, state.w, state.slopes, state.curvatures)
        state.residual = float(np.max(missing, initial=0.0))
        if state.residual > 0.5 * state.last_exact and not np.any(missing[~state.is_in]):
            self._give_up(problem, state)
        state.last_exact = state.residual

    def _give_up(self, problem, state):
        """Leave models that make no progress: from float32 to float64, from there to plain descent."""
        if state.models.is_single:
            residual, slope = state.residual, state.slope
            self._start(problem, state, single=False)
            state.residual, state.slope = residual, slope
        else:
            state.descent = CoordinateDescent().init(problem, state.w.astype(problem.dtype))

    def _descend(self, problem, state, tol, max_iterations):
        done = state.descent = CoordinateDescent().step(problem, state.descent, tol, max_iterations)
        state.w, state.residual, state.slope = done.w.astype(np.float64), done.residual, None
        state.iterations = state.iterations + 1
        return state
