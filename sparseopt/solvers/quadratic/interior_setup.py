"""What an interior point method does before its first iteration: presolve, scales, and a Newton system, in pieces."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from sparseopt.curvature import curvature_in_pieces
from sparseopt.kernels import interior as kernels
from sparseopt.kernels.conditions import EQUAL
from sparseopt.kernels.linked import linked
from sparseopt.losses import Quadratic
from sparseopt.proofs.kinds import needs_multipliers
from sparseopt.solution import Duals, Status, UnsupportedProblem
from sparseopt.solvers.base import State
from sparseopt.solvers.quadratic.interior_state import Interior, Sides, memory
from sparseopt.solvers.quadratic.newton_choice import newton_system_in_pieces
from sparseopt.solvers.quadratic.pieces import Pieces
from sparseopt.solvers.quadratic.presolve import presolve
from sparseopt.solvers.quadratic.quadratic_program import bent, equilibrated, quadratic_program

# Negative curvature, relative to the largest entry of the diagonal, that may come from data rounded to a few digits.
_SLIGHT = 1e-4
# Proximal weight over a little negative curvature.
_CONVEX = 2.0


@dataclass(kw_only=True)
class SettingUp(State):
    """A set-up that is not over: the start is the only point."""

    pieces: Pieces = field(repr=False)
    is_final: bool = False

    def account(self) -> str:
        """What there is."""
        return "setting up"


def slight_curvature(problem):
    """What negative curvature is taken, relative to the diagonal."""
    # a gap by duality, which ends runs without rows, needs a convex loss
    return _SLIGHT if needs_multipliers(problem) else 0.0


def entry(problem, w, regularisation):
    """The state at the start, whose multipliers are zero until there is a better point."""
    whole, has_rows = quadratic_program(problem), needs_multipliers(problem)
    duals = Duals(np.zeros(whole.row_lower.size), np.zeros(problem.n_features)) if has_rows else None
    return SettingUp(w=w, duals=duals, pieces=Pieces(_set_up(problem, whole, w, duals, regularisation)))


def _set_up(problem, whole, w, duals, regularisation):
    """The state of a method that has not begun, in pieces."""
    yield
    curvature = 0.0
    if isinstance(problem.loss, Quadratic):
        curvature = yield from curvature_in_pieces(problem.loss)
        if curvature < 0.0 and (reason := bent(problem.loss, slight_curvature(problem))):
            raise UnsupportedProblem(f"InteriorPoint: {reason}.")
    presolved = presolve(whole)
    yield
    program = presolved.program
    products = presolved.products_of_rest()
    columns, rows, cost = scales = yield from equilibrated(program, products)
    yield
    sides, ridge = Sides.of(program, *scales)
    system = yield from newton_system_in_pieces(
        program, products, scales, ridge, lambda: np.flatnonzero(sides.kind[: rows.size] & EQUAL)
    )
    V, W, R, S = memory(sides, regularisation)
    if curvature < 0.0:
        # P + rho is definite, and a proximal method ends at a point that satisfies the conditions
        S[kernels.LEAST_RHO] = S[kernels.RHO] = -_CONVEX * curvature * cost * np.max(columns) ** 2
    state = Interior(
        w=w,
        duals=duals,
        presolved=presolved,
        program=program,
        products=products,
        columns=columns,
        rows=rows,
        cost=cost,
        has_rows=duals is not None,
        sides=sides,
        system=system,
        link=linked(system),
        V=V,
        W=W,
        R=R,
        S=S,
        shown=time.perf_counter(),
    )
    if np.logical_or.reduce(program.lower > program.upper):
        # bounds that cross are their own proof
        state.status, state.ray = Status.INFEASIBLE, np.zeros(whole.row_lower.size + whole.q.size)
    elif presolved.ray is not None:
        state.status, state.ray = Status.INFEASIBLE, presolved.ray
    return state
