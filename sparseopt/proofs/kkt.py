"""Optimality of constrained problems, measured from the data: residuals and bounds.

The problem is written as

    minimise f(w) + sum_j alpha_j |w_j| + ridge_j w_j**2 / 2
    subject to lower <= w <= upper and row_lower <= A w <= row_upper

with a convex smooth f. Multipliers y of the rows and v of the bounds are positive where the
upper side pulls. At a solution grad f(w) + ridge w + s + A'y + v = 0 with a slope s of the
L1 term, |s_j| <= alpha_j. Nothing here is shared with a solver.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from scipy import sparse

from sparseopt.conjugates import convex_form
from sparseopt.curvature import factorised, fills_up, least_curvature
from sparseopt.forms import SeparableForm
from sparseopt.kernels import sparse_rows
from sparseopt.losses import Huber, LeastSquares, Logistic, Quadratic
from sparseopt.losses.base import kept
from sparseopt.proofs.rows_and_bounds import form_of, is_polyhedron, largest, pulling, support

EPS = np.finfo(np.float64).eps
# Beyond this many coefficients a Cholesky factor costs more than a certificate should.
_LARGEST_CHOLESKY = 4000
# Up to this many its factor is kept: a run may ask for it several times.
_KEPT_FACTOR = 1000
_LARGEST_ROW_SCAN = 20_000_000


@dataclass(frozen=True)
class Residuals:
    """How far a point and its multipliers are from optimal.

    Attributes
    ----------
    violation : float
        Largest excess over a row or a bound.
    dual : float
        Largest entry of what no allowed multiplier balances of the gradient.
    gap : float
        |objective - dual_objective|.
    dual_objective : float
        Value of the dual, a lower bound up to `dual` times the L1 distance of w to a solution.
    lower_bound : float
        Proven lower bound on the optimal value, residual and rounding allowed for; -inf where
        an unbounded coefficient without curvature leaves the residual unpaid, and where the loss is not convex.
    """

    objective: float
    violation: float
    dual: float
    gap: float
    dual_objective: float
    lower_bound: float


def covers(problem) -> bool:
    """Whether this module can judge the problem."""
    return (
        isinstance(problem.loss, Quadratic | LeastSquares | Logistic | Huber)
        and isinstance(convex_form(problem.penalty, problem.n_features), SeparableForm)
        and is_polyhedron(problem.constraint)
    )


def kkt_residuals(problem, w, duals, *, has_bound=True) -> Residuals:
    """Violation, dual residual, gap and lower bound of w with the given multipliers.

    Multipliers that pull on an infinite side count as absent, so they show in `dual`. The slope
    of the L1 term is the best allowed one, whatever the sign of w; where it is wrong for w, the
    gap tells. Without `has_bound` it is not looked at whether the loss is convex, and there is no bound.
    """
    form, w = form_of(problem), np.asarray(w, dtype=np.float64)
    y = pulling(np.asarray(duals.rows, dtype=np.float64), form.row_lower, form.row_upper)
    v = pulling(np.asarray(duals.box, dtype=np.float64), form.lower, form.upper)
    loss, slope = _value_and_slope(problem.loss, w)
    unbalanced = slope + form.ridge * w + _pull(y, form.A) + v
    rest = unbalanced - np.minimum(np.maximum(unbalanced, -form.alpha), form.alpha)
    ridge = float(form.ridge @ w**2) / 2
    objective = loss + float(form.alpha @ np.abs(w)) + ridge
    # f(z) >= f(w) + slope . (z - w), and the same of the ridge at w
    terms = (
        loss, -float(slope @ w), -ridge,
        -support(y, form.row_lower, form.row_upper), -support(v, form.lower, form.upper),
    )  # fmt: skip
    dual_objective = math.fsum(terms)
    lower_bound = -np.inf
    if has_bound and _is_convex(problem.loss):
        magnitude = sum(map(abs, terms)) + float(np.abs(slope) @ np.abs(w)) + abs(objective)
        lower_bound = dual_objective + least_of(problem, form, w, rest, objective) - 8 * EPS * magnitude
    return Residuals(
        objective=objective,
        violation=_violation(form, w),
        dual=largest(rest),
        gap=abs(objective - dual_objective),
        dual_objective=dual_objective,
        lower_bound=float(min(lower_bound, objective)),
    )


def _value_and_slope(loss, w):
    """The loss and its gradient at w."""
    slope = loss.gradient(w)
    if slope.dtype != np.float64:
        slope = slope.astype(np.float64)
    if isinstance(loss, Quadratic):
        # w'Qw / 2 + c'w, by the product that the slope Qw + c has taken
        return float(w @ slope + loss.c @ w) / 2, slope
    return float(loss.evaluate(w)), slope


def _violation(form, w):
    rows = form.A @ w
    excess = (rows - form.row_upper, form.row_lower - rows, w - form.upper, form.lower - w)
    return float(max(np.maximum.reduce(part, initial=0.0) for part in excess))


def least_of(problem, form, w, rest, objective):
    """Lower bound on rest . z + (the curvature of f and ridge between w and z) over solutions z.

    Where z_j has a bound it pays for rest_j. Such a bound is given, implied by a row, or by the
    level set of w: a solution costs no more than w does, unless w violates a side, and then the
    objective at w is itself a bound, which the caller takes.
    """
    lower, upper = form.lower, form.upper
    left = rest.nonzero()[0]
    side = np.where(rest > 0, lower, upper)
    if not np.logical_and.reduce(np.isfinite(side[left])):
        lower, upper = _bounds_of_solutions(problem, form, objective)
        side = np.where(rest > 0, lower, upper)
    unpaid = (rest != 0) & ~np.isfinite(side)
    paid = (rest != 0) & ~unpaid
    total = float(rest[paid] @ side[paid])
    if not np.logical_or.reduce(unpaid):
        return total
    # unpaid . d + d'Hd / 2 >= -unpaid' H^-1 unpaid / 2 for d = z - w
    rest = np.where(unpaid, rest, 0.0)
    return float(total + rest @ w - _quadratic_cost(problem, form, rest))


def _quadratic_cost(problem, form, unpaid):
    """The cost unpaid' H^-1 unpaid / 2 for the Hessian H of loss and ridge; inf where it may be singular."""
    loss, p = problem.loss, unpaid.size
    if not isinstance(loss, Quadratic | LeastSquares) or p > _LARGEST_CHOLESKY:
        return np.inf
    diagonal = loss.curvatures() + form.ridge
    at = unpaid.nonzero()[0]
    if np.any(diagonal[at] <= 0):
        return np.inf
    if isinstance(loss, Quadratic) and _stand_alone(loss.Q.matrix, at):
        return float(np.sum(unpaid[at] ** 2 / diagonal[at]))
    # twice the cost, which is far more than the rounding of the solve
    if isinstance(loss, Quadratic) and _stays_sparse(loss.Q.matrix):
        return 2 * _sparse_cost(*_shifted(sparse.csc_array(loss.Q.matrix, dtype=np.float64), form, loss), unpaid)
    factor = (
        kept(problem, "_curvature_factor", lambda: _factor(loss, form)) if p <= _KEPT_FACTOR else _factor(loss, form)
    )
    if factor is None:
        return np.inf
    return float(np.sum(scipy.linalg.lapack.dtrtrs(factor, unpaid, lower=0, trans=1)[0] ** 2))


def _stays_sparse(matrix):
    """Whether a matrix is sparse, and its factor is."""
    return sparse.issparse(matrix) and not fills_up(matrix)


def _shifted(H, form, loss):
    """H, and the ridge less what rounding may have added to the smallest eigenvalue of H."""
    largest_entry = np.max(np.abs(H.data if sparse.issparse(H) else H), initial=0.0) + np.max(form.ridge, initial=0.0)
    return H, form.ridge - 4 * form.ridge.size * np.finfo(loss.dtype).eps * largest_entry


def _factor(loss, form):
    """The Cholesky factor U of the Hessian plus ridge, U'U, or None where it may be singular."""
    H, shift = _shifted(_hessian(loss), form, loss)
    shifted = np.array(H, order="F")
    shifted.flat[:: len(H) + 1] += shift
    factor, fault = scipy.linalg.lapack.dpotrf(shifted, lower=0, overwrite_a=1, clean=0)
    return None if fault else factor


def _sparse_cost(H, shift, unpaid):
    """The cost for a sparse H plus a diagonal, of the coefficients that `unpaid` is coupled to; inf where H may be singular."""
    _, parts = sparse.csgraph.connected_components(H, directed=False)
    near = np.flatnonzero(np.isin(parts, parts[unpaid != 0]))
    shifted = sparse.csc_array(H[near][:, near] + sparse.diags_array(shift[near]))
    try:
        factor = factorised(shifted)
    except RuntimeError:
        return np.inf
    # without row exchanges the pivots have the signs of the eigenvalues
    if not (np.array_equal(factor.perm_r, factor.perm_c) and np.all(factor.U.diagonal() > 0)):
        return np.inf
    return float(unpaid[near] @ factor.solve(unpaid[near])) / 2


def _stand_alone(Q, at):
    """Whether rows of a matrix have no entries but on the diagonal, so that what is there is exact."""
    if sparse.issparse(Q):  # its columns are its rows
        return bool(np.all(np.diff(Q.indptr)[at] == 1))
    return np.count_nonzero(Q[at]) == at.size


def _hessian(loss):
    """The Hessian of a quadratic loss in full."""
    if isinstance(loss, Quadratic):
        return _double(loss.Q.matrix)
    X, weights = loss.X.matrix, np.broadcast_to(loss.sample_weight.values, loss.X.shape[0]).astype(np.float64)
    mean = loss.X.means.astype(np.float64) if loss.intercept else np.zeros(loss.X.shape[1])
    if sparse.issparse(X):
        X = X.astype(np.float64)
        return (X.T @ sparse.diags_array(weights) @ X).toarray() - np.outer(mean, mean)
    centred = np.sqrt(weights)[:, None] * (X - mean)
    return centred.T @ centred


def _is_convex(loss):
    """Whether the loss is convex, to rounding."""
    return not isinstance(loss, Quadratic) or least_curvature(loss) == 0.0


def _bounds_of_solutions(problem, form, objective):
    """Bounds that every solution satisfies, a little wider than computed."""
    lower, upper = _implied_by_rows(form)
    if isinstance(problem.loss, LeastSquares | Logistic | Huber):
        # the loss is nonnegative, so the penalty of one coefficient is at most the objective
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.minimum(
                np.where(form.alpha > 0, objective / form.alpha, np.inf),
                np.where(form.ridge > 0, np.sqrt(2 * max(objective, 0.0) / form.ridge), np.inf),
            )
        lower, upper = np.maximum(lower, -reach), np.minimum(upper, reach)
    return lower - 1e-9 * np.abs(lower), upper + 1e-9 * np.abs(upper)


def _implied_by_rows(form):
    """Bounds on each coefficient that some row implies, given the bounds of the others."""
    lower, upper = form.lower.copy(), form.upper.copy()
    if not 0 < form.A.shape[0] * form.A.shape[1] <= _LARGEST_ROW_SCAN:
        return lower, upper
    if sparse.issparse(form.A):
        return _implied_by_sparse_rows(form.A, form)
    is_free = np.isinf(lower) & np.isinf(upper)
    if np.all(np.count_nonzero(form.A[:, is_free], axis=1) >= 2):
        return lower, upper  # whichever is asked for, another one of its row may be anything
    i, j = np.nonzero(form.A)
    a = form.A[i, j]
    least = _sum_of_others(i, np.where(a > 0, a * form.lower[j], a * form.upper[j]), form.row_lower.size)
    most = _sum_of_others(i, np.where(a > 0, a * form.upper[j], a * form.lower[j]), form.row_lower.size)
    first, second = (form.row_lower[i] - most) / a, (form.row_upper[i] - least) / a
    np.maximum.at(lower, j, np.where(a > 0, first, second))
    np.minimum.at(upper, j, np.where(a > 0, second, first))
    return lower, upper


def _implied_by_sparse_rows(A, form):
    bounds = np.array([form.lower, form.upper])
    found, sums, infinities = bounds.copy(), np.zeros((2, A.shape[0])), np.zeros((2, A.shape[0]))
    sides = np.array([form.row_lower, form.row_upper])
    sparse_rows.imply_bounds(*_arrays(A), sides, bounds, sums, infinities, found)
    return found


def _arrays(A):
    """The arrays of a sparse matrix by columns for kernels, which are compiled for those that may be written."""
    A = A if A.format == "csc" else A.tocsc()
    return A.indptr, A.indices, A.data if A.data.flags.writeable else A.data.copy()


def _pull(y, A):
    """The product A'y."""
    if not sparse.issparse(A):
        return y @ A
    out = np.empty(A.shape[1])
    sparse_rows.pull(*_arrays(A), y, out)
    return out


def _sum_of_others(rows, terms, n_rows):
    """For each term the sum of the other terms of its row, with infinities counted apart."""
    is_finite = np.isfinite(terms)
    finite = np.where(is_finite, terms, 0.0)
    total = np.bincount(rows, finite, minlength=n_rows)[rows] - finite
    infinities = np.bincount(rows, ~is_finite, minlength=n_rows)[rows] - ~is_finite
    # the infinities of a row have one sign, that of the side asked for
    sign = np.ones(n_rows)
    sign[rows[~is_finite]] = np.sign(terms[~is_finite])
    return np.where(infinities > 0, np.copysign(np.inf, sign[rows]), total)


def _double(matrix):
    return (matrix.toarray() if sparse.issparse(matrix) else matrix).astype(np.float64)
