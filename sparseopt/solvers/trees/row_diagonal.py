"""The diagonal that is worth most in a perspective relaxation: a semidefinite program of its own.

At the solution (w, z) of a relaxation with a diagonal d moved into the prices, one more unit of d_j lifts its value by
w_j**2 (1 / z_j - 1) / 2. The best diagonal for these worths is sought by Newton's method on

    maximise  sum_j worth_j d_j + mu (log det(G - diag(d)) + sum_j log d_j)

and the two are worked out in turn (Frangioni and Gentile, 2007; Zheng, Sun and Li, 2014; Dong, Chen and Linderoth, 2015).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

# Newton steps, what the weight of the barrier falls by once they are short, and the part that may be missing in the end.
_STEPS, _FALL, _MISSING = 60, 0.15, 0.1
# Of the worths, what each coefficient has at least: those that are zero now may be in the way later.
_LEAST = 0.02
# Eigenvalues below are zero.
_SINGULAR = 1e-10
# Part of the diagonal that is kept where rounding forbids all of it.
_KEPT = (1.0 - 1e-9, 1.0 - 1e-6, 0.999, 0.9)


def best_diagonal(G, worth, slack):
    """A diagonal d with G - diag(d) - diag(slack) positive semidefinite, in parts: a generator. Zeros where there is none."""
    d = yield from least_diagonal(G, slack)
    if not d.any():
        return d
    n, root = len(G), np.sqrt(G.diagonal())
    scaled = G / root[:, None] / root
    d = 0.5 * d / root**2
    c = np.maximum(worth, 0.0) * root**2
    c = c / c.sum() if c.sum() > 0.0 else np.full(n, 1.0 / n)
    c = (1.0 - _LEAST) * c + _LEAST / n
    mu = float(c @ d) / n
    for _ in range(_STEPS):
        step, decrement = _newton(scaled, d, c, mu)
        if step is None:
            break
        d = d + (step if decrement < 0.25 else step / (1.0 + decrement))
        yield
        if decrement < 0.5:
            if 2.0 * n * mu <= _MISSING * float(c @ d):
                break
            mu *= _FALL
    return (yield from _proven(G, d * root**2, slack))


def least_diagonal(G, slack):
    """The same in proportion to the diagonal of G: its least eigenvalue, scaled to a unit diagonal."""
    n = len(G)
    if n == 0 or not np.all(G.diagonal() > 0.0):
        return np.zeros(n)
    root = np.sqrt(G.diagonal())
    least = float(np.linalg.eigvalsh(G / root[:, None] / root)[0])
    yield
    if not least > _SINGULAR:
        return np.zeros(n)
    return (yield from _proven(G, least * root**2, slack))


def _proven(G, d, slack):
    """As much of a diagonal as a Cholesky factor proves."""
    for part in _KEPT:
        rest = G - np.diag(part * d + slack)
        if lapack.dpotrf(rest, lower=1, overwrite_a=1)[1] == 0:
            return part * d
        yield
    return np.zeros(len(G))


def _newton(scaled, d, c, mu):
    """The Newton step and its decrement; None where the numbers do not allow one."""
    rest = scaled - np.diag(d)
    factor, fault = lapack.dpotrf(rest, lower=1, overwrite_a=1)
    if fault:
        return None, 0.0
    inverse, fault = lapack.dpotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    slope = c - mu * inverse.diagonal() + mu / d
    H = mu * np.square(inverse)
    H[np.diag_indices(d.size)] += mu / d**2
    step, fault = lapack.dposv(H, slope, lower=1, overwrite_a=1)[1:]
    if fault or not np.all(np.isfinite(step)):
        return None, 0.0
    return step, float(np.sqrt(max(slope @ step, 0.0) / mu))
