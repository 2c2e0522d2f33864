"""Rows of the Gram matrix of a quadratic loss, computed when they are asked for and kept.

Least squares is the quadratic w'Gw / 2 - q'w + constant with G = X'diag(s)X and q = X'diag(s)y, the
columns and targets centred where there is an intercept. A search over subsets needs G only in the rows
of features that come near the support: n p multiplications a row, most of its time. Several rows at once are a
product of matrices and cost little more than one, so that likely ones are computed ahead.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sparseopt.designs import CSC, CenteredCSC, CenteredDense, Dense
from sparseopt.losses import MultiResponse, Quadratic
from sparseopt.losses.base import kept

# Bytes that rows may take before they are forgotten, and rows for which there is room in any case.
_MEMORY, _LEAST = 1 << 30, 64
# Bytes up to which room grows with the rows; beyond, memory that is not written to yet costs nothing.
_GROWING = 1 << 24
# Entries of a matrix up to which float32 columns are copied at once to be multiplied in float64.
_AT_ONCE = 1 << 20


class GramRows:
    """A quadratic w'Gw / 2 - pull.w + constant, whose rows of G are computed when asked for.

    Parameters
    ----------
    compute : callable
        ``compute(features)`` gives rows of G as a float64 array of shape (features.size, p).
    pull : array of shape (p,), or (q, p) for q responses
    diagonal : array of shape (p,)
        That of G.
    constant : float
    rounding : float
        Relative error of the entries of G.
    cost : int
        Entries of X that a row takes.
    block : callable, optional
        ``block(features)`` gives the entries of G between some features, or those of a slice, where that is cheaper.
    rank : int, optional
        What the rank of G cannot exceed, p by default.
    bottom : float
        What the quadratic cannot be below.
    """

    def __init__(
        self, compute, pull, diagonal, constant, rounding=2.2e-16, cost=0, block=None, rank=None, bottom=-np.inf
    ):  # fmt: skip
        self.pull = np.ascontiguousarray(pull, dtype=np.float64)
        self.diagonal = np.asarray(diagonal, dtype=np.float64)
        self.constant, self.rounding, self.cost = float(constant), rounding, cost
        self.computed = 0
        p = self.n_features
        self.rank, self.bottom = p if rank is None else min(rank, p), bottom
        self._compute = compute
        self._block = (lambda features: compute(np.arange(p)[features])[:, features]) if block is None else block
        #: Rows that are there, and the place of each feature's among them, -1 where it is not; and the most rows there may be.
        self._most = min(p, max(_LEAST, _MEMORY // (8 * max(p, 1))))
        self.table = np.empty((min(self._most, _LEAST) if 8 * self._most * p <= _GROWING else self._most, p))
        self.slots = np.full(p, -1)
        self._count = 0

    @staticmethod
    def of(loss):
        """The rows of a least squares or quadratic loss."""
        if isinstance(loss, Quadratic):
            return _of_quadratic(loss)
        pull = -np.asarray(loss.gradient(np.zeros(loss.n_features)), dtype=np.float64)
        weights = np.asarray(loss.sample_weight.values)
        constant, eps = loss.value_at_zero(), float(np.finfo(loss.dtype).eps)
        if isinstance(loss, MultiResponse):
            pull = pull.reshape(loss.shape).T
            diagonal = kept(loss, "_feature_curvatures", lambda: loss.X.weighted_squares(weights))
        else:
            diagonal = loss.curvatures()

        def block(features):
            # the product of a matrix with itself takes half as long
            columns, is_even = loss.X.columns_as_rows(features), weights.ndim == 0
            columns = columns if is_even else columns * np.sqrt(weights)
            products = columns @ columns.T
            return products * weights if is_even else products

        products = weighted_products(loss.X, weights)
        rank = (len(loss.y) if weights.ndim == 0 else int(np.count_nonzero(weights))) - bool(loss.intercept)
        return GramRows(products, pull, diagonal, constant, eps, loss.n_entries, block, rank, bottom=0.0)

    @property
    def n_features(self):
        """Number of features p."""
        return self.diagonal.size

    def knows(self, j):
        """Whether a row is there already."""
        return self.slots[j] >= 0

    def row(self, j):
        """Row j of G."""
        if self.slots[j] < 0:
            self.prepare(np.array([j]))
        return self.table[self.slots[j]]

    def rows(self, features):
        """Several rows of G, as a new array."""
        features = np.asarray(features, dtype=np.intp)
        missing = features[self.slots[features] < 0]
        missing = np.unique(missing) if missing.size else missing
        if self._count + missing.size > self._most:
            # those that are there would be forgotten while they are asked for
            return self._compute(features)
        if missing.size:
            self.prepare(missing)
        return self.table[self.slots[features]]

    def flattened(self):
        """The quadratic of q responses in all of their p q coefficients, in C order: no two responses meet in G."""
        q, p = self.pull.shape

        def compute(coefficients):
            rows = np.zeros((coefficients.size, p, q))
            rows[np.arange(coefficients.size), :, coefficients % q] = self.rows(coefficients // q)
            return rows.reshape(coefficients.size, p * q)

        pull, diagonal = self.pull.T.ravel(), np.repeat(self.diagonal, q)
        return GramRows(
            compute, pull, diagonal, self.constant, self.rounding, self.cost, rank=q * self.rank, bottom=self.bottom
        )

    @property
    def linear(self):
        """The pull, by the name that relaxations have for it."""
        return self.pull

    def block(self, features):
        """The entries of G between some features."""
        slots = self.slots[features]
        return self.table[slots[:, None], features] if (slots >= 0).all() else np.array(self._block(features))

    def narrow(self, features):
        """The same quadratic in some features, the others zero; all of its rows are there."""
        block = self.block(features)
        part = GramRows(
            lambda chosen: block[chosen],
            self.pull[..., features],
            self.diagonal[features],
            self.constant,
            self.rounding,
            rank=self.rank,
            bottom=self.bottom,
        )
        part.table, part.slots, part._count = block, np.arange(features.size), features.size
        return part

    def prepare_all(self):
        """Compute all of G at once; the cost."""
        if self._count == self.n_features:
            return 0
        p = self.n_features
        self.table, self.slots, self._count = np.ascontiguousarray(self._block(slice(None))), np.arange(p), p
        self.computed = self._most = p
        return self.cost * p // 4

    def prepare(self, features):
        """Compute rows that are not there yet, each once, at once; where there is no room, all others are forgotten."""
        if self._count + features.size > self._most:
            self.slots[:] = -1
            self._count = 0
            features = features[: self._most]
        last = self._count + features.size
        if last > len(self.table):
            table = np.empty((min(self._most, 2 * last), self.n_features))
            table[: self._count] = self.table[: self._count]
            self.table = table
        self.table[self._count : last] = self._compute(features)
        self.slots[features] = np.arange(self._count, last)
        self._count = last
        self.computed += features.size


def _of_quadratic(loss):
    matrix = loss.Q.matrix

    def compute(features):
        part = matrix[:, features]
        return np.ascontiguousarray((part.toarray() if sparse.issparse(part) else part).T, dtype=np.float64)

    return GramRows(compute, -loss.c.astype(np.float64), loss.curvatures(), 0.0, float(np.finfo(loss.dtype).eps))


def weighted_products(design, weights):
    """The function of features that gives their rows of X'diag(weights)X, by one pass over X.

    The columns that are multiplied are centred where those of X are; since weights sum to one, those of X need not be,
    but for what rounding leaves.
    """
    means = design.means if isinstance(design, CenteredDense | CenteredCSC) else None

    def compute(features):
        columns = design.columns_as_rows(features)
        columns = columns * weights
        rows = _times(columns, design)
        if means is not None:
            rows -= np.multiply.outer(columns.sum(axis=1), means.astype(np.float64))
        return rows

    return compute


def _times(columns, design):
    """columns @ X before centring, in float64."""
    match design:
        case CSC() | CenteredCSC():
            return np.ascontiguousarray((design.matrix.T @ columns.T).T)
        case Dense(values) if values.dtype == np.float32:
            return (columns.astype(np.float32) @ values).astype(np.float64)
        case CenteredDense(values) if values.dtype == np.float32:
            # the mean of X may be large: it cancels in float64 only
            n, p = values.shape
            width = max(1, _AT_ONCE // n)
            blocks = (slice(first, first + width) for first in range(0, p, width))
            return np.concatenate([columns @ values[:, block].astype(np.float64) for block in blocks], axis=1)
    return columns @ design.values
