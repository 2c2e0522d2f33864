"""Sparse designs by columns: plain, or less the mean of each column, which stays apart so that zeros stay zeros."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt.designs.base import SMALL, Design, few_nonzeros, held_curvature
from sparseopt.kernels.columns import combine_sparse, square_columns

# Unsigned bounds and indices spare numba the test for negative ones: 2 to 3 times faster loops.
U = np.uint64


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
        width, is_counted = self.shape[1], type(columns) is np.ndarray and columns.dtype.kind in "iu"
        if is_counted and columns.size == width and (columns == np.arange(width)).all():
            return self  # of few features, those that are to move are often all
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


# What scipy keeps of a matrix by columns or by rows, by name; other versions of it may keep more.
_PATTERN = vars(sparse.csc_array((1, 1)))
_IS_KNOWN = {"_shape", "indptr", "indices", "data"} <= _PATTERN.keys() <= {
    "_shape",
    "indptr",
    "indices",
    "data",
    "maxprint",
} and vars(sparse.csr_array((1, 1))).keys() == _PATTERN.keys()


def compressed_columns(data, indices, indptr, shape):
    """A `csc_array` of sound arrays, without the looks at them that take scipy as long as a product of ours."""
    return _compressed(sparse.csc_array, data, indices, indptr, shape)


def _compressed(kind, data, indices, indptr, shape):
    """The same of one of scipy's two kinds, by columns or by rows."""
    if not _IS_KNOWN:
        return kind((data, indices, indptr), shape=shape)
    made = object.__new__(kind)
    made.__dict__.update(_PATTERN, data=data, indices=indices, indptr=indptr, _shape=shape)
    return made


def _as_scipy(design):
    """The stored matrix as scipy knows it, made once."""
    if "_matrix" not in design.__dict__:
        matrix = compressed_columns(design.data, design.indices, design.indptr, design.shape)
        object.__setattr__(design, "_matrix", matrix)
    return design.__dict__["_matrix"]


def _transposed(design):
    """Its transpose, made once as well."""
    if "_transpose" not in design.__dict__:
        data, indices, indptr, (n, p) = design.data, design.indices, design.indptr, design.shape
        object.__setattr__(design, "_transpose", _compressed(sparse.csr_array, data, indices, indptr, (p, n)))
    return design.__dict__["_transpose"]


def _sparse_product(design, w):
    columns = few_nonzeros(w) if design.data.size > SMALL else None
    if columns is None:
        return design.matrix @ w
    if w.ndim == 1 and w.dtype == design.dtype == np.float64:
        total = np.empty(design.n_rows)
        combine_sparse(design.data, design.indices, design.indptr, columns, w[columns], total)
        return total
    return design.matrix[:, columns] @ w[columns]
