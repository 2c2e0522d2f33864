"""How much of the diagonal of a Gram matrix can be taken off it: what is left must stay positive semidefinite."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack


def largest_diagonal(model):
    """A diagonal d with G - diag(d) positive semidefinite, proven by a Cholesky factor; None where only zero is known."""
    if model.n_features > model.most_rank:
        return None
    gram = model.gram
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
