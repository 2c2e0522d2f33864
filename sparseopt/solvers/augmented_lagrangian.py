"""Augmented Lagrangian: any smooth loss, nonlinear rows, a box, and a sparse w.

    f(w) + sum_i rho_i dist(c_i(w) + y_i / rho_i, [lower_i, upper_i])**2 / 2 + g(w)

is lowered by steps to the minimiser of its model (`PenalisedQuadratic`): rows linearised, f'' and the curvature
of the rows by BFGS, g as it is. When w is as stationary as the rows are met, y becomes the multiplier that the
rows pull with, which costs no evaluation; near a solution that is after each step, and the step is that of a
stabilised sequential quadratic program. rho grows where the rows do not come nearer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.constraint_rows import ConstraintRows, bounds_of, joined
from sparseopt.constraints import Duals
from sparseopt.inputs import as_number
from sparseopt.penalties import Zero
from sparseopt.problem import Problem
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.constrained_terms import ConstrainedTerm, constrained_term
from sparseopt.solvers.penalised_quadratic import PenalisedQuadratic
from sparseopt.solvers.quasi_newton import QuasiNewton
from sparseopt.stationary_points import first_order, slope_distance

# Of the fall that the model promises, the part that has to be seen.
_SUFFICIENT = 1e-4
_HALVINGS = 30
# Multipliers beyond are no use: no constraint qualification holds, or nothing is feasible.
_LARGEST_MULTIPLIER = 1e12
_LARGEST_RHO = 1e12
# Multiplier updates in a row that get nowhere before the run is said to have stalled.
_PATIENCE = 6


@dataclass(eq=False)
class Look:
    """The user's functions at a point."""

    w: np.ndarray
    loss: float
    values: list
    rows: np.ndarray
    slope: np.ndarray | None = None
    J: np.ndarray | None = None


@dataclass(kw_only=True)
class LagrangianState(State):
    """Where the run stands: the functions at w, multipliers, penalties, and the model of the curvature."""

    rows: ConstraintRows
    term: ConstrainedTerm
    here: Look
    lower: np.ndarray
    upper: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    rho: float
    curvature: QuasiNewton
    #: Step of the prox that proposes supports, where the term is not convex.
    step: float = 1.0
    #: Largest residual when the multipliers were last set, and the distance to the rows then.
    merit: float = np.inf
    distance: float = np.inf
    #: Consecutive updates of the multipliers without a step in between.
    idle: int = 0
    trapped: int = 0
    evaluations: int = 1
    updates: int = 0

    def account(self):
        return f"{self.evaluations} evaluations, {self.updates} multiplier updates, rho {self.rho:.0e}"


@dataclass(frozen=True, kw_only=True)
class AugmentedLagrangian(Solver):
    """Augmented Lagrangian for smooth losses with nonlinear constraints, a box, and a sparse w.

    Parameters
    ----------
    rho : float > 0, optional
        First penalty of the rows, which are scaled to slopes of at most one. By default chosen from the values of
        loss and rows at the start (Birgin and Martinez, 2014).
    growth : float > 1, default 10
        Factor of rho after an update of the multipliers that has not brought the rows near enough.
    """

    rho: float | None = None
    growth: float = 10.0

    def __post_init__(self):
        if self.rho is not None:
            object.__setattr__(self, "rho", as_number(self.rho, "rho", above=0.0))
        object.__setattr__(self, "growth", as_number(self.growth, "growth", above=1.0))

    def rejects(self, problem):
        term = constrained_term(problem)
        return term if isinstance(term, str) else None

    def init(self, problem, w):
        term, rows = constrained_term(problem), ConstraintRows.of(problem)
        w = _inside(term, w.astype(np.float64), bounds_of(problem))
        here = _look(problem, rows, w)
        _check_start(problem, here)
        _differentiate(problem, rows, here)
        lower, upper = rows.sides(here.values)
        steep = np.sqrt(np.asarray(_squares(here.J).sum(axis=1)).ravel())
        weights = 1.0 / np.maximum(steep, 1.0) ** 2
        excess = here.rows - np.clip(here.rows, lower, upper)
        rho = self.rho or float(np.clip(10.0 * max(1.0, abs(here.loss)) / max(1.0, weights @ excess**2 / 2), 1.0, 1e4))
        theta = max(float(np.max(np.abs(here.slope), initial=0.0)) / max(1.0, float(np.max(np.abs(w), initial=0.0))), 1.0)
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
            step=1.0 / theta,
        )

    def step(self, problem, state, tol, max_iterations):
        here, penalties = state.here, state.rho * state.weights
        shifted = here.rows + state.y / penalties
        pull = penalties * (shifted - np.clip(shifted, state.lower, state.upper))
        slope = here.slope + here.J.T @ pull
        residual = float(np.max(slope_distance(problem, here.w, slope), initial=0.0))
        distance = float(np.max(np.abs(here.rows - np.clip(shifted, state.lower, state.upper)), initial=0.0))
        state.residual, state.duals = max(residual, distance), Duals(pull, np.zeros_like(here.w))
        if state.residual <= tol:
            state.status = Status.CONVERGED
            return state
        if pull.size and (residual <= max(0.1 * tol, min(0.5 * state.merit, distance))) :
            self._set_multipliers(problem, state, pull, residual, distance, tol)
            return state
        state.iterations += 1
        if not self._move(problem, state, slope, residual):
            self._restart(problem, state, pull, residual, distance, tol)
        return state

    def _set_multipliers(self, problem, state, pull, residual, distance, tol):
        """The pull of the rows becomes their multiplier; rho grows where they have not come near enough."""
        if distance > max(0.5 * state.distance, 0.1 * tol):
            state.rho = min(self.growth * state.rho, _LARGEST_RHO)
        state.y = np.clip(pull, -_LARGEST_MULTIPLIER, _LARGEST_MULTIPLIER)
        state.merit, state.distance = max(residual, distance), distance
        state.updates += 1

    def _restart(self, problem, state, pull, residual, distance, tol):
        """No step was found: forget the curvature, or, where that has just been done, set the multipliers."""
        if not state.curvature.is_new:
            state.curvature = QuasiNewton(state.w.size, state.curvature.theta)
            return
        state.idle += 1
        if state.idle > _PATIENCE:
            state.status = Status.STALLED
            return
        self._set_multipliers(problem, state, pull, residual, distance, tol)

    def _move(self, problem, state, slope, residual):
        """A step that lowers the augmented Lagrangian enough; False where none is found."""
        here, term = state.here, state.term
        penalties = state.rho * state.weights
        piece = term.piece(here.w)
        model = PenalisedQuadratic(
            here.w, here.slope, state.curvature, here.J, here.rows + state.y / penalties,
            state.lower, state.upper, penalties, piece,
        )
        d = model.minimise(0.01 * residual)
        promised = float(slope @ d) + term.value(here.w + d) - term.value(here.w)
        height = self._height(state, here)
        if not promised < 0.0:
            return False
        length = 1.0
        for _ in range(_HALVINGS):
            there = _look(problem, state.rows, here.w + length * d)
            state.evaluations += 1
            new = self._height(state, there)
            if new <= height + _SUFFICIENT * length * promised:
                self._arrive(problem, state, there)
                return True
            bend = new - height - length * promised
            best = -promised * length * length / (2.0 * bend) if np.isfinite(bend) and bend > 0 else 0.1 * length
            length = float(np.clip(best, 0.1 * length, 0.5 * length))
        return False

    def _height(self, state, look):
        penalties = state.rho * state.weights
        shifted = look.rows + state.y / penalties
        excess = shifted - np.clip(shifted, state.lower, state.upper)
        height = look.loss + penalties @ excess**2 / 2 + state.term.value(look.w)
        return height if np.isfinite(height) else np.inf

    def _arrive(self, problem, state, there):
        before, penalties = state.here, state.rho * state.weights
        _differentiate(problem, state.rows, there)
        shifted = there.rows + state.y / penalties
        pull = penalties * (shifted - np.clip(shifted, state.lower, state.upper))
        change = there.slope - before.slope + there.J.T @ pull - before.J.T @ pull
        state.curvature.update(there.w - before.w, change)
        state.here, state.w = there, there.w
        state.idle = 0


def _look(problem, rows, w):
    with np.errstate(all="ignore"):  # beyond the domain of a function the step is shortened
        loss = float(problem.loss.evaluate(w))
        values = rows.values(w)
    return Look(w, loss, values, joined(values))


def _differentiate(problem, rows, look):
    look.slope = np.asarray(problem.loss.gradient(look.w), dtype=np.float64)
    look.J = rows.jacobian(look.w, look.values)


def _squares(J):
    return J.multiply(J) if hasattr(J, "multiply") else J * J


def _inside(term, w, bounds):
    if term.is_convex:
        return np.clip(w, *bounds)
    return term.prox(w, min(1e-8, term.longest_step))


def _check_start(problem, here):
    if not np.isfinite(here.loss):
        raise ValueError(f"the loss is {here.loss} at the start; give a w0 where it is finite.")
    if not np.all(np.isfinite(here.rows)):
        i = int(np.flatnonzero(~np.isfinite(here.rows))[0])
        raise ValueError(f"row {i} of the constraints is {here.rows[i]} at the start; give a w0 where it is finite.")
