"""Dual active set method for small dense quadratic programs with linear constraints, boxes and L1 penalties.

From the minimiser of the objective on what is held, the side that is violated most is held too, and the
multipliers move to those that put all held sides on their kinks; one that would leave its interval on the way lets
its side go (Goldfarb and Idnani, 1983). |w_j| is a side with a third kink at zero, where the multiplier may be
anything between -alpha_j and alpha_j. Each change costs an update of a factor, and the end is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sparseopt.constraints import Box, LinearConstraint, Simplex
from sparseopt.kernels.active_set import INFEASIBLE, UNBOUNDED
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.problem import parts_of
from sparseopt.programs.dense_program import dense_program
from sparseopt.proofs.kinds import needs_multipliers
from sparseopt.proofs.rays import check_dual_ray
from sparseopt.solution import Duals, Status
from sparseopt.solvers.base import Outcome, Solver, State
from sparseopt.solvers.quadratic.dual_program import DualProgram, solved_at_once
from sparseopt.solvers.quadratic.quadratic_program import QuadraticProgram, quadratic_program, unfit

# Rows and coefficients up to which a square matrix of products is kept.
_LARGEST = 2000
# Rows and coefficients up to which one call makes all changes: they take less than a tenth of a second.
_FEW = 200
# Coefficients up to which one call also makes those of many rows, in less time than an interior point method: 1.1 to 4 times
# on random rows.
SLIM = 20
# Directions without an end that may turn out to prove nothing.
_DOUBTS = 10


@dataclass(kw_only=True)
class Ascent(State):
    """The program, and where its dual stands."""

    program: QuadraticProgram
    dual: DualProgram
    has_rows: bool
    #: Whether the last chunk came to an end, which missed the tolerance.
    is_settled: bool = False
    #: Whether the factor of what is held was made anew, after a point that missed the tolerance.
    is_fresh: bool = False
    #: Directions that went on for ever and yet proved nothing.
    doubts: int = 0

    def account(self) -> str:
        """How many sides are held at the end."""
        return _account(int(self.dual.held.size[0]), self.dual.sides.low.size, self.dual.is_proximal)


@dataclass(frozen=True, kw_only=True)
class ActiveSet(Solver):
    """Dual active set method for small dense convex quadratic programs, L1 terms included.

    Takes what `InteriorPoint` takes, up to 2,000 rows and coefficients: `Quadratic` and `LeastSquares` with Zero
    or L1 penalties (weighted, nonnegative, ridged) under linear rows, boxes and simplices. Where P is singular, as
    in linear programs, proximal points are solved for, one after the other. A start that lies on sides has these
    held from the beginning, so that a solution of a similar problem is a good one; `QuadraticSequence` also keeps
    the factors. A problem without a solution gets the ray that proves it.

    One change of what is held is an iteration. It costs less than an iteration of `InteriorPoint`, but there
    are about as many as the solution has active sides.

    References
    ----------
    Goldfarb, Idnani: A numerically stable dual method for solving strictly convex quadratic programs.
    Mathematical Programming 27 (1983).
    Arnstrom, Bemporad, Axehill: A dual active-set solver for embedded quadratic programming using recursive
    LDL' updates. IEEE Transactions on Automatic Control 67 (2022).
    """

    def rejects(self, problem):
        """Why this solver cannot take the problem, or None."""
        if reason := unfit(problem):
            return reason
        count = n_sides(problem)
        if count > _LARGEST:
            return (
                f"{count} rows and coefficients are more than the {_LARGEST} of a method for small problems; "
                "InteriorPoint takes them"
            )
        return None

    def at_once(self, problem, tol, max_iterations):
        """What `init` and `step` find of few sides from zero, as nearly always, in few calls; None where more has to be done."""
        if type(self) is not ActiveSet:  # a subclass may step in another way
            return None
        program = dense_program(problem)
        if program is None or (program.n_sides > _FEW and program.lower.size > SLIM):
            return None
        found = solved_at_once(program, 1e-3 * tol, max_iterations)
        if found is None or found[0].misses(tol):
            return None
        settled, changes, held = found
        return Outcome(settled.w, Duals(settled.y, settled.box), changes, _account(held, program.n_sides))

    def init(self, problem, w):
        """Factorise, and hold the sides that w lies on."""
        program = quadratic_program(problem)
        dual = DualProgram(program)
        state = Ascent(w=w, program=program, dual=dual, has_rows=needs_multipliers(problem))
        if np.any(program.lower > program.upper) or np.any(program.row_lower > program.row_upper):
            # sides that cross are their own proof
            state.status, state.ray = Status.INFEASIBLE, np.zeros(program.row_lower.size + w.size)
            return state
        dual.start(np.append(w, np.zeros(program.q.size - w.size)).astype(np.float64) if w.any() else None)
        return state

    def step(self, problem, state, tol, max_iterations):
        """A chunk of changes; at the optimum a point from the data, refined."""
        dual, p = state.dual, problem.n_features
        if not state.has_rows:
            # where duality judges, in relative terms, the point is to be as good as rounding allows
            tol = min(tol, 1e-12)
        if state.is_settled:
            if state.is_fresh:
                state.status = Status.STALLED
                return state
            dual.retry()
            state.is_fresh = True
        code, changes, settled = dual.advance(1e-3 * tol, max_iterations)
        state.iterations += changes
        state.is_settled = settled is not None
        if settled is not None:
            if settled.residual < state.residual:
                state.w, state.residual = settled.w[:p], settled.residual
                state.duals = Duals(settled.y, settled.box[:p])
            if state.has_rows and not settled.misses(tol):
                state.status = Status.CONVERGED
        elif code == INFEASIBLE:
            ray = dual.infeasibility(state.program)
            if ray is not None:
                state.status, state.ray = Status.INFEASIBLE, ray[: state.program.row_lower.size + p]
        elif code == UNBOUNDED:
            rays = (ray[:p] for ray in dual.unboundedness(state.program))
            state.ray = next((ray for ray in rays if check_dual_ray(problem, ray).holds), None)
            state.doubts += state.ray is None
            if state.ray is not None:
                state.status, state.w = Status.UNBOUNDED, dual.objective.centre[:p].copy()
            elif state.doubts > _DOUBTS:
                state.status = Status.STALLED
        return state


def _account(held, count, is_proximal=False):
    return f"{held} of {count} sides held{', proximal' if is_proximal else ''}"


def n_sides(problem):
    """Rows and coefficients of a quadratic problem in a polyhedron; inf of another one."""
    if not isinstance(problem.loss, (Quadratic, LeastSquares)):
        return math.inf
    count = problem.n_features
    for part in parts_of(problem.constraint):
        match part:
            case LinearConstraint(A=A):
                count += A.shape[0]
            case Simplex():
                count += 1
            case Box():
                pass
            case _:
                return math.inf
    return count
