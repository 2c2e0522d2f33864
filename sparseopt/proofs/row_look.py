"""What multipliers prove of a quadratic program under rows, by one call of a kernel in place of `kkt_residuals`."""

import numpy as np
from scipy import sparse

from sparseopt._jit import typed
from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box, Intersection, LinearConstraint, Simplex
from sparseopt.curvature import least_curvature
from sparseopt.designs import CSC
from sparseopt.forms import SeparableForm
from sparseopt.kernels.kkt_look import look_at_rows, residuals_with_more_digits
from sparseopt.kernels.sparse_rows import look_at_sparse_rows
from sparseopt.losses import Quadratic
from sparseopt.losses.base import kept
from sparseopt.problem import parts_of
from sparseopt.programs.dense_program import full_program, read_only
from sparseopt.programs.sparse_program import SparseProgram, sparse_program
from sparseopt.proofs.kkt import EPS, least_of
from sparseopt.proofs.rows_and_bounds import form_of, largest, pulling

_KINDS = {LinearConstraint, Box, Simplex}
# Where the last digit of the terms of a residual is more, another order of summation finds another residual: the largest
# counts of that by a loop, that in numpy, and that with more digits.
_ROUGH = 1e-10


def look(problem, w, duals):
    """Objective, violation, dual residual and lower bound of w; None of other problems, and where it is not clear that the loss is convex.

    It is a quadratic under rows that is sparse, or small and dense.
    """
    program = full_program(problem)
    sides = program or sparse_program(problem) or kept(problem, "_stacked_rows", lambda: _stacked_rows(problem))
    if sides is None:
        return None
    p, known = w.size, problem.loss.__dict__
    y, v = _plain(duals.rows), _plain(duals.box)
    if (y.shape, v.shape) != (sides.row_lower.shape, w.shape):
        return None
    if program is None:
        return _look_at_sparse(problem, sides, w, y, v)
    objective, violation, dual, bound, last_digit, is_proven = look_at_rows(
        *program, w, y, v, known.get("_least_curvature") == 0.0, np.empty((2, p)), np.empty((p, p))
    )
    if not is_proven:
        return None
    known["_least_curvature"] = 0.0  # what the kernel has found, as `least_curvature` would
    if last_digit > _ROUGH:
        in_numpy, exact = _in_numpy(program, w, y, v), residuals_with_more_digits(*program, w, y, v)
        violation, dual = max(violation, in_numpy[0], exact[0]), max(dual, in_numpy[1], exact[1])
    return objective, violation, dual, bound


def _plain(vector):
    """A vector as kernels take it: itself, where it is one."""
    is_plain = type(vector) is np.ndarray and vector.dtype == np.float64 and vector.flags.carray
    return vector if is_plain else np.array(vector, dtype=np.float64)


def _in_numpy(program, w, y, v):
    """Violation and dual residual, in the order in which `kkt_residuals` and whoever checks the point in numpy sum up."""
    Q, c, A, row_lower, row_upper, lower, upper, alpha, ridge = program
    y, v = pulling(y, row_lower, row_upper), pulling(v, lower, upper)
    rows, left = w @ A, w @ Q + c + ridge * w + A @ y + v
    excess = (rows - row_upper, row_lower - rows, w - upper, lower - w)
    violation = max(np.maximum.reduce(part, initial=0.0) for part in excess)
    return float(violation), largest(left - np.minimum(np.maximum(left, -alpha), alpha))


def _stacked_rows(problem):
    """The parts of a problem with a sparse `Quadratic` under several sets of rows that make sparse ones; None of another one."""
    loss, constraint = problem.loss, problem.constraint
    if type(loss) is not Quadratic or type(loss.Q) is not CSC or loss.dtype != np.float64:
        return None
    # without rows there is a simpler proof
    if type(constraint) not in (LinearConstraint, Intersection) or {*map(type, parts_of(constraint))} - _KINDS:
        return None
    if type(convex_form(problem.penalty, loss.n_features)) is not SeparableForm:
        return None
    form = form_of(problem)
    if not sparse.issparse(form.A) and form.A.size:
        return None
    A = sparse.csc_array(form.A)
    sides = map(read_only, (form.row_lower, form.row_upper, form.lower, form.upper, form.alpha, form.ridge))
    return SparseProgram(loss.Q, typed(CSC(A.data, A.indices, A.indptr, A.shape[0])), read_only(loss.c), *sides)


def _look_at_sparse(problem, program, w, y, v):
    if least_curvature(problem.loss) < 0.0:
        return None
    m, (slope, rest) = y.size, np.empty((2, w.size))
    objective, violation, dual, bound, paid, size, is_paid = look_at_sparse_rows(
        *program, w, y, v, slope, rest, np.empty(m), *np.zeros((2, 2, m))
    )
    if not abs(bound) < np.inf:  # multipliers that are no numbers prove nothing
        return None
    bound += paid if is_paid else least_of(problem, form_of(problem), w, rest, objective)
    # in this order of the two, a bound that is no number is none
    bound = max(-np.inf, min(float(bound - 8 * EPS * size), objective))
    return objective, violation, dual, bound
