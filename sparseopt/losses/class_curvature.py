"""The second derivative of softmax regression, by pairs of classes.

With p the probabilities of a sample and s its weight, the coefficients of feature a in class k and of
feature b in class h meet in the sum over samples of s x_a x_b (p_k [k = h] - p_k p_h). So the block of
two classes is one product of matrices, and BLAS computes half of those with k = h.
"""

from __future__ import annotations

import numpy as np

# Curvature of a common shift of a row, which changes no probability, as a part of that of its coefficients.
_HOLD = 1e-3


def second_derivative(A, outputs, P, weights, *, intercept):
    """The matrix in the precision of A, which has a row for each coefficient: its column of X, sorted by `outputs`.

    P has a row for each class. Intercepts are minimised out where asked for.
    """
    mixed = A * P.astype(A.dtype)[outputs]
    ends = np.searchsorted(outputs, np.arange(len(P) + 1))
    H = np.empty((len(A), len(A)), dtype=A.dtype)
    for k, p in enumerate(P):
        own, before = slice(ends[k], ends[k + 1]), slice(ends[k])
        H[own, before] = (A[own] * (weights * -p).astype(A.dtype)) @ mixed[before].T
        H[before, own] = H[own, before].T
        half = A[own] * np.sqrt(weights * p * (1.0 - p)).astype(A.dtype)
        H[own, own] = half @ half.T
    if intercept:
        H -= _taken_by_intercepts(A, outputs, P, weights)
    return H


def _taken_by_intercepts(A, outputs, P, weights):
    """B'C^+B for the second derivative C in the intercepts and B in an intercept and a coefficient."""
    bent = np.empty((len(P), len(A)))
    for k, p in enumerate(P):
        own = outputs == k
        slopes = -P * (weights * p)
        slopes[k] = weights * p * (1.0 - p)
        bent[:, own] = slopes.astype(A.dtype) @ A[own].T
    C = np.diag(np.sum(weights * P, axis=1)) - (weights * P) @ P.T
    return (bent.T @ np.linalg.lstsq(C, bent, rcond=1e-12)[0]).astype(A.dtype)


def hold_rows(H, features, q):
    """Add to H, in place, a little curvature along common shifts of the rows that are there with all of their q coefficients."""
    _, place, counts = np.unique(features, return_inverse=True, return_counts=True)
    whole = np.flatnonzero(counts[place] == q)
    whole = whole[np.argsort(place[whole], kind="stable")].reshape(-1, q)
    sizes = _HOLD * np.mean(H.diagonal()[whole], axis=1, dtype=np.float64)
    H[whole[:, :, None], whole[:, None, :]] += sizes[:, None, None].astype(H.dtype)


def solve_links(links, slope):
    """x with sum_h links_kh (x_k - x_h) = slope_k, up to what is added to all; the slope sums to zero.

    Differences of probabilities near one are rounding, but sums of links are not: elimination without a subtraction
    (Grassmann, Taksar and Heyman, 1985) solves with curvatures however small.
    """
    A, b, q = np.array(links), np.array(slope), slope.size
    np.fill_diagonal(A, 0.0)
    shares = np.zeros((q, q))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for k in range(q - 1, 0, -1):
            total = np.sum(A[k, :k])
            shares[k, :k], b[k] = A[k, :k] / total, b[k] / total
            A[:k, :k] += np.outer(A[k, :k], shares[k, :k])
            b[:k] += A[k, :k] * b[k]
        x = np.zeros(q)
        for k in range(1, q):
            x[k] = b[k] + shares[k, :k] @ x[:k]
    return x
