"""Where an interior point method stands: the inequalities of a program, a point inside of them, and its Newton system."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.kernels import interior as kernels
from sparseopt.solvers.active_sets import ActiveSets
from sparseopt.solvers.base import State
from sparseopt.solvers.newton_systems import NewtonSystem
from sparseopt.solvers.quadratic_program import QuadraticProgram

# Beyond this a side is as good as absent: what stands for infinity in most files of problems.
_INFINITE = 1e20


@dataclass(frozen=True, eq=False)
class Sides:
    """The inequalities of a scaled program, laid out as kernels/interior.py wants them."""

    low: np.ndarray
    high: np.ndarray
    kind: np.ndarray
    sloped: np.ndarray
    active: np.ndarray
    count: int

    @classmethod
    def of(cls, program) -> Sides:
        """Sides of a program."""
        low, high = np.append(program.row_lower, program.lower), np.append(program.row_upper, program.upper)
        equal = low == high
        lower, upper = (low > -_INFINITE) & ~equal, (high < _INFINITE) & ~equal
        kind = lower * kernels.LOWER + upper * kernels.UPPER + equal * kernels.EQUAL
        sloped = np.flatnonzero((program.alpha > 0) & ~equal[program.row_lower.size :])
        active = np.concatenate([lower, upper, np.ones(2 * sloped.size, dtype=bool)])
        return cls(low, high, kind.astype(np.int64), sloped, active, int(np.count_nonzero(active)))


@dataclass
class Point:
    """Coefficients, slopes' bounds, multipliers of equality rows, multipliers and slacks of inequalities."""

    x: np.ndarray
    t: np.ndarray
    y: np.ndarray
    z: np.ndarray
    s: np.ndarray

    def copy(self) -> Point:
        """Return a point with arrays of its own."""
        return Point(self.x.copy(), self.t.copy(), self.y.copy(), self.z.copy(), self.s.copy())


@dataclass(kw_only=True)
class Interior(State):
    """A point inside of all inequalities in scaled units, and the best point found in the user's."""

    program: QuadraticProgram
    scaled: QuadraticProgram
    columns: np.ndarray
    rows: np.ndarray
    cost: float
    #: Units of rows and coefficients: what one unit of the scaled program is in the user's.
    units: np.ndarray
    has_rows: bool
    sides: Sides
    system: NewtonSystem
    active: ActiveSets
    point: Point
    best: Point
    weight: np.ndarray
    #: Residual of the best point, which is no state's to see while there may be a better one.
    lowest: float = np.inf
    #: Residual of the best point with the gap in units of the objective; both are inf while unknown.
    relative: float = np.inf
    mu: float = 0.0
    rho: float = 1e-6
    delta: float = 1e-4
    #: What neither of the two falls below; multipliers move by at most a violation over delta in one iteration.
    floor: float = 1e-10
    #: Added to both diagonals after a factorisation failed.
    extra: float = 0.0
    #: Refinements that ended far from exact.
    poor: int = 0
    least: float = np.inf
    #: Residual and violation a tenth below which counts as progress, and the iteration that made the last.
    mark: float = np.inf
    least_violation: float = np.inf
    last_violation: float = np.inf
    #: Shorter one of the last steps.
    stride: float = 0.0
    marked: int = 0
    #: What is missing from the conditions at the point, and its violation, stationarity and gap.
    missing: tuple = field(default=(), repr=False)
    seen: tuple = (np.inf, np.inf, np.inf)

    def account(self) -> str:
        """The factorisation in use."""
        return f"{type(self.system).__name__}, mu {self.mu:.0e}, rho {self.rho:.0e}, delta {self.delta:.0e}"


@dataclass(frozen=True, eq=False)
class PointSystem:
    """The factorised Newton system of all conditions at a point; t and z are eliminated in it."""

    state: Interior
    rho: float
    delta: float

    @classmethod
    def at(cls, state):
        """Factorise at the state; None where that fails whatever is added to the diagonals."""
        sides, point = state.sides, state.point
        D, E = np.empty(point.x.size), np.empty(point.y.size)
        kernels.springs(sides.active, point.s, point.z, state.delta, state.weight)
        for _ in range(9):
            kernels.diagonals(sides.kind, sides.sloped, state.weight, state.rho, state.delta, state.extra, D, E)
            if state.system.factorise(D, E):
                return cls(state, state.rho, state.delta)
            state.extra = max(1e-9, 10 * state.extra)
        return None

    def direction(self, solver, right):
        """Solution for a right-hand side, refined; None where it is not finite."""
        scale = max(map(largest, right))
        total = self._solved(right)
        error, size = self._error(right, total)
        for _ in range(solver.refinements):
            if not size > 1e-13 * (1 + scale):
                break
            better = tuple(a + b for a, b in zip(total, self._solved(error), strict=True))
            error_there, size_there = self._error(right, better)
            if not size_there < size:
                break
            is_slow = size_there > 0.3 * size
            total, error, size = better, error_there, size_there
            if is_slow:
                break
        if not np.isfinite(size):
            return None
        self.state.poor += size > 1e-7 * (1 + scale)
        return total

    def _solved(self, right):
        sides, weight = self.state.sides, self.state.weight
        on_w, on_t, on_rows, h = right
        r, t = np.empty_like(on_w), np.empty_like(on_rows)
        kernels.condense(sides.kind, sides.sloped, weight, self.rho, h, on_w, on_t, on_rows, r, t)
        dw, nu = self.state.system.solve(r, t)
        dt, dz = np.empty_like(on_t), np.zeros_like(h)
        kernels.expand(sides.kind, sides.sloped, weight, self.rho, h, on_t, dw, nu, dt, dz)
        return dw, dt, nu, dz

    def _error(self, right, found):
        """What directions leave of the right-hand side, and its size."""
        scaled, sides = self.state.scaled, self.state.sides
        dw, dt, dy, dz = found
        rows, bounds = np.empty_like(dy), np.empty_like(dw)
        kernels.net(sides.kind, sides.sloped, dz, dy, rows, bounds)
        error = tuple(np.zeros_like(part) for part in right)
        size = kernels.missing(
            sides.kind, sides.sloped, self.state.weight, self.rho, self.delta, right[3], right[0], right[1], right[2],
            dw, dt, dy, dz, scaled.curve(dw), rows @ scaled.A, bounds, scaled.A @ dw,
            error[3], error[0], error[1], error[2],
        )  # fmt: skip
        # a maximum passes over NaN, a sum does not
        return error, size if np.isfinite(np.add.reduce(dw) + np.add.reduce(dz)) else np.inf


def largest(vector):
    """Largest size of an entry; zero of none."""
    return float(np.max(np.abs(vector), initial=0.0))
