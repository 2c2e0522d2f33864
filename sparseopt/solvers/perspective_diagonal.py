"""How much of the diagonal of a Gram matrix can be taken off it: what is left must stay positive semidefinite."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack
from scipy.sparse.linalg import ArpackError, eigsh

# Parts of what could be taken off at once that are taken off one after another; the ridge at which the rest is inverted.
_PARTS, _RIDGE = (0.999, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9), 1e-6

# Up to so many features all eigenvalues are as quick as the largest one; relative error of that.
_FEW, _CLOSE = 150, 1e-3


def largest_diagonal(model):
    """A diagonal d with G - diag(d) positive semidefinite, proven by a Cholesky factor; None where only zero is known.

    A generator that returns it, so that limits are kept. Features share what there is in proportion to what each has
    that the others do not explain, 1 / diag(G**-1).
    """
    if model.n_features > model.most_rank:
        return None
    used = np.flatnonzero(~model.is_flat)
    if used.size == 0:
        return None
    gram = model.gram[np.ix_(used, used)]
    slack = used.size * (4.0 * np.finfo(np.float64).eps + model.rounding) * np.square(model.sizes[used])
    d = np.zeros(used.size)
    for part in _PARTS:
        rest = gram - np.diag(d)
        if d.any():
            rest[np.diag_indices(used.size)] += _RIDGE * gram.diagonal()
        step = _step(rest)
        yield
        if step is None or not is_semidefinite(gram, d + part * step, slack):
            break
        d += part * step
        yield
    if not d.any():
        return None
    full = np.zeros(model.n_features)
    full[used] = d
    return full


def _step(rest):
    """The largest multiple of 1 / diag(rest**-1) that can be taken off."""
    factor, fault = lapack.dpotrf(rest, lower=1)
    if fault:
        return None
    inverse, fault = lapack.dpotri(factor, lower=1)
    if fault:
        return None
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    root = 1.0 / np.sqrt(inverse.diagonal())
    scaled = root[:, None] * inverse * root
    if root.size <= _FEW:
        return root * root / np.linalg.eigvalsh(scaled)[-1]
    # from below, but for very little; what is taken off is proven in any case
    try:
        largest = eigsh(scaled, k=1, v0=np.ones(root.size), tol=_CLOSE, return_eigenvectors=False)[0]
    except ArpackError:
        return None
    return root * root / ((1.0 + _CLOSE) * largest)


def is_semidefinite(gram, d, slack):
    """Whether gram - diag(d) is proven positive semidefinite, by a Cholesky factor that leaves `slack` for rounding."""
    rest = gram - np.diag(d + slack)
    return lapack.dpotrf(rest, lower=1, overwrite_a=1)[1] == 0
