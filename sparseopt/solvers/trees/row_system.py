"""What the nodes of a tree share that have much the same features: curvature, diagonal, and one factor for operator splitting."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

# The metric, as a part of the curvature of the prices, and the least it is, as a part of the diagonal of G.
_METRIC, _LEAST = 10.0, 1e-3
# Weights of equalities, and of other rows, in units of the curvature across them.
_EQUAL, _SIDED = 1e3, 1.0


class RowSystem:
    """A set of features with the diagonal that is moved there, and the inverse that iterations multiply with."""

    def __init__(self, features, G, diagonal, linear, subset):
        self.features, self.diagonal = features, diagonal
        #: As the proof names it: one object for all points.
        self.moved = (features, diagonal)
        n = features.size
        self.place = np.full(subset.n_features, -1, dtype=np.intp)
        self.place[features] = np.arange(n)
        self.known = np.arange(n)
        self.R = G
        self.R[np.diag_indices(n)] -= diagonal
        self.linear = np.ascontiguousarray(linear[features])
        self.curve = diagonal + subset.ridge
        self.A = np.ascontiguousarray(subset.A[:, features])
        self.lower, self.upper = subset.lower[features], subset.upper[features]
        bends = self.R.diagonal() + self.curve
        self.sizes = np.sqrt(np.maximum(bends, np.finfo(float).tiny))
        self.metric = _METRIC * np.maximum(self.curve, _LEAST * np.maximum(bends, bends.max(initial=1e-300) * 1e-6))
        K = self.R + np.diag(self.metric)
        inverse = _inverse(K)
        across = np.einsum("ij,jk,ik->i", self.A, inverse, self.A)
        equal = subset.row_lower == subset.row_upper
        self.weight = np.where(equal, _EQUAL, _SIDED) / np.where(across > 0.0, across, 1.0)
        self.inverse = _inverse(K + self.A.T @ (self.weight[:, None] * self.A))
        self.rounding = 4.0 * float(np.finfo(float).eps) * n
        self.scratch = tuple(np.empty(n) for _ in range(3))


def _inverse(K):
    """The inverse of a positive definite matrix."""
    if not len(K):
        return np.zeros((0, 0))
    factor, fault = lapack.dpotrf(K, lower=1)
    if fault:
        return np.linalg.inv(K)
    inverse = lapack.dpotri(factor, lower=1, overwrite_c=1)[0]
    return np.ascontiguousarray(np.tril(inverse) + np.tril(inverse, -1).T)
