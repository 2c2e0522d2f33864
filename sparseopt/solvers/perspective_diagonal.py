"""How much of the diagonal of a Gram matrix can be taken off it: what is left must stay positive semidefinite."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

# Up to so many features, the sum of what is taken off is maximised.
_FEW = 200
# Newton steps of that, and where its barrier ends, over the number of features.
_STEPS, _LAST = 60, 1e-3


def largest_diagonal(model):
    """A diagonal d with G - diag(d) positive semidefinite, proven by a Cholesky factor; None where only zero is known."""
    if model.n_features > model.most_rank:
        return None
    gram = model.gram
    if len(gram) <= _FEW and (found := _heaviest(gram)) is not None:
        return found
    d = np.zeros(len(gram))
    for part in (0.999, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9):
        rest = gram - np.diag(d)
        if d.any():
            rest[np.diag_indices(len(gram))] += 1e-6 * gram.diagonal()
        step = _step(rest)
        if step is None or not is_semidefinite(gram, d + part * step):
            break
        d += part * step
    return d if d.any() else None


def _heaviest(gram):
    """The d with the largest sum of d / diagonal of G, by Newton steps on a barrier for G - diag(d) and for d; None where it fails.

    It takes from the features that can spare most, where equal shares are held back by a few that are nearly dependent.
    """
    squares = gram.diagonal().copy()
    if not np.all(squares > 0.0):
        return None
    scale = np.sqrt(squares)
    matrix, p = gram / scale[:, None] / scale, len(gram)
    start = _step(matrix)
    if start is None:
        return None
    d = 0.9 * start
    mu, diagonal = 1.0, np.arange(p)
    for _ in range(_STEPS):
        rest = matrix.copy()
        rest[diagonal, diagonal] -= d
        factor, fault = lapack.dpotrf(rest, lower=1, overwrite_a=1)
        if fault:
            return None
        inverse = lapack.dpotri(factor, lower=1, overwrite_c=1)[0]
        slope = 1.0 - mu * inverse[diagonal, diagonal] + mu / d
        H = mu * np.square(inverse)  # the lower triangle is what is read
        H[diagonal, diagonal] += mu / np.square(d)
        step, fault = lapack.dposv(H, slope, lower=1, overwrite_a=1)[1:]
        if fault or not np.all(np.isfinite(step)):
            return None
        decrement = float(slope @ step)
        length = min(1.0, 0.95 * float(np.min(-d / step, where=step < 0.0, initial=np.inf)))
        while not _is_positive(matrix, d + length * step):
            length *= 0.5
            if length < 1e-6:
                return _proven(gram, d * squares)
        d = d + length * (1.0 if length == 1.0 else 0.9) * step
        if decrement <= mu:
            if mu <= _LAST / p:
                break
            mu *= 0.1
    return _proven(gram, d * squares)


def _is_positive(matrix, d):
    rest = matrix.copy()
    rest[np.diag_indices(d.size)] -= d
    return lapack.dpotrf(rest, lower=1, overwrite_a=1)[1] == 0


def _proven(gram, d):
    """A little less than d, so that it is proven."""
    for part in (1.0 - 1e-6, 1.0 - 1e-4, 0.99, 0.9):
        if is_semidefinite(gram, part * d):
            return part * d
    return None


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
    largest = np.linalg.eigvalsh(root[:, None] * inverse * root)[-1]
    return root * root / largest


def is_semidefinite(gram, d):
    """Whether gram - diag(d) is proven positive semidefinite, by a Cholesky factor with room for its rounding."""
    rest = gram - np.diag(d)
    slack = 4.0 * len(gram) * np.finfo(np.float64).eps * gram.diagonal()
    rest[np.diag_indices(len(gram))] -= slack
    return lapack.dpotrf(rest, lower=1)[1] == 0
