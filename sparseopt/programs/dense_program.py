"""Small quadratic programs in full: the data of a problem in the layout that kernels read, and nothing computed from them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box, Intersection, LinearConstraint, Simplex
from sparseopt.designs import CSC, Dense
from sparseopt.forms import SeparableForm
from sparseopt.kernels.compression import fill
from sparseopt.losses import Quadratic
from sparseopt.problem import parts_of

# Rows and coefficients up to which calls take a good part of the time of what they do.
_FEW = 600
# Operations of one factorisation in full up to which a sparse matrix has no use of its zeros, of which it may have few.
_LITTLE, _FILLED = 5e5, 2.5e6


class DenseProgram(NamedTuple):
    """minimise w'Qw/2 + c'w + sum_j alpha_j |w_j| + ridge_j w_j**2 / 2 within rows and bounds, all read-only.

    Rows of `A` are the columns of the matrix; Q is symmetric, and has both.
    """

    Q: np.ndarray
    c: np.ndarray
    A: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    alpha: np.ndarray
    ridge: np.ndarray

    @property
    def n_sides(self):
        """Rows and coefficients."""
        return self.lower.size + self.row_lower.size


def dense_program(problem) -> DenseProgram | None:
    """The data of a problem with a dense `Quadratic` under rows, where it is small; None of another one."""
    known = problem.__dict__
    if "_dense_program" not in known:
        known["_dense_program"] = _dense_program(problem) if _is_quadratic(problem, Dense) else None
    return known["_dense_program"]


def full_program(problem) -> DenseProgram | None:
    """The same, also of a sparse `Quadratic` under rows that is so little that it is as well made full."""
    known = problem.__dict__
    if "_full_program" not in known:
        if _is_quadratic(problem, CSC):
            known["_full_program"] = _dense_program(problem) if _is_little(problem) else None
        else:
            known["_full_program"] = dense_program(problem)
    return known["_full_program"]


def _is_quadratic(problem, design):
    loss, constraint = problem.loss, problem.constraint
    return (
        type(loss) is Quadratic
        and type(loss.Q) is design
        and loss.dtype == np.float64
        # without rows there is a simpler proof
        and type(constraint) in (LinearConstraint, Intersection)
    )


def _is_little(problem):
    """Whether a factor in full is made as soon as a sparse one, or that would be nearly full."""
    p, parts = problem.n_features, parts_of(problem.constraint)
    m = sum(part.A.shape[0] if type(part) is LinearConstraint else 1 for part in parts)
    return p * p * (p / 3 + m) <= (_FILLED if 10 * problem.loss.n_entries > p * p else _LITTLE)


def _dense_program(problem):
    loss, constraint = problem.loss, problem.constraint
    p = loss.n_features
    if p > _FEW:
        return None
    form = convex_form(problem.penalty, p)
    if type(form) is not SeparableForm:
        return None
    rows, lower, upper = [], form.lower, form.upper
    for part in parts_of(constraint):
        kind = type(part)  # quicker than patterns, which ask the abstract class
        if kind is LinearConstraint:
            if type(loss.Q) is Dense and type(part.A) is not np.ndarray:
                return None
            rows.append((part.A if type(part.A) is np.ndarray else _in_full(part.design).T, part.lower, part.upper))
        elif kind is Box:
            is_first = form.is_plain and lower is form.lower and part.lower.ndim == part.upper.ndim == 1
            # without bounds of the penalty or of other boxes they are those of this one
            lower = part.lower if is_first else np.maximum(lower, part.lower)
            upper = part.upper if is_first else np.minimum(upper, part.upper)
        elif kind is Simplex:
            rows.append((np.ones((1, p)), np.full(1, part.total), np.full(1, part.total)))
            lower = np.maximum(lower, 0.0)
        else:
            return None
    A, row_lower, row_upper = rows[0] if len(rows) == 1 else _stacked(rows, p)
    if p + row_lower.size > _FEW:
        return None
    columns = np.ascontiguousarray(A.T)
    Q = _in_full(loss.Q) if type(loss.Q) is CSC else loss.Q.matrix.T
    found = (Q, loss.c, columns, row_lower, row_upper, lower, upper, form.a, form.b)
    return DenseProgram(*map(read_only, found))


def _in_full(design):
    """The columns of a sparse matrix in full."""
    full = np.zeros(design.shape[::-1])
    fill(design, full)
    return full


def _stacked(rows, p):
    """Several groups of rows, or none, as one."""
    if not rows:
        return np.zeros((0, p)), np.zeros(0), np.zeros(0)
    return tuple(map(np.concatenate, zip(*rows, strict=True)))


def read_only(array):
    """A view through which nothing is written: kernels are compiled for one kind of array."""
    if not array.flags.writeable:
        return array
    view = array.view()
    view.setflags(write=False)  # in half the time of `flags`
    return view
