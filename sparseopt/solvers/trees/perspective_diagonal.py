"""How much of the diagonal of a Gram matrix can be taken off it: what is left must stay positive semidefinite."""

from __future__ import annotations

import numpy as np
from scipy.linalg import blas, lapack

from sparseopt.solvers.trees.triangular_parts import cholesky, copied, inverse_diagonal, largest_eigenpair

# Parts of what could be taken off at once that are taken off one after another; the ridge at which the rest is inverted.
_PARTS, _RIDGE = (0.999, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9), 1e-6

# Up to so many features one call of LAPACK each is quick enough; relative error of the largest eigenvalue beyond.
_FEW, _CLOSE = 150, 1e-3
# What stands against more is spread over the features where it would be as large in so large a part of them.
_SPREAD = 0.1


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
    gram = model.gram if used.size == model.n_features else model.gram[np.ix_(used, used)]
    yield
    slack = used.size * (4.0 * np.finfo(np.float64).eps + model.rounding) * np.square(model.sizes[used])
    d, room = np.zeros(used.size), np.empty_like(gram, order="F")
    for part in _PARTS:
        ridge = _RIDGE * gram.diagonal() if d.any() else 0.0
        is_spread = False
        if used.size > _FEW:
            step, is_spread = yield from _step_in_parts(gram, ridge - d, room)
            is_proven = step is not None and (yield from _is_semidefinite_in_parts(gram, d + part * step + slack, room))
        else:
            rest = gram.copy()
            rest[np.diag_indices(used.size)] += ridge - d
            step = _step(rest)
            yield
            is_proven = step is not None and is_semidefinite(gram, d + part * step, slack)
        if not is_proven:
            break
        d += part * step
        # then what one feature could have more, another one would have less
        if is_spread:
            break
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
    return root * root / np.linalg.eigvalsh(scaled)[-1]


def _step_in_parts(gram, more, room):
    """As `_step` of the Gram matrix with `more` on its diagonal, in parts, and whether what bounds it is spread over the features.

    The work is done in `room`.
    """
    rest = yield from copied(gram, room)
    rest[np.diag_indices(len(rest))] += more
    if not (yield from cholesky(rest)):
        return None, False
    root = 1.0 / np.sqrt((yield from inverse_diagonal(rest)))

    def apply(x):
        half = blas.dtrsv(rest, root * x, lower=1, overwrite_x=1)
        return root * blas.dtrsv(rest, half, lower=1, trans=1, overwrite_x=1)

    # from below, but for very little; what is taken off is proven in any case
    largest, vector = yield from largest_eigenpair(apply, root.size, _CLOSE)
    is_spread = bool(_SPREAD * root.size * np.sum(vector**4) < np.sum(vector**2) ** 2)
    return root * root / ((1.0 + _CLOSE) * largest), is_spread


def _is_semidefinite_in_parts(gram, less, room):
    """As `is_semidefinite`, with `less` for what comes off the diagonal, in parts and in `room`."""
    rest = yield from copied(gram, room)
    rest[np.diag_indices(len(rest))] -= less
    return (yield from cholesky(rest))


def is_semidefinite(gram, d, slack):
    """Whether gram - diag(d) is proven positive semidefinite, by a Cholesky factor that leaves `slack` for rounding."""
    rest = gram - np.diag(d + slack)
    return lapack.dpotrf(rest, lower=1, overwrite_a=1)[1] == 0
