"""The checker's bound at a point with multipliers of linear rows, and multipliers that leave no point.

With y_i of any sign where row i has both sides, at least zero where it has the upper one only, and so on, every w with
row_lower <= A w <= row_upper has y'A w <= support(y) = sum_i max(y_i row_lower_i, y_i row_upper_i), so that

    f(w) >= f(0) - x'(G - D) x / 2 - support(y) - sum over j in the support of gain_j(t_j),   t = q - (G - D) x - A'y

where D may differ from point to point: G - D must be positive semidefinite on the features that may still be in and those
of x. And where support(y) is less than y'A w for all w that a node admits, it admits none (Farkas, 1902). Plain numpy, from
these formulas.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

# A product that is this small beside its terms is zero, where it meets an infinite bound; and a proof is larger than that.
_ROUNDING = 1e-12
_IN, _OUT = 1, -1


@dataclass(frozen=True, eq=False)
class RowPoint:
    """A point of a `ProofNode` with multipliers of the rows.

    Attributes
    ----------
    indices, values : arrays
        Sparse coefficients.
    rows : array
        One multiplier a row, positive where the upper side pulls.
    moved : tuple of (features, diagonal) or None
        What is moved from the curvature of these features into the gains; None for nothing.
    """

    indices: np.ndarray
    values: np.ndarray
    rows: np.ndarray
    moved: tuple | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class RowRay:
    """Multipliers of the rows of a `ProofNode` that prove that it admits no point."""

    rows: np.ndarray


def row_support(data, y):
    """sum_i max(y_i row_lower_i, y_i row_upper_i), and the sum of their sizes; inf where one pulls on an infinite side."""
    sides = np.where(y > 0.0, data.row_upper, data.row_lower)
    terms = y[y != 0.0] * sides[y != 0.0]
    return float(terms.sum()), float(np.abs(terms).sum())


def row_terms(data, point):
    """base, the gain of each feature, and the size of the sums, at a point."""
    y = np.asarray(point.rows, dtype=np.float64)
    allowed, size = row_support(data, y)
    pulled = data.A.T @ y
    if isinstance(point, RowRay):
        parts = np.abs(data.A).T @ np.abs(y)
        pulled = np.where(np.abs(pulled) <= _ROUNDING * parts, 0.0, pulled)
        gains = data.interval_gains(-pulled, np.zeros(pulled.size), 0.0)
        return -allowed, gains, size
    diagonal = np.zeros(data.lower.size)
    if point.moved is not None:
        diagonal[np.asarray(point.moved[0], dtype=np.intp)] = np.asarray(point.moved[1], dtype=np.float64)
    indices, values = np.asarray(point.indices, dtype=np.intp), np.asarray(point.values, dtype=np.float64)
    base, t, more = data.model.base_and_slopes(indices, values, 0.0, diagonal)
    if not np.isfinite(allowed):
        return -np.inf, np.zeros(diagonal.size), more
    left, curvature = t - pulled, diagonal + data.ridge
    # a pull that is rounding of its terms is zero where nothing limits what it gains
    parts = np.abs(data.A).T @ np.abs(y) + np.abs(data.model.pull.ravel()) + np.abs(t)
    parts += data.lengths * (data.lengths[indices] @ np.abs(values))
    is_free = (curvature == 0.0) & np.isinf(np.where(left > 0.0, data.upper, data.lower))
    left = np.where(is_free & (np.abs(left) <= _ROUNDING * parts), 0.0, left)
    gains = data.interval_gains(left, curvature, data.l1) - data.alpha
    return base - allowed, gains, size + more


def row_fault(data, point, status):
    """Why a point proves nothing of a status, or None."""
    y = np.asarray(point.rows, dtype=np.float64)
    if y.shape != (len(data.A),) or not np.all(np.isfinite(y)):
        return "its multipliers are not one finite number a row"
    if isinstance(point, RowRay):
        return None
    indices, values = np.asarray(point.indices), np.asarray(point.values)
    p = data.lower.size
    if indices.shape != values.shape or np.any((indices < 0) | (indices >= p)) or not np.all(np.isfinite(values)):
        return "its point is no vector of finite coefficients"
    if not data.has_curvature:
        return "multipliers of rows prove bounds of least squares and quadratics only"
    if point.moved is None:
        return None
    known = data.checked.get(id(point.moved))
    if known is None:
        known = point.moved, _moved_fault(data, point.moved)
        data.checked[id(point.moved)] = known  # with the pair itself, so that its id stays taken
    if known[1]:
        return known[1]
    covered = np.zeros(p, dtype=bool)
    covered[np.asarray(point.moved[0], dtype=np.intp)] = True
    # where as many are in as may be, what is free is out
    possible = (status == _IN) if np.count_nonzero(status == _IN) >= data.k else (status != _OUT)
    if np.any(possible & ~covered) or np.any(~covered[indices]):
        return "its diagonal does not cover all features that may be in"
    return None


def _moved_fault(data, moved):
    """Why G - D is not positive semidefinite on the features of D, up to the rounding of G; None if it is."""
    features, diagonal = np.asarray(moved[0], dtype=np.intp), np.asarray(moved[1], dtype=np.float64)
    p = data.lower.size
    if features.ndim != 1 or features.shape != diagonal.shape or np.unique(features).size < features.size:
        return "its diagonal does not name each feature once"
    if np.any((features < 0) | (features >= p)) or not np.all((diagonal >= 0.0) & (diagonal < np.inf)):
        return "its diagonal is not a vector of one finite nonnegative number a feature"
    H = data.model.whole()[np.ix_(features, features)]
    scale = H.diagonal().copy()
    if np.any(H[scale <= 0.0]) or np.any(diagonal[scale <= 0.0]):
        return "its diagonal is too large: the curvature that is left is negative"
    H[np.diag_indices(features.size)] -= diagonal
    root = np.sqrt(np.where(scale > 0.0, scale, 1.0))
    H /= root[:, None]
    H /= root
    slack = 8.0 * np.finfo(np.float64).eps * (features.size + np.sqrt(features.size * max(data.model.n, 1)))
    H[np.diag_indices(features.size)] += np.where(scale > 0.0, slack, 1.0)
    try:
        np.linalg.cholesky(H)
    except np.linalg.LinAlgError:
        return "its diagonal is too large: the curvature that is left is negative"
    return None
