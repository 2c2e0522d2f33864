"""How much shrinkage the noise asks for: the ridge under which the targets are likeliest.

With y = X w + noise, coefficients of variance t and noise of variance s, all normal, w is shrunk by the ridge s / (n t), and

    y is normal with covariance   s (I + X X' / (n ridge)).

The ridge that makes y likeliest, the best s for it taken out, is found from the spectrum of X alone, without any samples
being held out (MacKay, "Bayesian interpolation", 1992).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

# Samples that are looked at where there are more features than that: the spectrum is cubic in the fewer of the two.
_ROWS = 1000
# Ridges that are tried, of columns of unit variance.
_GRID = np.geomspace(1e-6, 1e4, 201)


def likeliest_ridge(X, y, seed=0) -> float:
    """The ridge of |X w - y|^2 / (2 n) + ridge |w|^2 / 2 under which y is likeliest, one for all outputs.

    Parameters
    ----------
    X : array or sparse array of shape (samples, features)
        Columns of unit variance, centred like y.
    y : array of shape (samples,) or (samples, outputs)
    seed : int
        Of the samples that are drawn where there are too many.
    """
    n, p = X.shape
    y = y.reshape(n, -1)
    if min(n, p) > _ROWS:
        some = np.sort(np.random.default_rng(seed).permutation(n)[:_ROWS])
        X, y = X[some], y[some]
    rows = len(y)
    sizes, squares = _spectrum(X, y)
    rest = np.maximum(np.sum(y * y, axis=0) - squares.sum(axis=0), 0.0)
    spread = sizes / _GRID[:, None] + 1.0
    noise = (squares.T @ (1.0 / spread).T).T + rest
    # Twice the negative log likelihood but for constants; one sample less, since the targets are centred.
    misfit = (rows - 1) * np.sum(np.log(np.maximum(noise, np.finfo(float).tiny)), axis=1)
    misfit += y.shape[1] * np.sum(np.log(spread), axis=1)
    # The same variance of the coefficients weighs less the more samples there are.
    return float(_GRID[np.argmin(misfit)]) * rows / n


def _spectrum(X, y):
    """Squared singular values of X over the samples, and squares of y along each left vector, of shape (values, outputs)."""
    n, p = X.shape
    if p <= n:
        gram, cross = _dense(X.T @ X) / n, np.asarray(X.T @ y) / np.sqrt(n)
        sizes, vectors = np.linalg.eigh(gram)
        alive = sizes > 1e-12 * sizes.max(initial=0.0)
        return sizes[alive], (vectors[:, alive].T @ cross) ** 2 / sizes[alive, None]
    sizes, vectors = np.linalg.eigh(_dense(X @ X.T) / n)
    alive = sizes > 1e-12 * sizes.max(initial=0.0)
    return sizes[alive], (vectors[:, alive].T @ y) ** 2


def _dense(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else matrix
