"""Where an interior point method stands: the inequalities of a program, a point inside of them, and its Newton system."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term
from sparseopt.kernels import interior as kernels
from sparseopt.kernels.conditions import EQUAL, LOWER, UPPER
from sparseopt.solvers.active_sets import ActiveSets
from sparseopt.solvers.base import State
from sparseopt.solvers.newton_systems import NewtonSystem
from sparseopt.solvers.presolve import Presolved
from sparseopt.solvers.quadratic_program import QuadraticProgram

# Beyond this a side is as good as absent: what stands for infinity in most files of problems.
_INFINITE = 1e20
# Proximal weights of coefficients and multipliers at the start.
_RHO, _DELTA = 1e-6, 1e-4


@dataclass(frozen=True, eq=False)
class Sides(Term):
    """The inequalities of a scaled program, laid out as kernels/conditions.py wants them, and its costs."""

    low: np.ndarray
    high: np.ndarray
    kind: np.ndarray
    #: Coefficients with a slope.
    sloped: np.ndarray
    active: np.ndarray
    count: int
    q: np.ndarray
    alpha: np.ndarray
    #: What one unit of the scaled rows and coefficients is in the user's.
    units: np.ndarray
    cost: float

    @classmethod
    def of(cls, program, columns, rows, cost) -> Sides:
        """Sides of a program that has been scaled by these."""
        low, high = np.append(program.row_lower, program.lower), np.append(program.row_upper, program.upper)
        equal = low == high
        lower, upper = (low > -_INFINITE) & ~equal, (high < _INFINITE) & ~equal
        kind = lower * LOWER + upper * UPPER + equal * EQUAL
        sloped = np.flatnonzero((program.alpha > 0) & ~equal[program.row_lower.size :])
        active = np.concatenate([lower, upper, np.ones(2 * sloped.size, dtype=bool)])
        units = np.append(1.0 / rows, columns)
        count = int(np.count_nonzero(active))
        return cls(low, high, kind.astype(np.int64), sloped, active, count, program.q, program.alpha, units, cost)


@dataclass(kw_only=True)
class Interior(State):
    """A point inside of all inequalities in scaled units, and the best point found in the user's."""

    presolved: Presolved
    program: QuadraticProgram
    scaled: QuadraticProgram
    columns: np.ndarray
    rows: np.ndarray
    cost: float
    has_rows: bool
    sides: Sides
    system: NewtonSystem
    active: ActiveSets
    #: Vectors of all conditions, of coefficients and of rows, and numbers: see kernels/interior.py.
    V: np.ndarray = field(repr=False)
    W: np.ndarray = field(repr=False)
    R: np.ndarray = field(repr=False)
    S: np.ndarray = field(repr=False)
    #: Iterations of one call.
    chunk: int = 1
    #: Residual of the best point in the user's units.
    lowest: float = np.inf
    #: The same with the gap in units of the objective; both are inf while unknown.
    relative: float = np.inf

    @property
    def x(self):
        """Coefficients of the point."""
        return self.V[kernels.POINT, : self.columns.size]

    @property
    def z(self):
        """Multipliers of the inequalities at the point."""
        return self.V[kernels.POINT, -self.sides.active.size :]

    @property
    def seen(self):
        """Violation, stationarity and gap of the point."""
        return tuple(self.S[kernels.VIOLATION : kernels.GAP + 1])

    def account(self) -> str:
        """The factorisation in use."""
        mu, rho, delta = self.S[[kernels.MU, kernels.RHO, kernels.DELTA]]
        return f"{type(self.system).__name__}, mu {mu:.0e}, rho {rho:.0e}, delta {delta:.0e}"


def memory(sides, floor):
    """V, W, R and S of a method that has not begun."""
    p, size, n = sides.q.size, sides.kind.size, sides.sloped.size
    V = np.zeros((kernels.VECTORS, p + n + (size - p) + 2 * (size + n)))
    W, R, S = np.zeros((kernels.WIDE, p)), np.zeros((kernels.TALL, size - p)), np.zeros(kernels.NUMBERS)
    S[[kernels.RHO, kernels.DELTA, kernels.FLOOR]] = _RHO, _DELTA, floor
    S[[kernels.VIOLATION, kernels.STATIONARITY, kernels.GAP]] = np.inf
    S[[kernels.MARK, kernels.LEAST_VIOLATION, kernels.LEAST]] = np.inf
    S[[kernels.GUESS, kernels.POLISHED]] = np.nan
    return V, W, R, S


def largest(vector):
    """Largest size of an entry; zero of none."""
    return float(np.max(np.abs(vector), initial=0.0))
