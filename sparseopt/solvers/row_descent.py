"""Working sets of rows, for least squares with several responses."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term
from sparseopt.designs import CSC, CenteredCSC, CenteredDense, Dense, copies_of
from sparseopt.kernels.rows import TOGETHER, descend_rows, descend_rows_through, move_rows, value_rows
from sparseopt.losses import MultiResponse
from sparseopt.penalties import BlockPenalty, Penalty
from sparseopt.penalties.partitions import EqualGroups
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.coordinate_descent import CoordinateDescent
from sparseopt.solvers.working.row_newton import is_smooth_in_rows, newton_rows
from sparseopt.solvers.working.working_plan import enter_domain

# Rows that enter at once, beside those in use: at most so many, or as many.
_FEWEST = 100
# Rows that a slope so many times as steep would move enter before they have to, where there is room.
_AHEAD = 1.2
# Epochs between two extrapolations.
_EPOCHS = 6
# Calls of the kernel, of `_EPOCHS` epochs each, before all rows are looked at again.
_CALLS = 200
# Newton steps between two calls, after so many, once no row has become zero or left zero from one to the next.
_NEWTON, _PATIENCE = 4, 8
# Part of the distance of all rows to which that of the working set is brought down while others want to move.
_ROUGH = 0.05
# Part of the tolerance, as a slope, to which it is brought down where none does and few were new, or where an epoch
# costs no more than a look at X.
_FINE = 1.0
# Epochs go through columns where these take less than so many times the products that the Gram matrix takes.
_THROUGH = 1.2
# Relative rounding of a slope.
_ROUNDING = 4.0 * np.finfo(np.float64).eps


@dataclass(frozen=True)
class RowBlocks(Term):
    """A penalty whose groups are the rows."""

    penalty: BlockPenalty

    def smooth_part(self, features, p):
        """Factors of the norms of some rows and of half their squares, of p coefficients in all; None where there is more to the penalty."""
        form = self.penalty.convex_form(p)
        return (form.a[features], form.b) if is_smooth_in_rows(form) else (None, 0.0)

    def prox(self, j, v, step, out):
        """Prox of row j, into `out`."""
        self.penalty.prox_block(j, v.size, v, step, out)

    def total(self, features, W):
        """Penalty of some rows, which are the columns of W."""
        return self.penalty.value_rows(features, W.T)

    def moved(self, V, steps):
        """Prox of all rows of V, with a step each."""
        return self.penalty.prox_rows(np.arange(len(V)), V, steps)


@dataclass(frozen=True)
class RowEntries(Term):
    """A penalty on single coefficients, those of a row at a time."""

    penalty: Penalty

    def smooth_part(self, features, p):
        """None: it has kinks in single coefficients."""
        return None, 0.0

    def prox(self, j, v, step, out):
        """Prox of row j, into `out`."""
        for k in range(v.size):
            out[k] = self.penalty.prox_at(j * v.size + k, v[k], step)

    def value(self, j, x):
        """Penalty of row j."""
        total = 0.0
        for k in range(x.size):
            total += self.penalty.value_at(j * x.size + k, x[k])
        return total

    def total(self, features, W):
        """Penalty of some rows, which are the columns of W."""
        return value_rows(self, features, W, np.empty(len(W)))

    def moved(self, V, steps):
        """Prox of all rows of V, with a step each."""
        out = np.empty(V.shape)
        move_rows(self, V, steps, out)
        return out


def row_term(penalty, q):
    """The penalty as a term on rows of q coefficients; None where it is none."""
    if isinstance(penalty, Penalty):
        return RowEntries(penalty)
    is_rows = isinstance(penalty, BlockPenalty) and isinstance(penalty.groups, EqualGroups) and penalty.groups.size == q
    return RowBlocks(penalty) if is_rows else None


@dataclass
class RowState(State):
    """State with the working set and its Gram matrix."""

    features: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    gram: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    bends: np.ndarray | None = None
    #: How far each row is from a fixed point.
    distance: np.ndarray | None = None
    #: Once epochs make little progress, coordinate descent has the rest, which knows Newton steps.
    descent: State | None = None

    def account(self):
        return "" if self.descent is None else "handed over to CoordinateDescent"


@dataclass(frozen=True, kw_only=True)
class RowDescent(Solver):
    """Block coordinate descent on rows of coefficients, within working sets.

    Least squares with several responses curve alike in all coefficients of a row, so that one prox
    minimises over a row exactly (Liu, Palatucci and Zhang, 2009). Rows enter the working set by
    the size of their prox step, as many as are in use (Massias, Gramfort and Salmon, 2018); on it
    the Gram matrix is kept, and epochs use it or, where most of many rows are nonzero and samples are few, the
    columns. Extrapolation (Anderson, 1965; Bertrand and Massias, 2021) is kept where it brings the objective down.
    Where epochs are slow, Newton steps on the nonzero rows help, if the penalty is convex and has no kinks but where a
    row is zero.

    Parameters
    ----------
    extrapolates : bool, default True
    """

    extrapolates: bool = True

    def rejects(self, problem):
        if not isinstance(problem.loss, MultiResponse):
            return "it takes least squares with several responses, whose curvature is one number a row"
        if problem.proximal is None or row_term(problem.proximal, problem.loss.places.q) is None:
            return "the penalty or the constraint ties rows together; groups must be the rows: GroupLasso(alpha, q)"
        return None

    def init(self, problem, w):
        bends = np.asarray(problem.loss.X.weighted_squares(problem.loss.sample_weight.values), dtype=np.float64)
        w = np.asarray(w, dtype=np.float64)
        # rows that the loss does not see stay where they begin: where the penalty is least
        w.reshape(bends.size, -1)[bends == 0.0] = 0.0
        if isinstance(problem.proximal, Penalty):
            enter_domain(problem.proximal, w)
        state = RowState(w=w, bends=bends)
        weights, features, gram = copies_of(problem.loss.X).get("rows", (None, None, None))
        if weights is problem.loss.sample_weight:
            state.features, state.gram = features, gram
        return state

    def step(self, problem, state, tol, max_iterations):
        if state.descent is not None:
            return self._descend(problem, state, tol, max_iterations)
        loss, q = problem.loss, problem.loss.places.q
        rows = row_term(problem.proximal, q)
        W = state.w.reshape(-1, q)
        slope = np.asarray(loss.gradient(state.w), dtype=np.float64).reshape(-1, q)
        distance = state.distance
        if distance is None:
            # rows that the next points of a path need are better let in together
            distance = row_distances(rows, W, slope, state.bends)
            ahead = np.maximum(distance, row_distances(rows, W, _AHEAD * slope, state.bends))
        else:
            ahead = distance
        before = state.features.size
        has_all = self._extend(loss, state, W, distance, ahead)
        features = state.features
        has_grown, is_quick = features.size > before, features.size**2 <= loss.X.n_entries
        part, pull = np.ascontiguousarray(W[features].T), np.ascontiguousarray(slope[features].T)
        scale = float(np.max(np.abs(slope), initial=0.0))
        goal = _ROUGH * float(np.max(distance, initial=0.0))
        if has_all and (is_quick or features.size - before <= before // 50):
            goal = max(min(goal, _FINE * state.tolerance * scale), _ROUNDING * scale)
        epochs, is_done = self._minimise(loss, rows, state, part, pull, goal, max_iterations)
        state.iterations += epochs
        W[features] = part.T
        slope = np.asarray(loss.gradient(state.w), dtype=np.float64)
        state.slope = slope
        state.distance = row_distances(rows, W, slope.reshape(-1, q), state.bends)
        last, state.residual = state.residual, float(np.max(state.distance, initial=0.0))
        is_slow = not is_done or (not has_grown and state.residual > 0.5 * last)
        if is_slow and isinstance(problem.proximal, Penalty):
            state.descent = CoordinateDescent().init(problem, state.w.astype(problem.dtype))
        return state

    def _descend(self, problem, state, tol, max_iterations):
        done = state.iterations, state.descent.iterations
        state.descent = CoordinateDescent().step(problem, state.descent, tol, max_iterations)
        state.w, state.residual, state.slope = state.descent.w.astype(np.float64), state.descent.residual, None
        state.iterations = done[0] + state.descent.iterations - done[1]
        return state

    def _extend(self, loss, state, W, distance, ahead):
        """Let the rows in use enter, and others by how far they want to move or soon may; whether all are in that do."""
        outside = ahead.copy()
        in_use = W.any(axis=1)
        count = max(_FEWEST, np.count_nonzero(in_use))
        outside[in_use] = np.inf
        outside[state.features] = 0.0
        outside[state.bends == 0.0] = 0.0
        count = min(np.count_nonzero(outside), count + np.count_nonzero(outside == np.inf))
        if count > 0:
            new = np.sort(np.argpartition(-outside, count - 1)[:count])
            outside[new] = 0.0
            self._border(loss, state, new)
        return not np.any(distance[outside > 0.0])

    def _border(self, loss, state, new):
        """Give rows a place in the working set and its Gram matrix."""
        s = state.features.size
        state.features = np.concatenate([state.features, new])
        gram = np.empty((state.features.size, state.features.size))
        gram[:s, :s] = state.gram
        gram[:, s:] = products(loss.X, state.features, new, loss.sample_weight.values)
        gram[s:, :s] = gram[:s, s:].T
        state.gram = gram
        copies_of(loss.X)["rows"] = loss.sample_weight, state.features, gram

    def _minimise(self, loss, rows, state, W, slope, goal, max_epochs):
        """Epochs on the working set, in place; returns their number, and whether they reached the goal or a limit."""
        gram, features, descent = state.gram, state.features, _Epochs(loss, rows, state, W.shape)
        kinks, ridge = rows.smooth_part(features, state.w.size)
        epochs, is_zero = 0, ~W.any(axis=0)
        for call in range(_CALLS):
            wanted = min(_EPOCHS, max_epochs - epochs)
            moved, done = descent.run(W, slope, goal, wanted, W.shape[1] - np.count_nonzero(is_zero))
            epochs += done
            if moved <= goal or epochs >= max_epochs:
                return epochs, True
            if self.extrapolates:
                extrapolate(rows, gram, features, W, slope, descent.history)
            last, is_zero = is_zero, ~W.any(axis=0)
            if kinks is not None and call >= _PATIENCE and np.array_equal(is_zero, last):
                newton_rows(gram, kinks, ridge, W, slope, goal, _NEWTON)
        return epochs, False


class _Epochs:
    """Epochs on a working set: with its Gram matrix, or through its columns where that is less to do."""

    def __init__(self, loss, rows, state, shape):
        self._loss, self._rows, self._gram, self._features = loss, rows, state.gram, state.features
        q, size = shape
        self.history = np.empty((_EPOCHS, q, size))
        self._new, self._step = np.empty((2, q))
        self._moves, self._places = np.empty((TOGETHER, q)), np.empty(TOGETHER, dtype=np.int64)
        self._columns = self._image = None

    def run(self, W, slope, goal, epochs, active):
        """So many epochs at most, in place, where so many rows are not zero; the last move and the number of epochs."""
        history = self.history[:epochs]
        if not self._are_columns_cheaper(W.shape[1], active):
            return descend_rows(
                self._rows, self._gram, self._features, W, slope,
                self._new, self._step, self._moves, self._places, history, goal,
            )  # fmt: skip
        if self._columns is None:
            weights = np.asarray(self._loss.sample_weight.values, dtype=np.float64)
            self._columns = np.sqrt(weights) * self._loss.X.columns_as_rows(self._features)
            self._image = np.empty((len(W), self._columns.shape[1]))
        self._image[:] = 0.0
        moved, done = descend_rows_through(
            self._rows, self._columns, np.diag(self._gram).copy(), self._features, W, slope,
            self._image, self._new, self._step, history, goal,
        )  # fmt: skip
        slope += self._image @ self._columns.T
        return moved, done

    def _are_columns_cheaper(self, size, active):
        n = self._loss.X.shape[0]
        return isinstance(self._loss.X, Dense | CenteredDense) and active * size > _THROUGH * (size + active) * n


def extrapolate(rows, gram, features, W, slope, history):
    """Move to the combination of the iterates whose last steps cancel best, if the objective falls, in place."""
    flat = history.reshape(len(history), -1)
    moves = np.diff(flat, axis=0)
    system = moves @ moves.T
    trace = np.trace(system)
    if not trace > 0.0:
        return
    weights = np.linalg.solve(system + 1e-10 * trace * np.eye(len(system)), np.ones(len(system)))
    trial = ((weights / np.sum(weights)) @ flat[1:]).reshape(W.shape)
    step = trial - W
    bent = step @ gram
    gain = np.sum((slope + bent / 2) * step) + rows.total(features, trial) - rows.total(features, W)
    if gain < 0.0:
        W[:] = trial
        slope += bent


def row_distances(rows, W, slope, bends):
    """How far a step on each row alone would go, in the units of the slope."""
    steps = np.divide(1.0, bends, out=np.ones(bends.size), where=bends > 0.0)
    moves = np.linalg.norm(rows.moved(W - slope * steps[:, None], steps) - W, axis=1)
    return bends * moves


def products(X, features, new, weights):
    """Weighted products of the columns `features` of X with `new`, the last of them, in float64."""
    if isinstance(X, CSC | CenteredCSC):
        left, right = X.restrict(features), X.restrict(new)
        rows = np.broadcast_to(np.asarray(weights, dtype=np.float64), X.shape[0])
        A, B = left.matrix.astype(np.float64), right.matrix.astype(np.float64)
        gram = (A.T @ B.multiply(rows[:, None]).tocsc()).toarray()
        return gram - np.outer(left.means, right.means) if isinstance(X, CenteredCSC) else gram
    A = X.columns_as_rows(features)
    B = A[features.size - new.size :]
    return weights * (A @ B.T) if np.ndim(weights) == 0 else A @ (weights * B).T
