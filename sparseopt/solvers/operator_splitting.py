"""Operator splitting: constrained quadratic programs by ADMM, finished on the active set.

The method of OSQP (Stellato, Banjac, Goulart, Bemporad and Boyd, 2020; Boyd et al., 2011) with
the penalty kept whole: z = (A w, w) is a copy whose prox is a clipped soft threshold, row by row
and coordinate by coordinate, so |w_j| costs no extra variable. u is the scaled multiplier:

    (P + sigma I + A~' R A~) w~ = sigma w - q + A~' R (z - u)       A~ = [A; I], R = diag(rho)
    v = relaxed A~ w~ + u,   z = prox(v),   u = v - z

What prox(v) pins is a guess of the active set. `_polished` solves the equalities that it implies
and repeats the guess at the result, which is a semismooth Newton step on the same fixed point.
"""

from dataclasses import dataclass, field

import numpy as np

from sparseopt.certificate import needs_multipliers
from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box, Intersection, LinearConstraint, Simplex
from sparseopt.forms import SeparableForm
from sparseopt.kernels.splitting import split
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.solution import Duals, Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.linear_systems import Factor, System, linear_system
from sparseopt.solvers.quadratic_program import QuadraticProgram, equilibrate, negative_curvature, quadratic_program
from sparseopt.solvers.rays import descent_ray, separating_ray


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
    #: Active sets that were solved for, and the iteration at which they are forgotten.
    tried: set = field(default_factory=set)
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
        if not isinstance(problem.loss, (Quadratic, LeastSquares)):
            return f"{type(problem.loss).__name__} is no quadratic loss"
        if not isinstance(convex_form(problem.penalty, problem.n_features), SeparableForm):
            name = type(problem.penalty).__name__
            return (
                f"{name} has no prox that splitting is known to converge with; it takes Zero and L1, and rules on them"
            )
        if reason := _unfit_constraint(problem.constraint):
            return reason
        if isinstance(problem.loss, Quadratic):
            curvature = negative_curvature(problem.loss.Q.matrix)
            if curvature < 0:
                return f"Q has negative curvature {curvature:.3g}; splitting needs a convex objective"
        return None

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
    low, high, slopes = _sides(scaled)
    n = 0 if scaled.factor is None else scaled.factor.shape[0]
    work = tuple(np.empty(size) for size in (state.x.size, scaled.A.shape[0], state.z.size, n + state.z.size))
    split(
        state.factor, scaled.q, low, high, slopes / rho, rho, sigma, relaxation,
        state.x, state.z, state.u, state.v, *work, count,
    )  # fmt: skip


def _sides(program):
    """Bounds and slopes of (A w, w)."""
    return (
        np.append(program.row_lower, program.lower),
        np.append(program.row_upper, program.upper),
        np.append(np.zeros(program.row_lower.size), program.alpha),
    )


def _firmness(program):
    """Weight of each copy relative to rho: equalities are firm, what is free is nearly let go."""
    low, high, slopes = _sides(program)
    firmness = np.where(low == high, 1e3, 1.0)
    return np.where(np.isinf(low) & np.isinf(high) & (slopes == 0), 1e-5, firmness)


def _chunk(program):
    """Iterations of one step: 25, or fewer where one of them takes long."""
    p, m = program.q.size, program.A.shape[0]
    work = 50 * (program.A.nnz + p + m) if program.is_sparse else 2 * p * p + 4 * p * m
    return int(np.clip(2e8 / work, 1, 25))


def _measure(program, w, y):
    """Violation, stationarity and gap of w with row multipliers y, and the multipliers that attain them.

    Each multiplier is first cut to what its sides and w allow, so that what is left over is stationarity.
    """
    y = np.where(
        y > 0, np.where(np.isfinite(program.row_upper), y, 0.0), np.where(np.isfinite(program.row_lower), y, 0.0)
    )
    Aw = program.A @ w
    slope = program.curve(w) + program.q + y @ program.A
    slope += np.where(w == 0, np.clip(-slope, -program.alpha, program.alpha), np.sign(w) * program.alpha)
    box = np.where(w >= program.upper, np.maximum(-slope, 0.0), 0.0) + np.where(
        w <= program.lower, np.minimum(-slope, 0.0), 0.0
    )
    slope += box
    violation = max(
        np.max(Aw - program.row_upper, initial=0.0),
        np.max(program.row_lower - Aw, initial=0.0),
        np.max(w - program.upper, initial=0.0),
        np.max(program.lower - w, initial=0.0),
    )
    with np.errstate(invalid="ignore"):
        slack = np.where(y > 0, program.row_upper - Aw, np.where(y < 0, program.row_lower - Aw, 0.0))
    gap = abs(float(y @ slack + slope @ w))
    return violation, np.max(np.abs(slope), initial=0.0), gap, y, box


def _keep_if_better(state, problem, x, y):
    """Take the scaled point x with row multipliers y for the result where it lowers the residual."""
    program, scaled = state.program, state.scaled
    w = np.clip(state.columns * x, program.lower, program.upper)
    # what lies on a scaled bound lies on the bound itself, which rounding would miss
    w = np.where(x <= scaled.lower, program.lower, np.where(x >= scaled.upper, program.upper, w))
    violation, stationarity, gap, rows, box = _measure(program, w, state.rows * y / state.cost)
    residual = max(violation, stationarity, gap / max(1.0, abs(program.q @ w) / 2))
    if residual < state.residual:
        p = problem.n_features
        state.w, state.duals, state.residual = w[:p].copy(), Duals(rows, box[:p]), float(residual)


def _polish(state, problem, tol, rounds=4):
    """Newton steps on the active set, from the last iterate."""
    program, m = state.scaled, state.scaled.A.shape[0]
    rho = state.rho * state.firmness
    low, high, slopes = _sides(program)
    threshold, v = slopes / rho, state.v
    w, y = state.z[m:], (rho * state.u)[:m]
    if state.iterations >= state.memory:
        # Where multipliers are not unique the same guess may do better from a later start.
        state.tried.clear()
        state.memory = 2 * state.iterations
    for _ in range(rounds):
        z = np.minimum(np.maximum(v - np.clip(v, -threshold, threshold), low), high)
        bound = (z == low) | (z == high)
        bound[m:] |= (z[m:] == 0) & (program.alpha > 0)
        guess = np.packbits((z == low, z == high, z > 0)).tobytes()
        if guess in state.tried:
            return
        state.tried.add(guess)
        w, y = _solved_on(state, w, y, z, bound)
        _keep_if_better(state, problem, w, y)
        if state.residual <= tol:
            return
        pull = -(program.curve(w) + program.q + y @ program.A)
        v = np.append(program.A @ w, w) + np.append(y, pull) / rho


def _solved_on(state, w, y, z, bound):
    """Minimiser with the bound entries of (A w, w) held at z, by refinement of a regularised system."""
    program, m = state.scaled, state.scaled.A.shape[0]
    rows, free = np.flatnonzero(bound[:m]), np.flatnonzero(~bound[m:])
    w, y = np.where(bound[m:], z[m:], w), np.where(bound[:m], y, 0.0)
    if free.size + rows.size == 0:
        return w, y
    cost = program.q + np.sign(z[m:]) * program.alpha
    solve, last = state.system.active(free, rows), np.inf
    best = w, y
    for _ in range(15):
        r, t = -(program.curve(w) + cost + y @ program.A)[free], (z[:m] - program.A @ w)[rows]
        size = max(np.max(np.abs(r), initial=0.0), np.max(np.abs(t), initial=0.0))
        if not size < last / 2:
            break
        best, last = (w.copy(), y.copy()), size
        dw, dy = solve(r, t)
        w[free] += dw
        y[rows] += dy
    return best


def _look_for_rays(state, dx, dy, p):
    """Set the status where the drift of the iterates is a proof that there is no solution."""
    program, m = state.program, state.program.A.shape[0]
    ray = separating_ray(program, state.rows * dy[:m])
    if ray is not None:
        state.status, state.ray = Status.INFEASIBLE, ray[: m + p]
        return
    ray = descent_ray(program, state.columns * dx)
    if ray is not None:
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


def _unfit_constraint(constraint):
    """Why the constraint is no polyhedron given by rows and bounds, or None."""
    match constraint:
        case None | Box() | LinearConstraint() | Simplex():
            return None
        case Intersection(parts=parts):
            return next((reason for part in parts if (reason := _unfit_constraint(part))), None)
    return f"{type(constraint).__name__} is not made of linear rows and bounds"
