"""Interior point method for quadratic programs with linear constraints, boxes and L1 penalties.

The slope alpha_j |w_j| is the least alpha_j t_j with t_j >= |w_j|. With v = (w, t), M v >= least the
inequalities, which are sides of rows and coefficients, t - w >= 0 and t + w >= 0, their slacks s and
multipliers z, each iteration solves the linearised conditions of optimality

    P w + q + A_E'y - M_w'z = 0,   alpha - M_t'z = 0,   A_E w = b,   M v - s = least,   s z = sigma mu

(M_w and M_t the columns of w and t) twice, for the direction of sigma = 0 and for the step (Mehrotra, 1992), with the diagonal made
definite by rho and delta, which fall with mu: a proximal method of multipliers around Newton's
method (Pougkakiotis and Gondzio, 2021; Schwan, Jiang, Kuhn and Jones, 2023). No rank condition on
A or P is needed. t and z are eliminated, which leaves a system in w and the rows. What the factorisation loses to rounding is got back by refinement on all
conditions; where that fails a slower, more accurate factorisation takes over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.certificate import needs_multipliers
from sparseopt.kernels import interior as kernels
from sparseopt.solution import Duals, Status
from sparseopt.solvers.active_sets import ActiveSets
from sparseopt.solvers.base import Solver
from sparseopt.solvers.interior_state import Interior, Point, PointSystem, Sides, largest
from sparseopt.solvers.newton_systems import systems
from sparseopt.solvers.quadratic_measure import excess, measure
from sparseopt.solvers.quadratic_program import equilibrate, quadratic_program, unfit
from sparseopt.solvers.rays import descent_ray, separating_ray

# Iterations without a tenth less residual after which nothing more is expected: near a solution, and far from one.
_PATIENCE, _LONG_PATIENCE = 12, 60
# The same after which regularisation falls below its floor, and how far.
_HURRY, _FINEST = 4, 1e-14
# Iterates grow without limit where there is no solution; until then a look for a ray is wasted.
_LARGE = 1e3
# Excess over a row, relative to the row, of a point that counts as feasible where coefficients grow without limit.
_MET = 1e-6
# Part of a relative tolerance that a residual must be in, for the point to be looked at where duality judges.
_FINAL = 1e-4


@dataclass(frozen=True, kw_only=True)
class InteriorPoint(Solver):
    """Proximal primal-dual interior point method for convex quadratic programs, L1 terms included.

    Takes `Quadratic` and `LeastSquares` with Zero or L1 penalties (weighted, nonnegative, ridged)
    under linear rows, boxes and simplices; P may be singular, A rank-deficient. Dense programs go
    through LAPACK, sparse ones through an LDL' factorisation; least squares with more coefficients
    than samples needs no p x p matrix. A problem without a solution gets the ray that proves it.

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
        return unfit(problem)

    def init(self, problem, w):
        """Equilibrate, and find a point inside near the solution of the equalities."""
        program = quadratic_program(problem)
        columns, rows, cost = equilibrate(program)
        scaled = program.scaled(columns, rows, cost)
        sides, p = Sides.of(scaled), program.q.size
        m = program.row_lower.size
        point = Point(
            np.append(w, np.zeros(p - w.size)) / columns,
            np.zeros(sides.sloped.size),
            np.zeros(m),
            np.ones(sides.active.size),
            np.ones(sides.active.size),
        )
        system, active = systems(scaled, np.flatnonzero(sides.kind[:m] & kernels.EQUAL))
        state = Interior(
            w=w,
            program=program,
            scaled=scaled,
            columns=columns,
            rows=rows,
            cost=cost,
            units=np.append(1.0 / rows, columns * cost),
            has_rows=needs_multipliers(problem),
            sides=sides,
            system=system,
            active=ActiveSets(scaled, active),
            point=point,
            best=point,
            weight=np.zeros(sides.active.size),
            floor=self.regularisation,
        )
        if np.any(program.lower > program.upper):
            # bounds that cross are their own proof
            state.status, state.ray = Status.INFEASIBLE, np.zeros(m + p)
        elif not _begin(self, state):
            state.status = Status.STALLED
        return state

    def step(self, problem, state, tol, max_iterations):
        """One iteration, and a look at the residuals."""
        if state.iterations == 0 and state.status is None:
            _look(self, problem, state, tol)
        if state.status is None:
            state.iterations += 1
            if _iterate(self, state):
                _look(self, problem, state, tol)
            else:
                _give_up(self, problem, state, tol)
        if state.status is None:
            _show(problem, state)
        # Where duality judges, in relative terms, it is asked once the point is as good as final.
        final = state.has_rows or state.status or state.lowest <= _FINAL * state.tolerance * largest(state.program.q)
        state.residual = state.lowest if final else np.inf
        return state


def _begin(solver, state):
    """Start: the solution with all inequalities as springs, moved inside."""
    scaled, sides, point = state.scaled, state.sides, state.point
    m = scaled.row_lower.size
    fixed = sides.kind[m:] & kernels.EQUAL > 0
    held = np.where(fixed, scaled.lower, 0.0)
    image = scaled.A @ held
    at = np.append(image, held)
    none = np.zeros(2 * sides.sloped.size)
    with np.errstate(invalid="ignore"):
        least = np.concatenate([sides.low - at, at - sides.high, none])
    right = (
        -(scaled.q + scaled.curve(held)),
        -scaled.alpha[sides.sloped],
        np.where(sides.kind[:m] & kernels.EQUAL, scaled.row_lower - image, 0.0),
        np.where(sides.active, least, 0.0),
    )
    system = PointSystem.at(state)
    found = None if system is None else system.direction(solver, right)
    if found is None:
        return False
    dx, point.t, point.y, dz = found
    point.x = held + dx
    if sides.count == 0:
        return True
    dz = dz[sides.active]
    lift = max(0.0, float(np.max(dz))), max(0.0, float(np.max(-dz)))
    mu = max(float((lift[0] - dz) @ (dz + lift[1])) / sides.count, 1e-10)
    point.z[sides.active] = np.maximum((dz + np.sqrt(dz * dz + 4 * mu)) / 2, 1e-12)
    point.s[sides.active] = mu / point.z[sides.active]
    state.mu = mu
    return True


def _iterate(solver, state):
    """One predictor and corrector step; whether the linear algebra held."""
    sides, point = state.sides, state.point
    on_w, on_t, on_rows, on_slacks = state.missing
    if state.poor >= 2 and (harder := state.system.harder()) is not None:
        state.system, state.poor = harder, 0
    system = PointSystem.at(state)
    found = None if system is None else system.direction(solver, (on_w, on_t, on_rows, on_slacks - point.s))
    if found is None:
        return False
    primal, dual, rate = 1.0, 1.0, 0.9
    if sides.count:
        changes, right = np.zeros_like(point.s), np.zeros_like(point.s)
        ahead = kernels.predict(sides.active, point.s, point.z, found[3], changes) / (sides.count * state.mu)
        target = min(1.0, max(0.0, ahead)) ** 3 * state.mu
        kernels.correct(sides.active, point.s, point.z, changes, found[3], target, on_slacks, right)
        found = system.direction(solver, (on_w, on_t, on_rows, right))
        if found is None:
            return False
        primal, dual, total = kernels.advance(sides.active, point.s, point.z, changes, found[3], solver.step_fraction)
        mu = total / sides.count
        rate, state.mu = max(0.0, (state.mu - mu) / state.mu), mu
    state.stride = min(primal, dual)
    point.x += primal * found[0]
    point.t += primal * found[1]
    point.y += dual * found[2]
    state.rho = max(state.floor, (1 - rate) * state.rho)
    state.delta = max(state.floor, (1 - rate) * state.delta)
    state.extra *= 0.3
    return True


def _look(solver, problem, state, tol):
    """Measure the point, keep the best, polish near the end, and look for rays and the end."""
    rows, bounds = _measure_here(state)
    violation, stationarity, gap = state.seen
    found = max(violation, stationarity, gap)
    # the gap may grow for long while multipliers do and the violation falls
    if found < 0.9 * state.mark or violation < 0.9 * state.least_violation:
        state.mark, state.marked = min(found, state.mark), state.iterations
        state.least_violation = min(violation, state.least_violation)
    is_held = state.stride > 0.9 and violation > 0.3 * state.last_violation
    if state.delta <= state.floor and (is_held or state.iterations - state.marked > _HURRY):
        # the steps are long, and yet the proximal term lets the multipliers move little
        state.floor = max(0.1 * state.floor, _FINEST)
    state.last_violation = violation
    if found < state.least:
        state.least, state.best = found, state.point.copy()
    if not state.has_rows:
        tol = min(tol, _FINAL * state.tolerance * largest(state.program.q))
    is_late = state.iterations - state.marked > (_PATIENCE if state.mark < 1e-3 else _LONG_PATIENCE)
    if found <= tol:
        _keep_if_better(state, problem, state.point.x, rows, _box(state))
        # from here an active set that failed before may be solved for
        state.active.forget()
    if solver.polish and (state.mu < 1e-6 or found < 1e3 * tol or is_late):
        # also where the point is good enough: the exact one costs one factorisation more
        _polish(state, problem, rows, bounds, tol)
    if state.lowest <= tol:
        state.status = Status.CONVERGED if state.has_rows else None
        return
    if state.iterations >= 3:
        _look_for_rays(state, rows, problem.n_features)
    if state.status is None and (is_late or not np.isfinite(found)):
        _give_up(solver, problem, state, tol)


def _measure_here(state):
    """Residuals of the point in the user's units, and its multipliers of rows and bounds."""
    scaled, sides, point = state.scaled, state.sides, state.point
    rows, bounds = _multipliers(state)
    on = np.zeros_like(point.x), np.zeros_like(point.t), np.zeros_like(point.y), np.zeros_like(point.s)
    violation, stationarity, gap = kernels.residuals(
        sides.kind, sides.sloped, sides.low, sides.high, scaled.alpha, scaled.q, point.x, point.t, point.y, point.s,
        point.z, scaled.curve(point.x), rows @ scaled.A, bounds, scaled.A @ point.x, state.units, *on,
    )  # fmt: skip
    state.missing, state.seen = on, (violation, stationarity, abs(gap) / state.cost)
    return rows, bounds


def _multipliers(state):
    """Multipliers of rows and bounds at the point, slopes among the latter."""
    sides, point = state.sides, state.point
    rows, bounds = np.empty_like(point.y), np.empty_like(point.x)
    kernels.net(sides.kind, sides.sloped, point.z * sides.active, point.y, rows, bounds)
    return rows, bounds


def _box(state):
    """Multipliers of the bounds at the point, without the slopes."""
    z, size, m = state.point.z * state.sides.active, state.sides.kind.size, state.scaled.row_lower.size
    return z[size + m : 2 * size] - z[m:size]


def _polish(state, problem, rows, bounds, tol):
    """Newton steps on the active set that multipliers and slacks suggest."""
    scaled, x = state.scaled, state.point.x
    for w, y in state.active.points(x, rows, np.append(scaled.A @ x + rows, x + bounds), 1.0):
        # this point has exact zeros and lies on its sides, which is worth a larger residual
        if _keep_if_better(state, problem, w, y, None, enough=tol) <= tol:
            return


def _give_up(solver, problem, state, tol):
    """No more progress: take the best point; rounding, in units of the objective, may be all that is left."""
    state.point = state.best
    rows, bounds = _measure_here(state)
    _keep_if_better(state, problem, state.point.x, rows, _box(state))
    if solver.polish and state.lowest > tol:
        _polish(state, problem, rows, bounds, tol)
    state.status = Status.CONVERGED if state.has_rows and state.relative <= tol else Status.STALLED


def _show(problem, state):
    """Make the point the result where it is the best so far, since the run may be ended here."""
    if max(state.seen) < state.lowest:
        program, p = state.program, problem.n_features
        w = np.clip(state.columns * state.point.x, program.lower, program.upper)
        y, v = state.rows * _multipliers(state)[0] / state.cost, _box(state) / (state.cost * state.columns)
        *exact, y, v = measure(program, w, y, v)
        if max(exact) < state.lowest:
            state.w, state.duals, state.lowest = w[:p].copy(), Duals(y, v[:p]), float(max(exact))


def _look_for_rays(state, rows, p):
    """Set the status where the iterates point along a proof that there is no solution."""
    m = rows.size
    if largest(rows) > _LARGE or largest(state.point.z * state.sides.active) > _LARGE:
        ray = separating_ray(state.program, state.rows * rows) if m else None
        if ray is not None:
            state.status, state.ray = Status.INFEASIBLE, ray[: m + p]
            return
    # a problem that nothing satisfies is not unbounded, whatever its objective does
    if largest(state.point.x) > _LARGE and excess(state.program, state.columns * state.point.x) <= _MET:
        ray = descent_ray(state.program, state.columns * state.point.x)
        if ray is not None:
            state.status, state.ray = Status.UNBOUNDED, ray[:p]


def _keep_if_better(state, problem, x, rows, bounds, enough=0.0):
    """Take the scaled point for the result where it lowers the residual, or that is `enough`; returns the residual."""
    program, scaled, p = state.program, state.scaled, problem.n_features
    w = np.clip(state.columns * x, program.lower, program.upper)
    # what lies on a scaled bound lies on the bound itself, which rounding would miss
    w = np.where(x <= scaled.lower, program.lower, np.where(x >= scaled.upper, program.upper, w))
    y = state.rows * rows / state.cost
    v = None if bounds is None else bounds / (state.cost * state.columns)
    violation, stationarity, gap, y, v = measure(program, w, y, v)
    residual = max(violation, stationarity, gap)
    if residual < state.lowest or residual <= enough:
        objective = abs(program.q @ w + program.alpha @ np.abs(w)) / 2
        state.relative = max(violation, stationarity, gap / max(1.0, objective))
        state.w, state.duals, state.lowest = w[:p].copy(), Duals(y, v[:p]), float(residual)
    return residual
