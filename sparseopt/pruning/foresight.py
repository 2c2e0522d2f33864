"""Features that fit noise, exchanged for some that do no harm.

Where the samples support fewer than k features, the best fit fills the other places with those that go best with the noise,
and least squares on them foresees worse than on features taken blindly. What a refit is expected to cost is known from the
posterior of all coefficients: with a the refit on the features S and w uncertain, of mean m,

    E |X a - X w|^2  =  |X a - X m|^2 + a number that is the same for all S,        a = least squares of y on S

(Lindley, "The choice of variables in multiple regression", 1968). The prior is a horseshoe, whose scales are learned: few
large coefficients among many little ones, or all alike.
"""

from __future__ import annotations

import numpy as np

from sparseopt.kernels.horseshoe import draw_coefficients

# Draws that are kept, and those before them.
_DRAWS, _BEFORE = 1200, 300
# Multiplications of one call of the kernel.
_AT_ONCE = 20_000_000
# What makes a Gram matrix of dependent columns invertible; of unit variance each.
_LEAST_RIDGE = 1e-8
# Part of a column that others must leave unexplained for it to come in, and relative gain that is rounding.
_NEW, _LITTLE = 1e-7, 1e-10
# Exchanges at most for each feature: only rounding could lead in circles.
_MOST = 50


def foreseeing(X, y, support, seed, clock) -> np.ndarray:
    """The support, or one that is expected to foresee better by more than one standard deviation of what is known of it.

    Parameters
    ----------
    X : array or sparse array of shape (samples, features)
        Columns of unit variance, centred like y.
    y : array of shape (samples,)
    support : array of int
        Features to begin with, sorted.
    seed : int
    clock : Clock
        When it is up before all is drawn, the support is as it was.
    """
    if support.size == 0:
        return support
    n = X.shape[0]
    gram = X.T @ X
    gram = np.ascontiguousarray(gram if isinstance(gram, np.ndarray) else gram.toarray()) / n
    cross = np.asarray(X.T @ y) / n
    drawn = posterior(gram, cross, float(y @ y) / n, n, seed, clock)
    if drawn is None:
        return support
    found = nearest(gram, cross, gram @ drawn.mean(axis=0), support)
    before, after = (_refit(gram, cross, features) for features in (support, found))
    # What the exchange saves if the coefficients are those of each draw.
    saved = before @ gram @ before - after @ gram @ after - 2.0 * (drawn @ (gram @ (before - after)))
    return found if saved.mean() > saved.std() else support


def posterior(gram, cross, square, n, seed, clock) -> np.ndarray | None:
    """Coefficients of a linear model drawn given n samples of these mean products, one a row; None if time was up."""
    p = len(cross)
    if not square > 0.0:
        return np.zeros((1, p))
    rng = np.random.default_rng(seed)
    state, scales = np.ones((4, p)), np.array([square, 1.0 / n, 1.0])
    state[:2] = 0.0
    draws = np.empty((_BEFORE + _DRAWS, p))
    together = max(_AT_ONCE // (p * p), 1)
    for first in range(0, len(draws), together):
        if clock.expired:
            return None
        part = draws[first : first + together]
        normals, exponentials = rng.standard_normal(part.shape), rng.standard_exponential((2, len(part), p + 1))
        gammas = rng.standard_gamma([(p + 1) / 2, (n + p) / 2], (len(part), 2))
        draw_coefficients(gram, cross, square, n, state, scales, normals, exponentials, gammas, part)
    return draws[_BEFORE:]


def nearest(gram, cross, wanted, support) -> np.ndarray:
    """The support after exchanges, each time the best, of one feature for another until no refit comes nearer to m.

    With c = `cross` and d = `wanted` = gram @ m, the distance is c'C (c - 2 d) on the support, but for a constant, with C the
    inverse of its Gram matrix: the difference of two squares, whose change with an exchange is exact.
    """
    both, p = np.stack([cross, cross - 2.0 * wanted], axis=1), len(cross)
    height, best = np.inf, support
    for _ in range(_MOST * p):
        C = np.linalg.inv(gram[np.ix_(support, support)] + _LEAST_RIDGE * np.eye(len(support)))
        W = C @ both[support]
        value = float(np.sum(W[:, 0] * both[support, 1]))
        others = np.setdiff1d(np.arange(p), support)
        if not value < height - _LITTLE * abs(value) or others.size == 0:
            return best
        height, best = value, support
        G = gram[np.ix_(support, others)]
        P, slopes = C @ G, both[others] - G.T @ W
        left = gram[others, others] - np.sum(P * G, axis=0)
        # Without row i the slopes at j are s_j + (P_ij / C_ii) w_i, and of j are left d_j + P_ij^2 / C_ii.
        size = C.diagonal()[:, None]
        ratio = P / size
        room = left + ratio * P
        change = (slopes[:, 0] + ratio * W[:, :1]) * (slopes[:, 1] + ratio * W[:, 1:])
        change = np.divide(change, room, out=np.full(room.shape, np.inf), where=room > _NEW)
        change -= W[:, :1] * W[:, 1:] / size
        i, j = np.unravel_index(np.argmin(change), change.shape)
        support = np.sort(np.append(np.delete(support, i), others[j]))
    return best


def _refit(gram, cross, support):
    w = np.zeros(len(cross))
    part = gram[np.ix_(support, support)] + _LEAST_RIDGE * np.eye(len(support))
    w[support] = np.linalg.solve(part, cross[support])
    return w
