"""Block descent: minimise over all coefficients of one group after another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.designs import CenteredDense, Dense
from sparseopt.losses import LeastSquares, Quadratic, SampleLoss
from sparseopt.losses.first_look import is_read_at_once
from sparseopt.penalties import BlockPenalty, concavity
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.working.block_curvature import by_size
from sparseopt.solvers.working.block_models import BlockModel, ColumnModel, WholeModel
from sparseopt.solvers.working.curved_samples import curvatures_of, expand
from sparseopt.solvers.working.group_model import GroupModel
from sparseopt.solvers.working.working_plan import no_worse_than_zero

# From one stage of the continuation to the next the strength falls to this part of what would make all zero.
_FALL = 0.1
# Epochs on a polynomial at most, in a stage and between two looks at all groups.
_STAGE, _LOOK = 3, 12
# The same on a quadratic loss, while many groups enter and once few do.
_SKETCH, _ROUNDS = 6, 60
# Part of the distance from stationarity to which it is then minimised: while many groups enter, once few do, and where
# epochs cost next to nothing beside a look at all of X.
_ROUGH, _MEDIUM, _FINE = 0.2, 1e-3, 1e-6
# Groups that enter the working set at once: so many, or as many as are nonzero, or one coefficient for so many samples.
_ENTERING, _SAMPLES = 40, 10
# Entries of X that a step may visit, a tenth of a second.
_CHUNK = 2e8
# Entries of X from which columns are copied in float32, and up to which they are copied at all (1 GB).
_WORTH_SINGLE, _TOO_LARGE = 1e5, 2**28
# Rounds of epochs and Newton steps where epochs alone did not reach the goal.
_NEWTON_ROUNDS = 4
# Part of the residual at which the minimisation of a polynomial may end.
_INNER = 0.1
# Damping of the curvature of a loss that is no quadratic, as a part of the bound on it: least, and its
# growth where a step fails.
_DAMPING, _GROWTH = 1e-3, 10.0
# A step to the minimiser of a polynomial is shortened to no less than this part of it.
_SHORTEST = 1e-10
# Largest group whose curvature is decomposed; and how much more it is taken for, so that what jumps by this one jumps by
# that of a model which is rounded.
_LARGEST_BLOCK, _SURELY = 500, 1.001
# Relative rounding of an objective, and of slopes in float32.
_SLACK, _ROUNDING = 1e-15, 1e-7


@dataclass
class BlockState(State):
    """State with the model that is minimised."""

    model: BlockModel | None = field(default=None, repr=False)
    #: Gradient of the loss at w, read off the running vector or computed from the data.
    slopes: np.ndarray | None = None
    #: Factor of alpha that the continuation has reached.
    factor: float = np.inf
    damping: float = _DAMPING
    #: Distance to stationarity when slopes were last exact at the full strength.
    last_exact: float = np.inf
    #: Looks at all of X.
    looks: int = 1

    def account(self):
        return f"{self.model.account()}; {self.looks} looks at X"


@dataclass(frozen=True, kw_only=True)
class BlockDescent(Solver):
    """Block coordinate descent with exact block minima, for penalties on groups.

    A visit of a group minimises over all of its coefficients: in the eigenbasis of the group's
    curvature only the norm of the solution is unknown, the root of a function of one variable (Qin
    et al., 2013; Yang and Hastie, 2024). Groups of a working set are cycled, which all groups may
    enter after each look at the gradient; alpha falls in stages from where all is zero; sequences
    of points are extrapolated where that lowers the objective (Bertrand and Massias, 2021).

    Least squares on a dense X work on the 16 bits of each entry that the loss keeps, or on a copy of the columns in
    use in float32 (X itself gives the exact slopes in which each minimisation starts), and on their Gram matrix once
    it costs no more than the epochs without it did; there Newton steps help where epochs are slow and the penalty is
    convex. A loss that is no quadratic is replaced by its Taylor polynomial, again after each look (Lee et al., 2014),
    and the step to the polynomial's minimiser is shortened until the objective falls.

    Parameters
    ----------
    continuation : bool, default True
        Let alpha fall in stages where many groups are pulled from zero.
    accelerated : bool, default True
        Extrapolate.
    single_precision : bool, default True
        Go through a dense float64 X in 16 bits an entry, or copy columns in float32, of an X that is not tiny. Where
        these cannot tell columns apart, copies in float64 take over. What is proven is float64.
    """

    continuation: bool = True
    accelerated: bool = True
    single_precision: bool = True

    def rejects(self, problem):
        if not isinstance(problem.proximal, BlockPenalty):
            return (
                "it moves one group of coefficients at a time; the penalty must be one on groups, without a constraint"
            )
        if not isinstance(problem.loss, LeastSquares | Quadratic | SampleLoss):
            return "it needs the curvature of a loss on samples, or of a quadratic"
        return None

    def init(self, problem, w):
        loss, groups = problem.loss, problem.penalty.groups
        if isinstance(loss, SampleLoss):
            w = no_worse_than_zero(problem, w)
        slopes = np.array(loss.gradient(w.astype(np.float64)), dtype=np.float64)
        state = BlockState(w=w, slopes=slopes)
        is_dense = isinstance(loss, LeastSquares) and isinstance(loss.X, Dense | CenteredDense)
        if is_dense and loss.n_entries <= _TOO_LARGE:
            single = loss.dtype == np.float32 or (self.single_precision and loss.n_entries >= _WORTH_SINGLE)
            has_sketch = single and is_read_at_once(loss.X) and np.ndim(loss.sample_weight.values) == 0
            look = loss.first_look() if has_sketch else None
            is_sketched = look is not None and look.sketch is not None
            state.model = ColumnModel(loss, groups, sketch=look if is_sketched else None, single=single)
        else:
            state.model = WholeModel(loss, groups, w.size)
        return state

    def step(self, problem, state, tol, max_iterations):
        loss, target = problem.loss, problem.penalty
        is_zero = target.groups.norms(state.w) == 0.0
        outside = _outside(loss, target, state, is_zero)
        # where there are many samples a coefficient, groups are told apart at once
        room = max(_ENTERING, int(loss.image_size / _SAMPLES / np.mean(state.model.curvature.sizes)))
        state.factor = self._next_factor(target, state, np.count_nonzero(outside) <= room)
        penalty = target if state.factor == 1.0 else target.strengthened(state.factor)
        if state.factor > 1.0:
            outside = _outside(loss, penalty, state, is_zero)
        groups, has_all = _working_set(is_zero, outside, room)
        if not isinstance(loss, SampleLoss):
            return self._on_quadratic(problem, penalty, state, groups, outside, has_all, tol, max_iterations)
        epochs = min(_LOOK if state.factor == 1.0 else _STAGE, self._limit(loss, state, groups, max_iterations))
        move = self._towards_minimiser(loss, penalty, state, groups, epochs)
        self._look(loss, state)
        if state.factor == 1.0:
            state.slope = state.slopes
            state.residual = max(move, float(np.max(_outside(loss, penalty, state), initial=0.0)))
        return state

    def _on_quadratic(self, problem, penalty, state, groups, outside, has_all, tol, max_iterations):
        """Minimise a quadratic on a working set: roughly while it grows, then as finely as a look at all of X is worth."""
        loss, model = problem.loss, state.model
        entering = int(np.count_nonzero(model.where[groups] < 0))
        if not model.begin(loss, groups, state.w, state.slopes):
            return self._refined(problem, state)
        is_nearly_known = state.factor == 1.0 and (
            groups.size == model.where.size or entering <= max(3, groups.size // 10) or (model.is_quick and has_all)
        )
        distance = float(np.max(outside, initial=0.0))
        if np.any(state.w):
            distance = max(distance, model.distance(penalty, state.slopes[model.features]))
        goal = _ROUGH * distance
        if is_nearly_known:
            goal = _nearly(penalty, distance, state, tol, _FINE if model.is_quick else _MEDIUM)
        epochs = min(_ROUNDS if is_nearly_known else _SKETCH, self._limit(loss, state, groups, max_iterations))
        _, last = self._descend(state, penalty, goal, 0.0, epochs)
        if is_nearly_known and last > goal and penalty.is_convex and model.has_gram:
            _newton(penalty, state, goal)
        state.residual, state.slope = np.inf, None
        if not is_nearly_known:
            state.slopes = model.slopes_at(loss, state.w)
            return state
        self._look(loss, state)
        state.slope, outside = state.slopes, _outside(loss, penalty, state)
        state.residual = max(float(np.max(outside, initial=0.0)), model.distance(penalty, state.slopes[model.features]))
        if state.residual > 0.5 * state.last_exact and not np.any(outside) and model.is_coarse(loss):
            return self._refined(problem, state)
        state.last_exact = state.residual
        return state

    def _limit(self, loss, state, groups, max_iterations):
        """Epochs that one step may take."""
        visits = 2.0 * loss.n_entries * state.model.curvature.sizes[groups].sum() / max(state.w.size, 1)
        return min(max_iterations, max(1, int(_CHUNK / max(visits, 1.0))))

    def _refined(self, problem, state):
        """Go on with more precision: that of the model has come to its end."""
        state.model = state.model.finer(problem.loss)
        state.last_exact = np.inf
        return state

    def _look(self, loss, state):
        """Slopes of the loss in all features, from the data."""
        state.looks += 1
        state.slopes = np.array(loss.gradient(state.w.astype(np.float64)), dtype=np.float64)

    def _next_factor(self, penalty, state, has_room):
        if not self.continuation or has_room or state.factor == 1.0:
            return 1.0
        if state.factor < np.inf:
            return max(1.0, _FALL * state.factor)
        rest = np.where(penalty.groups.spread(penalty.groups.norms(state.w), state.w.size) > 0.0, 0.0, state.slopes)
        return max(1.0, _FALL * penalty.vanishing_factor(-rest))

    def _descend(self, state, penalty, goal, part, epochs):
        """Epochs until no move exceeds the goal, or a part of the largest of the first; the first's and the last's."""
        model, before = state.model, state.model.epochs
        moves = model.descend(penalty, goal, part, epochs, accelerated=self.accelerated)
        state.iterations += model.epochs - before
        state.w[model.features] = model.w
        return moves

    def _towards_minimiser(self, loss, penalty, state, groups, epochs):
        """A damped Newton step: to the minimiser of the Taylor polynomial, or less far; returns the first move there."""
        old, done = state.w.copy(), state.iterations
        polynomial = expand(loss, old.astype(np.float64), state.damping)
        state.model.curvature.forget()
        state.model.cycle(polynomial, groups, state.w, polynomial.start())
        move, _ = self._descend(state, penalty, 0.0, _INNER, epochs)
        state.iterations = done + 1
        height = _objective(loss, penalty, old)
        limit, direction, step = height + _SLACK * abs(height), state.w - old, 1.0
        # also where the objective is not a number
        while not _objective(loss, penalty, state.w) <= limit:
            step = step / 2.0 if step > _SHORTEST else 0.0
            state.w[:] = old + step * direction
        state.damping = min(1.0, _GROWTH * state.damping) if step < 1.0 else max(_DAMPING, state.damping / _GROWTH)
        return move


def _newton(penalty, state, goal):
    """Newton steps where epochs would take too many, as on columns that are nearly the same."""
    model = state.model
    sizes = model.curvature.sizes[model.order]
    here = np.repeat(model.where[model.order] - np.cumsum(sizes) + sizes, sizes) + np.arange(int(sizes.sum()))
    small = penalty.restricted(model.order)
    inner = GroupModel(small, small.convex_form(here.size), model.term.gram[np.ix_(here, here)])
    inner.place(model.w[here], model.running[here])
    inner.minimise(goal, _NEWTON_ROUNDS)
    state.w[model.features[here]] = inner.w
    model.w[here] = inner.w


def _nearly(penalty, distance, state, tol, part):
    """To what distance from stationarity to go: a part of it and of the penalty's slopes, then what the gap asks for."""
    if state.last_exact < np.inf:
        return 0.3 * tol
    slope = float(np.max(penalty.thresholds(state.w.size))) + penalty.resistance
    return max(part * (min(distance, slope) if slope > 0.0 else distance), _ROUNDING * distance)


def _objective(loss, penalty, w):
    w = w.astype(np.float64)
    return loss.evaluate(w) + penalty.measure(w)


def _outside(loss, penalty, state, is_zero=None):
    """By how much each zero group is pulled beyond its threshold; `is_zero` says which are, where that is known."""
    if is_zero is None:
        is_zero = penalty.groups.norms(state.w) == 0.0
    pulled = np.where(is_zero, np.maximum(penalty.pulls(-state.slopes) - penalty.thresholds(state.w.size), 0.0), 0.0)
    if not (penalty.is_convex or isinstance(loss, SampleLoss)):
        _add_jumps(loss, penalty, state, is_zero & (pulled == 0.0), pulled)
    return pulled


def _add_jumps(loss, penalty, state, is_held, pulled):
    """Add the zero groups, held by first order alone, that a step on the group finds a lower point for further out.

    Where the loss bends less than the penalty, what is far costs less than what is near (Zhang, 2010).
    """
    groups, sizes = penalty.groups, state.model.curvature.sizes
    # the mean is no more than the largest eigenvalue, and longer steps go further
    means = groups.sums(np.asarray(loss.curvatures(), dtype=np.float64)) / sizes
    flat = np.flatnonzero(is_held & (means > 0.0) & (means < concavity(penalty.penalty)))
    for d, alike in by_size(flat, sizes):
        members = groups.member(groups.start(alike)[:, None] + np.arange(d))
        slopes, bends = state.slopes[members], means[alike]
        may = np.any(penalty.prox_rows(alike, -slopes / bends[:, None], 1.0 / bends), axis=1)
        if d > _LARGEST_BLOCK or not np.any(may):
            continue
        far, slopes = alike[may], slopes[may]
        bends = _SURELY * np.linalg.eigvalsh(curvatures_of(loss, groups, far))[:, -1]
        moves = penalty.prox_rows(far, -slopes / bends[:, None], 1.0 / bends)
        pulled[far] = bends * np.max(np.abs(moves), axis=1)


def _working_set(is_zero, outside, room):
    """The nonzero groups and the zero ones that are pulled most beyond their threshold; whether these are all of them."""
    active = np.flatnonzero(~is_zero)
    entering = np.flatnonzero(outside > 0.0)
    room = max(room, active.size)
    has_all = entering.size <= room
    if not has_all:
        entering = entering[np.argpartition(-outside[entering], room)[:room]]
    return np.sort(np.concatenate([active, entering])), has_all
