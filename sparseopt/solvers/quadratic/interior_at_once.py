"""An interior point method on a small dense program, whose memory is laid out here and whose work is two calls."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term, typed
from sparseopt.kernels import interior as kernels
from sparseopt.kernels.interior_at_once import EXACT, NONE, prepare, solve_at_once
from sparseopt.kernels.lapack import add_gram, cholesky, multiply, solve_cholesky, solve_lower, solve_lower_columns
from sparseopt.solution import Duals
from sparseopt.solvers.base import Outcome
from sparseopt.solvers.quadratic.interior_state import NUMBERS, Sides, account, memory
from sparseopt.solvers.quadratic.quadratic_products import changed

MEMORY = {"memory": True}
_NONE = np.zeros(0, dtype=np.int64)
# Operations of one factorisation up to which a run is one call.
_WORK = 3e6
# So many times the equalities are more than the coefficients where they are springs like all other rows, as stiff as
# their regularisation makes them: a factor of H alone is then made, in a third of the time where there are many. What
# is lost in digits, refinement brings back, or the run begins anew with a system that keeps them apart.
_MANY = 6


@dataclass(frozen=True, eq=False)
class LittleSystem(Term):
    """The Newton system of a small dense program: `CholeskySystem` with equalities as outer rows, unless there are many, its products included."""

    P: np.ndarray = field(repr=False, metadata=MEMORY)
    #: A by columns and by rows, and which of them are equalities.
    columns: np.ndarray = field(repr=False, metadata=MEMORY)
    rows: np.ndarray = field(repr=False, metadata=MEMORY)
    outer: np.ndarray = field(repr=False, metadata=MEMORY)
    inner: np.ndarray = field(repr=False, metadata=MEMORY)
    #: Factors and what they are made of.
    H: np.ndarray = field(repr=False, metadata=MEMORY)
    V: np.ndarray = field(repr=False, metadata=MEMORY)
    S: np.ndarray = field(repr=False, metadata=MEMORY)
    root: np.ndarray = field(repr=False, metadata=MEMORY)
    E: np.ndarray = field(repr=False, metadata=MEMORY)
    right: np.ndarray = field(repr=False, metadata=MEMORY)

    @classmethod
    def of(cls, p, m, e):
        """The system of p coefficients and m rows, of which e are equalities; nothing is set."""
        outer, inner = np.empty(e, dtype=np.int64), np.empty(m - e, dtype=np.int64)
        return cls(
            np.empty((p, p)), np.empty((p, m)), np.empty((m, p)), outer, inner, np.empty((p, p)), np.empty((e, p)),
            np.empty((e, e)), np.empty((m - e, p)), np.empty(m), np.empty(e),
        )  # fmt: skip

    def curve(self, x, out):
        """The product P x, into `out`."""
        multiply(1.0, self.P, x, 0.0, out, False)

    def image(self, x, out):
        """The product A x, into `out`."""
        multiply(1.0, self.columns, x, 0.0, out, False)

    def pull(self, y, out):
        """The product A'y, into `out`."""
        multiply(1.0, self.columns, y, 0.0, out, True)

    def is_rough(self):
        """Whether solutions are always refined as far as they get."""
        return False

    def factorise(self, D, E):
        """Factorise for these diagonals; whether that went well."""
        p, e = D.size, self.outer.size
        for j in range(p):
            for i in range(j, p):
                self.H[j, i] = self.P[j, i]
            self.H[j, j] += D[j]
        for i in range(E.size):
            self.E[i] = E[i]
        for k in range(self.inner.size):
            i = self.inner[k]
            scale = 1.0 / math.sqrt(E[i])
            for j in range(p):
                self.root[k, j] = scale * self.rows[i, j]
        add_gram(self.root, 1.0, self.H, False)
        if cholesky(self.H) != 0:
            return False
        for k in range(e):
            for j in range(p):
                self.V[k, j] = self.rows[self.outer[k], j]
            for i in range(k, e):
                self.S[k, i] = 0.0
            self.S[k, k] = E[self.outer[k]]
        solve_lower_columns(self.H, self.V)
        add_gram(self.V, 1.0, self.S, True)
        return cholesky(self.S) == 0

    def solve(self, r, t, w, nu):
        """Solution, to the accuracy of the factorisation, into w and nu; r and t become work space."""
        for i in range(nu.size):
            nu[i] = 0.0
        for k in range(self.inner.size):
            i = self.inner[k]
            t[i] /= self.E[i]
            nu[i] = t[i]
        multiply(1.0, self.columns, nu, 1.0, r, True)
        solve_lower(self.H, r, False)
        multiply(1.0, self.V, r, 0.0, self.right, True)
        for k in range(self.outer.size):
            self.right[k] -= t[self.outer[k]]
        solve_cholesky(self.S, self.right)
        multiply(-1.0, self.V, self.right, 1.0, r, False)
        solve_lower(self.H, r, True)
        for j in range(w.size):
            w[j] = r[j]
        self.image(w, nu)
        for k in range(self.inner.size):
            i = self.inner[k]
            nu[i] = nu[i] / self.E[i] - t[i]
        for k in range(self.outer.size):
            nu[self.outer[k]] = self.right[k]


def is_little(program):
    """Whether a run on the program takes no longer than a call may, and is not worth its presolve."""
    p, m = program.lower.size, program.row_lower.size
    return p * p * (p / 3 + m) <= _WORK


@dataclass(eq=False)
class Memory:
    """What a run on a program of this size writes to."""

    system: LittleSystem
    sides: Sides
    columns: np.ndarray
    rows: np.ndarray
    vectors: np.ndarray
    active: np.ndarray
    both: np.ndarray
    point: tuple
    ridge: np.ndarray

    @classmethod
    def of(cls, p, m, e):
        """Memory for p coefficients and m rows, of which e are equalities."""
        size, vectors, both, active = m + p, np.empty((3, p)), np.empty((2, m + p)), np.empty(2 * (m + p), bool)
        system = typed(LittleSystem.of(p, m, e))
        sides = Sides(
            both[0], both[1], np.empty(size, np.int64), _NONE, active, 0, vectors[0], vectors[2], np.empty(size), 1.0
        )
        point = memory(sides, 0.0)
        return cls(system, typed(sides), np.empty(p), np.empty(m), vectors, active, both, point, np.empty(p))

    def suits(self, p, m, e):
        """Whether it is for a program of this size."""
        return self.columns.size == p and self.rows.size == m and self.system.outer.size == e


# The memory of the last run, for the next one of its size: to allot it takes longer than many runs.
_SPARE: list[Memory] = []


def solved_at_once(program, tol, limit, options):
    """The `Outcome` of a small dense program without slopes; None where more has to be done."""
    p, m = program.lower.size, program.row_lower.size
    e = np.count_nonzero(program.row_lower == program.row_upper)
    if _MANY * e > p:
        e = 0
    try:
        room = _SPARE.pop()  # whoever takes it is alone with it
    except IndexError:
        room = None
    if room is None or not room.suits(p, m, e):
        room = Memory.of(p, m, e)
    system, sides, (V, W, R, S) = room.system, room.sides, room.point
    cost, count = prepare(
        *program, system.P, system.columns, system.rows, system.outer, system.inner, room.columns, room.rows, room.vectors,
        room.both, sides.kind, room.active, sides.units, room.ridge, V, S, NUMBERS,
    )  # fmt: skip
    S[kernels.FLOOR] = options.regularisation
    w, y, v = np.empty(p), np.empty(m), np.empty(p)
    found = solve_at_once(
        *program[:7], program.ridge, system, changed(sides, count=count, cost=cost), room.columns, room.rows, V, W, R, S,
        room.ridge, w, y, v, tol, limit, options.refinements, options.step_fraction, options.polish,
    )  # fmt: skip
    outcome = None
    if found != NONE:
        outcome = Outcome(w, Duals(y, v), int(S[kernels.ITERATIONS]), account("Cholesky", S), is_exact=found == EXACT)
    if not _SPARE:
        _SPARE.append(room)
    return outcome
