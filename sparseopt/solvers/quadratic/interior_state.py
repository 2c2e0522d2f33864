"""Where an interior point method stands: the inequalities of a program, a point inside of them, and its Newton system."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term, alike
from sparseopt.kernels import interior as kernels
from sparseopt.kernels.conditions import EQUAL
from sparseopt.kernels.equilibration import scale
from sparseopt.kernels.linked import LinkedSystem
from sparseopt.solvers.base import State
from sparseopt.solvers.quadratic.newton_systems import NewtonSystem
from sparseopt.solvers.quadratic.pieces import Pieces
from sparseopt.solvers.quadratic.presolve import Presolved
from sparseopt.solvers.quadratic.quadratic_products import Products
from sparseopt.solvers.quadratic.quadratic_program import QuadraticProgram

_NONE = np.zeros(0, dtype=np.int64)
# Proximal weights of coefficients and multipliers at the start.
_RHO, _DELTA = 1e-6, 1e-4
# How far their floor may fall, where systems are solved well.
FINEST = 1e-14


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
    def of(cls, program, columns, rows, cost) -> tuple[Sides, np.ndarray]:
        """Sides of a program in units of these scales, and its ridge in the same."""
        p, m = columns.size, rows.size
        size, vectors = m + p, np.empty((3, p))
        both, kind, active, units = (
            np.empty((2, size)),
            np.empty(size, np.int64),
            np.empty(2 * size, bool),
            np.empty(size),
        )
        count, slopes = scale(
            program.q, program.ridge, program.alpha, program.row_lower, program.row_upper, program.lower, program.upper,
            columns, rows, cost, vectors, both, kind, active, units,
        )  # fmt: skip
        q, ridge, alpha = vectors
        sloped = np.flatnonzero((alpha > 0) & (kind[m:] & EQUAL == 0)) if slopes else _NONE
        if slopes:
            active = np.append(active, np.ones(2 * slopes, dtype=bool))
        sides = alike(
            cls, low=both[0], high=both[1], kind=kind, sloped=sloped, active=active, count=count + 2 * slopes, q=q,
            alpha=alpha, units=units, cost=cost,
        )  # fmt: skip
        return sides, ridge


@dataclass(kw_only=True)
class Interior(State):
    """A point inside of all inequalities in scaled units, and the best point found in the user's."""

    presolved: Presolved
    program: QuadraticProgram
    #: Products in the user's units.
    products: Products
    columns: np.ndarray
    rows: np.ndarray
    cost: float
    has_rows: bool
    sides: Sides
    system: NewtonSystem
    #: The same for kernels.
    link: LinkedSystem | NewtonSystem
    #: Active sets that were solved for, so that none is tried twice.
    tried: set = field(default_factory=set)
    #: Vectors of all conditions, of coefficients and of rows, and numbers: see kernels/interior.py.
    V: np.ndarray = field(repr=False)
    W: np.ndarray = field(repr=False)
    R: np.ndarray = field(repr=False)
    S: np.ndarray = field(repr=False)
    #: Iterations of one call, and when the point was last made the result.
    chunk: int = 1
    shown: float = 0.0
    #: Whether the method has begun, and a long factorisation, while that is not over.
    begun: bool = False
    factoring: Pieces | None = field(default=None, repr=False)
    #: What follows from the last event, while that is not over.
    looking: Pieces | None = field(default=None, repr=False)
    #: Whether the multipliers are taken as they are, whatever their size.
    is_final: bool = False
    #: Whether the best point lies on the sides that hold it.
    is_exact: bool = False
    #: Residual of the best point in the user's units; inf while unknown.
    lowest: float = np.inf
    #: Its violation and stationarity, its gap, the gap that is small enough, and its coefficients in the whole program.
    rest: tuple = (np.inf, np.inf)
    gap: float = np.inf
    enough: float = 0.0
    point: np.ndarray | None = field(default=None, repr=False)

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
        return account(self.system.name, self.S)


def account(name, S):
    """The factorisation in use, and where its weights stand."""
    mu, rho, delta = S.item(kernels.MU), S.item(kernels.RHO), S.item(kernels.DELTA)
    return f"{name}, mu {mu:.0e}, rho {rho:.0e}, delta {delta:.0e}"


# The numbers of a method that has not begun, but for the floor of its weights.
NUMBERS = np.zeros(kernels.NUMBERS)
NUMBERS[[kernels.RHO, kernels.DELTA, kernels.FINEST]] = _RHO, _DELTA, FINEST
NUMBERS[[kernels.VIOLATION, kernels.STATIONARITY, kernels.GAP]] = np.inf
NUMBERS[[kernels.MARK, kernels.LEAST_VIOLATION, kernels.LEAST]] = np.inf
NUMBERS[[kernels.GUESS, kernels.POLISHED]] = np.nan
NUMBERS[[kernels.ROUGH, kernels.DRIFT]] = np.inf


def memory(sides, floor):
    """V, W, R and S of a method that has not begun."""
    p, size, n = sides.q.size, sides.kind.size, sides.sloped.size
    V = np.empty((kernels.VECTORS, p + n + (size - p) + 2 * (size + n)))
    W, R, S = np.zeros((kernels.WIDE, p)), np.zeros((kernels.TALL, size - p)), np.empty(kernels.NUMBERS)
    begin_anew(V, S, p + n, size - p, floor)
    return V, W, R, S


def begin_anew(V, S, n_primal, m, floor):
    """Set vectors and numbers to those of a method that has not begun: slacks and multipliers of inequalities are one."""
    V.fill(0.0)
    V[: kernels.SLACKS + 1, n_primal + m :] = 1.0
    S[:] = NUMBERS
    S[kernels.FLOOR] = floor


def largest(vector):
    """Largest size of an entry; zero of none."""
    return float(np.max(np.abs(vector), initial=0.0))
