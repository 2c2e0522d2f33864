"""How the solution of a quadratic program moves with its data: vector-Jacobian products through the conditions of optimality.

At a solution with free coefficients F and active rows R, a change of the data moves both by

    [P_FF   A_RF'] [dw_F]   [-dc_F - P_FB dw_B        ]
    [A_RF   0    ] [dnu ] = [db_R  - A_RB dw_B        ]

where B are the coefficients on a bound, which move with it, and those that an L1 term holds at zero,
which do not move. One solution with the same, symmetric matrix gives the slope of any function of w
in all of the data (Amos and Kolter, 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt.inputs import as_coefficients
from sparseopt.losses import LeastSquares
from sparseopt.solution import Status, UnsupportedProblem
from sparseopt.solvers.quadratic.newton_choice import active_system
from sparseopt.solvers.quadratic.quadratic_program import equilibrate, quadratic_program, unfit

# A multiplier or slack this small, relative to the largest of its kind, is rounding.
_ROUNDING = 1e-7
_REFINEMENTS = 50
# Part of the right side that refinement leaves only where the system is singular.
_INCONSISTENT = 1e-9


@dataclass(frozen=True, eq=False)
class DataSlopes:
    """Slopes of a function of the solution in the data of its problem.

    Attributes
    ----------
    linear : array of shape (p,)
        In the linear term c of the objective.
    targets : array of shape (n,) or None
        In the targets y of a least squares loss.
    row_lower, row_upper : array of shape (m,)
        In the sides of the rows, zero where a side is not active; of an equality in either half.
    lower, upper : array of shape (p,)
        In the bounds.
    alpha : array of shape (p,)
        In the slope alpha_j of alpha_j |w_j|.
    """

    linear: np.ndarray
    targets: np.ndarray | None
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    alpha: np.ndarray


def solution_slopes(problem, solution, slope) -> DataSlopes:
    """Slopes of a function of w in the data, from its slope in w at the solution (a vector-Jacobian product).

    Parameters
    ----------
    problem : Problem
        What `InteriorPoint` takes: `Quadratic` or `LeastSquares`, Zero or L1 terms, rows and boxes.
    solution : Solution
        Its solution, with duals; solve to 1e-9 or so, since the active set is read off them.
    slope : array of shape (p,)
        Slope of the function in w.

    Returns
    -------
    DataSlopes

    Raises
    ------
    UnsupportedProblem
        Where the problem is no quadratic program.
    ValueError
        Where the solution has not converged, or belongs to another problem.

    Notes
    -----
    Where a side is active with a multiplier of zero the solution has one slope to each side of the data;
    the one in which the side stays active is returned. Where several w are optimal, the slopes are those of
    the shortest move, and what no finite move balances is left out.

    References
    ----------
    Amos and Kolter: OptNet: differentiable optimization as a layer in neural networks. ICML (2017).
    """
    if reason := unfit(problem):
        raise UnsupportedProblem(f"solution_slopes: {reason}.")
    if solution.status is not Status.CONVERGED:
        raise ValueError(
            f"the solution is {solution.status.name}; only a converged one has slopes: lower tol or raise limits."
        )
    program, p = quadratic_program(problem), problem.n_features
    told, found = solution.certificate, problem.objective(as_coefficients(solution.w, (p,), np.float64, "solution.w"))
    if not abs(found - told.objective) <= 1e-9 * (abs(found) + told.reference):
        raise ValueError(
            f"the objective at w is {found:.6g} here, and {told.objective:.6g} in the solution; give the solution of this problem."
        )
    if program.q.size != p:
        raise UnsupportedProblem(
            "solution_slopes: an intercept of sparse data is not followed; give X dense or centred."
        )
    g = as_coefficients(slope, (p,), np.float64, "slope")
    w = np.asarray(solution.w, dtype=np.float64)
    low_rows, high_rows, low, high = _active(program, w, solution.duals)
    held = low | high | ((w == 0) & (program.alpha > 0))
    free, rows = np.flatnonzero(~held), np.flatnonzero(low_rows | high_rows)
    move, pull = _solved(program, np.where(held, 0.0, g), free, rows)
    on_bounds = np.where(low | high, g - program.curve(move) - pull @ program.A, 0.0)
    return DataSlopes(
        linear=-move,
        targets=_on_targets(problem.loss, move),
        row_lower=_shared(pull, low_rows, high_rows),
        row_upper=_shared(pull, high_rows, low_rows),
        lower=_shared(on_bounds, low, high),
        upper=_shared(on_bounds, high, low),
        alpha=-move * np.sign(w),
    )


def _shared(slopes, here, there):
    """Slopes on one side, half of them where both sides are the same."""
    return np.where(here, np.where(there, slopes / 2, slopes), 0.0)


def _active(program, w, duals):
    """Which lower and upper sides of rows and coefficients are active."""
    if duals is None:
        y, v = np.zeros(program.row_lower.size), np.zeros(w.size)
    else:
        y, v = np.asarray(duals.rows), np.asarray(duals.box)
    image = program.A @ w
    rows = _at_sides(image, y, program.row_lower, program.row_upper)
    # a coefficient is on its bound exactly, or it is free
    return *rows, w <= program.lower, (w >= program.upper) & (v >= 0)


def _at_sides(image, y, lower, upper):
    """Sides that are met and pull, and both where they are equal."""
    with np.errstate(invalid="ignore"):
        scale = 1.0 + np.abs(image)
        meets_lower, meets_upper = image - lower <= _ROUNDING * scale, upper - image <= _ROUNDING * scale
    little = _ROUNDING * np.max(np.abs(y), initial=0.0)
    equal = lower == upper
    return equal | (meets_lower & (y < -little)), equal | (meets_upper & (y > little))


def _solved(program, g, free, rows):
    """w and nu of the system of an active set with g and zero on the right, refined in scaled units."""
    columns, scales, cost = equilibrate(program)
    scaled = program.scaled(columns, scales, cost)
    x, nu = np.zeros(program.q.size), np.zeros(program.row_lower.size)
    right = cost * columns * g
    if free.size:
        solve = active_system(scaled).active(free, rows)
        for _ in range(_REFINEMENTS):
            r, t = (right - scaled.curve(x) - nu @ scaled.A)[free], -(scaled.A @ x)[rows]
            size = max(np.max(np.abs(r), initial=0.0), np.max(np.abs(t), initial=0.0))
            if size <= 1e-13 * np.max(np.abs(right), initial=0.0):
                break
            dx, dnu = solve(r, t)
            x[free] += dx
            nu[rows] += dnu
        else:
            if not size <= _INCONSISTENT * np.max(np.abs(right), initial=0.0):
                return _shortest(program, g, free, rows)
    return columns * x, scales * nu / cost


def _shortest(program, g, free, rows):
    """The shortest least squares solution, where the system is singular and no move balances all of g."""
    P = np.column_stack([program.curve(unit) for unit in np.eye(program.q.size)[free]])[free]
    A = program.A[rows][:, free]
    A = A.toarray() if sparse.issparse(A) else A
    K = np.block([[P, A.T], [A, np.zeros((rows.size, rows.size))]])
    found = np.linalg.lstsq(K, np.concatenate([g[free], np.zeros(rows.size)]), rcond=_INCONSISTENT)[0]
    x, nu = np.zeros(program.q.size), np.zeros(program.row_lower.size)
    x[free], nu[rows] = found[: free.size], found[free.size :]
    return x, nu


def _on_targets(loss, move):
    """Slope in y: the linear term of least squares is -X's y, with centred X where there is an intercept."""
    if not isinstance(loss, LeastSquares):
        return None
    X = loss.X.matrix
    fitted = X @ move - (loss.X.means.astype(np.float64) @ move if loss.intercept else 0.0)
    return np.broadcast_to(loss.sample_weight.values, fitted.size) * fitted
