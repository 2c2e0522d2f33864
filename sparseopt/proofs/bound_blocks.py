"""The checker's bound at a point that takes something off the curvature block by block.

Rows of several responses and groups of features have their gain as a whole. With positive definite blocks C_b on some
features of each unit, H = G + ridge, and t = q - (H - C) x, where H - C is positive semidefinite on the features that
may still be in and those of x,

    f(w) + ridge |w|**2 / 2  >=  f(0) - x'(H - C) x / 2 - sum over units in the support of t_b' C_b^-1 t_b / 2

summed over responses (Frangioni and Gentile, 2007; Dong, Chen and Linderoth, 2015). Plain numpy, from these formulas;
blocks are claims like everything in a tree.
"""

from __future__ import annotations

import numpy as np

_IN, _OUT = 1, -1


def has_blocks(point):
    """Whether a point says what it takes off each block: (indices, values, intercept, blocks of (features, C))."""
    return len(point) > 3 and point[3] is not None


def block_terms(data, point):
    """base, the gain of each unit, and the size of the sums, at a point with blocks."""
    W, blocks = _coefficients(data, point), _blocks(point)
    pull = data.model.pull
    curved = data.model.curved(W)
    for features, C in blocks:
        curved[features] -= C @ W[features] - data.ridge * W[features]
    t = pull - curved
    base = data.model.constant - float(np.sum(W * curved)) / 2
    size = data.model.constant + float(np.sum(np.abs(W) * (np.abs(curved) / 2 + np.abs(pull))))
    rest = np.array(t)
    gains = np.zeros(data.n_units)
    for features, C in blocks:
        solved = np.linalg.solve(C, t[features])
        gains[data.unit[features[0] * pull.shape[1]]] += float(np.sum(t[features] * solved)) / 2
        rest[features] = 0.0
    return base, gains + data.unit_gains(rest.ravel()), size


def block_fault(data, point, status):
    """Why the blocks of a point allow no bound for a status, or None."""
    model, q = data.model, data.model.pull.shape[1]
    p = model.pull.shape[0]
    plain = data.alpha == 0.0 and data.l1 == 0.0 and np.all(np.isinf(data.lower)) and np.all(np.isinf(data.upper))
    if not plain or np.any(data.diagonal):
        return "blocks can be taken off only where there are no prices, bounds and diagonals"
    blocks, units = _blocks(point), data.unit.reshape(p, q)
    taken = np.zeros(p, dtype=bool)
    for features, C in blocks:
        inside = features.ndim == 1 and features.size and np.all((features >= 0) & (features < p))
        if not inside or np.unique(features).size < features.size or taken[features].any():
            return "its blocks do not name each feature once"
        taken[features] = True
        if np.any(units[features] != units[features[0], 0]):
            return "one of its blocks is of several units"
        if C.shape != (features.size, features.size) or not np.all(np.isfinite(C)) or np.any(C != C.T):
            return "one of its blocks is no symmetric matrix"
        if not np.linalg.eigvalsh(C)[0] > 0.0:
            return "one of its blocks is not positive definite"
    # where as many are in as may be, what is free is out; convexity is needed between the point and what is possible
    possible = (status == _IN) if np.count_nonzero(status == _IN) >= data.k else (status != _OUT)
    possible = possible[units].any(axis=1) | _coefficients(data, point).any(axis=1)
    return _definiteness_fault(data, blocks, possible)


def _definiteness_fault(data, blocks, possible):
    """Why H - C is not positive semidefinite on the features that are possible, up to the rounding of G; None if it is."""
    H = data.model.whole()[np.ix_(possible, possible)]
    H[np.diag_indices(len(H))] += data.ridge
    scale = H.diagonal().copy()
    place, covered = np.cumsum(possible) - 1, np.zeros(len(H), dtype=bool)
    for features, C in blocks:
        on = possible[features]
        here = place[features[on]]
        H[np.ix_(here, here)] -= C[np.ix_(on, on)]
        covered[here] = True
    # of a feature without a block the ridge is taken off, since its gain is that under the ridge
    H[np.diag_indices(len(H))] -= np.where(covered, 0.0, data.ridge)
    empty = scale == 0.0
    if np.any(H[empty]):
        return "its blocks are too large: the curvature that is left is negative"
    root = np.sqrt(np.where(empty, 1.0, scale))
    H /= root[:, None]
    H /= root
    n = max(data.model.n, 1)
    slack = 8.0 * np.finfo(np.float64).eps * (len(root) + np.sqrt(len(root) * n))
    H[np.diag_indices(len(H))] += np.where(empty, 1.0, slack)
    try:
        np.linalg.cholesky(H)
    except np.linalg.LinAlgError:
        return "its blocks are too large: the curvature that is left is negative"
    return None


def _coefficients(data, point):
    W = np.zeros(data.model.pull.size)
    W[np.asarray(point[0], dtype=np.intp)] = np.asarray(point[1], dtype=np.float64)
    return W.reshape(data.model.pull.shape)


def _blocks(point):
    return [(np.asarray(features, dtype=np.intp), np.asarray(C, dtype=np.float64)) for features, C in point[3]]
