"""Quadratic programs: the one form that the solvers of constrained problems work on.

    minimise    w'Pw/2 + q'w + sum_j alpha_j |w_j|
    subject to  row_lower <= A w <= row_upper   and   lower <= w <= upper

P = matrix + F'F + diag(ridge). F is the weighted data of a least squares loss whose p x p
matrix would cost more than the data themselves; either part may be absent.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt.conjugates import convex_form
from sparseopt.constraints import Box, Intersection, LinearConstraint, Simplex
from sparseopt.curvature import entries_of, fills_up, least_curvature
from sparseopt.forms import SeparableForm
from sparseopt.kernels import equilibration as kernels
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.problem import is_plain_program, parts_of
from sparseopt.programs.sparse_program import sparse_program

# Scales of two columns differ by no more than the square of this.
_SPREAD = 10.0
# Entries up to which all rounds of scaling are one call.
_ENTRIES = 1_000_000


@dataclass(frozen=True, eq=False)
class QuadraticProgram:
    """One quadratic program in float64; all its matrices are dense, or all are CSC."""

    matrix: np.ndarray | sparse.csc_array | None
    factor: np.ndarray | sparse.csc_array | None
    ridge: np.ndarray
    q: np.ndarray
    A: np.ndarray | sparse.csc_array
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    alpha: np.ndarray

    @property
    def is_sparse(self):
        """Whether the matrices are CSC."""
        return type(self.A) is not np.ndarray

    def curve(self, w):
        """Product P w."""
        total = self.ridge * w
        if self.matrix is not None:
            total += self.matrix @ w
        if self.factor is not None:
            total += self.factor.T @ (self.factor @ w)
        return total

    def scaled(self, columns, rows, cost):
        """The same program in w / columns, with rows times `rows` and costs times `cost`."""
        return QuadraticProgram(
            None if self.matrix is None else cost * _rescaled(self.matrix, columns, columns),
            None if self.factor is None else np.sqrt(cost) * _rescaled(self.factor, None, columns),
            cost * self.ridge * columns**2,
            cost * self.q * columns,
            _rescaled(self.A, rows, columns),
            self.row_lower * rows,
            self.row_upper * rows,
            self.lower / columns,
            self.upper / columns,
            cost * self.alpha * columns,
        )


def quadratic_program(problem) -> QuadraticProgram:
    """The problem as a quadratic program; an intercept of sparse data is one more variable at the end."""
    p = problem.n_features
    if (found := sparse_program(problem)) and _stays_sparse(found.Q, found.A):
        alpha, ridge = np.ascontiguousarray(found.alpha), np.ascontiguousarray(found.ridge)
        return QuadraticProgram(
            found.Q.matrix, None, ridge, found.c, found.A.matrix, found.row_lower, found.row_upper, found.lower,
            found.upper, alpha,
        )  # fmt: skip
    separable = convex_form(problem.penalty, p)
    alpha, ridge = np.ascontiguousarray(separable.a), np.ascontiguousarray(separable.b)
    A, row_lower, row_upper, lower, upper = linear_terms(problem.constraint, p)
    lower, upper = np.maximum(lower, separable.lower), np.minimum(upper, separable.upper)
    keeps_zeros = _prefers_sparse(problem.loss, A)
    A = _columns(A) if keeps_zeros else _dense(A)
    match problem.loss:
        case Quadratic(Q=Q, c=c):
            matrix = _double(Q.matrix)
            matrix = _columns(matrix) if keeps_zeros else _dense(matrix)
            parts = (matrix, None, ridge, c.astype(np.float64))
        case LeastSquares():
            parts = _least_squares(problem.loss, ridge, A.shape[0], keeps_zeros)
    extra = parts[3].size - p
    if extra:
        A = sparse.csc_array((A.data, A.indices, np.append(A.indptr, A.indptr[-1])), shape=(A.shape[0], p + 1))
        lower, upper, alpha = np.append(lower, -np.inf), np.append(upper, np.inf), np.append(alpha, 0.0)
    return QuadraticProgram(*parts, A, row_lower, row_upper, lower, upper, alpha)


def unfit(problem, slight=0.0) -> str | None:
    """Why the problem is no convex quadratic program, or None; curvature down to -slight times the diagonal passes.

    With an infinite `slight` all curvature does, and is not looked at.
    """
    if not is_plain_program(problem) and (reason := _unfit_parts(problem)):
        return reason
    return None if slight == np.inf else bent(problem.loss, slight)


def bent(loss, slight=0.0) -> str | None:
    """Why a loss is not convex, or None; curvature down to -slight times the diagonal passes."""
    if isinstance(loss, Quadratic):
        curvature = least_curvature(loss)
        if curvature < 0.0 and curvature < -slight * np.max(loss.curvatures(), initial=0.0):
            return f"Q has negative curvature {curvature:.3g}; a convex objective is needed"
    return None


def _unfit_parts(problem):
    """Why a part of the problem is none of a quadratic program, or None."""
    if not isinstance(problem.loss, (Quadratic, LeastSquares)):
        return f"{type(problem.loss).__name__} is no quadratic loss"
    if not isinstance(convex_form(problem.penalty, problem.n_features), SeparableForm):
        name = type(problem.penalty).__name__
        return f"{name} makes no quadratic program; Zero and L1 do, and rules on them"
    return _unfit_constraint(problem.constraint)


def _unfit_constraint(constraint):
    """Why the constraint is no polyhedron given by rows and bounds, or None."""
    match constraint:
        case None | Box() | LinearConstraint() | Simplex():
            return None
        case Intersection(parts=parts):
            return next((reason for part in parts if (reason := _unfit_constraint(part))), None)
    return f"{type(constraint).__name__} is not made of linear rows and bounds"


def linear_terms(constraint, p):
    """A, row_lower, row_upper, lower, upper of a constraint; the rows of several parts in their order."""
    rows, lower, upper = [], np.full(p, -np.inf), np.full(p, np.inf)
    for part in parts_of(constraint):
        match part:
            case LinearConstraint():
                rows.append((_double(part.A), part.lower, part.upper))
            case Box():
                lower, upper = np.maximum(lower, part.lower), np.minimum(upper, part.upper)
            case Simplex():
                rows.append((np.ones((1, p)), np.full(1, part.total), np.full(1, part.total)))
                lower = np.maximum(lower, 0.0)
            case _:
                raise ValueError(f"{part!r} is no polyhedron with rows; choose a solver that takes it.")
    if not rows:
        return np.zeros((0, p)), np.zeros(0), np.zeros(0), lower, upper
    matrices, row_lower, row_upper = zip(*rows, strict=True)
    A = _stacked([A for A in matrices if A.shape[0]] or [matrices[0]])
    return A, np.concatenate(row_lower), np.concatenate(row_upper), lower, upper


def equilibrate(program, rounds=10):
    """Scales of columns, rows and cost that bring the columns and rows of [P A'; A 0] near norm 1 (Ruiz, 2001)."""
    columns, rows = np.ones(program.q.size), np.ones(program.row_lower.size)
    row_squares, column_squares = _squared_products(program.A)
    curvature_squares = (lambda v: 0.0 * v) if program.matrix is None else _squared_products(program.matrix)[0]
    diagonal = program.ridge.copy()
    if program.factor is not None:
        diagonal += _squared_products(program.factor)[1](np.ones(program.factor.shape[0]))

    def curvature():
        # |F'F| at (i, j) is at most the root of its diagonal entries i and j
        size = columns**2 * diagonal
        return columns**2 * curvature_squares(columns**2) + size * np.max(size, initial=0.0)

    for _ in range(rounds):
        size = curvature() + columns**2 * column_squares(rows**2)
        row_size = rows**2 * row_squares(columns**2)
        columns /= _positive(size) ** 0.25
        rows /= _positive(row_size) ** 0.25
        if max(np.max(np.abs(_positive(s) - 1.0), initial=0.0) for s in (size, row_size)) < 0.1:
            break
    # Coefficients that hardly appear would be blown up out of all proportion to the others.
    middle = np.exp(np.mean(np.log(columns)))
    columns = np.clip(columns, middle / _SPREAD, middle * _SPREAD)
    cost = max(np.sqrt(curvature()).mean(), np.max(np.abs(program.q * columns), initial=0.0))
    return columns, rows, 1.0 / float(_positive(cost))


def equilibrated(program, products, rounds=10):
    """The scales of `equilibrate`, from the products of the program, in pieces."""
    p, m = program.q.size, program.row_lower.size
    columns, rows, space, row_space = np.empty(p), np.empty(m), np.empty((4, p)), np.empty(m)
    some = rounds if products.entries <= _ENTRIES else 1
    for first in range(0, rounds, some):
        cost = kernels.equilibrate(products, program.q, first, first + some, rounds, columns, rows, space, row_space)
        if cost > 0.0:
            break
        yield
    return columns, rows, cost


def _least_squares(loss, ridge, n_rows, keeps_zeros):
    """The matrix, factor, ridge and q of the weighted mean of (x_i w - target_i)**2 / 2."""
    X, y = _double(loss.X.matrix), loss.target.astype(np.float64)
    n, p = X.shape
    weights = np.broadcast_to(loss.sample_weight.values, n).astype(np.float64)
    root = np.sqrt(weights)
    if keeps_zeros:
        factor = sparse.csc_array(_rescaled(sparse.csc_array(X), root, None))
        if loss.intercept:
            factor = sparse.csc_array(sparse.hstack([factor, sparse.csc_array(root[:, None])]))
            ridge = np.append(ridge, 0.0)
        return None, factor, ridge, -(factor.T @ (root * y))
    mean = loss.X.means.astype(np.float64) if loss.intercept else np.zeros(p)
    pull = weights * y
    q = mean * pull.sum() - X.T @ pull
    if sparse.issparse(X):
        weighted = _rescaled(X, root, None)
        return (weighted.T @ weighted).toarray() - np.outer(mean, mean), None, ridge, q
    factor = root[:, None] * (X - mean)
    if n + n_rows < p:
        return None, factor, ridge, q
    return factor.T @ factor, None, ridge, q


def _prefers_sparse(loss, A):
    """Whether sparse matrices are worth their slower arithmetic, about ten times that of dense ones."""
    data = loss.Q.matrix if isinstance(loss, Quadratic) else loss.X.matrix
    if not (sparse.issparse(data) or sparse.issparse(A)):
        return False
    return _is_worth_zeros(sum(part.nnz if sparse.issparse(part) else part.size for part in (data, A)), *A.shape)


def _stays_sparse(Q, A):
    """`_prefers_sparse` for two sparse matrices, where bands of a Q with many entries are seen as well."""
    if _is_worth_zeros(Q.n_entries + A.n_entries, *A.shape):
        return True
    return _is_worth_zeros(A.n_entries, *A.shape) and not fills_up(Q.matrix)


def _is_worth_zeros(entries, m, p):
    return 10 * entries < p * p + 2 * m * p


def _double(matrix):
    if sparse.issparse(matrix):
        return _columns(matrix, np.float64)
    return np.asarray(matrix, dtype=np.float64)


def _columns(matrix, dtype=None):
    """The matrix as a CSC array; itself where it is one of that type."""
    if type(matrix) is sparse.csc_array and dtype in (None, matrix.dtype):
        return matrix
    return sparse.csc_array(matrix, dtype=dtype)


def _dense(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else matrix


def _stacked(matrices):
    if len(matrices) == 1:
        return matrices[0]
    if any(sparse.issparse(matrix) for matrix in matrices):
        return sparse.csc_array(sparse.vstack([sparse.csc_array(matrix) for matrix in matrices]))
    return np.vstack(matrices)


def _rescaled(matrix, rows, columns):
    """diag(rows) matrix diag(columns), where None is all ones."""
    if not sparse.issparse(matrix):
        matrix = matrix if rows is None else rows[:, None] * matrix
        return matrix if columns is None else matrix * columns
    data = matrix.data if rows is None else matrix.data * rows[matrix.indices]
    data = data if columns is None else data * np.repeat(columns, np.diff(matrix.indptr))
    return sparse.csc_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _squared_products(matrix):
    """Products v -> M2 v and u -> M2' u for the matrix M2 of squared entries."""
    (m, p), square = matrix.shape, sparse.issparse(matrix)
    if not square:
        square = matrix**2
        return lambda v: square @ v, lambda u: u @ square
    i, j = entries_of(matrix)
    square = matrix.data**2
    # counting is much quicker than a small sparse product
    return lambda v: np.bincount(i, square * v[j], minlength=m), lambda u: np.bincount(j, square * u[i], minlength=p)


def _positive(size):
    """The size, or 1 where it is zero and there is nothing to scale."""
    return np.where(size > 0, size, 1.0)
