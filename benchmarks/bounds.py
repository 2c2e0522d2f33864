"""Objectives and lower bounds in float64, from the data and w alone: the common measure of the suites.

For P(w) = f(X w) + alpha g(w) with a norm g, each v with g_dual(X'v) <= alpha gives the lower bound
-f*(-v). Here v is the multiple of the slope -f'(X w) that is feasible, and for least squares best.
"""

import numpy as np


def least_squares_gap(y, residual, penalty, slack):
    """Value and relative duality gap of |residual|**2 / (2 n) + penalty; y and residual may be matrices.

    `slack` is alpha over the dual norm of X'residual / n.
    """
    n = y.shape[0]
    square = float(np.vdot(residual, residual))
    value = square / (2 * n) + penalty
    scale = np.clip(np.vdot(residual, y) / square, -slack, slack) if square > 0 else 0.0
    rest = y - scale * residual
    bound = float(np.vdot(y, y) - np.vdot(rest, rest)) / (2 * n)
    return value, (value - bound) / value


def over(alpha, size):
    """The largest multiple of something of this size that stays within alpha."""
    return alpha / size if size > 0 else np.inf


def lasso_gap(X, y, w, alpha):
    """Value and relative gap of the lasso."""
    residual = y - X @ w
    largest = np.abs(X.T @ residual).max() / y.size
    return least_squares_gap(y, residual, alpha * np.abs(w).sum(), over(alpha, largest))


def entropy(q):
    """Sum of q log q, where 0 log 0 is 0."""
    return float(np.sum(q * np.log(q, where=q > 0, out=np.zeros_like(q))))


def logistic_gap(X, y, w, alpha):
    """Value and relative gap of logistic regression with y in {-1, 1} and an L1 penalty."""
    return logistic_gaps(X, y, w[None], [alpha])[0]


def logistic_gaps(X, y, W, alphas):
    """The same for each row of W and its alpha, with two products with X for all."""
    Z = y[:, None] * (X @ W.T)
    Q = np.exp(-np.logaddexp(0.0, Z))
    steepest = np.abs(X.T @ (y[:, None] * Q)).max(axis=0) / y.size
    found = []
    for w, alpha, z, q, largest in zip(W, alphas, Z.T, Q.T, steepest, strict=True):
        value = float(np.logaddexp(0.0, -z).mean() + alpha * np.abs(w).sum())
        scaled = q * min(1.0, over(alpha, largest))
        bound = -(entropy(scaled) + entropy(1.0 - scaled)) / y.size
        found.append((value, (value - bound) / value))
    return found
