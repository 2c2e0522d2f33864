"""Rays: directions that prove a quadratic program infeasible or unbounded, cleaned of rounding.

The iterates of a method that finds no solution drift along such a direction (Banjac, Goulart,
Stellato and Boyd, 2019). Here the drift is projected on what a proof must satisfy exactly.
"""

import numpy as np
import scipy
from scipy import sparse

from sparseopt.solvers.quadratic.sparse_ldl import SparseLDL, joined

# A drift further than this from a proof is not worth its projection; one within _PROOF is one,
# since certificates allow 1e-8.
_DRIFT, _PROOF = 1e-3, 5e-9
# Relative size of what a drift carries along from the approach to a solution of the other coordinates.
_TRIFLE = 1e-7
# Part of an entry that is left of it where a projection takes it off.
_DUST = 1e-13
_LARGEST_PROJECTION = 2_000_000
# Regularisation of a sparse projection, for rows of norm 1, and the steps that take it out.
_SOFT, _STEPS = 1e-9, 4
# How often a point is moved to the rows that it misses.
_TURNS = 5


def separating_ray(program, y):
    """(y, box) with A'y + box = 0 and negative support, which no feasible w allows, or None."""
    y = _allowed(y / _size(y), program.row_lower, program.row_upper)
    box, residual = _separation(program, y)
    if residual <= _PROOF:
        return np.append(y, box)
    if not residual <= _DRIFT:
        return None
    for trifle in (_TRIFLE, 0.0):
        ray = np.where(np.abs(y) <= trifle, 0.0, y)
        rows, pull = np.flatnonzero(ray), -(ray @ program.A)
        # what A'y leaves on these coordinates no bound can take
        stuck = np.flatnonzero(_allowed(pull, program.lower, program.upper) != pull)
        ray[rows] = _projected(program.A[rows][:, stuck].T, ray[rows])
        ray = _allowed(ray, program.row_lower, program.row_upper)
        box, residual = _separation(program, ray)
        if residual <= _PROOF:
            return np.append(ray, box)
    return None


def _separation(program, y):
    """Multipliers of the bounds that balance A'y best, and what is left in units of the negative support."""
    pull = -(y @ program.A)
    pull[np.abs(pull) <= 1e-14 * _size(y)] = 0.0
    box = _allowed(pull, program.lower, program.upper)
    support = _support(y, program.row_lower, program.row_upper) + _support(box, program.lower, program.upper)
    return box, _size(pull - box) / -support if support < 0 else np.inf


def descent_ray(program, d):
    """A direction d that no row or bound stops, along which the objective falls for ever, or None."""
    d = _between(d / _size(d), program.lower, program.upper)
    if not _obstacle(program, d) <= _DRIFT:
        return None
    d[(np.abs(d) <= _TRIFLE) | (program.ridge > 0)] = 0.0
    steep, moving = program.A @ d, np.flatnonzero(d)
    held = np.flatnonzero(_between(steep, program.row_lower, program.row_upper) != steep)
    parts = [part[:, moving] for part in (program.matrix, program.factor, program.A[held]) if part is not None]
    before = d[moving]
    after = _projected(sparse.vstack(parts) if program.is_sparse else np.vstack(parts), before)
    # of what has been taken off rounding leaves a little, which has a curvature of its own
    d[moving] = np.where(np.abs(after) <= _DUST * np.abs(before), 0.0, after)
    d = _between(d, program.lower, program.upper)
    if not _size(d) > _TRIFLE:
        return None  # what the projection has taken off was all of it
    return d if _obstacle(program, d) <= _PROOF else None


def _obstacle(program, d):
    """Largest curvature along d, or step of d towards a finite side, in units of the fall of the objective."""
    fall = program.q @ d + program.alpha @ np.abs(d)
    if not fall < 0:
        return np.inf
    steep = program.A @ d
    blocked = steep - _between(steep, program.row_lower, program.row_upper)
    return max(_size(program.curve(d)), _size(blocked), _size(d - _between(d, program.lower, program.upper))) / -fall


def is_met_beside(program, w, d, allowed):
    """Whether w satisfies the constraints, each row up to `allowed` of its size, or a point does on the way back along d or near that.

    Far out along a ray the rows are no longer met, since rounding is as large as the point is.
    """
    held = program.row_lower == program.row_upper
    speed = np.append(program.A @ d, d)
    speed[np.abs(speed) <= _TRIFLE * _size(d)] = 0.0
    for turn in range(_TURNS):
        w = np.clip(w, program.lower, program.upper)
        rows = program.A @ w
        missing = _missing(rows, program.row_lower, program.row_upper)
        if np.max(np.abs(missing) / (1 + np.abs(rows)), initial=0.0) <= allowed:
            return True
        if turn == 0:
            w = w - max(float(w @ d) / float(d @ d), 0.0) * d
        else:
            held = held | (missing != 0)
            free = np.flatnonzero((program.lower < w) & (w < program.upper))
            part = program.A[np.flatnonzero(held)][:, free]
            w[free] = _projected(part, w[free], missing[held] + part @ w[free])
        # some of what is missing then is on the way along d
        lower, upper = np.append(program.row_lower, program.lower), np.append(program.row_upper, program.upper)
        missing = _missing(np.append(program.A @ w, w), lower, upper)
        ahead = missing * speed > 0
        w = w + np.max(missing[ahead] / speed[ahead], initial=0.0) * d
    return False


def _missing(values, lower, upper):
    """What values lack of being between sides."""
    return np.clip(values, lower, upper) - values


def _projected(matrix, vector, image=0.0):
    """The nearest vector that the matrix maps to an image; the vector itself where that would cost too much."""
    if 0 in matrix.shape:
        return vector
    if sparse.issparse(matrix):
        return _projected_sparse(sparse.csc_array(matrix), vector, image)
    if matrix.shape[0] * matrix.shape[1] > _LARGEST_PROJECTION:
        return vector
    for _ in range(2):  # the second pass removes the rounding of the first
        vector = vector - scipy.linalg.lstsq(matrix, matrix @ vector - image, cond=1e-10, lapack_driver="gelsy")[0]
    return vector


def _projected_sparse(matrix, vector, image):
    """The same by [I M'; M -delta], with a method of multipliers that takes out delta again, whatever the rank of M."""
    m, p = matrix.shape
    scale = sparse.linalg.norm(matrix, axis=1)
    scale = 1.0 / np.where(scale > 0, scale, 1.0)
    matrix, image = sparse.csc_array(sparse.diags_array(scale) @ matrix), scale * image
    block = (p, matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data)
    ldl = SparseLDL(*joined([block], p + m))
    if not ldl.factorise(np.append(np.ones(p), np.full(m, -_SOFT))):
        return vector
    for _ in range(_STEPS):
        vector = vector + ldl.solve(np.append(np.zeros(p), image - matrix @ vector))[:p]
    return vector


def _size(vector):
    """Largest entry, or the smallest positive number for a vector of zeros, to divide by."""
    return np.max(np.abs(vector), initial=np.finfo(np.float64).tiny)


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
