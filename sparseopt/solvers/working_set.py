"""Working sets: solve on the few features that matter, then look at all of them once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.forms import SeparableForm
from sparseopt.losses import LeastSquares
from sparseopt.losses.samples import fitted, remember
from sparseopt.penalties import strengthened
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.coordinate_descent import CoordinateDescent
from sparseopt.solvers.working_columns import WorkingColumns
from sparseopt.solvers.working_model import GramModel, ResidualModel, WorkingModel
from sparseopt.solvers.working_plan import (
    check_options,
    distances,
    enter_domain,
    entering_features,
    first_strength,
    inseparable,
)

# Part of the strength of the penalty to which a model is solved, while it is still a sketch.
_ROUGH = 0.05
# And where few features are missing: with Newton steps accuracy costs next to nothing.
_FINE = 1e-6
# And where so many epochs cost no more than a Newton step: fine enough for one look at the gap.
_FINEST, _MANY = 1e-9, 50
# Part of the entries that are stored from which a Gram matrix pays: at 1/5 both models took the same time on
# 1000 x 5000, at 1/20 residuals were up to twice as fast; on dense data they were 1 to 7 times slower.
_DENSE = 0.2
# Features from which a Gram matrix takes too much memory: a gigabyte in float32.
_LARGEST_GRAM = 16_384
# Rounds of descent and Newton steps for a sketch, and for the rest; and calls, a tenth of a second each,
# before a result is looked at anyway.
_SKETCH, _ROUNDS, _PATIENCE = 10, 60, 5


@dataclass
class WorkingState(State):
    """State with the model on the working set and the slopes of the loss in all features."""

    model: WorkingModel | None = None
    columns: WorkingColumns | None = None
    is_in: np.ndarray | None = None
    slopes: np.ndarray | None = None
    #: Factor of the penalty's alpha: it comes down to 1.
    strength: float = 1.0
    #: Distance to stationarity when slopes were last exact at the full strength.
    last_exact: float = np.inf
    #: The last minimisation was cut short, to be gone on with: its penalty, form and tolerance.
    unfinished: tuple | None = None
    #: After so many more calls it is looked at all the same.
    patience: int = 0
    #: Once the model makes no progress, plain coordinate descent has the rest.
    descent: State | None = None
    #: Looks at all of X.
    looks: int = 1

    def account(self):
        if self.descent is not None:
            return "handed over to CoordinateDescent"
        return f"{self.model.account()}; {self.looks} looks at X"


@dataclass(frozen=True, kw_only=True)
class WorkingSet(Solver):
    """Working sets with continuation (Massias et al., 2018; Bertrand et al., 2022), for separable penalties.

    The strength of the penalty comes down from where w = 0 is optimal. In each iteration the
    features that violate optimality most enter the working set, a quadratic model on the set is
    minimised by coordinate descent with extrapolation and Newton steps, and one product with X shows
    the violations that are left.

    Parameters
    ----------
    single_precision : bool, default True
        Keep a float32 copy of a dense float64 X (half its memory) for screening and for the model; the
        last looks and all that is proven are float64. False saves the memory.
    shrink : float, default 0.4
        Factor of the strength of a convex penalty from one iteration to the next.
    concave_shrink : float, default 0.85
        The same for other penalties. Going slowly finds better minima: on designs of 500 x 2000 under
        MCP, objectives up to 6 % lower than at 0.4 or without continuation, in about the same time.
    fewest : int, default 100
        Features that may enter at once, however small the support.
    growth : float, default 0.6
        Features that may enter at once, as a part of the support.

    Raises
    ------
    TypeError, ValueError
        For a factor outside of (0, 1), `fewest` below 1, or a negative `growth`.
    """

    single_precision: bool = True
    shrink: float = 0.4
    concave_shrink: float = 0.85
    fewest: int = 100
    growth: float = 0.6

    def __post_init__(self):
        check_options(self)

    def rejects(self, problem):
        if reason := inseparable(problem):
            return reason
        if not isinstance(problem.loss, LeastSquares):
            return f"it has no quadratic model of {type(problem.loss).__name__}"
        return None

    def init(self, problem, w):
        enter_domain(problem.proximal, w)
        state = WorkingState(w=w, is_in=np.zeros(w.size, dtype=bool))
        X = problem.loss.X
        single = self.single_precision and WorkingColumns.prefer_single(X)
        self._start(problem, state, single=single, has_gram=X.n_entries >= _DENSE * X.shape[0] * X.shape[1])
        return state

    def _start(self, problem, state, *, single, has_gram):
        """A new model at state.w, with the support as its working set."""
        loss, w = problem.loss, state.w
        state.slopes = None
        if has_gram:
            state.columns = WorkingColumns(loss, single=single and loss.dtype == np.float64)
            # in float32 a point where descent is slow passes for one where it has stalled: Newton steps go on
            state.model = GramModel(state.columns.dtype, descends_far=loss.dtype == np.float64)
            if state.columns.slopes_at_zero is not None and not w.any():
                state.slopes = remember(loss, "_gradient", w, state.columns.slopes_at_zero).copy()
        else:
            state.columns, state.model = None, ResidualModel(loss, w)
        if state.slopes is None:
            state.slopes = np.array(loss.gradient(w), dtype=np.float64)
        state.is_in[:] = False
        if w.size <= self.fewest and problem.proximal.is_convex:
            # all features at once: there is nothing to choose
            state.strength = 1.0
            self.extend(state, np.arange(w.size))
            return
        state.strength = first_strength(problem.proximal, w, state.slopes)
        self.extend(state, np.flatnonzero(w))

    def step(self, problem, state, tol, max_iterations):
        if state.descent is not None:
            return self._descend(problem, state, tol, max_iterations)
        if state.unfinished is None:
            self._plan(problem, state, tol)
        penalty, form, local, goal, is_exact = state.unfinished
        state.iterations += 1
        state.residual, state.slope = np.inf, None
        model, rounds = state.model, _ROUNDS if is_exact else _SKETCH
        is_done = model.minimise(penalty, local, goal, rounds)
        state.w[model.features] = model.w
        if is_done and is_exact and state.columns is not None and state.columns.dtype == np.float32:
            # once more from exact slopes, which are cheap here and save a look at all of X
            model.anchor(self._slopes_on(problem.loss, state.w, model.features))
            is_done = model.minimise(penalty, local, goal, rounds)
            state.w[model.features] = model.w
        if is_exact and not is_done and model.is_too_coarse:
            # float32 cannot tell the support's matrix from a singular one
            state.unfinished = None
            self._start(problem, state, single=False, has_gram=True)
            return state
        state.patience -= 1
        if is_done or state.patience == 0:
            state.unfinished = None
            self._look(problem, state, is_exact=is_exact)
            if state.strength == 1.0 and state.slope is not None:
                violations = self._distances(problem.loss, penalty, form, state)
                state.residual = float(violations.max(initial=0.0))
                self._judge(problem, state, entering=int(np.count_nonzero(violations[~state.is_in])))
        return state

    def _plan(self, problem, state, tol):
        """Let features in, and say what is to be minimised next and how finely."""
        loss, model = problem.loss, state.model
        shrink = self.shrink if problem.proximal.is_convex else self.concave_shrink
        state.strength = max(1.0, shrink * state.strength)
        is_final = state.strength == 1.0
        penalty = problem.proximal if is_final else strengthened(problem.proximal, state.strength)
        form = convex_form(penalty, state.w.size)
        violations = self._distances(loss, penalty, form, state)
        entering, support, new = 0, np.count_nonzero(state.w), np.empty(0, dtype=np.intp)
        if model.size < state.w.size:
            outside = np.where(state.is_in, 0.0, violations)
            entering = np.count_nonzero(outside)
            new = entering_features(state.is_in, state.slopes, outside, max(self.fewest, int(self.growth * support)))
        if model.size + new.size > _LARGEST_GRAM and isinstance(model, GramModel):
            self._start(problem, state, single=False, has_gram=False)
            model, new = state.model, new[~state.is_in[new]]
        self.extend(state, new)
        is_nearly_known = is_final and entering <= max(10, support // 10)
        scale = float(np.abs(state.slopes).max(initial=0.0))
        goal = _ROUGH * min(float(violations.max(initial=0.0)), scale)
        if is_nearly_known:
            fine = _FINEST if model.spare_epochs >= _MANY else _FINE
            goal = max(min(goal, fine * scale, 0.3 * tol), 4.0 * np.finfo(np.float64).eps * scale)
        local = None
        if isinstance(form, SeparableForm):
            local = form.restrict(model.features)
        state.patience = _PATIENCE if is_nearly_known else 1
        state.unfinished = penalty, form, local, goal, is_nearly_known

    def _distances(self, loss, penalty, form, state):
        curvatures = None if isinstance(form, SeparableForm) else np.asarray(loss.curvatures(), dtype=np.float64)
        return distances(penalty, form, state.w.astype(np.float64), state.slopes, curvatures)

    def _slopes_on(self, loss, w, features):
        rest = loss.sample_weight.values * (fitted(loss, w) - loss.target)
        return loss.X.restrict(features).rmatvec(rest)

    def extend(self, state, new):
        """Let features into the working set."""
        if new.size == 0:
            return
        if isinstance(state.model, ResidualModel):
            state.model.extend(new)
        else:
            state.model.extend(new, state.columns.extend(new), state.w[new], state.slopes[new])
        state.is_in[new] = True

    def _look(self, problem, state, *, is_exact):
        """Slopes of the loss in all features: in float32 while they only screen."""
        model = state.model
        state.looks += 1
        slopes = None if is_exact or isinstance(model, ResidualModel) else state.columns.screen(model.w)
        if slopes is None:
            state.slopes = state.slope = np.array(problem.loss.gradient(state.w), dtype=np.float64)
            # where the problem is float32, so is the point that is looked at
            model.place(state.w[model.features], state.slopes[model.features])
        else:
            slopes[model.features] = model.slope
            state.slopes, state.slope = slopes, None

    def _judge(self, problem, state, *, entering):
        """Leave a model that makes no progress: from float32 to float64, from there to plain descent."""
        if state.residual > 0.5 * state.last_exact and not entering:
            if state.columns is not None and state.columns.dtype == np.float32 and problem.loss.dtype == np.float64:
                self._start(problem, state, single=False, has_gram=True)
            else:
                state.descent = CoordinateDescent().init(problem, state.w)
        state.last_exact = state.residual

    def _descend(self, problem, state, tol, max_iterations):
        state.descent = CoordinateDescent().step(problem, state.descent, tol, max_iterations)
        done = state.descent
        state.w, state.residual, state.slope = done.w, done.residual, None
        state.iterations += 1
        return state
