"""Working sets for SLOPE: a small problem on the columns that matter, then a look at all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.designs import copies_of
from sparseopt.inputs import LARGEST, SMALLEST
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.penalties import SLOPE
from sparseopt.problem import Problem
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.lagrangian.constrained_terms import WholeTerm
from sparseopt.solvers.lagrangian.newton_models import curvature_of, has_newton_model
from sparseopt.solvers.lagrangian.tied_models import tied_minimiser
from sparseopt.solvers.proximal_gradient import ProximalGradient

# Columns of the first working set; later ones are at least twice the support.
_FIRST = 100
# Columns beyond which products with them are cheaper than their Gram matrix.
_LARGEST_GRAM = 3000
# Part of the violation outside at which the small problem is solved well enough.
_PRECISION = 0.1
# Part of the tolerance, as a slope, to which it is solved once no column is missing: iterations cost less than a look.
_FINE, _ROUNDING = 0.3, 4.0 * np.finfo(np.float64).eps
# Iterations of FISTA on the small problem between two looks at all columns, before Newton models take over.
_LONGEST = 1000


@dataclass
class SlopeState(State):
    """State with the columns of the working set in the order of their entry, their Gram matrix and X'y."""

    columns: np.ndarray | None = None
    design: np.ndarray | None = None
    gram: np.ndarray | None = None
    pull: np.ndarray | None = None
    #: What the look at all columns before has found.
    violation: float = np.inf
    #: Whether all columns are in that it has found.
    has_all: bool = False
    #: The term of the Newton model that came nearer to the minimum of the small problem, and has more to do.
    term: WholeTerm | None = None
    newton_steps: int = 0

    def account(self):
        return f"{self.newton_steps} of the iterations Newton steps" if self.newton_steps else ""


@dataclass(frozen=True, kw_only=True)
class SlopeWorkingSet(Solver):
    """Least squares with SLOPE on a growing set of columns.

    A point that is zero outside of m columns pays the first m alphas only. So each step solves SLOPE on the Gram matrix
    of a working set, by FISTA, and by Newton models where that takes long, and adds the columns whose sorted slopes
    exceed the rest of the alphas: the strong rule's test (Larsson, Bogdan and Wallin, 2020), without trust.
    """

    def rejects(self, problem):
        if not isinstance(problem.penalty, SLOPE) or problem.constraint is not None:
            return "it is made for the penalty SLOPE without a constraint"
        if not isinstance(problem.loss, LeastSquares):
            return "it keeps a Gram matrix, which only LeastSquares has"
        return None

    def init(self, problem, w):
        w = w.astype(np.float64)
        known = copies_of(problem.loss.X).get("slope")
        if known is not None and known[0] is problem.loss:
            state = SlopeState(w=w, columns=known[1], design=known[2], gram=known[3], pull=known[4])
        else:
            n = problem.loss.y.size
            nothing = np.zeros(0, dtype=np.int64)
            state = SlopeState(w=w, columns=nothing, design=np.zeros((0, n)), gram=np.zeros((0, 0)), pull=np.zeros(0))
        in_use = np.flatnonzero(w)
        _enter(problem.loss, state, in_use[~np.isin(in_use, state.columns)])
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
            if state.has_all:
                fine = max(_FINE * state.tolerance, _ROUNDING) * float(problem.penalty.alphas[0])
                goal = min(goal, fine)
            term, state.term = state.term, None
            while run.residual > goal and run.iterations < limit and term is None:
                run = inner.step(small, run, goal, limit - run.iterations)
            state.iterations += run.iterations
            is_long = term is not None or run.iterations >= _LONGEST
            if run.residual > goal and is_long and run.iterations < max_iterations:
                _step_by_model(small, run, state, term, goal, max_iterations - run.iterations)
            state.w[state.columns] = run.w
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
            state.violation, state.has_all = 0.0, True
            return
        state.violation = float(np.max(excess[over] / (over + 1)))
        reach = order[: min(over[-1] + 1, max(_FIRST, 2 * support))]
        state.has_all = reach.size > over[-1]
        _enter(problem.loss, state, reach[~np.isin(reach, state.columns)])


def _step_by_model(small, run, state, term, goal, most):
    """Go to the minimiser of the small problem, where columns of all sizes are too much for FISTA, in at most so many steps."""
    m = run.w.size
    if term is None or term.term.alphas.size != m:
        term = WholeTerm(small.penalty.private(m), small.penalty)
    if not has_newton_model(small, term.term):
        return
    w = run.w.astype(np.float64)
    slope = np.asarray(small.loss.gradient(w), dtype=np.float64)
    before = float(np.max(term.slope_distance(w, slope), initial=0.0))
    curvature = curvature_of(small, w)
    found = tied_minimiser(term, curvature, slope - curvature.product(w), w, goal, most)
    run.w = found.w
    run.residual = float(np.max(term.slope_distance(found.w, small.loss.gradient(found.w)), initial=0.0))
    # at least one iteration, so that steps that lead nowhere come to an end
    state.iterations += max(found.steps, 1)
    state.newton_steps += found.steps
    state.term = term if goal < run.residual < before else None


def _small_loss(loss, state):
    """The loss on the working set: by its Gram matrix, or by its columns where that would be too large."""
    return Quadratic(state.gram, -state.pull) if state.gram is not None else loss.restrict(state.columns)


def _enter(loss, state, columns):
    """Adds columns to the working set and borders the Gram matrix, in place."""
    if columns.size == 0:
        return
    state.columns = np.append(state.columns, columns)
    if state.gram is None or state.columns.size > _LARGEST_GRAM:
        _forget(state)
        return
    weights = np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), loss.y.size)
    s, new = len(state.design), loss.X.columns_as_rows(columns)
    state.design = np.concatenate([state.design, new])
    gram = np.empty((state.columns.size, state.columns.size))
    gram[:s, :s] = state.gram
    gram[s:] = (weights * new) @ state.design.T
    gram[:s, s:] = gram[s:, :s].T
    corner = gram[s:, s:]
    gram[s:, s:] = (corner + corner.T) / 2
    # equal to its transpose, which is the order in memory that a loss takes without a copy
    state.gram = gram.T
    state.pull = np.append(state.pull, new @ (weights * loss.target.astype(np.float64)))
    # squares of columns that a loss takes may be out of the range in which a matrix is taken
    sizes = np.append(gram.diagonal(), np.max(np.abs(state.pull)))
    if np.any((sizes > LARGEST[np.float64]) | ((sizes > 0.0) & (sizes < SMALLEST[np.float64]))):
        _forget(state)
        return
    copies_of(loss.X)["slope"] = loss, state.columns, state.design, state.gram, state.pull


def _forget(state):
    """From here on without the Gram matrix."""
    state.gram = state.design = state.pull = None
