"""Working sets under linear rows: a small program on the features in play, then the dual looks at all of them.

    minimise f(w) + sum_j a_j |w_j| + b_j w_j**2 / 2   subject to   row_lower <= A w <= row_upper,  lower <= w <= upper

With multipliers y of the rows a feature at zero may stay out while -f'(w)_j - (A'y)_j is a slope of its
own terms there. Where the features in play cannot satisfy the rows, the ray that proves it (Farkas' lemma)
prices the others in the same way: those whose column of A breaks the ray enter, as in column generation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box, Duals, Intersection, LinearConstraint, Simplex
from sparseopt.forms import SeparableForm
from sparseopt.inputs import as_count, as_number
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.losses.quadratic import quadratic_model
from sparseopt.penalties import L1, Weighted
from sparseopt.problem import Problem, parts_of
from sparseopt.proofs.kinds import needs_multipliers
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.interior_point import InteriorPoint
from sparseopt.solvers.quadratic.active_sets import ActiveSets
from sparseopt.solvers.quadratic.newton_choice import active_system
from sparseopt.solvers.quadratic.quadratic_measure import measure_by_products
from sparseopt.solvers.quadratic.quadratic_program import equilibrate, linear_terms, quadratic_program, unfit

# Part of the largest alpha to which the first small program is solved, and of the excess outside for the next.
_ROUGH = 0.1
# Part of the features in play that may enter without a new run of interior points, and of all that are too many.
_FEW, _NEARLY_ALL = 0.1, 0.6
# Features from which working sets pay, and how many there must be for each row.
_MANY, _FEW_ROWS = 500, 20
# Newton steps on the active set before interior points are asked again.
_LEAPS = 6
# Slopes of a ray this small, relative to the largest, are rounding.
_ROUNDING = 1e-9
# Part of the tolerance to which the last program is solved, if need be, so that the lower bound is as good.
_FINEST = 1e-4


@dataclass(frozen=True, eq=False)
class WholeProgram:
    """All features, by products with the data only; what `measure` asks of a program."""

    problem: Problem
    form: SeparableForm
    q: np.ndarray
    A: np.ndarray | sparse.csc_array
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, problem):
        """The program of a problem, whose loss gives its slope at zero."""
        p = problem.n_features
        form = convex_form(problem.penalty, p)
        A, row_lower, row_upper, lower, upper = linear_terms(problem.constraint, p)
        q = np.asarray(problem.loss.gradient(np.zeros(p)), dtype=np.float64)
        return cls(
            problem, form, q, A, row_lower, row_upper, np.maximum(lower, form.lower), np.minimum(upper, form.upper)
        )

    @property
    def n(self):
        """Samples; zero of a quadratic."""
        return 0 if isinstance(self.problem.loss, Quadratic) else self.problem.loss.y.size

    @property
    def alpha(self):
        """Slopes of the absolute values."""
        return self.form.a

    def curve(self, w):
        """Product of the second derivative and w."""
        return np.asarray(self.problem.loss.hessian_bound(w), dtype=np.float64) + self.form.b * w

    def excess(self, slope):
        """How far a slope is from what each feature's own terms balance at zero; a bound at zero takes up the rest."""
        rest = np.sign(slope) * np.maximum(np.abs(slope) - self.alpha, 0.0)
        stays = ((rest > 0.0) & (self.lower >= 0.0)) | ((rest < 0.0) & (self.upper <= 0.0))
        return np.where(stays, 0.0, np.abs(rest))

    def costs(self, slope):
        """What is left of a slope costs the lower bound as a part of the objective, which is at least a_j |w_j|."""
        left = np.maximum(np.abs(slope) - self.alpha, 0.0)
        with np.errstate(divide="ignore"):
            return float(np.sum(left[left > 0.0] / self.alpha[left > 0.0]))

    def spread(self, features, w):
        """All coefficients, from those of some features."""
        all_of_them = np.zeros(self.q.size)
        all_of_them[features] = w
        return all_of_them

    def restricted(self, features, gram):
        """The problem on some features, all others at zero."""
        return Problem(
            quadratic_model(gram + np.diag(self.form.b[features]), self.q[features]),
            Weighted(L1(1.0), self.form.a[features]),
            Intersection(
                LinearConstraint(self.A[:, features], self.row_lower, self.row_upper),
                Box(self.lower[features], self.upper[features]),
            ),
        )


@dataclass
class ConstrainedState(State):
    """State with the features in play in the order of their entry, their Gram matrix, and the run on them."""

    whole: WholeProgram | None = None
    features: np.ndarray | None = None
    is_in: np.ndarray | None = None
    columns: np.ndarray | None = None
    gram: np.ndarray | None = None
    small: Problem | None = None
    inner: State | None = None
    #: Residual to which the small program is solved.
    goal: float = np.inf
    #: The small problem is the whole one.
    is_whole: bool = False
    looks: int = 0

    def account(self):
        """How many features were in play, and how often all were looked at."""
        handed = "; handed over to InteriorPoint" if self.is_whole else ""
        return f"{self.features.size} features in play, {self.looks} looks at all{handed}"


@dataclass(frozen=True, kw_only=True)
class ConstrainedWorkingSet(Solver):
    """Few features under linear rows: interior points on a working set, and the dual to say which are missing.

    Takes `LeastSquares` and `Quadratic` with an L1 penalty (weighted, nonnegative, ridged) under linear rows,
    simplices and boxes: the constrained lasso. Pays where rows are few, since the multipliers of rows without
    a feature in play are not determined by those that are.

    Parameters
    ----------
    fewest : int, default 100
        Features that may enter at once, however small the support.
    growth : float, default 1.0
        The same, as a part of the features in play.

    Raises
    ------
    TypeError, ValueError
        For `fewest` below 1, or a negative `growth`.

    References
    ----------
    Massias, Gramfort, Salmon: Celer: a fast solver for the lasso with dual extrapolation. ICML (2018).
    Desrosiers, Luebbecke: A primer in column generation. In: Column Generation, Springer (2005).
    """

    fewest: int = 100
    growth: float = 1.0

    def __post_init__(self):
        as_count(self.fewest, "fewest", least=1)
        as_number(self.growth, "growth", least=0.0)

    @staticmethod
    def pays(problem):
        """Whether few features are to be expected in play: most have an L1 term, and rows are few beside them."""
        p = problem.n_features
        form = convex_form(problem.penalty, p)
        if p < _MANY or not isinstance(form, SeparableForm) or not isinstance(problem.loss, LeastSquares | Quadratic):
            return False
        return bool(_FEW_ROWS * _rows(problem) <= p and np.count_nonzero(form.a) >= 0.9 * p)

    def rejects(self, problem):
        """Why this solver cannot take the problem, or None."""
        if reason := unfit(problem):
            return reason
        if not (_rows(problem) and needs_multipliers(problem)):
            return "it is for linear rows beside a penalty or a box"
        return None

    def init(self, problem, w):
        """Begin with the support, and what pulls hardest at w."""
        whole = WholeProgram.of(problem)
        state = ConstrainedState(
            w=w.astype(np.float64),
            whole=whole,
            features=np.zeros(0, dtype=np.intp),
            is_in=np.zeros(w.size, dtype=bool),
            columns=np.zeros((whole.n, 0), order="F"),
            gram=np.zeros((0, 0), order="F"),
            goal=_ROUGH * float(np.max(whole.alpha, initial=0.0)),
        )
        slope = whole.q + whole.curve(state.w) if w.any() else whole.q
        needed = (w != 0.0) | (whole.lower > 0.0) | (whole.upper < 0.0)
        new = np.union1d(np.flatnonzero(needed), self._missing(state, whole.excess(slope)))
        # where nothing pulls, one feature makes a program all the same
        self._enter(problem, state, new if new.size else np.zeros(1, dtype=np.intp))
        return state

    def step(self, problem, state, tol, max_iterations):
        """One iteration on the features in play, and where they are done a look at all."""
        run, goal = state.inner, tol if state.is_whole else state.goal
        before = run.iterations
        if run.status is None:
            # an active set is solved for once nothing is missing
            run = state.inner = InteriorPoint(polish=goal <= tol).step(state.small, run, goal, max_iterations)
        state.iterations += max(1, run.iterations - before)
        if run.status is None:
            return state
        if state.is_whole:
            state.w, state.duals, state.residual = run.w, run.duals, run.residual
            state.status, state.ray = run.status, run.ray
        elif run.status is Status.INFEASIBLE:
            self._mend(problem, state, run.ray)
        elif run.status is Status.UNBOUNDED:
            state.ray = np.zeros(state.w.size)
            state.ray[state.features] = run.ray
            state.status = Status.UNBOUNDED
        else:
            self._look(problem, state, run.w, run.duals.rows, tol)
        return state

    def _look(self, problem, state, w, rows, tol):
        """What all features say of a point on those in play and its multipliers of the rows."""
        whole = state.whole
        state.looks += 1
        w = whole.spread(state.features, w)
        slope = whole.q + whole.curve(w) + rows @ whole.A
        excess = np.where(state.is_in, 0.0, whole.excess(slope))
        violation, stationarity, gap, rows, box = measure_by_products(whole, w, rows)
        residual = max(violation, stationarity, gap)
        if residual <= state.residual:
            state.w, state.duals, state.residual = w, Duals(rows, box), residual
        new = self._missing(state, np.where(excess > tol, excess, 0.0))
        if new.size:
            # as fine as what is missing
            state.goal = max(tol, min(_ROUGH * float(np.max(excess)), state.goal))
            self._enter(problem, state, new)
            if new.size <= _FEW * state.features.size:
                self._leap(problem, state, w, rows, tol)
            return
        objective = abs(whole.q @ w + whole.alpha @ np.abs(w)) / 2
        is_done = max(violation, stationarity, gap / max(1.0, objective)) <= tol
        if is_done and (whole.costs(slope + box) <= tol or state.goal <= _FINEST * tol):
            state.status = Status.CONVERGED
        elif state.goal > _FINEST * tol and state.inner.status is Status.CONVERGED:
            # more of the same run
            state.goal = min(tol, _ROUGH * state.goal)
            state.inner.status = None
        else:
            self._hand_over(problem, state)

    def _leap(self, problem, state, w, rows, tol):
        """Newton steps on the active set, from a point that a few new features have hardly changed."""
        program = quadratic_program(state.small)
        columns, units, cost = equilibrate(program)
        scaled, m = program.scaled(columns, units, cost), rows.size
        active = ActiveSets(scaled, active_system(scaled))
        x, y = w[state.features] / columns, cost * rows / units
        pull = -(scaled.curve(x) + scaled.q + y @ scaled.A)
        for better, pulls in active.points(x, y, np.append(scaled.A @ x + y, x + pull), np.ones(m + x.size), _LEAPS):
            here, rows = np.clip(columns * better, program.lower, program.upper), units * pulls / cost
            *found, rows, _ = measure_by_products(program, here, rows)
            if max(found) <= tol:
                self._look(problem, state, here, rows, tol)
                return

    def _mend(self, problem, state, ray):
        """Let features in whose columns break the ray of the small program; without any it is a ray of all."""
        whole, y = state.whole, ray[: state.whole.row_lower.size]
        slope = y @ whole.A
        helps = np.where(slope > 0.0, whole.lower < 0.0, whole.upper > 0.0) & ~state.is_in
        excess = np.where(helps, np.abs(slope), 0.0)
        new = self._missing(state, np.where(excess > _ROUNDING * np.max(np.abs(slope), initial=0.0), excess, 0.0))
        if new.size:
            self._enter(problem, state, new)
            return
        state.status, state.ray = Status.INFEASIBLE, np.append(y, np.zeros(state.w.size))

    def _missing(self, state, excess):
        """The features of the largest excess, which may enter together."""
        excess = np.where(state.is_in, 0.0, excess)
        count = min(max(self.fewest, int(self.growth * state.features.size)), np.count_nonzero(excess))
        return np.sort(np.argpartition(-excess, count - 1)[:count]) if count else np.zeros(0, dtype=np.intp)

    def _enter(self, problem, state, new):
        """Border the Gram matrix by some features, and start on the larger program."""
        loss, whole = problem.loss, state.whole
        state.features = np.append(state.features, new)
        state.is_in[new] = True
        if state.features.size > _NEARLY_ALL * state.w.size + self.fewest:
            self._hand_over(problem, state)
            return
        if isinstance(loss, Quadratic):
            matrix = loss.restrict(state.features).Q.matrix
            state.gram = (matrix.toarray() if sparse.issparse(matrix) else matrix).astype(np.float64)
        elif new.size:
            weights = np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), whole.n)
            columns = np.asarray(loss.X.restrict(new).to_array(), dtype=np.float64)
            weighted = columns * weights[:, None]
            cross, corner = state.columns.T @ weighted, columns.T @ weighted
            state.gram = np.block([[state.gram, cross], [cross.T, (corner + corner.T) / 2]])
            state.columns = np.hstack([state.columns, columns])
        state.small = whole.restricted(state.features, state.gram)
        state.inner = InteriorPoint().init(state.small, state.w[state.features])

    def _hand_over(self, problem, state):
        """Go on with all features at once."""
        state.is_whole, state.small, state.columns, state.gram = True, problem, None, None
        state.inner = InteriorPoint().init(problem, state.w)


def _rows(problem):
    """How many linear rows a problem has."""
    rows = 0
    for part in parts_of(problem.constraint):
        rows += part.A.shape[0] if isinstance(part, LinearConstraint) else isinstance(part, Simplex)
    return rows
