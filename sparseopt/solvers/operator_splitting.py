"""Operator splitting: constrained quadratic programs by ADMM, finished on the active set.

The method of OSQP (Stellato, Banjac, Goulart, Bemporad and Boyd, 2020; Boyd et al., 2011) with
the penalty kept whole: z = (A w, w) is a copy whose prox is a clipped soft threshold, row by row
and coordinate by coordinate, so |w_j| costs no extra variable. u is the scaled multiplier:

    (P + sigma I + A~' R A~) w~ = sigma w - q + A~' R (z - u)       A~ = [A; I], R = diag(rho)
    v = relaxed A~ w~ + u,   z = prox(v),   u = v - z

What prox(v) pins is a guess of the active set, which `ActiveSets` solves for and improves.
"""

from dataclasses import dataclass, replace

import numpy as np

from sparseopt.kernels.splitting import split
from sparseopt.proofs.kinds import needs_multipliers
from sparseopt.solution import Duals, Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.quadratic.active_sets import ActiveSets, sides
from sparseopt.solvers.quadratic.linear_systems import Factor, System, linear_system
from sparseopt.solvers.quadratic.quadratic_measure import measure_by_products
from sparseopt.solvers.quadratic.quadratic_program import QuadraticProgram, equilibrate, quadratic_program, unfit
from sparseopt.solvers.quadratic.rays import descent_ray, is_met_beside, separating_ray

# Excess over a row, relative to the row, of a point that counts as feasible where coefficients grow without limit.
_MET = 1e-4
# Relative error of the terms of a gap.
_ROUNDING = 1e-14


@dataclass(kw_only=True)
class Splitting(State):
    """ADMM iterates in scaled units, and the best point found in the user's."""

    program: QuadraticProgram
    scaled: QuadraticProgram
    columns: np.ndarray
    rows: np.ndarray
    cost: float
    #: Nobody else can tell when a problem with linear rows is solved.
    has_rows: bool
    system: System
    firmness: np.ndarray
    rho: float
    factor: Factor
    x: np.ndarray
    z: np.ndarray
    u: np.ndarray
    v: np.ndarray
    active: ActiveSets
    #: The iteration at which the active sets that were solved for are forgotten.
    memory: int = 100


@dataclass(frozen=True, kw_only=True)
class OperatorSplitting(Solver):
    """ADMM for quadratic losses with linear constraints, boxes and L1 penalties.

    Parameters
    ----------
    rho : float
        First penalty of the copies in the equilibrated problem; equality rows get 1000 times as much.
    relaxation : float
        Over-relaxation, between 0 and 2.
    sigma : float
        Proximal weight of w, which keeps the linear system solvable where P is singular.
    adaptive : bool
        Rebalance rho when one residual exceeds the other; each time costs a factorisation.
    polish : bool
        Solve for the active set that the iterates suggest; kept only where it lowers the residuals.

    References
    ----------
    Stellato, Banjac, Goulart, Bemporad, Boyd: OSQP: an operator splitting solver for quadratic
    programs. Mathematical Programming Computation 12 (2020).
    """

    rho: float = 0.1
    relaxation: float = 1.6
    sigma: float = 1e-6
    adaptive: bool = True
    polish: bool = True

    def __post_init__(self):
        if not 0 < self.relaxation < 2:
            raise ValueError(f"relaxation is {self.relaxation}; ADMM converges for values between 0 and 2.")
        if not (self.rho > 0 and self.sigma > 0):
            raise ValueError(f"rho is {self.rho} and sigma {self.sigma}; both must be positive.")

    def rejects(self, problem):
        """Why this solver cannot take the problem, or None."""
        return unfit(problem)

    def init(self, problem, w):
        """Equilibrate, factorise, and start the copies at w."""
        program = quadratic_program(problem)
        columns, rows, cost = equilibrate(program)
        scaled = program.scaled(columns, rows, cost)
        firmness = _firmness(scaled)
        system = linear_system(scaled, self.sigma, firmness)
        x = np.append(w, np.zeros(program.q.size - w.size)) / columns
        z = np.append(scaled.A @ x, x)
        state = Splitting(
            w=w,
            program=program,
            scaled=scaled,
            columns=columns,
            rows=rows,
            cost=cost,
            has_rows=needs_multipliers(problem),
            system=system,
            active=ActiveSets(scaled, system),
            firmness=firmness,
            rho=self.rho,
            factor=system.factor(self.rho),
            x=x,
            z=z,
            u=np.zeros_like(z),
            v=z.copy(),
        )
        if np.any(program.lower > program.upper):
            # bounds that cross are their own proof
            state.status, state.ray = Status.INFEASIBLE, np.zeros_like(z)
        return state

    def resume(self, problem, state):
        """The state where a run ended, for a problem with the same matrices and other vectors.

        Scales and factor are kept (the latter while the same rows and bounds are equalities), and the iterates
        are the start.
        """
        program = quadratic_program(problem)
        if program.A.shape != state.program.A.shape or program.q.size != state.program.q.size:
            raise ValueError(
                f"the problem has {program.A.shape[0]} rows of {program.q.size} coefficients, the last one "
                f"{state.program.A.shape[0]} of {state.program.q.size}; only their vectors may differ."
            )
        scaled = replace(
            state.scaled,
            q=state.cost * program.q * state.columns,
            row_lower=program.row_lower * state.rows,
            row_upper=program.row_upper * state.rows,
            lower=program.lower / state.columns,
            upper=program.upper / state.columns,
            alpha=state.cost * program.alpha * state.columns,
        )
        firmness, system, factor = _firmness(scaled), state.system, state.factor
        if np.any(firmness != state.firmness):
            system = linear_system(scaled, self.sigma, firmness)
            factor = system.factor(state.rho)
        begun = Splitting(
            w=state.w.copy(),
            program=program,
            scaled=scaled,
            columns=state.columns,
            rows=state.rows,
            cost=state.cost,
            has_rows=state.has_rows,
            system=system,
            active=ActiveSets(scaled, system),
            firmness=firmness,
            rho=state.rho,
            factor=factor,
            x=state.x.copy(),
            z=state.z.copy(),
            u=state.u * (state.firmness / firmness),
            v=state.v.copy(),
        )
        if np.any(program.lower > program.upper):
            begun.status, begun.ray = Status.INFEASIBLE, np.zeros_like(begun.z)
        return begun

    def step(self, problem, state, tol, max_iterations):
        """Up to 25 iterations, then a look at the residuals, the active set, rays and rho."""
        if state.status is not None:
            return state
        program, count = state.scaled, min(_chunk(state.scaled), max_iterations)
        old_x, old_y = state.x.copy(), state.rho * state.firmness * state.u
        _iterate(state, count, self.sigma, self.relaxation)
        state.iterations += count
        y = state.rho * state.firmness * state.u
        _keep_if_better(state, problem, state.z[program.A.shape[0] :], y[: program.A.shape[0]])
        if state.residual > tol and self.polish:
            _polish(state, problem, tol)
        if state.residual <= tol:
            state.status = Status.CONVERGED if state.has_rows else None
            return state
        _look_for_rays(state, state.x - old_x, y - old_y, problem.n_features)
        if self.adaptive and state.status is None:
            _rebalance(state, y)
        return state


def _iterate(state, count, sigma, relaxation):
    """Run `count` ADMM iterations on x, z, u."""
    scaled, rho = state.scaled, state.rho * state.firmness
    low, high, slopes = sides(scaled)
    n = 0 if scaled.factor is None else scaled.factor.shape[0]
    work = tuple(np.empty(size) for size in (state.x.size, scaled.A.shape[0], state.z.size, n + state.z.size))
    split(
        state.factor, scaled.q, low, high, slopes / rho, rho, sigma, relaxation,
        state.x, state.z, state.u, state.v, *work, count,
    )  # fmt: skip


def _firmness(program):
    """Weight of each copy relative to rho: equalities are firm, what is free is nearly let go."""
    low, high, slopes = sides(program)
    firmness = np.where(low == high, 1e3, 1.0)
    return np.where(np.isinf(low) & np.isinf(high) & (slopes == 0), 1e-5, firmness)


def _chunk(program):
    """Iterations of one step: 25, or fewer where one of them takes long."""
    p, m = program.q.size, program.A.shape[0]
    work = 50 * (program.A.nnz + p + m) if program.is_sparse else 2 * p * p + 4 * p * m
    return int(np.clip(2e8 / work, 1, 25))


def _keep_if_better(state, problem, x, y):
    """Take the scaled point x with row multipliers y for the result where it lowers the residual."""
    program, scaled = state.program, state.scaled
    w = np.clip(state.columns * x, program.lower, program.upper)
    # what lies on a scaled bound lies on the bound itself, which rounding would miss
    w = np.where(x <= scaled.lower, program.lower, np.where(x >= scaled.upper, program.upper, w))
    violation, stationarity, gap, rows, box = measure_by_products(program, w, state.rows * y / state.cost)
    # a gap that the rounding of its terms explains is none
    gap = gap if gap > _ROUNDING * (np.abs(program.q) @ np.abs(w) + np.abs(rows) @ np.abs(program.A @ w)) else 0.0
    residual = max(violation, stationarity, gap)
    if residual < state.residual:
        p = problem.n_features
        state.w, state.duals, state.residual = w[:p].copy(), Duals(rows, box[:p]), float(residual)


def _polish(state, problem, tol):
    """Newton steps on the active set, from the last iterate."""
    m = state.scaled.A.shape[0]
    rho = state.rho * state.firmness
    if state.iterations >= state.memory:
        # Where multipliers are not unique the same guess may do better from a later start.
        state.active.forget()
        state.memory = 2 * state.iterations
    for w, y in state.active.points(state.z[m:], (rho * state.u)[:m], state.v, rho):
        _keep_if_better(state, problem, w, y)
        if state.residual <= tol:
            return


def _look_for_rays(state, dx, dy, p):
    """Set the status where the drift of the iterates is a proof that there is no solution."""
    program, m = state.program, state.program.A.shape[0]
    ray = separating_ray(program, state.rows * dy[:m])
    if ray is not None:
        state.status, state.ray = Status.INFEASIBLE, ray[: m + p]
        return
    ray = descent_ray(program, state.columns * dx)
    # a problem that nothing satisfies is not unbounded, whatever its objective does
    if ray is not None and is_met_beside(program, state.columns * state.x, ray, _MET):
        state.status, state.ray = Status.UNBOUNDED, ray[:p]


def _rebalance(state, y):
    """Scale rho by the root of the ratio of the relative residuals; the factor must exceed 5 to pay."""
    program, m = state.scaled, state.scaled.A.shape[0]
    copies = np.append(program.A @ state.x, state.x)
    curved, pulled = program.curve(state.x), y[:m] @ program.A + y[m:]
    primal = _largest(copies - state.z) / max(_largest(copies), _largest(state.z), 1e-10)
    dual = _largest(curved + program.q + pulled) / max(_largest(curved), _largest(program.q), _largest(pulled), 1e-10)
    rho = float(np.clip(state.rho * np.sqrt(max(primal, 1e-10) / max(dual, 1e-10)), 1e-6, 1e6))
    if not state.rho / 5 < rho < state.rho * 5:
        state.u *= state.rho / rho
        state.rho = rho
        state.factor = state.system.factor(rho)


def _largest(vector):
    return np.max(np.abs(vector), initial=0.0)
