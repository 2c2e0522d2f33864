"""Working sets for SLOPE: a small problem on the columns that matter, then a look at all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.penalties import SLOPE
from sparseopt.problem import Problem
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.proximal_gradient import ProximalGradient

# Columns of the first working set; later ones are at least twice the support.
_FIRST = 100
# Columns beyond which products with them are cheaper than their Gram matrix.
_LARGEST_GRAM = 3000
# Part of the violation outside at which the small problem is solved well enough.
_PRECISION = 0.1
# Iterations on the small problem between two looks at all columns.
_LONGEST = 2000


@dataclass
class SlopeState(State):
    """State with the columns of the working set in the order of their entry, their Gram matrix and X'y."""

    columns: np.ndarray | None = None
    design: np.ndarray | None = None
    gram: np.ndarray | None = None
    pull: np.ndarray | None = None
    #: What the look at all columns before has found.
    violation: float = np.inf


@dataclass(frozen=True, kw_only=True)
class SlopeWorkingSet(Solver):
    """Least squares with SLOPE on a growing set of columns.

    A point that is zero outside of m columns pays the first m alphas only. So each step solves SLOPE
    on the Gram matrix of a working set, by FISTA, and adds the columns whose sorted slopes exceed
    the rest of the alphas: the strong rule's test (Larsson, Bogdan and Wallin, 2020), without trust.
    """

    def rejects(self, problem):
        if not isinstance(problem.penalty, SLOPE) or problem.constraint is not None:
            return "it is made for the penalty SLOPE without a constraint"
        if not isinstance(problem.loss, LeastSquares):
            return "it keeps a Gram matrix, which only LeastSquares has"
        return None

    def init(self, problem, w):
        n, columns = problem.loss.y.size, np.flatnonzero(w)
        state = SlopeState(
            w=w,
            columns=np.zeros(0, dtype=np.int64),
            design=np.zeros((n, 0), order="F"),
            gram=np.zeros((0, 0), order="F"),
            pull=np.zeros(0),
        )
        _enter(problem.loss, state, columns)
        self._look(problem, state)
        return state

    def step(self, problem, state, tol, max_iterations):
        m = state.columns.size
        if m:
            small = Problem(_small_loss(problem.loss, state), SLOPE(problem.penalty.alphas[:m]))
            inner = ProximalGradient()
            run = inner.init(small, state.w[state.columns].astype(small.dtype))
            limit = min(_LONGEST, max_iterations)
            goal = _PRECISION * max(min(state.violation, 1e300), tol)
            while run.residual > goal and run.iterations < limit:
                run = inner.step(small, run, goal, limit - run.iterations)
            state.w[state.columns] = run.w
            state.iterations += run.iterations
            state.residual = run.residual
        else:
            state.iterations += 1
            state.residual = 0.0
        self._look(problem, state)
        state.residual = max(state.residual, state.violation)
        return state

    def _look(self, problem, state):
        """Measures the violation among all zeros, and lets the columns that cause it enter."""
        w, alphas = state.w, problem.penalty.alphas
        sizes = np.abs(np.asarray(problem.loss.gradient(w), dtype=np.float64))
        zeros = np.flatnonzero(w == 0.0)
        support = w.size - zeros.size
        order = zeros[np.argsort(-sizes[zeros], kind="stable")]
        excess = np.cumsum(sizes[order] - alphas[support:])
        over = np.flatnonzero(excess > 0.0)
        if over.size == 0:
            state.violation = 0.0
            return
        state.violation = float(np.max(excess[over] / (over + 1)))
        reach = order[: min(over[-1] + 1, max(_FIRST, 2 * support))]
        _enter(problem.loss, state, reach[~np.isin(reach, state.columns)])


def _small_loss(loss, state):
    """The loss on the working set: by its Gram matrix, or by its columns where that would be too large."""
    return Quadratic(state.gram, -state.pull) if state.gram is not None else loss.restrict(state.columns)


def _enter(loss, state, columns):
    """Adds columns to the working set and borders the Gram matrix, in place."""
    if columns.size == 0:
        return
    state.columns = np.append(state.columns, columns)
    if state.gram is None or state.columns.size > _LARGEST_GRAM:
        state.gram = state.design = state.pull = None
        return
    weights = np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), loss.y.size)
    new = loss.X.restrict(columns).to_array()
    weighted = new * weights[:, None]
    cross, corner = state.design.T @ weighted, new.T @ weighted
    state.gram = np.asfortranarray(np.block([[state.gram, cross], [cross.T, (corner + corner.T) / 2]]))
    state.design = np.asfortranarray(np.hstack([state.design, new]))
    state.pull = np.append(state.pull, weighted.T @ loss.target.astype(np.float64))
