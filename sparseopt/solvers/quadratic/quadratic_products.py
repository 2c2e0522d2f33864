"""Products with the matrices of a quadratic program, for kernels: by BLAS, or column by column where most entries are zero."""

from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term, alike, brief_kernel, kernel
from sparseopt.kernels.compression import compress
from sparseopt.kernels.lapack import multiply

# Unsigned indices spare numba the test for negative ones.
U = np.uint64
# A product by BLAS takes an eighth of the time an entry that one by columns takes.
_DENSITY = 8
# Vectors of coefficients, of rows and of their sides that go with one product of each matrix.
_VECTORS = 5


# The storage that a matrix does not use.
_FULL, _ROWS, _VALUES = np.zeros((0, 0)), np.zeros(0, dtype=np.int64), np.zeros(0)


@dataclass(frozen=True, eq=False)
class Matrix(Term):
    """A matrix in full, an array of its columns, or its nonzero entries by columns; the other storage is empty."""

    height: int
    width: int
    is_sparse: bool
    full: np.ndarray = field(repr=False)
    starts: np.ndarray = field(repr=False)
    rows: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)

    @classmethod
    def by_columns(cls, height, starts, rows, values):
        """A sparse matrix from its entries by columns."""
        return alike(
            cls, height=height, width=starts.size - 1, is_sparse=True, full=_FULL, starts=starts, rows=rows, values=values
        )  # fmt: skip

    @classmethod
    def empty(cls, height, width):
        """A sparse matrix without entries."""
        return cls.by_columns(height, np.zeros(width + 1, dtype=np.int64), _ROWS, _VALUES)

    @classmethod
    def of(cls, matrix):
        """The matrix in the cheaper storage."""
        height, width = matrix.shape
        if type(matrix) is not np.ndarray:
            return cls.by_columns(height, matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data)
        columns = np.ascontiguousarray(matrix.T)
        if _DENSITY * np.count_nonzero(columns) > columns.size:
            return cls(height, width, False, columns, _ROWS, _ROWS, _VALUES)
        return cls.by_columns(height, *compressed(columns))

    def times(self, x, out):
        """The product with x, into `out`."""
        if not self.is_sparse:
            multiply(1.0, self.full, x, 0.0, out, False)
            return
        for i in range(self.height):
            out[i] = 0.0
        for j in range(self.width):
            known = x[j]
            if known != 0.0:
                for k in range(U(self.starts[j]), U(self.starts[j + 1])):
                    out[U(self.rows[k])] += self.values[k] * known

    def transposed_times(self, y, out):
        """The product of the transpose with y, into `out`."""
        if not self.is_sparse:
            multiply(1.0, self.full, y, 0.0, out, True)
            return
        for j in range(self.width):
            total = 0.0
            for k in range(U(self.starts[j]), U(self.starts[j + 1])):
                total += self.values[k] * y[U(self.rows[k])]
            out[j] = total

    def row_squares(self, squares, out):
        """Sums over each row of squared entries times the squared scales of columns, into `out`."""
        for i in range(self.height):
            out[i] = 0.0
        for j in range(self.width):
            if self.is_sparse:
                for k in range(U(self.starts[j]), U(self.starts[j + 1])):
                    out[U(self.rows[k])] += self.values[k] * self.values[k] * squares[j]
            else:
                for i in range(self.height):
                    out[i] += self.full[j, i] * self.full[j, i] * squares[j]

    def add_squares_to_columns(self, squares, row_squares, out):
        """Add to `out` the sums over each column of squared entries times the squared scales of both."""
        for j in range(self.width):
            total = 0.0
            if self.is_sparse:
                for k in range(U(self.starts[j]), U(self.starts[j + 1])):
                    total += self.values[k] * self.values[k] * row_squares[U(self.rows[k])]
            else:
                for i in range(self.height):
                    total += self.full[j, i] * self.full[j, i] * row_squares[i]
            out[j] += total * squares[j]

    def columns(self, chosen):
        """Some columns in full."""
        out = np.zeros((chosen.size, self.height))
        if not self.is_sparse:
            return self.full[chosen].T
        for k, j in enumerate(chosen):
            part = slice(self.starts[j], self.starts[j + 1])
            out[k, self.rows[part]] = self.values[part]
        return out.T

    def entries(self):
        """Row, column and value of each entry that is not zero."""
        if not self.is_sparse:
            columns, rows = np.nonzero(self.full)
            return rows, columns, self.full[columns, rows]
        return self.rows, np.repeat(np.arange(self.width), np.diff(self.starts)), self.values


def compressed(columns):
    """Starts, rows and values of the entries that are not zero, from an array of columns."""
    width, count = len(columns), int(np.count_nonzero(columns))
    starts, rows, values = np.empty(width + 1, np.int64), np.empty(count, np.int64), np.empty(count)
    compress(np.ascontiguousarray(columns), starts, rows, values)
    return starts, rows, values


@kernel
def scale(matrix, rows, columns, factor, full, values):
    """The scaled matrix into its two storages, the last arguments."""
    for j in range(matrix.width):
        if matrix.is_sparse:
            for k in range(matrix.starts[j], matrix.starts[j + 1]):
                values[k] = factor * rows[matrix.rows[k]] * matrix.values[k] * columns[j]
        else:
            for i in range(matrix.height):
                full[j, i] = factor * rows[i] * matrix.full[j, i] * columns[j]


@dataclass(frozen=True, eq=False)
class Products(Term):
    """Products with P = matrix + F'F + diag(ridge) and with A."""

    P: Matrix
    F: Matrix
    ridge: np.ndarray = field(repr=False)
    A: Matrix
    fitted: np.ndarray = field(repr=False, metadata={"memory": True})
    added: np.ndarray = field(repr=False, metadata={"memory": True})

    @classmethod
    def of(cls, program):
        """The products of a program."""
        p = program.q.size
        F = Matrix.empty(0, p) if program.factor is None else Matrix.of(program.factor)
        P = Matrix.empty(p, p) if program.matrix is None else Matrix.of(program.matrix)
        return cls.of_matrices(P, F, program.ridge, Matrix.of(program.A))

    @classmethod
    def of_matrices(cls, P, F, ridge, A):
        """The products with these."""
        return alike(cls, P=P, F=F, ridge=ridge, A=A, fitted=np.empty(F.height), added=np.empty(ridge.size))

    def curve(self, x, out):
        """The product P x, into `out`."""
        self.P.times(x, out)
        for j in range(x.size):
            out[j] += self.ridge[j] * x[j]
        if self.fitted.size > 0:
            self.F.times(x, self.fitted)
            self.F.transposed_times(self.fitted, self.added)
            for j in range(x.size):
                out[j] += self.added[j]

    @property
    def entries(self):
        """Stored entries of the matrices, and what the vectors of a method amount to beside them."""
        P, F, A = self.P, self.F, self.A
        stored = P.values.size + P.full.size + F.values.size + F.full.size + A.values.size + A.full.size
        return stored + _VECTORS * (A.width + A.height + F.height)

    def coupled(self):
        """Coefficients in whose row the matrix has entries off the diagonal."""
        if not self.P.is_sparse:
            full = self.P.full
            return np.flatnonzero(np.count_nonzero(full, axis=1) > (full.diagonal() != 0))
        rows, columns, _ = self.P.entries()
        return np.unique(columns[rows != columns])


@brief_kernel
def own_curvatures(products, out):
    """Diagonal of P but for F, into `out`."""
    P = products.P
    for j in range(out.size):
        out[j] = products.ridge[j]
        if P.is_sparse:
            for k in range(P.starts[j], P.starts[j + 1]):
                if P.rows[k] == j:
                    out[j] += P.values[k]
        else:
            out[j] += P.full[j, j]


def scaled_products(products, scales, ridge):
    """The products in scaled units, with the ridge in these."""
    columns, rows, cost = scales
    F = products.F
    if F.height:
        F = _scaled(F, np.ones(F.height), columns, float(np.sqrt(cost)))
    P, A = _scaled(products.P, columns, columns, cost), _scaled(products.A, rows, columns, 1.0)
    return changed(products, P=P, F=F, A=A, ridge=ridge)


def _scaled(matrix, rows, columns, factor):
    """The matrix with these scales of rows and columns, times a factor."""
    full = matrix.full if matrix.is_sparse else np.empty_like(matrix.full)
    values = np.empty_like(matrix.values)
    scale(matrix, rows, columns, factor, full, values)
    return changed(matrix, full=full, values=values)


def changed(term, **changes):
    """A copy of a term with other arrays of the same types, so that it has the same type."""
    copy = object.__new__(type(term))
    copy.__dict__.update(term.__dict__, **changes)
    return copy
