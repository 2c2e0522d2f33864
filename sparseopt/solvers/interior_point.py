"""Interior point method for quadratic programs with linear constraints, boxes and L1 penalties.

The slope alpha_j |w_j| is the least alpha_j t_j with t_j >= |w_j|. With v = (w, t), M v >= least the
inequalities, which are sides of rows and coefficients, t - w >= 0 and t + w >= 0, their slacks s and
multipliers z, each iteration solves the linearised conditions of optimality

    P w + q + A_E'y - M_w'z = 0,   alpha - M_t'z = 0,   A_E w = b,   M v - s = least,   s z = sigma mu

(M_w and M_t the columns of w and t) twice, for the direction of sigma = 0 and for the step (Mehrotra,
1992), with the diagonal made definite by rho and delta, which fall with mu: a proximal method of
multipliers around Newton's method (Pougkakiotis and Gondzio, 2021; Schwan, Jiang, Kuhn and Jones,
2023). No rank condition on A or P is needed. t and z are eliminated, which leaves a system in w and
the rows. What the factorisation loses to rounding is got back by refinement on all conditions; where
that fails a slower, more accurate factorisation takes over. The iterations are compiled
(kernels/interior.py); here is what is looked at between them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from sparseopt.curvature import is_settled
from sparseopt.kernels import interior as kernels
from sparseopt.kernels import polishing
from sparseopt.kernels.conditions import EQUAL
from sparseopt.kernels.taking_out import take_out
from sparseopt.programs.dense_program import full_program
from sparseopt.proofs.rays import check_dual_ray
from sparseopt.solution import Duals, Status
from sparseopt.solvers.base import Solver
from sparseopt.solvers.quadratic.constraints_alone import judge_by_constraints
from sparseopt.solvers.quadratic.interior_at_once import is_little, solved_at_once
from sparseopt.solvers.quadratic.interior_setup import SettingUp, entry, slight_curvature
from sparseopt.solvers.quadratic.interior_state import largest
from sparseopt.solvers.quadratic.least_multipliers import lessened
from sparseopt.solvers.quadratic.long_factorisation import factorised, factorised_in_pieces, is_long
from sparseopt.solvers.quadratic.pieces import Pieces
from sparseopt.solvers.quadratic.quadratic_program import unfit
from sparseopt.solvers.quadratic.rays import descent_ray, is_met_beside, separating_ray
from sparseopt.solvers.quadratic.remedies import is_harder, is_near, iterations_at_once, solve_better

# Iterates grow without limit where there is no solution; until then a look for a ray is wasted.
_LARGE = 1e3
# Excess over a row, relative to the row, of a point that counts as feasible where coefficients grow without limit.
_MET = 1e-6
# Seconds after which the point is made the result again.
_SHOWN = 0.05
# Relative size of a gap that is rounding: some units in the last place of the objective.
_LAST_DIGITS = 8 * np.finfo(np.float64).eps
# Steps of refinement for the system of an active set.
_STEPS = 15
# What the minimiser on an active set may leave of its conditions, in scaled units, for another guess from there: of a set
# that contradicts itself it is further off each time.
_CONSISTENT = 1e-5
# Part of what one active set leaves that the next one may, for another one after it.
_BETTER = 0.1
# By how much a point inside has to be better than one that lies on its sides, where it is not good enough.
_EXACT = 0.5
# Part of a relative tolerance that a residual must be in, for the point to be looked at where duality judges.
_FINAL = 1e-4


@dataclass(frozen=True, kw_only=True)
class InteriorPoint(Solver):
    """Proximal primal-dual interior point method for convex quadratic programs, L1 terms included.

    Takes `Quadratic` and `LeastSquares` with Zero or L1 penalties (weighted, nonnegative, ridged)
    under linear rows, boxes and simplices; P may be singular, A rank-deficient. Dense programs go
    through LAPACK, sparse ones through an LDL' factorisation; least squares with more coefficients
    than samples needs no p x p matrix. A problem without a solution gets the ray that proves it.
    Fixed coefficients and rows that are bounds, are implied by bounds, leave one point only or are multiples
    of others are taken out first; solution, multipliers and rays are those of the whole problem. Where many
    multipliers are optimal and those found are so large that rounding hides what they leave, they become the
    least ones.

    A Q with negative curvature is refused, but for as much as rounding its entries to a few digits makes of a convex
    one (1e-4 of its largest diagonal entry), where there are rows: then the result satisfies the conditions of
    optimality, and its certificate has no lower bound and says why.

    Parameters
    ----------
    regularisation : float
        Least weight of the proximal terms in the equilibrated problem: smaller ones let rounding
        errors grow, larger ones cost linear programs iterations.
    step_fraction : float
        Part of the way to the nearest side that a step goes.
    refinements : int
        Most corrections of a linear system's solution.
    polish : bool
        Finish on the active set that the multipliers suggest, where residuals are above the tolerance.

    References
    ----------
    Mehrotra: On the implementation of a primal-dual interior point method. SIAM Journal on
    Optimization 2 (1992).
    Pougkakiotis, Gondzio: An interior point-proximal method of multipliers for convex quadratic
    programming. Computational Optimization and Applications 78 (2021).
    Schwan, Jiang, Kuhn, Jones: PIQP: a proximal interior-point quadratic programming solver. CDC (2023).
    Andersen, Andersen: Presolving in linear programming. Mathematical Programming 71 (1995).
    Gleixner, Steffy, Wolter: Iterative refinement for linear programming. INFORMS Journal on Computing 28 (2016).
    """

    regularisation: float = 1e-10
    step_fraction: float = 0.995
    refinements: int = 8
    polish: bool = True

    def __post_init__(self):
        if not 0 < self.step_fraction < 1:
            raise ValueError(f"step_fraction is {self.step_fraction}; a step stays inside for values between 0 and 1.")
        if not 0 < self.regularisation < 1e-4:
            raise ValueError(f"regularisation is {self.regularisation}; give a positive number below 1e-4.")

    def rejects(self, problem):
        """Why this solver cannot take the problem, or None."""
        # the curvature of a large matrix is for the set-up to find, in pieces
        return unfit(problem, slight_curvature(problem) if is_settled(problem.loss) else np.inf)

    def at_once(self, problem, tol, max_iterations):
        """What a run finds of a small dense program, as nearly always, in few calls; None where more has to be done."""
        if type(self) is not InteriorPoint:  # a subclass may step in another way
            return None
        program = full_program(problem)
        if program is None or not is_little(program) or np.logical_or.reduce(program.alpha):
            return None
        return solved_at_once(program, tol, max_iterations, self)

    def init(self, problem, w):
        """Equilibrate, and find a point inside near the solution of the equalities, as far as that takes no time."""
        return self._set_up(entry(problem, w, self.regularisation))

    def _set_up(self, state):
        """Go on with the set-up; the state that it makes once it is over."""
        if not state.pieces.go_on():
            return state
        before, state = state, state.pieces.made
        state.tolerance, state.is_final, state.chunk = (
            before.tolerance,
            before.is_final,
            iterations_at_once(state.system),
        )
        if state.status is None and not is_long(state.system):
            self._begin(state, is_factored=False)
        return state

    def _begin(self, state, *, is_factored):
        """Find the first point."""
        state.begun = True
        if not kernels.begin(
            state.link, state.sides, state.V, state.W, state.R, state.S, self.refinements, is_factored
        ):
            state.status = Status.STALLED

    def step(self, problem, state, tol, max_iterations):
        """Iterations until there is something to look at, or a few hundredths of a second are over."""
        if isinstance(state, SettingUp):
            return self._set_up(state)
        if not state.has_rows:
            tol = min(tol, _FINAL * state.tolerance * largest(state.program.q))
        if state.looking is not None:
            return self._looked(problem, state, kernels.GOING)
        # the first call of `iterate` only looks at the start
        is_first = is_long(state.system) and state.begun and state.S[kernels.MARK] == np.inf
        is_factored = is_long(state.system) and not is_first
        if is_factored and (is_done := factorised(state)) is not True:
            state.status = Status.STALLED if is_done is None else None
            return state
        if not state.begun:
            self._begin(state, is_factored=True)
            return state
        before = state.iterations
        event = kernels.iterate(
            state.link, state.sides, state.V, state.W, state.R, state.S, tol,
            0 if is_first else min(state.chunk, max_iterations), self.refinements, self.step_fraction, self.polish,
            is_factored,
        )  # fmt: skip
        state.iterations = int(state.S[kernels.ITERATIONS])
        state.looking = Pieces(_look(self, problem, state, tol, event))
        return self._looked(problem, state, kernels.GOING if state.iterations - before >= max_iterations else event)

    def _looked(self, problem, state, event):
        """Go on with what follows from an event; the point is made the result from time to time."""
        if not state.looking.go_on():
            return state
        state.looking = None
        if state.status is None and (event == kernels.GOING or _is_long_ago(state)):
            _show(problem, state)
        # Where duality judges, in relative terms, it is asked once the point is as good as final.
        final = state.has_rows or state.status or _left(state) <= _FINAL * state.tolerance * largest(state.program.q)
        state.residual = state.lowest if final else np.inf
        return state


def _is_long_ago(state):
    """Whether the point has not been made the result for a while, in which a time limit may have passed."""
    now = time.perf_counter()
    if now - state.shown < _SHOWN:
        return False
    state.shown = now
    return True


def _look(solver, problem, state, tol, event):
    """What follows from the reason why the kernel stopped, in pieces."""
    if event == kernels.HARDER:
        solve_better(state)
    elif event == kernels.SOLVED:
        # from here an active set that failed before may be solved for
        state.tried.clear()
        if solver.polish:
            # the exact point costs one factorisation more
            yield from _polish(state, problem, tol)
        if state.lowest > tol:
            _keep_if_better(state, problem)
    elif event == kernels.POLISH:
        yield from _polish(state, problem, tol, is_early=True)
    elif event == kernels.RAY:
        _look_for_rays(state, problem)
    elif event in (kernels.LATE, kernels.BROKEN):
        yield from _give_up(solver, problem, state, tol)
    if state.has_rows and state.status is None and state.lowest <= tol:
        state.status = Status.CONVERGED
    if state.has_rows and not state.is_final and state.status in (Status.CONVERGED, Status.STALLED):
        state.is_final = True
        yield from lessened(solver, state, tol)


def _multipliers(state, of):
    """Multipliers of rows at the point, or their changes by a step."""
    sides, m, size = state.sides, state.rows.size, state.sides.kind.size
    y, z = state.V[of, state.columns.size + sides.sloped.size :][:m], state.V[of, -sides.active.size :]
    return np.where(sides.kind[:m] & EQUAL, y, z[size : size + m] - z[:m])


def _polish(state, problem, tol, *, is_early=False, rounds=4):
    """Newton steps on the active set that multipliers and slacks suggest, in pieces.

    Early, while the iterations go on anyway, no further set is solved for once one has hardly been better than that before.
    """
    V, W, R, ridge = state.V, state.W, state.R, np.empty(state.columns.size)
    polishing.start(state.sides, V, W, R, state.system.curvatures, state.system.ridge, ridge)
    is_factored = is_long(state.system)
    if is_factored:
        # a limit may come before the pieces are over
        _show(problem, state)
    before = np.inf
    for _ in range(rounds):
        code = polishing.guess(state.link, state.sides, V, W, R)
        if code in state.tried:
            return
        state.tried.add(code)
        if is_factored:
            polishing.hold(V, W, R, ridge)
            if not (yield from factorised_in_pieces(state.system, W[kernels.DIAGONAL], R[kernels.LOOSE])):
                return
        left = polishing.polish(state.link, state.sides, V, W, R, ridge, _STEPS, is_factored)
        if not left < np.inf:
            return
        # this point has exact zeros and lies on its sides, which is worth a larger residual
        found = _keep_if_better(state, problem, is_polished=True, enough=tol)
        if found <= tol or left > _CONSISTENT or (is_early and found > _BETTER * before):
            return
        before = found


def _give_up(solver, problem, state, tol):
    """No more progress: take the best point; rounding, in units of the objective, may be all that is left."""
    V, y, d = state.V, _pulls_apart(state), _falls_along(state, problem)
    V[kernels.POINT], V[kernels.SLACKS] = V[kernels.BEST], V[kernels.BEST_SLACKS]
    _keep_if_better(state, problem)
    if solver.polish and state.lowest > tol:
        yield from _polish(state, problem, tol)
    if state.lowest > tol and not _is_exact(state, tol) and is_near(state) and is_harder(state):
        # what is missing may be what the factors have lost
        state.S[kernels.MARKED] = state.S[kernels.ITERATIONS]
        return
    state.status = Status.CONVERGED if state.has_rows and _left(state) <= tol else None
    if state.status is None:
        _take_ray(state, y, problem.n_features)
        if state.status is None and d is not None:
            yield from judge_by_constraints(solver, state, d, _MET, problem.n_features)
        state.status = state.status or Status.STALLED


def _is_exact(state, tol):
    """Whether all that is missing is a gap as small as the rounding of the objectives that it is the difference of."""
    return max(state.rest) <= tol and _relative_gap(state) <= _LAST_DIGITS


def _left(state):
    """The largest residual of the best point, with the gap in units of the objective where that is large."""
    return min(state.lowest, max(*state.rest, _relative_gap(state)))


def _relative_gap(state):
    """The gap of the best point in units of the objective."""
    if state.gap <= state.enough or state.point is None:  # relative only where that matters
        return state.gap
    return state.gap / max(1.0, abs(state.presolved.objective(state.point)))


def _show(problem, state):
    """Make the point the result where it is the best so far, since the run may be ended here."""
    if max(state.seen) < state.lowest:
        *exact, w, y, v = state.presolved.measured(state.products, *_taken_out(state))
        if max(exact) < state.lowest:
            p, state.is_exact = problem.n_features, False
            state.w, state.duals, state.lowest = w[:p].copy(), Duals(y, v[:p]), float(max(exact))


def _look_for_rays(state, problem):
    """Set the status where the iterates point along a proof that there is no solution, or the last step does.

    Points carry along where they began, of which steps know nothing.
    """
    p = problem.n_features
    _take_ray(state, _pulls_apart(state), p)
    # a problem that nothing satisfies is not unbounded, whatever its objective does
    d = _falls_along(state, problem) if state.status is None else None
    if d is not None and is_met_beside(state.program, state.columns * state.x, d, _MET):
        state.status, state.ray = Status.UNBOUNDED, state.presolved.descending(d)[:p]


def _take_ray(state, ray, p):
    """Set the status by a proof that nothing satisfies the constraints, where there is one."""
    if ray is not None:
        m, m_all = state.rows.size, state.presolved.whole.row_lower.size
        state.status, state.ray = Status.INFEASIBLE, state.presolved.separating(ray[:m], ray[m:])[: m_all + p]


def _pulls_apart(state):
    """Multipliers, of the point or of the last step, that prove that nothing satisfies the constraints, with those of bounds; or None."""
    rows = _multipliers(state, kernels.POINT)
    if not rows.size or not max(largest(rows), largest(state.z)) > _LARGE:
        return None
    ray = separating_ray(state.program, state.rows * rows)
    if ray is None:
        ray = separating_ray(state.program, state.rows * _multipliers(state, kernels.FOUND))
    return ray


def _falls_along(state, problem):
    """A direction, of the point or of the last step, that proves that the objective falls for ever; or None."""
    if not largest(state.x) > _LARGE:
        return None
    for drift in (state.x, state.V[kernels.FOUND, : state.columns.size]):
        d = descent_ray(state.program, state.columns * drift)
        if d is not None and check_dual_ray(problem, state.presolved.descending(d)[: problem.n_features]).holds:
            return d
    return None


def _taken_out(state, *, is_polished=False):
    """Coefficients and multipliers of rows and bounds in units of the program, of the point or of a polished one."""
    program = state.program
    w, y, v = np.empty(program.q.size), np.empty(program.row_lower.size), np.empty(program.q.size)
    take_out(
        state.sides, state.V, state.R, program.lower, program.upper, state.columns, state.rows, is_polished, w, y, v
    )
    # a polished point has the best multipliers of bounds, which are found where residuals are
    return w, y, None if is_polished else v


def _keep_if_better(state, problem, *, is_polished=False, enough=0.0):
    """Take the point, or the polished one, for the result where it lowers the residual, or that is `enough`; returns the residual."""
    p, taken = problem.n_features, _taken_out(state, is_polished=is_polished)
    violation, stationarity, gap, w, y, v = found = state.presolved.measured(state.products, *taken)
    if state.has_rows and gap > state.tolerance >= max(violation, stationarity):
        violation, stationarity, gap, w, y, v = state.presolved.with_less_gap(state.products, w, found, state.tolerance)
    residual = max(violation, stationarity, gap)
    # what lies on its sides is worth more than a few last digits, and lets least multipliers be found
    worth = _EXACT if state.is_exact and not is_polished and residual > state.tolerance else 1.0
    if residual < worth * state.lowest or residual <= enough:
        state.is_exact = is_polished
        state.rest, state.gap, state.enough, state.point = (violation, stationarity), gap, enough, w
        state.w, state.duals, state.lowest = w[:p].copy(), Duals(y, v[:p]), float(residual)
    return residual
