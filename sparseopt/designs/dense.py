"""Dense designs, in Fortran order: plain, or with the mean of each column taken off as it is read."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from sparseopt.designs.base import Design, few_nonzeros, held_curvature
from sparseopt.kernels.columns import combine_dense

# Rows between which one dot product a column is quicker than BLAS's product with the transpose, 1.0 against 1.7 ms
# for 40 MB, and entries from which: where X stays near BLAS is quicker, by a third. From as many on, a copy of some
# columns takes longer than their sum without one.
_SHORTEST, _TALLEST, _FAR = 200, 2000, 1 << 21
# Entries up to which all of them are multiplied sooner than few columns are found: 6 against 12 us for 60,000.
_WHOLE = 100_000
# Neighbouring nonzeros, on average, from which products with slices of X are quicker than a copy of the columns.
_LONG = 4
# Entries that are still near for a second look, and the size up to which such sums of squares stay in the range of float32.
_NEAR, _TAME = 1 << 14, 1e16


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
        columns = None if self.values.size <= _WHOLE else few_nonzeros(w)
        if columns is None:
            return _product(self.values, w)
        if self.values.size >= _FAR and w.ndim == 1 and w.dtype == self.dtype == np.float64:
            total = np.empty(self.shape[0])
            # the first column, zero times, makes fours of them
            spare = np.zeros(-columns.size % 4, dtype=columns.dtype)
            factors = np.concatenate([w[columns], spare])
            combine_dense(self.values, np.concatenate([columns, spare]), factors, total)
            return total
        total = np.zeros((self.shape[0], *w.shape[1:]), dtype=np.result_type(self.values, w))
        if columns.size == 0:
            return total
        for block in _runs(columns) or (columns[b] for b in _blocks((self.shape[0], columns.size))):
            total += _product(self.values[:, block], w[block])
        return total

    def rmatvec(self, u):
        if self.values.size >= _FAR and u.ndim == 1 and u.dtype == self.dtype and _SHORTEST <= u.size < _TALLEST:
            return np.vecdot(self.values.T, u)
        if u.dtype == self.dtype:
            return _pulled(self.values, u)
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
        columns = few_nonzeros(w)
        if columns is not None:
            shape = (self.shape[0], *w.shape[1:])
            return self.restrict(columns).matvec(w[columns]) if columns.size else np.zeros(shape, dtype=w.dtype)
        return np.add.reduce([_centered_product(self, block, w) for block in _blocks(self.shape)])

    def rmatvec(self, u):
        return np.concatenate([_pulled(_centered_block(self, block, u), u) for block in _blocks(self.shape)])

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


def _runs(columns):
    """Slices of neighbours, which need no copy, that make up some columns in order; None where they are short."""
    ends = np.flatnonzero(np.diff(columns) != 1) + 1
    if columns.size < _LONG * (ends.size + 1):
        return None
    edges = [0, *ends.tolist(), columns.size]
    return [slice(columns[a], columns[b - 1] + 1) for a, b in itertools.pairwise(edges)]


def _pulled(columns, u):
    """The products of columns with one vector, or with several."""
    # long columns by few vectors: in the other order they are copied to be multiplied
    return columns.T @ u if u.ndim == 1 else (u.T @ columns).T


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
