"""Working sets: solve on the few features that matter, then look at all of them once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.forms import SeparableForm
from sparseopt.losses import LeastSquares
from sparseopt.losses.first_look import is_worth_a_sketch
from sparseopt.parts import within
from sparseopt.penalties import strengthened
from sparseopt.solvers.base import Solver
from sparseopt.solvers.coordinate_descent import CoordinateDescent
from sparseopt.solvers.working.concave_search import ConcaveSearch
from sparseopt.solvers.working.gram_model import GramModel
from sparseopt.solvers.working.residual_model import ResidualModel
from sparseopt.solvers.working.sparse_columns import SparseColumns
from sparseopt.solvers.working.working_columns import WorkingColumns
from sparseopt.solvers.working.working_plan import (
    check_options,
    distances,
    enter_domain,
    entering_features,
    first_strength,
    inseparable,
    is_tall,
)
from sparseopt.solvers.working.working_state import WorkingState

# Seconds after which limits are looked at, between two parts of a minimisation.
_CHUNK = 0.05
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
# Multiplications of one call while minima are searched for, or refined: a tenth of a second.
_SEARCH = 3e8
# Searches at most: another where the last has found something.
_SEARCHES = 2
# Slope, as a part of the largest, of features that stay in the set for a search, and after it.
_NEAR, _CLOSE = 0.2, 0.6
# Minimisations again from exact slopes of the set, before a look at all of X.
_REFINEMENTS = 2
# Epochs of a sketch under a penalty that is concave, at most: a first minimum that is only begun leads to a higher one.
_EPOCHS = 100
# Multiplications for a Gram matrix of all features that take less time than choosing some of them for a search.
_PRODUCTS = 6e7
# Part of the usual number of features that enter at once where minima are searched for afterwards; and how many may
# enter with those that are missing, where each costs a row of a Gram matrix.
_LEAN, _SPARE = 0.4, 10
# Looks at all of X before a concave penalty is minimised finely, if features keep entering.
_SKETCHES = 4


@dataclass(frozen=True, kw_only=True)
class WorkingSet(Solver):
    """Working sets with continuation (Massias et al., 2018; Bertrand et al., 2022), for separable penalties.

    The strength of the penalty comes down from where w = 0 is optimal; that of MCP, SCAD and LogSum first with
    less of their concavity (Mazumder et al., 2011), which then comes up. In each iteration the
    features that violate optimality most enter the working set, a quadratic model on the set is
    minimised by coordinate descent with extrapolation and Newton steps, and one product with X shows
    the violations that are left. The model has a Gram matrix; of a sparse X it goes through the columns, under a convex
    penalty until that has cost as much as the matrix would.

    A penalty that is concave away from zero has many minima. Once the set is known, the one that was found is shaken:
    the model is minimised from zero, with less concavity, with other strengths and without single features, and the lowest
    minimum is kept.

    Parameters
    ----------
    single_precision : bool, default True
        Screen with a copy of a dense float64 X in 16 bits (a quarter of its memory), and keep the model in
        float32; the last looks and all that is proven are float64. False saves the memory, but for a copy of at most
        32 MB that the loss has made when it read X.
    shrink : float, default 0.4
        Factor of the strength of a convex penalty from one iteration to the next.
    concave_shrink : float, default 0.85
        The same where a penalty is not convex and its concavity cannot be held back: for L0, for a start that is
        not zero, and for a sparse X that has no Gram matrix. Going slowly finds better minima.
    fewest : int, default 100
        Features that may enter at once, however small the support; five times as many where they cost no
        rows of a Gram matrix, two fifths where minima are searched for.
    growth : float, default 0.6
        The same, as a part of the support.

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
        if not np.any(w) and ConcaveSearch.helps(problem.proximal):
            state.search = ConcaveSearch(problem.proximal, np.asarray(problem.loss.curvatures(), dtype=np.float64))
        X = problem.loss.X
        single = self.single_precision and is_worth_a_sketch(X)
        # where few features are taken at once, there is nothing to sketch
        single = single and not (w.size <= self.fewest and self._takes_all(problem, state))
        self.start(problem, state, single=single, has_gram=X.n_entries >= _DENSE * X.shape[0] * X.shape[1])
        return state

    def _takes_all(self, problem, state):
        """Whether all features enter at once: there is nothing to choose."""
        n, p = problem.loss.X.shape
        if state.search is not None and n * p * p <= _PRODUCTS:
            return True
        return p <= self.fewest and (problem.proximal.is_convex or state.search is not None)

    def start(self, problem, state, *, single, has_gram):
        """A new model at state.w, with the support as its working set."""
        loss, w = problem.loss, state.w
        if has_gram:
            # a sparse X comes here from residuals: few entries are stored
            is_thin = isinstance(state.model, ResidualModel)
            state.columns = SparseColumns(loss) if is_thin else WorkingColumns(loss, single=single)
            # in float32 a point where descent is slow passes for one where it has stalled: Newton steps go on
            state.model = GramModel(state.columns.dtype, descends_far=loss.dtype == np.float64)
        else:
            state.columns, state.model = None, ResidualModel(loss, w)
        state.slopes = np.array(loss.gradient(w), dtype=np.float64)
        state.is_in[:], state.is_new = False, True
        if isinstance(state.model, ResidualModel):
            state.search = state.minima = None
        if self._takes_all(problem, state):
            state.strength = 1.0
            self.extend(state, np.arange(w.size))
            if state.search is not None:
                scale = float(np.abs(state.slopes).max(initial=0.0))
                first = first_strength(problem.proximal, w, state.slopes)
                state.minima = state.search.descent(state.model, scale / first, first)
            return
        state.strength = first_strength(problem.proximal, w, state.slopes)
        self.extend(state, np.flatnonzero(w))

    def step(self, problem, state, tol, max_iterations):
        if state.descent is not None:
            return self._descend(problem, state, tol, max_iterations)
        if state.minimising is None:
            self._begin(problem, state, tol)
        if state.unfinished is None:
            state.iterations += 1
            return self._search(problem, state)
        penalty, form, local, goal, is_exact = state.unfinished
        model, rounds = state.model, _ROUNDS if is_exact else _SKETCH
        if state.search is None:
            state.minimising = state.minimising or model.minimising(penalty, local, goal, rounds, is_last=is_exact)
            is_done = within(state.minimising, time.perf_counter() + _CHUNK)
        else:
            is_done = True
            model.sweep(penalty, goal, _EPOCHS)
        state.w[model.features] = model.w
        if is_done is None:
            return state
        state.minimising = None
        state.iterations += 1
        if state.minima is not None:
            state.unfinished = None
            self._prune(state, _NEAR)
            return self._search(problem, state)
        if is_done and is_exact and self._is_rough(state):
            enough = max(goal, min(_FINE * float(np.abs(state.slopes).max(initial=0.0)), 0.3 * tol))
            again = partial(model.minimise, penalty, local, goal, rounds, is_last=True)
            is_done = self._refine(problem.loss, state, again, enough)
        if is_exact and not is_done and model.is_too_coarse:
            # float32 cannot tell the support's matrix from a singular one
            state.unfinished = None
            self.start(problem, state, single=False, has_gram=True)
            return state
        state.patience -= 1
        if is_done or state.patience == 0:
            state.unfinished = None
            self._look(problem, state, is_exact=is_exact)
            # under another penalty than the problem's the distance says nothing
            if state.strength == 1.0 and state.search is None and state.slope is not None:
                violations = self._distances(problem.loss, penalty, form, state)
                state.residual = float(violations.max(initial=0.0))
                if is_exact or problem.proximal.is_convex:
                    self._judge(problem, state, entering=int(np.count_nonzero(violations[~state.is_in])))
        return state

    def _begin(self, problem, state, tol):
        """Begin an iteration."""
        if problem.proximal.is_convex and state.model.is_dear:
            state.unfinished = None
            self.start(problem, state, single=False, has_gram=True)
        if state.unfinished is None and state.minima is None:
            if state.slope is not None:
                # where the problem is float32, so is the point that was looked at
                state.model.place(state.w[state.model.features], state.slopes[state.model.features])
            self._plan(problem, state, tol)
        state.residual, state.slope = np.inf, None

    def _plan(self, problem, state, tol):
        """Let features in, and say what is to be minimised next and how finely."""
        loss, model = problem.loss, state.model
        search, full = state.search, problem.proximal
        if search is not None and state.strength == 1.0:
            search.bend()
        if search is not None:
            full = search.relative(search.share)
        shrink = self.concave_shrink if search is None and not full.is_convex else self.shrink
        before, state.strength = state.strength, max(1.0, shrink * state.strength)
        # where features cost rows of a Gram matrix, those enter that the set alone cannot do without at the strength to
        # which it was solved; whether more will be missing at the next is then seen after the set has been solved for it
        is_convex = problem.proximal.is_convex
        is_ahead = isinstance(model, GramModel) and (is_convex or (search is not None and is_tall(loss.X)))
        # at first hardly any feature takes part
        if state.is_new and (is_ahead or is_convex):
            before, state.strength = state.strength, max(1.0, shrink * state.strength)
        state.is_new = False
        is_final = state.strength == 1.0 and (search is None or search.is_bent)
        penalty = full if state.strength == 1.0 else strengthened(full, state.strength)
        form = convex_form(penalty, state.w.size)
        violations = self._distances(loss, penalty, form, state)
        entering, support, new = 0, np.count_nonzero(state.w), np.empty(0, dtype=np.intp)
        if model.size < state.w.size:
            outside = np.where(state.is_in, 0.0, violations)
            entering = np.count_nonzero(outside)
            if is_ahead and state.strength < before:
                stronger = strengthened(full, before)
                missing = self._distances(loss, stronger, convex_form(stronger, state.w.size), state)
                outside = np.where(state.is_in, 0.0, missing)
            most = self._most(state, support, outside if is_convex and self._is_rough(state) else None)
            new = entering_features(state.is_in, state.slopes, outside, most)
        if model.size + new.size > _LARGEST_GRAM and isinstance(model, GramModel):
            self.start(problem, state, single=False, has_gram=False)
            model, new = state.model, new[~state.is_in[new]]
        self.extend(state, new)
        few = max(10, support // 10)
        if state.search is None and not full.is_convex:
            state.sketches += 1
            few = max(3, support // 50) if state.sketches <= _SKETCHES else few
        # where epochs cost next to nothing beside a look, it may be the last once all are in that violate optimality
        has_all = is_convex and new.size >= entering and model.is_quick
        is_nearly_known = is_final and (entering <= few or has_all)
        scale = float(np.abs(state.slopes).max(initial=0.0))
        goal = _ROUGH * (scale if state.sketches else min(float(violations.max(initial=0.0)), scale))
        if is_nearly_known and state.search is not None:
            is_nearly_known, goal = self._begin_search(state, new, scale), _ROUGH * scale
        if is_nearly_known:
            fine = _FINEST if model.spare_epochs >= _MANY else _FINE
            goal = max(min(goal, fine * scale, 0.3 * tol), 4.0 * np.finfo(np.float64).eps * scale)
            if self._is_rough(state):
                self._anchor(loss, state)
        local = form.restrict(model.features) if isinstance(form, SeparableForm) else None
        state.patience = _PATIENCE if is_nearly_known else 1
        state.unfinished = penalty, form, local, goal, is_nearly_known

    def _begin_search(self, state, new, scale):
        """Look for minima next; or, if nothing is new for another search, go on without, which is then true."""
        if state.searches and new.size == 0:
            state.search = None
            return True
        state.minima = state.search.minima(state.model, scale)
        return False

    def _most(self, state, support, missing):
        """Features that may enter at once, but for a few no more than are `missing`, where that is not None."""
        share = _LEAN if state.search is not None or state.searches else 1.0
        most = state.model.eagerness * max(1, int(share * self.fewest), int(self.growth * support))
        return most if missing is None else min(most, np.count_nonzero(missing) + _SPARE)

    def _is_rough(self, state):
        """Whether the model is in float32, and exact slopes of its set are cheaper than a look at all of X."""
        return state.columns is not None and state.columns.dtype == np.float32

    def _refine(self, loss, state, minimise, tol):
        """Minimise again from exact slopes of the set until the model has them; whether its last minimum was reached."""
        model = state.model
        end = model.work + _SEARCH
        for _ in range(_REFINEMENTS):
            if model.drift <= tol:
                return True
            before = model.slope.copy()
            self._anchor(loss, state)
            if np.max(np.abs(model.slope - before), initial=0.0) <= tol:
                return True
            is_done = minimise()
            state.w[model.features] = model.w
            if not is_done or model.work >= end:
                return is_done
        return True

    def _anchor(self, loss, state):
        """Give the model exact slopes at its point."""
        state.model.anchor(state.columns.exact_slopes(state.model.features, loss.residual(state.w).mass))

    def _search(self, problem, state):
        """Minima of the model under the concave penalty, for a bounded time, and then a look."""
        model = state.model
        end = model.work + _SEARCH
        for _ in state.minima:
            if model.work >= end:
                break
        else:
            state.minima = None
            state.searches += 1
            # where the set is complete, none can enter for another search
            if state.searches == _SEARCHES or not state.search.has_found or model.size == state.w.size:
                state.search = None
            self._prune(state, _CLOSE)
            state.w[:] = 0.0
            state.w[model.features] = model.w
            self._look(problem, state, is_exact=False)
        state.w[model.features] = model.w
        return state

    def _prune(self, state, part):
        """Leave features out that are far from taking part: whose slope is less than a part of the largest."""
        model = state.model
        if model.size == state.w.size:
            return
        keep = (model.w != 0.0) | (np.abs(model.slope) >= part * np.max(np.abs(model.slope), initial=0.0))
        state.is_in[model.features[~keep]] = False
        state.columns.restrict(keep)
        model.restrict(keep)

    def _distances(self, loss, penalty, form, state):
        curvatures = None if isinstance(form, SeparableForm) else np.asarray(loss.curvatures(), dtype=np.float64)
        return distances(penalty, form, state.w.astype(np.float64), state.slopes, curvatures)

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
        """Slopes of the loss in all features: rough ones while they only screen."""
        model = state.model
        state.looks += 1
        if isinstance(model, ResidualModel) and state.strength > 1.0 and problem.loss.dtype == np.float64:
            # nobody asks yet what this point proves, and what the model carries along is rounded little
            state.slopes, state.slope = model.pull(), None
            return
        if model.size == state.w.size and not (is_exact or problem.proximal.is_convex or state.columns is None):
            # the model has them
            state.slopes[model.features], state.slope = model.slope, None
            return
        slopes = None if is_exact or isinstance(model, ResidualModel) else state.columns.screen(model.w)
        if slopes is None:
            state.slopes = state.slope = np.array(problem.loss.gradient(state.w), dtype=np.float64)
        else:
            slopes[model.features] = model.slope
            state.slopes, state.slope = slopes, None

    def _judge(self, problem, state, *, entering):
        """Leave a model that makes no progress: from float32 to float64, from there to plain descent."""
        if state.residual > 0.5 * state.last_exact and not entering:
            if state.columns is not None and state.columns.dtype == np.float32 and problem.loss.dtype == np.float64:
                self.start(problem, state, single=False, has_gram=True)
            else:
                state.descent = CoordinateDescent().init(problem, state.w)
        state.last_exact = state.residual

    def _descend(self, problem, state, tol, max_iterations):
        state.descent = CoordinateDescent().step(problem, state.descent, tol, max_iterations)
        done = state.descent
        state.w, state.residual, state.slope = done.w, done.residual, None
        state.iterations += 1
        return state
