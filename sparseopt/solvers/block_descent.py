"""Block descent: minimise over all coefficients of one group after another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.kernels.blocks import all_slopes, descend_blocks
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.penalties import BlockPenalty
from sparseopt.solvers.base import Solver, State

# The strength falls to at least this part of itself from one stage of the continuation to the next.
_FALL = 0.5
# Epochs of a stage at most, and between two looks at all groups.
_STAGE, _LOOK = 4, 12
# Groups that enter the working set at once: this many, or as many as are in it.
_ENTERING = 10
# Points that an extrapolation combines.
_MEMORY = 5
# Largest group whose curvature is decomposed; a larger one is bounded by its largest eigenvalue.
_LARGEST_BLOCK = 300


@dataclass
class BlockState(State):
    """State with the running vector of the loss and the curvature of each group met so far."""

    running: np.ndarray | None = None
    #: Gradient of the loss at w, read off the running vector or computed from the data.
    slopes: np.ndarray | None = None
    #: Factor of alpha that the continuation has reached.
    factor: float = np.inf
    curvature: BlockCurvature | None = field(default=None, repr=False)
    #: Points of the last epochs, for extrapolation.
    points: list = field(default_factory=list, repr=False)


@dataclass
class BlockCurvature:
    """Eigenvalues and eigenvectors of the loss's curvature in each group, as kernels take them."""

    sizes: np.ndarray
    offsets: np.ndarray
    places: np.ndarray
    vectors: np.ndarray
    values: np.ndarray
    known: np.ndarray
    scratch: np.ndarray


@dataclass(frozen=True, kw_only=True)
class BlockDescent(Solver):
    """Block coordinate descent with exact block minima, for penalties on groups.

    Each visit of a group minimises over all of its coefficients: in the eigenbasis of the group's
    curvature only the norm of the solution is unknown, a root in one dimension (Qin et al., 2013;
    Yang and Hastie, 2024). The groups of a working set are cycled, the strength falls from where all
    is zero to what is asked for, and sequences of points are extrapolated where that lowers the
    objective (Anderson; Bertrand and Massias, 2021).

    Parameters
    ----------
    continuation : bool, default True
        Let the strength of the penalty fall in stages where the start is far from the solution.
    accelerated : bool, default True
        Extrapolate.
    """

    continuation: bool = True
    accelerated: bool = True

    def rejects(self, problem):
        if not isinstance(problem.proximal, BlockPenalty):
            return "it moves one group of coefficients at a time; the penalty must be one on groups, and the set the whole space"
        return None

    def init(self, problem, w):
        loss = problem.loss
        slopes = np.array(loss.gradient(w.astype(np.float64)))
        return BlockState(w=w, running=loss.start(w), slopes=slopes, curvature=_unknown(problem.penalty, w.size))

    def step(self, problem, state, tol, max_iterations):
        loss, penalty = problem.loss, problem.penalty
        excess = _excess(penalty, state)
        state.factor = self._next_factor(state, excess)
        stage = penalty if state.factor == 1.0 else penalty.strengthened(state.factor)
        groups = _working_set(penalty, state, excess)
        _decompose(loss, penalty, state.curvature, groups)
        epochs = min(_STAGE if state.factor > 1.0 else _LOOK, max_iterations)
        for _ in range(epochs):
            move = _descend(loss, stage, state, groups)
            state.iterations += 1
            if self.accelerated:
                _extrapolate(loss, stage, state)
            if move <= 0.3 * tol:
                break
        if state.factor > 1.0:
            all_slopes(loss, state.running, state.slopes)
            return state
        state.slope = np.asarray(loss.gradient(state.w.astype(np.float64)), dtype=np.float64)
        state.slopes[:], state.running = state.slope, loss.start(state.w)
        state.residual = max(move, float(np.max(_outside(penalty, state), initial=0.0)))
        return state

    def _next_factor(self, state, excess):
        if not self.continuation or state.factor == 1.0:
            return 1.0
        return max(1.0, _FALL * min(state.factor, float(np.max(excess, initial=0.0))))


def _unknown(penalty, p):
    sizes = penalty.groups.sizes(p)
    squares = np.where(sizes <= _LARGEST_BLOCK, sizes * sizes, 0)
    offsets = np.concatenate([[0], np.cumsum(squares)])
    return BlockCurvature(
        sizes=sizes,
        offsets=offsets,
        places=np.full(sizes.size, -1),
        vectors=np.empty(offsets[-1]),
        values=np.empty(p),
        known=np.zeros(sizes.size, dtype=bool),
        scratch=np.empty((5, int(sizes.max(initial=1)))),
    )


def _excess(penalty, state):
    """The pull at each group in units of its threshold; zero where the group is not zero, infinite at weight zero."""
    p = state.w.size
    pulls, thresholds = penalty.pulls(-state.slopes), penalty.thresholds(p)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(pulls > 0.0, pulls / thresholds, 0.0)
    return np.where(penalty.groups.norms(state.w) > 0.0, 0.0, excess)


def _outside(penalty, state):
    """By how much the pull at each zero group exceeds its threshold."""
    pulls, thresholds = penalty.pulls(-state.slopes), penalty.thresholds(state.w.size)
    return np.where(penalty.groups.norms(state.w) > 0.0, 0.0, pulls - thresholds)


def _working_set(penalty, state, excess):
    """The nonzero groups, and the zero ones that are pulled most beyond their threshold."""
    active = np.flatnonzero(penalty.groups.norms(state.w) > 0.0)
    entering = np.flatnonzero(excess > state.factor)
    room = max(_ENTERING, active.size)
    if entering.size > room:
        entering = entering[np.argpartition(-excess[entering], room)[:room]]
    return np.sort(np.concatenate([active, entering]))


def _decompose(loss, penalty, curvature, groups):
    """Eigenvalues and eigenvectors of the loss's curvature in the groups that are not known yet."""
    for g in groups[~curvature.known[groups]]:
        first, d = penalty.groups.start(g), curvature.sizes[g]
        part = slice(first, first + d)
        if d > _LARGEST_BLOCK:
            curvature.values[part] = loss.restrict(penalty.groups.columns(g)).lipschitz()
        else:
            values, vectors = np.linalg.eigh(_block_of(loss, penalty.groups.columns(g)))
            least = 4 * d * np.finfo(loss.dtype).eps * values[-1]
            curvature.values[part] = np.where(values > least, values, 0.0)
            place = curvature.offsets[g]
            curvature.vectors[place : place + d * d] = vectors.T.ravel()
            curvature.places[g] = place
        curvature.known[g] = True


def _block_of(loss, columns):
    """A bound on the second derivative of f in some coefficients, exact for quadratics, in float64."""
    if isinstance(loss, Quadratic):
        block = loss.Q.matrix[columns][:, columns]
        return np.asarray(block if isinstance(block, np.ndarray) else block.toarray(), dtype=np.float64)
    part = loss.X.restrict(columns).to_array()
    rows = np.asarray(loss.sample_weight.values, dtype=np.float64)
    if rows.ndim:
        part = np.sqrt(rows)[:, None] * part
    block = part.T @ part
    if not isinstance(loss, LeastSquares):
        return loss.smoothness() * (block if rows.ndim else rows * block)
    return block if rows.ndim else rows * block


def _descend(loss, penalty, state, groups):
    c = state.curvature
    return descend_blocks(loss, penalty, state.w, state.running, groups, c.places, c.vectors, c.values, c.scratch, 1)


def _extrapolate(loss, penalty, state):
    """Replace the point by the affine combination of the last ones with the least residual, where that is lower."""
    if not isinstance(loss, LeastSquares):
        return
    state.points.append((state.w.copy(), state.running.copy()))
    if len(state.points) <= _MEMORY:
        return
    points, state.points = state.points, []
    W = np.array([w for w, _ in points])
    moves = np.diff(W, axis=0)
    products = moves @ moves.T
    trace = float(np.trace(products))
    if trace == 0.0:
        return
    c = np.linalg.solve(products / trace + 1e-12 * np.eye(_MEMORY), np.ones(_MEMORY))
    c /= c.sum()
    w, running = c @ W[1:], c @ np.array([running for _, running in points[1:]])
    if _height(loss, penalty, w, running) < _height(loss, penalty, state.w, state.running):
        state.w[:], state.running[:] = w, running


def _height(loss, penalty, w, running):
    u = running[: loss.y.size].astype(np.float64)
    return float(np.sum(u * u / loss.sample_weight.values)) / 2 + penalty.convex_form(w.size).value(w)
