"""Small dense quadratic programs: the data of a problem in the layout that kernels read, and nothing computed from them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box, Intersection, LinearConstraint, Simplex
from sparseopt.designs import Dense
from sparseopt.forms import SeparableForm
from sparseopt.losses import Quadratic
from sparseopt.losses.base import kept

# Rows and coefficients up to which calls take a good part of the time of what they do.
_FEW = 600


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
    return kept(problem, "_dense_program", lambda: _dense_program(problem))


def _dense_program(problem):
    loss, constraint = problem.loss, problem.constraint
    if type(loss) is not Quadratic or type(loss.Q) is not Dense or loss.dtype != np.float64:
        return None
    p = loss.n_features
    # without rows there is a simpler proof
    if p > _FEW or type(constraint) not in (LinearConstraint, Intersection):
        return None
    form = convex_form(problem.penalty, p)
    if type(form) is not SeparableForm:
        return None
    rows, lower, upper = [], form.lower, form.upper
    for part in constraint.parts if type(constraint) is Intersection else (constraint,):
        kind = type(part)  # quicker than patterns, which ask the abstract class
        if kind is LinearConstraint and type(part.A) is np.ndarray:
            rows.append((part.A, part.lower, part.upper))
        elif kind is Box:
            lower, upper = np.maximum(lower, part.lower), np.minimum(upper, part.upper)
        elif kind is Simplex:
            rows.append((np.ones((1, p)), np.full(1, part.total), np.full(1, part.total)))
            lower = np.maximum(lower, 0.0)
        else:
            return None
    A, row_lower, row_upper = rows[0] if len(rows) == 1 else _stacked(rows, p)
    if p + row_lower.size > _FEW:
        return None
    columns = np.ascontiguousarray(A.T)
    found = (loss.Q.matrix.T, loss.c, columns, row_lower, row_upper, lower, upper, form.a, form.b)
    return DenseProgram(*map(_read_only, found))


def _stacked(rows, p):
    """Several groups of rows, or none, as one."""
    if not rows:
        return np.zeros((0, p)), np.zeros(0), np.zeros(0)
    return tuple(map(np.concatenate, zip(*rows, strict=True)))


def _read_only(array):
    """A view through which nothing is written: kernels are compiled for one kind of array."""
    view = array.view()
    view.flags.writeable = False
    return view
