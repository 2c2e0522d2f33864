"""Losses as the checker of a `BoundTree` reads them: the value at zero of what a point takes, slopes, and their rounding.

Plain numpy on the matrix and the targets as they were lent.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse

from sparseopt.losses import LeastSquares, MultiResponse, Quadratic, SampleLoss
from sparseopt.proofs.bound_losses import balanced, conjugate, slope_errors, slopes

# Columns of X'SX are kept up to so many numbers.
_KEPT = 5e7
# Entries of X that are made dense and centred together.
_AT_ONCE = 1e7


def model_of(loss):
    """What is read of a loss, or None where the checker has no formula for it."""
    match loss:
        case Quadratic():
            return GramModel.of_quadratic(loss)
        case LeastSquares() | MultiResponse():
            return GramModel.of_squares(loss)
        case SampleLoss() if conjugate(loss, np.zeros(loss.y.size)) is not None:
            return SampleModel(loss)
    return None


def _dense(row):
    """One row of a matrix, as an array."""
    return row.toarray() if sparse.issparse(row) else np.asarray(row)


class GramModel:
    """f(w) = constant - pull.w + w'Gw / 2, where w may be a matrix with a column for each response."""

    def __init__(self, constant, pull, n, columns, whole):
        self.constant, self.pull, self.n = constant, pull, n
        self._columns, self._whole, self._all = columns, whole, None
        self.slope_at_zero = float(np.max(np.abs(pull), initial=0.0))
        self._place, self._kept = np.full(pull.shape[0], -1), np.empty((0, pull.shape[0]))

    @staticmethod
    def of_quadratic(loss):
        Q, c = loss.Q.matrix, loss.c.astype(np.float64)
        dense = sparse.issparse(Q)

        def columns(features):
            part = Q[:, features]
            return (part.toarray() if dense else part).astype(np.float64)

        return GramModel(0.0, -c[:, None], 0, columns, lambda: columns(np.arange(c.size)))

    @staticmethod
    def of_squares(loss):
        A = loss.X.matrix.astype(np.float64, copy=False)
        n, p = A.shape
        s = np.broadcast_to(np.ravel(loss.sample_weight.values), n).astype(np.float64)[:, None]
        means = loss.X.means.astype(np.float64) if loss.intercept else np.zeros(p)
        y = np.asarray(loss.targets if isinstance(loss, MultiResponse) else loss.target[:, None], dtype=np.float64)

        def pulled(U):
            return A.T @ U - np.multiply.outer(means, U.sum(axis=0))

        def columns(features):
            part = A[:, features]
            part = (part.toarray() if sparse.issparse(A) else part) - means[features]
            return pulled(s * part)

        def whole():
            # of centred columns, since what centring takes off a product would hide a small curvature
            by_rows, G = A.tocsr() if sparse.issparse(A) else A, np.zeros((p, p))
            step = max(int(_AT_ONCE / p), 1)
            for first in range(0, n, step):
                part = by_rows[first : first + step]
                part = (part.toarray() if sparse.issparse(A) else part) - means
                G += part.T @ (s[first : first + step] * part)
            return G

        pull = pulled(s * y)
        if loss.intercept:
            # centred, a constant column is zero, and what rounding leaves of its product has no curvature to go with
            pull[np.ravel(_dense(A.max(axis=0)) == _dense(A.min(axis=0)))] = 0.0
        return GramModel(float(np.sum(s * y * y)) / 2, pull, n, columns, whole)

    def whole(self):
        """G, as a new matrix."""
        if self._all is None:
            self._all = self._whole()
        return self._all.copy()

    def curved(self, W):
        """G W."""
        features = np.flatnonzero(W.any(axis=1))
        return np.array(self._product(features, W[features]))

    def definiteness_fault(self, diagonal):
        """Why G less the diagonal is not positive semidefinite, up to the rounding of G; None if it is.

        Least squares are convex without a proof.
        """
        if diagonal is None and self.n:
            return None
        G = self.whole()
        p, q = G.shape[0], self.pull.shape[1]
        scale = G.diagonal().copy()
        # of a diagonal entry of zero the row is zero
        if np.any(scale < 0.0) or np.any(G[scale == 0.0]):
            return "the loss is not convex"
        if diagonal is not None:
            G[np.diag_indices(p)] -= np.max(diagonal.reshape(p, q), axis=1)
        root = np.sqrt(np.where(scale > 0.0, scale, 1.0))
        G /= root[:, None]
        G /= root
        slack = 8.0 * np.finfo(np.float64).eps * (p + math.sqrt(p * self.n))
        G[np.diag_indices(p)] += np.where(scale > 0.0, slack, 0.0 if diagonal is None else slack)
        empty = scale == 0.0
        if diagonal is not None and np.any(diagonal.reshape(p, q)[empty]):
            return "its diagonal is too large: the curvature that is left is negative"
        G[empty, empty] = 1.0
        try:
            np.linalg.cholesky(G)
        except np.linalg.LinAlgError:
            return (
                "the loss is not convex"
                if diagonal is None
                else "its diagonal is too large: the curvature that is left is negative"
            )
        return None

    def base_and_slopes(self, indices, values, intercept, diagonal):
        """With the point w: constant - w'(G - D)w / 2, pull - (G - D) w, and the size of the sums."""
        p, q = self.pull.shape
        w = np.zeros(p * q)
        w[indices] = values
        W = w.reshape(p, q)
        features = np.flatnonzero(W.any(axis=1))
        curved = self._product(features, W[features]).ravel() - diagonal * w
        pull = self.pull.ravel()
        base = self.constant - float(w @ curved) / 2
        return (
            base,
            pull - curved,
            self.constant + float(np.abs(w) @ np.abs(curved)) / 2 + float(np.abs(w) @ np.abs(pull)),
        )

    def _product(self, features, W):
        """G W of the rows of W that are not zero; columns of G are kept, as most are needed again."""
        new = features[self._place[features] < 0]
        if len(self._kept) + new.size > _KEPT / self.pull.shape[0]:
            return self._columns(features) @ W
        if new.size:
            self._place[new] = len(self._kept) + np.arange(new.size)
            self._kept = np.concatenate([self._kept, self._columns(new).T])
        return self._kept[self._place[features]].T @ W


class SampleModel:
    """f(w) = min over b of sum_i s_i phi(y_i, x_i w + b + o_i), by its conjugate."""

    def __init__(self, loss):
        self.loss = loss
        self.A = loss.X.matrix.astype(np.float64, copy=False)
        self.s = np.broadcast_to(loss.sample_weight.values, self.A.shape[0]).astype(np.float64)
        self.offset = np.zeros(self.A.shape[0]) + loss.offset.added_to(0.0)
        # columns less their means have the same slopes, but for rounding, where the multipliers are balanced
        self.means = self.A.T @ self.s / self.s.sum() if loss.intercept else np.zeros(self.A.shape[1])
        nothing = np.empty(0, dtype=np.intp)
        self.slope_at_zero = float(np.max(np.abs(self.base_and_slopes(nothing, np.empty(0), 0.0, 0.0)[1]), initial=0.0))

    def base_and_slopes(self, indices, values, intercept, diagonal):
        """-sum_i s_i phi*(v_i), -X'(s v), and the size of the sums."""
        z = self.A[:, indices] @ values + (intercept if self.loss.intercept else 0.0)
        v = slopes(self.loss, z + self.offset)
        if self.loss.intercept:
            v = balanced(v, self.s)
        mass = self.s * v
        t = -(self.A.T @ mass - self.means * mass.sum())
        terms = self.s * conjugate(self.loss, v) - mass * self.offset
        size = float(np.abs(terms).sum() + np.abs(mass) @ np.abs(z))
        base = -float(terms.sum())
        return (base if np.isfinite(base) else -np.inf), t, size if np.isfinite(size) else 0.0

    def rounding(self, indices, values, intercept):
        """What rounding of the fitted values may move base by, and each slope t."""
        part = self.A[:, indices]
        b = abs(intercept) if self.loss.intercept else 0.0
        z = part @ values + (intercept if self.loss.intercept else 0.0) + self.offset
        sizes = abs(part) @ np.abs(values) + b + np.abs(self.offset)
        unit = float(np.finfo(np.float64).eps) * (8.0 + math.sqrt(z.size))
        wrong = unit * self.s * slope_errors(self.loss, z, sizes)
        with np.errstate(invalid="ignore", over="ignore"):
            moved, t = float(wrong @ sizes), abs(self.A).T @ wrong + np.abs(self.means) * wrong.sum()
        return (moved if np.isfinite(moved) else 0.0), np.where(np.isfinite(t), t, 0.0)
