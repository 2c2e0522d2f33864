"""Sparse quadratic programs: the data of a problem in the layout that kernels read, and nothing computed from them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box, Intersection, LinearConstraint
from sparseopt.designs import CSC
from sparseopt.forms import SeparableForm
from sparseopt.losses import Quadratic
from sparseopt.losses.base import kept
from sparseopt.problem import parts_of
from sparseopt.programs.dense_program import read_only


class SparseProgram(NamedTuple):
    """minimise w'Qw/2 + c'w + sum_j alpha_j |w_j| + ridge_j w_j**2 / 2 within rows and bounds, all read-only."""

    Q: CSC
    A: CSC
    c: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    alpha: np.ndarray
    ridge: np.ndarray


def sparse_program(problem) -> SparseProgram | None:
    """The data of a problem with a sparse `Quadratic` in float64 under one set of sparse rows, in boxes perhaps; None of another one."""
    return kept(problem, "_sparse_program", lambda: _sparse_program(problem))


def _sparse_program(problem):
    loss, constraint = problem.loss, problem.constraint
    # without rows there is a simpler proof
    if type(constraint) not in (LinearConstraint, Intersection) or type(loss) is not Quadratic:
        return None
    Q, p = loss.Q, problem.n_features
    if type(Q) is not CSC or problem.dtype != np.float64:
        return None
    form = convex_form(problem.penalty, p)
    if type(form) is not SeparableForm:
        return None
    rows, lower, upper = None, form.lower, form.upper
    for part in parts_of(constraint):
        kind = type(part)  # quicker than patterns, which ask the abstract class
        if kind is LinearConstraint and rows is None and type(part.A) is not np.ndarray:
            rows = part
        elif kind is Box:
            is_first = form.is_plain and lower is form.lower and part.lower.ndim == part.upper.ndim == 1
            # without bounds of the penalty or of other boxes they are those of this one
            lower = part.lower if is_first else np.maximum(lower, part.lower)
            upper = part.upper if is_first else np.minimum(upper, part.upper)
        else:
            return None
    if rows is None:
        return None
    vectors = loss.c, rows.lower, rows.upper, lower, upper, form.a, form.b
    return SparseProgram(Q, rows.design, *map(read_only, vectors))
