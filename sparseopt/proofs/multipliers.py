"""Multipliers of linear rows and bounds that a point suggests, for where a solver has brought none."""

import numpy as np
import scipy
from scipy import sparse

from sparseopt.constraints import Duals
from sparseopt.proofs.rows_and_bounds import form_of

# Entries of a sparse matrix in full up to which multipliers are exact; steps of the iteration beyond it, and what these
# may pass over in all, for a certificate is to take no longer than a tenth of a second.
_LARGEST_FULL, _STEPS, _WORK = 4_000_000, 100, 20_000_000


def recover_duals(problem, w, *, activity=1e-6) -> Duals:
    """Multipliers of w by least squares on its active rows and bounds.

    A row or bound is active within `activity`, relative to its side where that exceeds 1.
    """
    form, w = form_of(problem), np.asarray(w, dtype=np.float64)
    slope = problem.loss.gradient(w).astype(np.float64) + form.ridge * w
    y_range = _allowed_range(form.A @ w, form.row_lower, form.row_upper, activity)
    v_range = _allowed_range(w, form.lower, form.upper, activity)
    # the slope of the L1 term is set where w has a sign, and between -alpha and alpha at zero
    near_zero = np.abs(w) <= activity
    s_range = (
        np.where(near_zero, -form.alpha, np.sign(w) * form.alpha),
        np.where(near_zero, form.alpha, np.sign(w) * form.alpha),
    )
    least, most = v_range[0] + s_range[0], v_range[1] + s_range[1]
    y = np.zeros(y_range[0].size)
    active = np.flatnonzero(y_range[0] < y_range[1])
    if active.size:
        y[active] = balanced_multipliers(
            form.A[active].T, slope, (least, most), (y_range[0][active], y_range[1][active])
        )
    pull = -(slope + y @ form.A)
    return Duals(y, np.clip(pull - np.clip(pull, *s_range), *v_range))


def _allowed_range(values, lower, upper, activity):
    """Least and largest multiplier of each side that is active at these values."""
    with np.errstate(invalid="ignore"):  # an infinite side is never active
        at_upper = np.isfinite(upper) & (values >= upper - activity * np.maximum(1.0, np.abs(upper)))
        at_lower = np.isfinite(lower) & (values <= lower + activity * np.maximum(1.0, np.abs(lower)))
    return np.where(at_lower, -np.inf, 0.0), np.where(at_upper, np.inf, 0.0)


def balanced_multipliers(columns, slope, absorbed, y_range, rounds=50):
    """The y in its range that least squares chooses to bring slope + columns y within -absorbed.

    Only entries outside count; they are chosen anew after each solution.
    """
    if sparse.issparse(columns) and columns.shape[0] * columns.shape[1] > _LARGEST_FULL:
        return _about_balanced(sparse.csr_array(columns), slope, absorbed, y_range)
    columns = columns.toarray() if sparse.issparse(columns) else columns
    size = np.linalg.norm(columns, axis=0)
    size[size == 0] = 1.0
    columns = columns / size
    y = np.zeros(columns.shape[1])
    counted = None
    for _ in range(rounds):
        total = slope + columns @ y
        target = -np.clip(-total, *absorbed)
        outside = (absorbed[0] == absorbed[1]) | (total != target)
        if counted is not None and np.array_equal(outside, counted):
            break
        counted = outside
        if not outside.any():
            break
        aim = (np.where(absorbed[0] == absorbed[1], -absorbed[0], target) - slope)[outside]
        y = _bounded_least_squares(columns[outside], aim, y_range)
    return y / size


def _about_balanced(columns, slope, absorbed, y_range):
    """The same for a large sparse matrix, by a few steps of conjugate gradients (Paige and Saunders, 1982), and clipped."""
    target = -np.clip(-slope, *absorbed)
    outside = (absorbed[0] == absorbed[1]) | (slope != target)
    aim = (np.where(absorbed[0] == absorbed[1], -absorbed[0], target) - slope)[outside]
    steps = min(max(_WORK // max(columns.nnz, 1), 1), _STEPS)
    return np.clip(sparse.linalg.lsqr(columns[outside], aim, iter_lim=steps)[0], *y_range)


def _bounded_least_squares(matrix, aim, y_range):
    """The y in its range that brings matrix y nearest to the aim."""
    y = np.linalg.lstsq(matrix, aim, rcond=None)[0]
    if np.all(y >= y_range[0]) and np.all(y <= y_range[1]):
        return y
    return scipy.optimize.lsq_linear(matrix, aim, bounds=y_range, method="bvls", tol=1e-14).x
