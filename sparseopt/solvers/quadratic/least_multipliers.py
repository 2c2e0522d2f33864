"""Multipliers of the least size at a solution of a quadratic program, which are those that another program finds.

Where many multipliers are optimal, an interior point method ends in the middle of them all, which may be far out:
beside terms a_ij y_i of 1e10 a sum is known to 1e-6 at best, and which 1e-6 depends on the order of summation. At w
the multipliers y of rows are optimal where each (A'y)_j balances the slope of the objective, or has the sign of what
holds w_j, and each y_i has the sign of the side that row i lies on. Of these the program takes the least by the size
of their terms; what it leaves is corrected by the same program in units of what is left (Gleixner, Steffy and Wolter,
2016).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sparseopt.constraints import Box, Intersection, LinearConstraint
from sparseopt.kernels.optimality import largest_terms
from sparseopt.losses import Quadratic
from sparseopt.problem import Problem
from sparseopt.solution import Duals, Status
from sparseopt.solvers.quadratic.gap_closing import largest_of_rows

_EPS = np.finfo(np.float64).eps
# What the rounding of a row amounts to, relative to it.
_LAST_DIGITS = 16 * _EPS
# How much larger terms are than the slope that they balance, where there may be smaller ones.
_OUTSIZED = 100.0
# Rounds, iterations of each, and what they leave in units of what there was.
_ROUNDS, _LIMIT, _EXACT = 4, 100, 1e-6
# A side that many units away is none.
_FAR = 1e5


def lessened(solver, state, tol):
    """Give a state that is final the least multipliers at its w, in pieces, where rounding hides what its own leave.

    The solver that has found w finds them; they are taken where they meet the tolerance.
    """
    presolved, w, status = state.presolved, state.w, state.status
    program, A = presolved.whole, presolved.of_whole(state.products).A
    # beside these an entry of A'y loses a unit in the last place to rounding
    terms = largest_terms(A, state.duals.rows)
    if w.size < program.q.size or not _EPS * terms > tol:
        return
    if not terms > _OUTSIZED * np.max(np.abs(program.curve(w) + program.q)):
        return
    state.status = None  # the run goes on
    y, left = np.zeros(program.row_lower.size), float(np.max(np.abs(state.duals.rows)))
    for _ in range(_ROUNDS):
        problem, rows = _correction(program, w, y, left, tol)
        inner = solver.init(problem, np.zeros(rows.size))
        while inner.status is None and inner.iterations < _LIMIT:
            inner.is_final, inner.tolerance = True, _EXACT
            inner = solver.step(problem, inner, _EXACT, _LIMIT - inner.iterations)
            yield
        if inner.status is not Status.CONVERGED:
            break
        y[rows] += left * inner.w
        found = presolved.with_less_gap(state.products, w, presolved.measured_whole(state.products, w, y), tol)
        if max(found[:3]) <= tol and largest_terms(A, found[4]) < terms:
            state.duals, state.lowest, status = Duals(*found[4:]), float(max(found[:3])), Status.CONVERGED
            break
        left = found[1]
    state.status = status


def _correction(program, w, y, unit, tol):
    """The problem in (z - y) / unit, z the multipliers asked for at w, which lies on sides to within tol, and their rows."""
    A = program.A
    image, slope = A @ w, program.curve(w) + program.q + y @ A
    near = tol + _LAST_DIGITS * (np.abs(A) @ np.abs(w))
    low = np.where(np.abs(image - program.row_lower) <= near, -np.inf, 0.0)
    high = np.where(np.abs(image - program.row_upper) <= near, np.inf, 0.0)
    rows, columns = np.flatnonzero(low < high), np.flatnonzero(program.lower < program.upper)
    # what rounding leaves no multipliers settle
    room = _LAST_DIGITS * (np.abs(y) @ np.abs(A))
    # a slope of the L1 term goes with any of these pulls
    least = slope + np.where(w > 0.0, program.alpha, -program.alpha) - room
    most = slope + np.where(w < 0.0, -program.alpha, program.alpha) + room
    pulls = np.where(w >= program.upper, -np.inf, -most)[columns], np.where(w <= program.lower, np.inf, -least)[columns]
    part = A[rows][:, columns]
    size = largest_of_rows(part)
    weights = np.where(size > 0.0, size, 1.0) ** 2
    Q = sparse.csc_array(sparse.diags_array(weights)) if program.is_sparse else np.diag(weights)
    sides = (side / unit for side in (*pulls, low[rows] - y[rows], high[rows] - y[rows]))
    sides = [np.where(np.abs(side) > _FAR, np.copysign(np.inf, side), side) for side in sides]
    constraint = Intersection(LinearConstraint(part.T, *sides[:2]), Box(*sides[2:]))
    return Problem(Quadratic(Q, np.zeros(rows.size)), constraint=constraint), rows
