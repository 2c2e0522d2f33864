"""Block descent: minimise over all coefficients of one group after another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.kernels.blocks import descend_blocks
from sparseopt.losses import LeastSquares, Quadratic, SampleLoss
from sparseopt.penalties import BlockPenalty
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.block_curvature import BlockCurvature, unknown
from sparseopt.solvers.curved_samples import expand, height_of, slopes_of
from sparseopt.solvers.working_plan import no_worse_than_zero

# From one stage of the continuation to the next the strength falls to this part of what would make all zero.
_FALL = 0.3
# Epochs of a stage at most, and between two looks at all groups.
_STAGE, _LOOK = 3, 12
# Groups that enter the working set at once: so many, or as many as are nonzero.
_ENTERING = 40
# Entries of X that a step may visit, a tenth of a second.
_CHUNK = 2e8
# Points that an extrapolation combines.
_MEMORY = 5
# Part of the residual at which the minimisation of a polynomial may end.
_INNER = 0.1
# Damping of the curvature of a loss that is no quadratic, as a part of the bound on it: least, and its
# growth where a step fails.
_DAMPING, _GROWTH = 1e-3, 10.0
# A step to the minimiser of a polynomial is shortened to no less than this part of it.
_SHORTEST = 1e-10
# Relative rounding of an objective.
_SLACK = 1e-15


@dataclass
class BlockState(State):
    """State with the running vector of the quadratic that is minimised, and its curvature in each group met."""

    running: np.ndarray | None = None
    #: Gradient of the loss at w, read off the running vector or computed from the data.
    slopes: np.ndarray | None = None
    #: Factor of alpha that the continuation has reached.
    factor: float = np.inf
    curvature: BlockCurvature | None = field(default=None, repr=False)
    damping: float = _DAMPING
    #: The last points (w, running vector) of one quadratic, for extrapolation.
    points: list = field(default_factory=list, repr=False)


@dataclass(frozen=True, kw_only=True)
class BlockDescent(Solver):
    """Block coordinate descent with exact block minima, for penalties on groups.

    A visit of a group minimises over all of its coefficients: in the eigenbasis of the group's
    curvature only the norm of the solution is unknown, the root of a function of one variable (Qin
    et al., 2013; Yang and Hastie, 2024). Groups of a working set are cycled, which all groups may
    enter after each look at the gradient; alpha falls in stages from where all is zero; sequences
    of points are extrapolated where that lowers the objective (Bertrand and Massias, 2021). A loss
    that is no quadratic is replaced by its Taylor polynomial, again after each look (Lee et al.,
    2014), and the step to the polynomial's minimiser is shortened until the objective falls.

    Parameters
    ----------
    continuation : bool, default True
        Let alpha fall in stages where many groups are pulled from zero.
    accelerated : bool, default True
        Extrapolate.
    """

    continuation: bool = True
    accelerated: bool = True

    def rejects(self, problem):
        if not isinstance(problem.proximal, BlockPenalty):
            return (
                "it moves one group of coefficients at a time; the penalty must be one on groups, without a constraint"
            )
        if not isinstance(problem.loss, LeastSquares | Quadratic | SampleLoss):
            return "it needs the curvature of a loss on samples, or of a quadratic"
        return None

    def init(self, problem, w):
        if isinstance(problem.loss, SampleLoss):
            w = no_worse_than_zero(problem, w)
        slopes = np.array(problem.loss.gradient(w.astype(np.float64)), dtype=np.float64)
        return BlockState(w=w, slopes=slopes, curvature=unknown(problem.penalty.groups, w.size))

    def step(self, problem, state, tol, max_iterations):
        loss, target = problem.loss, problem.penalty
        if state.factor > 1.0:
            state.points = []
        state.factor = self._next_factor(target, state)
        penalty = target if state.factor == 1.0 else target.strengthened(state.factor)
        outside = _outside(penalty, state)
        groups = _working_set(penalty, state.w, outside)
        visits = loss.n_entries * state.curvature.sizes[groups].sum() / max(state.w.size, 1)
        epochs = min(_LOOK if state.factor == 1.0 else _STAGE, max_iterations, max(1, int(_CHUNK / max(visits, 1.0))))
        if isinstance(loss, SampleLoss):
            move = self._towards_minimiser(loss, penalty, state, groups, epochs)
        else:
            if state.running is None or state.factor == 1.0:
                state.running = loss.start(state.w)
            _, move = self._cycle(loss, penalty, state, groups, epochs, 0.3 * tol, 0.0)
        if state.factor > 1.0 and not isinstance(loss, SampleLoss):
            state.slopes = slopes_of(loss, state.running)
            return state
        state.slopes = np.array(loss.gradient(state.w.astype(np.float64)), dtype=np.float64)
        if state.factor == 1.0:
            state.slope = state.slopes
            state.residual = max(move, float(np.max(_outside(penalty, state), initial=0.0)))
        return state

    def _next_factor(self, penalty, state):
        if not self.continuation or state.factor == 1.0:
            return 1.0
        rest = np.where(penalty.groups.spread(penalty.groups.norms(state.w), state.w.size) > 0.0, 0.0, state.slopes)
        return max(1.0, _FALL * min(state.factor, penalty.vanishing_factor(-rest)))

    def _cycle(self, model, penalty, state, groups, epochs, tol, part):
        """Epochs until no move exceeds tol, or a part of the largest of the first; returns those of the first and last."""
        state.curvature.learn(model, penalty.groups, groups)
        c, first, move = state.curvature, 0.0, 0.0
        for epoch in range(epochs):
            move = descend_blocks(
                model, penalty, state.w, state.running, groups, c.places, c.vectors, c.values, c.scratch, 1
            )
            state.iterations += 1
            first = move if epoch == 0 else first
            if move <= max(tol, part * first):
                break
            if self.accelerated:
                _extrapolate(model, penalty, state)
        return first, move

    def _towards_minimiser(self, loss, penalty, state, groups, epochs):
        """A damped Newton step: to the minimiser of the Taylor polynomial, or less far; returns the first move there."""
        old, done = state.w.copy(), state.iterations
        model = expand(loss, old.astype(np.float64), state.damping)
        state.running, state.points = model.start(), []
        state.curvature.forget()
        move, _ = self._cycle(model, penalty, state, groups, epochs, 0.0, _INNER)
        state.iterations = done + 1
        height = _objective(loss, penalty, old)
        limit, direction, step = height + _SLACK * abs(height), state.w - old, 1.0
        # also where the objective is not a number
        while not _objective(loss, penalty, state.w) <= limit:
            step = step / 2.0 if step > _SHORTEST else 0.0
            state.w[:] = old + step * direction
        state.damping = min(1.0, _GROWTH * state.damping) if step < 1.0 else max(_DAMPING, state.damping / _GROWTH)
        return move


def _objective(loss, penalty, w):
    w = w.astype(np.float64)
    return loss.evaluate(w) + penalty.measure(w)


def _outside(penalty, state):
    """By how much each zero group is pulled beyond its threshold."""
    is_zero = penalty.groups.norms(state.w) == 0.0
    return np.where(is_zero, np.maximum(penalty.pulls(-state.slopes) - penalty.thresholds(state.w.size), 0.0), 0.0)


def _working_set(penalty, w, outside):
    """The nonzero groups, and the zero ones that are pulled most beyond their threshold."""
    active = np.flatnonzero(penalty.groups.norms(w) > 0.0)
    entering = np.flatnonzero(outside > 0.0)
    room = max(_ENTERING, active.size)
    if entering.size > room:
        entering = entering[np.argpartition(-outside[entering], room)[:room]]
    return np.sort(np.concatenate([active, entering]))


def _extrapolate(model, penalty, state):
    """Put the affine combination of the last points with the least residual in place of w, if it is lower.

    The points are of epochs one after another; the residual is the difference of two. All is affine
    in them, the running vector of a quadratic too.
    """
    points = state.points
    points.append((state.w.astype(np.float64), state.running.astype(np.float64)))
    if len(points) <= _MEMORY:
        return
    W, U = (np.array(part) for part in zip(*points, strict=True))
    points.clear()
    moves = np.diff(W, axis=0)
    largest = np.max(np.abs(moves))
    if largest == 0.0:
        return
    products = (moves / largest) @ (moves / largest).T
    factors = np.linalg.solve(products + 1e-12 * np.trace(products) * np.eye(_MEMORY), np.ones(_MEMORY))
    factors /= np.sum(factors)
    w, running = factors @ W[1:], factors @ U[1:]
    if height_of(model, w, running) + penalty.measure(w) < height_of(model, W[-1], U[-1]) + penalty.measure(W[-1]):
        state.w[:], state.running[:] = w, running
