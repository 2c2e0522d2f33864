"""Rays: directions that prove a quadratic program infeasible or unbounded, cleaned of rounding.

The iterates of a method that finds no solution drift along such a direction (Banjac, Goulart,
Stellato and Boyd, 2019). Here the drift is projected on what a proof must satisfy exactly.
"""

import numpy as np
from scipy import linalg, sparse

# A drift further than this from a proof is not worth its projection; a proof within _PROOF is one.
_DRIFT, _PROOF = 1e-3, 1e-9
_LARGEST_PROJECTION = 2_000_000


def separating_ray(program, y, box):
    """(y, box) with A'y + box = 0 and negative support, which no feasible w allows, or None."""
    y, box = (_trimmed(part) for part in (y, box))
    y, box = _allowed(y, program.row_lower, program.row_upper), _allowed(box, program.lower, program.upper)
    support = _support(y, program.row_lower, program.row_upper) + _support(box, program.lower, program.upper)
    if not support < 0 or np.max(np.abs(y @ program.A + box), initial=0.0) > -_DRIFT * support:
        return None
    rows = np.flatnonzero(y)
    # what A'y leaves on these coordinates no bound can take
    stuck = np.flatnonzero(_allowed(-(y @ program.A), program.lower, program.upper) != -(y @ program.A))
    y = y.copy()
    y[rows] = _projected(program.A[rows][:, stuck].T, y[rows])
    pull = -(y @ program.A)
    box = _allowed(pull, program.lower, program.upper)
    box[np.abs(box) <= 1e-14 * np.max(np.abs(y), initial=0.0)] = 0.0
    y = _allowed(y, program.row_lower, program.row_upper)
    support = _support(y, program.row_lower, program.row_upper) + _support(box, program.lower, program.upper)
    if not support < 0 or np.max(np.abs(y @ program.A + box), initial=0.0) > -_PROOF * support:
        return None
    return np.append(y, box) / -support


def descent_ray(program, d):
    """A direction d that no row or bound stops, along which the objective falls for ever, or None."""
    d = _trimmed(d)
    fall = program.q @ d + program.alpha @ np.abs(d)
    if not fall < 0 or _obstacle(program, d) > -_DRIFT * fall:
        return None
    d = _between(d, program.lower, program.upper)
    steep = program.A @ d
    held = np.flatnonzero(_between(steep, program.row_lower, program.row_upper) != steep)
    moving = np.flatnonzero(d)
    parts = [part[:, moving] for part in (program.matrix, program.factor, program.A[held]) if part is not None]
    curved = moving[program.ridge[moving] > 0]
    d[curved] = 0.0
    moving = np.flatnonzero(d)
    parts = [part[:, moving] for part in (program.matrix, program.factor, program.A[held]) if part is not None]
    d[moving] = _projected(sparse.vstack(parts) if program.is_sparse else np.vstack(parts), d[moving])
    d = _between(d, program.lower, program.upper)
    fall = program.q @ d + program.alpha @ np.abs(d)
    if not fall < 0 or _obstacle(program, d) > -_PROOF * fall:
        return None
    return d / -fall


def _obstacle(program, d):
    """Largest curvature along d, or step of d towards a finite side."""
    steep = program.A @ d
    return max(
        np.max(np.abs(program.curve(d)), initial=0.0),
        np.max(np.abs(steep - _between(steep, program.row_lower, program.row_upper)), initial=0.0),
        np.max(np.abs(d - _between(d, program.lower, program.upper)), initial=0.0),
    )


def _projected(matrix, vector):
    """The nearest vector that the matrix maps to zero; the vector itself where that would cost too much."""
    if not 0 < matrix.shape[0] * matrix.shape[1] <= _LARGEST_PROJECTION:
        return vector
    matrix = matrix.toarray() if sparse.issparse(matrix) else matrix
    for _ in range(2):  # the second pass removes the rounding of the first
        vector = vector - linalg.lstsq(matrix, matrix @ vector, cond=1e-10, lapack_driver="gelsy")[0]
    return vector


def _trimmed(vector):
    """The vector at largest entry 1, its smallest entries set to zero."""
    vector = vector / max(np.max(np.abs(vector), initial=0.0), 1e-300)
    return np.where(np.abs(vector) > 1e-7, vector, 0.0)


def _allowed(multipliers, lower, upper):
    """Multipliers without the parts that press on an infinite side."""
    return np.where(
        multipliers > 0, np.where(np.isfinite(upper), multipliers, 0.0), np.where(np.isfinite(lower), multipliers, 0.0)
    )


def _between(direction, lower, upper):
    """Directions without the parts that lead towards a finite side."""
    return np.where(
        direction > 0, np.where(np.isfinite(upper), 0.0, direction), np.where(np.isfinite(lower), 0.0, direction)
    )


def _support(multipliers, lower, upper):
    """Largest multipliers . s over sides lower <= s <= upper, of allowed multipliers."""
    pressed = multipliers != 0
    return float(multipliers[pressed] @ np.where(multipliers > 0, upper, lower)[pressed])
