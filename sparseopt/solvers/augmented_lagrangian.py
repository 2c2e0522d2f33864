"""Augmented Lagrangian: any smooth loss, nonlinear rows, a box, and a sparse w.

    f(w) + sum_i rho_i dist(c_i(w) + y_i / rho_i, [lower_i, upper_i])**2 / 2 + g(w)

is lowered by steps to the minimiser of its model (`PenalisedQuadratic`): rows linearised, f'' and the curvature
of the rows by BFGS, g as it is; for a g that ties coefficients together f'' is computed (`newton_models`). When w is as stationary as the rows are met, y becomes the multiplier that the
rows pull with, which costs no evaluation; near a solution that is after each step, and the step is that of a
stabilised sequential quadratic program. rho grows where the rows do not come nearer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt.constraints import Duals
from sparseopt.inputs import as_count, as_number
from sparseopt.programs.constraint_rows import ConstraintRows, has_rows
from sparseopt.proofs.kinds import needs_multipliers
from sparseopt.proofs.stationary_points import bound_pulls
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, unsmooth
from sparseopt.solvers.lagrangian.constrained_terms import ConvexTerm, CountedTerm, WholeTerm, constrained_term
from sparseopt.solvers.lagrangian.lagrangian_state import LagrangianState, check_start, differentiate, look
from sparseopt.solvers.lagrangian.lagrangian_steps import move
from sparseopt.solvers.lagrangian.newton_models import has_newton_model
from sparseopt.solvers.lagrangian.quasi_newton import QuasiNewton
from sparseopt.solvers.lagrangian.support_trials import SupportTrials

# A residual this many times the distance to the rows is small enough for an update of the multipliers.
_LOOSER = 10.0
# Multipliers beyond are no use: no constraint qualification holds, or nothing is feasible.
_LARGEST_MULTIPLIER = 1e12
_LARGEST_RHO = 1e12
# Part of the distance to the rows that may be left after an update of the multipliers, lest rho grows.
_NEARER = 0.1
# Steps without an update of the multipliers after which rho grows where the rows are this far, over the residual: the
# augmented Lagrangian may have no minimum.
_STEPS, _GRADIENT_STEPS, _FAR = 20, 1000, 0.01
# Searches for a step in vain after which the run has stalled.
_PATIENCE = 6
# A violation is stationary where its slope is less than this part of it, for so many updates, and where it is no rounding.
_TRAPPED, _TRAPS, _SMALLEST_TRAP = 1e-4, 3, 1e-6
# Where nonzeros are counted: iterations and residual to which the problem without that is solved, and those of a trial.
_ROUGH_STEPS, _ROUGH, _TRIAL_STEPS = 60, 1e-3, 60


@dataclass(frozen=True, kw_only=True)
class AugmentedLagrangian(Solver):
    """Augmented Lagrangian for smooth losses with nonlinear constraints, a box, and a sparse w.

    It takes losses given as functions (`Smooth`) and all others, `NonlinearConstraint`, `LinearConstraint`, `Box` and
    `Simplex`, and with them L1, weights and a ridge, concave penalties such as `MCP`, a price (`L0`) or a `Cardinality` of
    nonzeros. Where nonzeros are counted or priced, it begins without that, and tries other supports at the end. Penalties
    on groups, sorted and fused norms stand beside rows without a box; up to 1,500 coefficients their steps are proximal
    Newton steps with a matrix of p x p numbers. Beyond they are those steps with products of X, for convex penalties whose
    prox has a known derivative, and for others proximal gradient steps, of which thousands may be needed.

    Parameters
    ----------
    rho : float > 0, optional
        First penalty of the rows, which are scaled to slopes of at most one. By default chosen between 1 and 100 from the
        values of loss and rows at the start (Birgin and Martinez, 2014).
    growth : float > 1, default 10
        Factor of rho after an update of the multipliers that has not brought the rows ten times nearer.
    relaxed : bool, default True
        Begin without the price or the count of nonzeros; False begins on the largest entries of w0.
    swaps : int, default 20
        Other supports that are tried in vain, of one feature more, less or exchanged, before the run ends.

    Notes
    -----
    Converged means that stationarity, violation and complementarity are at most `tol`, in your units (without rows and
    functions of yours, that `tol` is met as `solve` has it): that w is
    stationary, which for a problem that is not convex is less than best. `Status.LOCALLY_INFEASIBLE` says that the
    violation is stationary where the run ended; other points may be feasible. Multipliers `Solution.duals.rows` are in the
    order of the parts of the constraint and positive where the upper side pulls, so that at a solution
    f'(w) + c'(w)'y + (a slope of the penalty) + duals.box = 0.

    References
    ----------
    Conn, Gould, Toint: A globally convergent augmented Lagrangian algorithm. SIAM J. Numer. Anal. 28 (1991).
    Andreani, Birgin, Martinez, Schuverdt: On augmented Lagrangian methods with general lower-level constraints. SIAM J.
    Optim. 18 (2007). Lee, Sun, Saunders: Proximal Newton-type methods for minimizing composite functions. SIAM J. Optim. 24
    (2014). Birgin, Martinez: Practical augmented Lagrangian methods (2014). Wright: Superlinear convergence of
    a stabilized SQP method. Comput. Optim. Appl. 11 (1998). Lu, Zhang: An augmented Lagrangian approach for sparse
    principal component analysis. Math. Program. 135 (2012). De Marchi, Jia, Kanzow, Mehlitz: Constrained composite
    optimization and augmented Lagrangian methods. Math. Program. 201 (2023).
    """

    rho: float | None = None
    growth: float = 10.0
    relaxed: bool = True
    swaps: int = 20

    def __post_init__(self):
        if self.rho is not None:
            object.__setattr__(self, "rho", as_number(self.rho, "rho", above=0.0))
        object.__setattr__(self, "growth", as_number(self.growth, "growth", above=1.0))
        object.__setattr__(self, "swaps", as_count(self.swaps, "swaps"))

    def rejects(self, problem):
        if reason := unsmooth(problem):
            return reason
        term = constrained_term(problem)
        return term if isinstance(term, str) else None

    def init(self, problem, w):
        term, rows = constrained_term(problem), ConstraintRows.of(problem)
        trials = SupportTrials(term, is_counting=not self.relaxed) if isinstance(term, CountedTerm) else None
        if trials is not None and self.relaxed:
            term = ConvexTerm(term.form)
        w = term.enter(w.astype(np.float64))
        here = look(problem, rows, w)
        check_start(here)
        differentiate(problem, rows, here)
        lower, upper = rows.sides(here.values)
        steep = (here.J.multiply(here.J) if sparse.issparse(here.J) else here.J * here.J).sum(axis=1)
        weights = 1.0 / np.maximum(np.asarray(steep).ravel(), 1.0)
        excess = here.rows - np.clip(here.rows, lower, upper)
        rho = 10.0 * max(1.0, abs(here.loss)) / max(1.0, float(weights @ excess**2) / 2)
        rho = float(np.clip(rho, 1.0, 100.0)) if self.rho is None else self.rho
        if trials is not None:
            trials.rho = rho
        theta = max(_largest(here.slope) / max(1.0, _largest(w)), 1.0)
        return LagrangianState(
            w=w,
            rows=rows,
            term=term,
            here=here,
            lower=lower,
            upper=upper,
            y=np.zeros(here.rows.size),
            weights=weights,
            rho=rho,
            curvature=QuasiNewton(w.size, theta),
            prox_step=1.0 / theta,
            trials=trials,
            ends_itself=trials is not None or needs_multipliers(problem) or has_rows(problem),
            has_newton_model=isinstance(term, WholeTerm) and has_newton_model(problem, term.term),
        )

    def step(self, problem, state, tol, max_iterations):
        here, trials = state.here, state.trials
        excess = state.excess(here.rows)
        pull = state.penalties * excess
        slope = here.slope + here.J.T @ pull
        residual = _largest(state.term.slope_distance(here.w, slope))
        distance = _largest(excess - state.y / state.penalties)
        if trials is None or trials.best is None:
            state.w = here.w
            # with supports the run ends itself
            state.residual = max(residual, distance) if trials is None else np.inf
            state.duals = Duals(pull, bound_pulls(problem, here.w, slope))
        if trials is not None and not trials.is_counting:
            if max(residual, distance) <= max(tol, _ROUGH) or state.iterations >= _ROUGH_STEPS:
                self._count(problem, state)
                return state
        elif max(residual, distance) <= tol and state.ends_itself:
            self._finish(problem, state, pull, slope)
            return state
        elif trials is not None and trials.best is not None and state.iterations >= trials.began + _TRIAL_STEPS:
            self._try_next(problem, state)
            return state
        if pull.size and residual <= max(0.1 * tol, min(0.5 * state.merit, _LOOSER * distance)):
            self._set_multipliers(problem, state, pull, residual, distance, tol)
            return state
        state.iterations += 1
        state.steps += 1
        # a proximal gradient step is worth much less than one to the minimiser of a model
        most = _STEPS if state.has_newton_model or state.term.piece(here.w) is not None else _GRADIENT_STEPS
        if pull.size and state.steps > most and distance > max(tol, _FAR * residual):
            state.rho, state.steps = min(self.growth * state.rho, _LARGEST_RHO), 0
        elif not move(problem, state, slope, residual):
            self._restart(problem, state, pull, residual, distance, tol)
        return state

    def _set_multipliers(self, problem, state, pull, residual, distance, tol):
        """The pull of the rows becomes their multiplier; rho grows where they have not come near enough."""
        is_near = distance <= max(_NEARER * state.distance, 0.1 * tol)
        state.trapped = 0 if is_near else state.trapped + 1
        if not is_near:
            if state.trapped >= _TRAPS and self._is_trapped(state):
                self._give_up(problem, state, Status.LOCALLY_INFEASIBLE)
                return
            state.rho = min(self.growth * state.rho, _LARGEST_RHO)
        state.y = np.clip(pull, -_LARGEST_MULTIPLIER, _LARGEST_MULTIPLIER)
        state.merit, state.distance = max(residual, distance), distance
        state.updates += 1
        state.iterations += state.steps == 0  # so that updates alone come to an end, too
        state.steps = state.flat = 0

    @staticmethod
    def _is_trapped(state):
        """Whether the squared violation is stationary in the box and on the support: it falls slower than w moves."""
        here, piece = state.here, state.term.piece(state.here.w)
        violation = here.rows - np.clip(here.rows, state.lower, state.upper)
        fall = -(here.J.T @ (state.weights * violation))
        if piece is not None:
            fall = np.where(here.w <= piece.lower, np.maximum(fall, 0.0), fall)
            fall = np.where(here.w >= piece.upper, np.minimum(fall, 0.0), fall)
        squares = float(state.weights @ violation**2)
        return squares > _SMALLEST_TRAP**2 and _largest(fall * np.maximum(1.0, np.abs(here.w))) <= _TRAPPED * squares

    def _restart(self, problem, state, pull, residual, distance, tol):
        """No step was found: forget the curvature, or, where that has just been done, set the multipliers."""
        if not state.curvature.is_new:
            state.curvature = QuasiNewton(state.here.w.size, state.curvature.theta)
            return
        state.idle += 1
        if state.idle > _PATIENCE:
            self._give_up(problem, state, Status.LOCALLY_INFEASIBLE if self._is_trapped(state) else Status.STALLED)
        elif pull.size:
            self._set_multipliers(problem, state, pull, residual, distance, tol)

    def _give_up(self, problem, state, status):
        """The end, or that of one support among several; where none was good yet, others may be."""
        trials = state.trials
        if trials is None or not trials.is_counting:
            state.status = status
            return
        if trials.best is None:
            pull = state.pull(state.here.rows)
            trials.best, trials.failure, trials.y = state.here, status, np.zeros_like(state.y)
            trials.seen.add(tuple(np.flatnonzero(state.here.w).tolist()))
            trials.propose(state, state.here.slope + state.here.J.T @ pull, self.swaps)
        self._try_next(problem, state)

    def _count(self, problem, state):
        """Begin with the price or the count of nonzeros, from where the problem without it has led."""
        trials = state.trials
        trials.is_counting, state.term = True, trials.term
        there = look(problem, state.rows, trials.term.enter(state.here.w))
        state.evaluations += 1
        check_start(there)
        differentiate(problem, state.rows, there)
        state.go(there)

    def _finish(self, problem, state, pull, slope):
        """The point is stationary: the end, or that of one support among several."""
        trials = state.trials
        if trials is None:
            state.status = Status.CONVERGED
            return
        objective = state.here.loss + trials.term.value(state.here.w)
        is_first = trials.objective == np.inf
        if is_first or objective < trials.objective - 1e-9 * max(1.0, abs(trials.objective)):
            trials.best, trials.objective, trials.y, trials.rho = state.here, objective, pull, state.rho
            state.w, state.duals = state.here.w, Duals(pull, bound_pulls(problem, state.here.w, slope))
            trials.failure = None
            trials.seen.add(tuple(np.flatnonzero(state.w).tolist()))
            trials.propose(state, slope, self.swaps)
        self._try_next(problem, state)

    @staticmethod
    def _try_next(problem, state):
        """Begin on the next support from the best point; converged where none is left."""
        trials = state.trials
        while trials.waiting:
            inside = trials.take()
            term = ConvexTerm(trials.term.piece(inside))
            there = look(problem, state.rows, term.enter(trials.best.w))
            state.evaluations += 1
            if np.isfinite(there.loss) and np.all(np.isfinite(there.rows)):
                differentiate(problem, state.rows, there)
                state.term, state.y, state.rho, trials.began = term, trials.y, trials.rho, state.iterations
                state.go(there)
                return
        state.status = trials.failure or Status.CONVERGED
        state.residual = np.inf if trials.failure else 0.0


def _largest(vector):
    return float(np.max(np.abs(vector), initial=0.0))
