"""Features that fit noise, exchanged for some that do no harm.

Where the samples support fewer than k features, the best fit fills the other places with those that go best with the noise,
and least squares on them foresees worse than on features taken blindly. What a refit costs would be known if one knew what y
is but for its noise; with a the refit on the features S and m a model that foresees well, of more features than S,

    |X a - X m|^2 ,        a = least squares of y on S,

stands for it (Lindley, "The choice of variables in multiple regression", 1968, with m the mean of a posterior; Piironen,
Paasiniemi and Vehtari, "Projective inference in high-dimensional problems", 2020, on why a model of reference chooses
better than the samples do). Here m is the mean of two that err in different ways: the lasso whose strength foresees best
on samples that were held out, and the mean of the best k features of random halves of the samples ("bagging": Breiman,
"Heuristics of instability and stabilization in model selection", 1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.kernels.lasso_grams import follow_lassos
from sparseopt.pruning.row_selection import many_selections

# Times that the samples are halved: each gives two fits.
_HALVINGS = 10
# Samples below which halves would hardly have a variance.
_FEWEST = 10
# Parts of the samples by which the lasso is judged, and its strengths, down to the last part of the largest.
_FOLDS, _STRENGTHS, _LAST = 5, 24, 1e-3
# Epochs of a lasso at most, and its digits: it is one of two models, and only near the truth.
_EPOCHS, _DIGITS = 200, 1e-3
# What makes a Gram matrix of dependent columns invertible; of unit variance each.
_LEAST_RIDGE = 1e-8
# Part of a column that others must leave unexplained for it to come in, and relative gain that is rounding.
_NEW, _LITTLE = 1e-7, 1e-10
# Exchanges at most for each feature: only rounding could lead in circles.
_MOST = 50


def foreseeing(X, y, support, ridge, seed, clock) -> np.ndarray:
    """The support after exchanges that bring its refit nearer to what the model of reference foresees.

    Parameters
    ----------
    X : array or sparse array of shape (samples, features)
        Columns of unit variance.
    y : array of shape (samples,)
        Centred.
    support : array of int
        Features to begin with, sorted.
    ridge : float
        Of the searches on halves.
    seed : int
        Of the halves.
    clock : Clock
        When it is up before the model is there, the support is as it was.
    """
    if support.size == 0 or len(y) < _FEWEST or not y.any() or clock.expired:
        return support
    everything = Products.of(X, y)
    rng = np.random.default_rng(seed)
    bagged = mean_of_halves(X, y, everything, support.size, ridge, rng)
    if clock.expired:
        return support
    gram, cross = everything.centred()
    wanted = gram @ (0.5 * bagged + 0.5 * judged_lasso(X, y, everything, rng))
    return nearest(gram, cross, wanted, support)


@dataclass(frozen=True, eq=False)
class Products:
    """Sums over some samples: of products of columns, of columns with y, and of each."""

    size: int
    gram: np.ndarray
    cross: np.ndarray
    square: float
    columns: np.ndarray
    total: float

    @classmethod
    def of(cls, X, y) -> Products:
        """Sums of these samples."""
        gram = X.T @ X
        gram = gram if isinstance(gram, np.ndarray) else gram.toarray()
        cross, columns = np.asarray(X.T @ y), np.asarray(X.sum(axis=0)).ravel()
        return cls(len(y), gram, cross, float(y @ y), columns, float(y.sum()))

    def without(self, other) -> Products:
        """Sums over the samples that are not in `other`."""
        names = ("size", "gram", "cross", "square", "columns", "total")
        return Products(*(getattr(self, name) - getattr(other, name) for name in names))

    def centred(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean products of columns, and with y, the means taken off."""
        mean = self.columns / self.size
        return self.gram / self.size - np.outer(mean, mean), (self.cross - self.total * mean) / self.size

    def errors(self, W, centre) -> np.ndarray:
        """Sum of squared errors here of coefficients, one a row, with the intercepts that other samples give them."""
        shift = centre.total / centre.size - W @ (centre.columns / centre.size)
        linear = self.square - 2 * W @ self.cross - 2 * shift * self.total
        return linear + np.sum(W @ self.gram * W, axis=1) + shift * (2 * W @ self.columns + self.size * shift)


def mean_of_halves(X, y, everything, count, ridge, rng) -> np.ndarray:
    """Mean of least squares on the best features of random halves of the samples."""
    halves = []
    for _ in range(_HALVINGS):
        rows = np.sort(rng.permutation(len(y))[: len(y) // 2])
        half = Products.of(X[rows], y[rows])
        halves += [half.centred(), everything.without(half).centred()]
    grams, crosses = (np.stack(parts) for parts in zip(*halves, strict=True))
    eye = np.eye(len(everything.cross))
    if count == len(eye):
        supports = np.tile(np.arange(count), (len(grams), 1))
    else:
        supports = many_selections(grams + max(ridge, _LEAST_RIDGE) * eye, crosses[:, :, None], count)
    w = np.zeros(len(eye))
    for gram, cross, support in zip(grams, crosses, supports, strict=True):
        w += _refit(gram, cross, support)
    return w / len(grams)


def judged_lasso(X, y, everything, rng) -> np.ndarray:
    """The lasso, of the strength that foresees held-out samples best."""
    strengths = np.abs(everything.centred()[1]).max() * np.geomspace(1.0, _LAST, _STRENGTHS + 1)[1:]
    if not strengths[-1] > 0.0:
        return np.zeros(len(everything.cross))
    errors = np.zeros(_STRENGTHS)
    for rows in np.array_split(rng.permutation(len(y)), _FOLDS):
        held = Products.of(X[rows], y[rows])
        trained = everything.without(held)
        gram, cross = trained.centred()
        errors += held.errors(_lassos(gram, cross, strengths), trained)
    best = int(np.argmin(errors))
    gram, cross = everything.centred()
    return _lassos(gram, cross, strengths[: best + 1])[best]


def _lassos(gram, cross, strengths):
    W = np.empty((len(strengths), len(cross)))
    follow_lassos(gram, cross, strengths, np.empty(len(cross)), W, _EPOCHS, _DIGITS)
    return W


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
