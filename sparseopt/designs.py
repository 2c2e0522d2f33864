"""Design matrices: what a loss needs of X, dense or sparse, plain or centred.

One canonical form for each storage keeps the number of compiled variants small: dense X is
Fortran-ordered, sparse X is CSC with sorted int32 indices (int64 beyond 2**31 entries), both
in float32 or float64. X is copied only where it is lent in another form.

In the comments u and eta are vectors with one entry per row and one more: the spare entry
holds the common shift of a centred sparse design, whose zeros would otherwise be filled.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt._jit import Term
from sparseopt.kernels.columns import square_columns

# Rows between which one dot product a column is quicker than BLAS's product with the transpose, 1.0 against 1.7 ms
# for 40 MB, and entries from which: where X stays near BLAS is quicker, by a third.
_SHORTEST, _TALLEST, _FAR = 200, 2000, 1 << 21
# The least curvature of a column, relative to the square of its mean, in units of rounding.
_HELD = 100.0
# Neighbouring nonzeros, on average, from which products with slices of X are quicker than a copy of the columns.
_LONG = 4
# Columns of a sparse X up to which their entries are summed sooner than a matrix of them is made.
_HANDFUL = 500
# Entries up to which a product with all of X is over before its columns are chosen.
_SMALL = 10_000
# Entries that are still near for a second look, and the size up to which such sums of squares stay in the range of float32.
_NEAR, _TAME = 1 << 14, 1e16
# Unsigned bounds and indices spare numba the test for negative ones: 2 to 3 times faster loops.
U = np.uint64


class Design(Term):
    """A matrix X with one row a sample and one column a feature."""

    @abstractmethod
    def pull(self, j, u):
        """The product x_j . u."""

    @abstractmethod
    def push(self, j, step, weight, u):
        """u += step * weight * x_j, in place."""

    @abstractmethod
    def push_through(self, j, step, loss, eta, u):
        """eta += step * x_j, and u is the slope of the loss at eta, in place."""

    @abstractmethod
    def forward(self, w, eta):
        """eta = X w, in place; columns with a zero coefficient are not read."""

    @abstractmethod
    def adjoint(self, u, out):
        """out = X' u, in place."""

    @property
    @abstractmethod
    def shape(self):
        """Rows and columns."""

    @property
    @abstractmethod
    def dtype(self):
        """float32 or float64."""

    @property
    @abstractmethod
    def n_entries(self):
        """Stored entries."""

    @property
    @abstractmethod
    def matrix(self):
        """The matrix before any centring, as numpy or scipy knows it; not a copy."""

    @abstractmethod
    def matvec(self, w):
        """X w, in the larger of the two types; w may have several columns."""

    @abstractmethod
    def rmatvec(self, u):
        """X' u, in the larger of the two types; u may have several columns."""

    @abstractmethod
    def restrict(self, columns):
        """The design of some columns, copied."""

    @abstractmethod
    def weighted_squares(self, weights):
        """sum_i weights_i x_ij**2 for each column j."""

    @abstractmethod
    def to_array(self):
        """The matrix, centred if it is, as a dense float64 array; for a few columns."""

    @abstractmethod
    def columns_as_rows(self, columns):
        """Some columns, centred if the matrix is, one a row of a new dense float64 array."""


@dataclass(frozen=True, eq=False)
class Dense(Design):
    """Fortran-ordered matrix."""

    values: np.ndarray

    def pull(self, j, u):
        total = self.values.dtype.type(0)
        for i in range(self.values.shape[0]):
            total += self.values[i, j] * u[i]
        return total

    def push(self, j, step, weight, u):
        for i in range(self.values.shape[0]):
            u[i] += step * weight.at(i) * self.values[i, j]

    def push_through(self, j, step, loss, eta, u):
        for i in range(self.values.shape[0]):
            eta[i] += step * self.values[i, j]
            u[i] = loss.slope_at(i, eta[i])

    def bend_through(self, j, step, loss, eta):
        """sum_i x_ij**2 times the curvature of the loss in eta_i on the way to eta_i + step * x_ij."""
        total = self.values.dtype.type(0)
        for i in range(self.values.shape[0]):
            x = self.values[i, j]
            total += x * x * loss.bend_at(i, eta[i], step * x)
        return total

    def forward(self, w, eta):
        for i in range(self.values.shape[0]):
            eta[i] = 0
        for j in range(w.size):
            if w[j] != 0:
                for i in range(self.values.shape[0]):
                    eta[i] += w[j] * self.values[i, j]

    def adjoint(self, u, out):
        for j in range(out.size):
            out[j] = self.pull(j, u)

    @property
    def shape(self):
        return self.values.shape

    @property
    def n_entries(self):
        """Stored entries."""
        return self.values.size

    @property
    def dtype(self):
        return self.values.dtype

    @property
    def matrix(self):
        """The matrix itself, as numpy or scipy knows it."""
        return self.values

    def matvec(self, w):
        columns = None if self.values.size <= _SMALL else _few_nonzeros(w)
        if columns is None:
            return _product(self.values, w)
        total = np.zeros((self.shape[0], *w.shape[1:]), dtype=np.result_type(self.values, w))
        if columns.size == 0:
            return total
        for block in _runs(columns) or (columns[b] for b in _blocks((self.shape[0], columns.size))):
            total += _product(self.values[:, block], w[block])
        return total

    def rmatvec(self, u):
        if self.values.size >= _FAR and u.ndim == 1 and u.dtype == self.dtype and _SHORTEST <= u.size < _TALLEST:
            return np.vecdot(self.values.T, u)
        return _product(self.values.T, u)

    def to_array(self):
        return self.values.astype(np.float64)

    def columns_as_rows(self, columns):
        return self.values.T[columns].astype(np.float64, copy=False)

    def restrict(self, columns):
        return Dense(np.asfortranarray(self.values[:, columns]))

    @property
    def squares(self):
        """sum_i x_ij**2 for each column j, computed once: the door asks for it first."""
        known, columns = self.__dict__, self.values.T
        if "_squares" not in known:
            if columns.size <= _NEAR and np.maximum.reduce(np.abs(columns), axis=None) < _TAME:
                # no sum of squares leaves the range: to set aside the state of floating-point errors costs more than to look
                known["_squares"] = np.vecdot(columns, columns)
                return known["_squares"]
            with np.errstate(over="ignore", invalid="ignore"):
                known["_squares"] = np.vecdot(columns, columns)
        return known["_squares"]

    def know_squares(self, squares):
        """Keep the squares that another look at X has found."""
        object.__setattr__(self, "_squares", squares)

    def weighted_squares(self, weights):
        """sum_i weights_i x_ij**2 for each column j, without a copy of X."""
        if np.ndim(weights) == 0:
            return weights * self.squares
        return np.array([np.dot(weights, x * x) for x in self.values.T], dtype=self.dtype)


@dataclass(frozen=True, eq=False)
class CSC(Design):
    """Compressed sparse columns, sorted and without duplicates."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    n_rows: int

    def pull(self, j, u):
        total = self.data.dtype.type(0)
        for k in range(U(self.indptr[j]), U(self.indptr[j + 1])):
            total += self.data[k] * u[U(self.indices[k])]
        return total

    def push(self, j, step, weight, u):
        for k in range(U(self.indptr[j]), U(self.indptr[j + 1])):
            i = U(self.indices[k])
            u[i] += step * weight.at(i) * self.data[k]

    def push_through(self, j, step, loss, eta, u):
        for k in range(U(self.indptr[j]), U(self.indptr[j + 1])):
            i = U(self.indices[k])
            eta[i] += step * self.data[k]
            u[i] = loss.slope_at(i, eta[i])

    def bend_through(self, j, step, loss, eta):
        """sum_i x_ij**2 times the curvature of the loss in eta_i on the way to eta_i + step * x_ij."""
        total = self.data.dtype.type(0)
        for k in range(U(self.indptr[j]), U(self.indptr[j + 1])):
            i, x = U(self.indices[k]), self.data[k]
            total += x * x * loss.bend_at(i, eta[i], step * x)
        return total

    def forward(self, w, eta):
        for i in range(self.n_rows):
            eta[i] = 0
        for j in range(w.size):
            if w[j] != 0:
                for k in range(U(self.indptr[j]), U(self.indptr[j + 1])):
                    eta[U(self.indices[k])] += w[j] * self.data[k]

    def adjoint(self, u, out):
        for j in range(out.size):
            out[j] = self.pull(j, u)

    @property
    def shape(self):
        return self.n_rows, self.indptr.size - 1

    @property
    def n_entries(self):
        """Stored entries."""
        return self.data.size

    @property
    def dtype(self):
        return self.data.dtype

    @property
    def matrix(self):
        """The matrix itself, as numpy or scipy knows it."""
        return _as_scipy(self)

    def matvec(self, w):
        return _sparse_product(self, w)

    def rmatvec(self, u):
        return _transposed(self) @ u

    def to_array(self):
        return self.matrix.toarray().astype(np.float64)

    def columns_as_rows(self, columns):
        return np.ascontiguousarray(self.restrict(columns).to_array().T)

    def restrict(self, columns):
        part = self.matrix[:, columns]
        return CSC(
            part.data, part.indices.astype(self.indices.dtype), part.indptr.astype(self.indptr.dtype), self.n_rows
        )

    def weighted_squares(self, weights):
        """sum_i weights_i x_ij**2 for each column j, without a copy of X."""
        rows, squares = np.empty(self.n_rows, dtype=self.dtype), np.empty(self.shape[1], dtype=self.dtype)
        rows[:] = weights
        square_columns(self.data, self.indices, self.indptr, rows, squares)
        return squares


@dataclass(frozen=True, eq=False)
class CenteredDense(Design):
    """Dense matrix minus the mean of each column, which is subtracted on the fly."""

    values: np.ndarray
    means: np.ndarray

    def pull(self, j, u):
        total, mean = self.values.dtype.type(0), self.means[j]
        for i in range(self.values.shape[0]):
            total += (self.values[i, j] - mean) * u[i]
        return total

    def push(self, j, step, weight, u):
        mean = self.means[j]
        for i in range(self.values.shape[0]):
            u[i] += step * weight.at(i) * (self.values[i, j] - mean)

    def push_through(self, j, step, loss, eta, u):
        mean = self.means[j]
        for i in range(self.values.shape[0]):
            eta[i] += step * (self.values[i, j] - mean)
            u[i] = loss.slope_at(i, eta[i])

    def forward(self, w, eta):
        n, p = self.values.shape
        for i in range(n):
            eta[i] = 0
        for j in range(p):
            if w[j] != 0:
                mean = self.means[j]
                for i in range(n):
                    eta[i] += w[j] * (self.values[i, j] - mean)

    def adjoint(self, u, out):
        for j in range(out.size):
            out[j] = self.pull(j, u)

    @property
    def shape(self):
        return self.values.shape

    @property
    def n_entries(self):
        """Stored entries."""
        return self.values.size

    @property
    def dtype(self):
        return self.values.dtype

    @property
    def matrix(self):
        """The matrix before centring, as numpy or scipy knows it."""
        return self.values

    def matvec(self, w):
        columns = _few_nonzeros(w)
        if columns is not None:
            shape = (self.shape[0], *w.shape[1:])
            return self.restrict(columns).matvec(w[columns]) if columns.size else np.zeros(shape, dtype=w.dtype)
        return np.add.reduce([_centered_product(self, block, w) for block in _blocks(self.shape)])

    def rmatvec(self, u):
        return np.concatenate([_centered_block(self, block, u).T @ u for block in _blocks(self.shape)])

    def to_array(self):
        return self.values.astype(np.float64) - self.means

    def columns_as_rows(self, columns):
        return self.values.T[columns] - self.means[columns, None].astype(np.float64)

    def restrict(self, columns):
        return CenteredDense(np.asfortranarray(self.values[:, columns]), self.means[columns])

    def weighted_squares(self, weights):
        """sum_i weights_i x_ij**2 for each centred column j, without a copy of X; more than rounding, as `held_curvature` says."""
        rows = np.broadcast_to(np.asarray(weights, dtype=self.dtype), self.shape[0])
        squares = np.concatenate([rows @ _centered_block(self, block, rows) ** 2 for block in _blocks(self.shape)])
        return held_curvature(squares, self.means)


@dataclass(frozen=True, eq=False)
class CenteredCSC(Design):
    """Sparse matrix minus the mean of each column, which stays sparse: the shift is kept apart.

    u stands for u_i - weight_i * shift with shift in its spare entry; the weights sum to one.
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    n_rows: int
    means: np.ndarray

    def pull(self, j, u):
        total = self.data.dtype.type(0)
        for k in range(U(self.indptr[j]), U(self.indptr[j + 1])):
            total += self.data[k] * u[U(self.indices[k])]
        # The shifted u sums to zero, and the weighted sum of x_j is its mean.
        return total - u[self.n_rows] * self.means[j]

    def push(self, j, step, weight, u):
        for k in range(U(self.indptr[j]), U(self.indptr[j + 1])):
            i = U(self.indices[k])
            u[i] += step * weight.at(i) * self.data[k]
        u[self.n_rows] += step * self.means[j]

    def push_through(self, j, step, loss, eta, u):
        for k in range(U(self.indptr[j]), U(self.indptr[j + 1])):
            eta[U(self.indices[k])] += step * self.data[k]
        for i in range(self.n_rows):
            eta[i] -= step * self.means[j]
            u[i] = loss.slope_at(i, eta[i])

    def forward(self, w, eta):
        shift = self.data.dtype.type(0)
        for j in range(w.size):
            shift += w[j] * self.means[j]
        for i in range(self.n_rows):
            eta[i] = -shift
        for j in range(w.size):
            if w[j] != 0:
                for k in range(U(self.indptr[j]), U(self.indptr[j + 1])):
                    eta[U(self.indices[k])] += w[j] * self.data[k]

    def adjoint(self, u, out):
        total = self.data.dtype.type(0)
        for i in range(self.n_rows):
            total += u[i]
        for j in range(out.size):
            part = self.data.dtype.type(0)
            for k in range(U(self.indptr[j]), U(self.indptr[j + 1])):
                part += self.data[k] * u[U(self.indices[k])]
            out[j] = part - total * self.means[j]

    @property
    def shape(self):
        return self.n_rows, self.indptr.size - 1

    @property
    def n_entries(self):
        """Stored entries."""
        return self.data.size

    @property
    def dtype(self):
        return self.data.dtype

    @property
    def matrix(self):
        """The matrix before centring, as numpy or scipy knows it."""
        return _as_scipy(self)

    def matvec(self, w):
        return _sparse_product(self, w) - self.means @ w

    def rmatvec(self, u):
        return _transposed(self) @ u - np.multiply.outer(self.means, u.sum(axis=0))

    def to_array(self):
        return self.matrix.toarray().astype(np.float64) - self.means

    def columns_as_rows(self, columns):
        return np.ascontiguousarray(self.restrict(columns).to_array().T)

    def restrict(self, columns):
        part = self.matrix[:, columns]
        indices, indptr = part.indices.astype(self.indices.dtype), part.indptr.astype(self.indptr.dtype)
        return CenteredCSC(part.data, indices, indptr, self.n_rows, self.means[columns])

    def weighted_squares(self, weights):
        """sum_i weights_i x_ij**2 for each centred column j; the weights sum to one. More than rounding, as `held_curvature` says."""
        rows = np.broadcast_to(np.asarray(weights, dtype=self.dtype), self.n_rows)
        total = rows.sum(dtype=np.float64)
        centered = np.zeros(self.shape[1])
        entries = self.data - np.repeat(self.means, np.diff(self.indptr))
        # sum over stored entries of (x - m)**2 plus the weight of the zeros times m**2
        squares = sparse.csc_array((entries * entries, self.indices, self.indptr), shape=self.shape)
        pattern = sparse.csc_array((np.ones_like(self.data), self.indices, self.indptr), shape=self.shape)
        centered += squares.T @ rows + np.maximum(total - pattern.T @ rows, 0.0) * self.means**2
        return held_curvature(centered.astype(self.dtype), self.means)


def held_curvature(squares, means, total=1.0):
    """Squares of centred columns, no less than what keeps rounding harmless; `total` is the sum of the weights.

    Of a column that is constant, centring leaves rounding. Its slope is rounding too, of the size of its mean, and
    divided by so little it would be a step without end.
    """
    return np.maximum(squares, _HELD * np.finfo(squares.dtype).eps * total * means * means).astype(squares.dtype)


@contextmanager
def keeping_copies(design):
    """While this lasts, what a solver copies from the design is there for the next one: runs on a path are many."""
    object.__setattr__(design, "_copies", {})
    try:
        yield
    finally:
        design.__dict__.pop("_copies", None)


def copies_of(design):
    """The copies that are kept with the design, by name; an empty dictionary of no consequence where none are."""
    return design.__dict__.get("_copies", {})


def centered(design, weights):
    """The same design with the weighted mean of each column taken off; X is not copied."""
    rows = np.broadcast_to(np.asarray(weights, dtype=design.dtype), design.shape[0]).astype(np.float64)
    means = _means(design, rows)
    match design:
        case Dense(values):
            # A second pass on what is left removes the rounding of a large mean.
            rest = CenteredDense(values, means.astype(values.dtype))
            return CenteredDense(values, rest.means + (rest.rmatvec(rows)).astype(values.dtype))
        case CSC(data, indices, indptr, n_rows):
            return CenteredCSC(data, indices, indptr, n_rows, means.astype(data.dtype))
    return design


def uncentered(design):
    """The same design with its columns as lent; X is not copied."""
    if type(design) is Dense:
        return design
    match design:
        case CenteredDense(values):
            return Dense(values)
        case CenteredCSC(data, indices, indptr, n_rows):
            return CSC(data, indices, indptr, n_rows)
    return design


def _means(design, rows):
    return np.asarray(design.rmatvec(rows), dtype=np.float64)


def _as_scipy(design):
    """The stored matrix as scipy knows it, made once: its constructor costs as much as a product of ours."""
    if "_matrix" not in design.__dict__:
        matrix = sparse.csc_array((design.data, design.indices, design.indptr), shape=design.shape)
        object.__setattr__(design, "_matrix", matrix)
    return design.__dict__["_matrix"]


def _transposed(design):
    """Its transpose, made once as well."""
    if "_transpose" not in design.__dict__:
        object.__setattr__(design, "_transpose", _as_scipy(design).T)
    return design.__dict__["_transpose"]


def _sparse_product(design, w):
    columns = _few_nonzeros(w) if design.data.size > _SMALL else None
    if columns is None:
        return design.matrix @ w
    if w.ndim > 1 or columns.size > _HANDFUL:
        return design.matrix[:, columns] @ w[columns]
    starts = design.indptr[columns]
    counts = design.indptr[columns + 1] - starts
    firsts = np.cumsum(counts) - counts
    places = np.arange(counts.sum()) + np.repeat(starts - firsts, counts)
    terms = design.data[places] * np.repeat(w[columns], counts)
    return np.bincount(design.indices[places], terms, design.n_rows).astype(np.result_type(design.dtype, w.dtype))


def _few_nonzeros(w):
    """The nonzero places (rows, of a matrix) of w where they are so few that a copy of their columns is cheaper than all of X."""
    # of numbers, numpy finds the nonzeros several times more slowly than of truth values
    columns = ((w != 0.0) if w.ndim == 1 else w.any(axis=1)).nonzero()[0]
    return columns if 2 * columns.size <= len(w) else None


def _runs(columns):
    """Slices of neighbours, which need no copy, that make up some columns in order; None where they are short."""
    ends = np.flatnonzero(np.diff(columns) != 1) + 1
    if columns.size < _LONG * (ends.size + 1):
        return None
    edges = [0, *ends.tolist(), columns.size]
    return [slice(columns[a], columns[b - 1] + 1) for a, b in itertools.pairwise(edges)]


def _product(matrix, vector):
    """matrix @ vector, summed in float64 where the vector is, without a second matrix in memory."""
    if matrix.dtype == vector.dtype or matrix.shape[1] == 0:
        return matrix @ vector
    if matrix.flags.f_contiguous:
        blocks = _blocks(matrix.shape)
        return np.add.reduce([matrix[:, b].astype(vector.dtype) @ vector[b] for b in blocks])
    return np.concatenate([matrix[b].astype(vector.dtype) @ vector for b in _blocks(matrix.shape[::-1])])


def _blocks(shape):
    """Slices of columns: a fiftieth of the matrix each, since a copy of one is made, but at most a million entries."""
    entries = min(max(shape[0] * shape[1] // 50, 1 << 16), 1 << 20)
    width = max(1, entries // max(1, shape[0]))
    return [slice(first, first + width) for first in range(0, max(shape[1], 1), width)]


def _centered_block(design, block, like):
    return design.values[:, block].astype(like.dtype, copy=False) - design.means[block].astype(like.dtype)


def _centered_product(design, block, w):
    return _centered_block(design, block, w) @ w[block]
