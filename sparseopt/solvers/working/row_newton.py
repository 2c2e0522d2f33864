"""Newton steps on rows of coefficients that share a Gram matrix, under a penalty on the norms of rows.

Where no row is zero the penalty is smooth, with the second derivative a / norm(w) (I - u u') + b in a row w of direction
u. Rows stand side by side as columns, as in `descend_rows`.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from sparseopt.penalties.group_form import GroupForm
from sparseopt.solvers.working.newton import conjugate_gradients

# Largest number of coefficients whose matrix is factored; beyond it conjugate gradients are quicker.
_DIRECT = 400
# They end at this part of their first residual, or after so many steps.
_ACCURACY, _STEPS = 1e-2, 100
# Curvatures between which float32 neither overflows nor vanishes.
_LEAST, _MOST = 1e-20, 1e20
# Parts of a Newton step that are tried.
_PARTS = (1.0, 0.5, 0.25, 0.1, 0.01)
# Parts of the way to where the first row would be zero that are tried last: just beyond, and short of it.
_REACHES = (1.0 + 1e-9, 0.9)


def is_smooth_in_rows(form):
    """Whether a penalty on rows is smooth where no row is zero."""
    return isinstance(form, GroupForm) and form.c == 0.0 and not form.nonnegative


def newton_rows(gram, kinks, ridge, W, slope, goal, limit):
    """At most so many Newton steps on the nonzero rows, in place, until they are within the goal of stationarity."""
    for _ in range(limit):
        free = np.flatnonzero(W.any(axis=0))
        rows = W[:, free]
        norms = np.sqrt(np.sum(rows * rows, axis=0))
        if free.size == 0 or not np.all(norms > 0.0):
            return
        units, bends = rows / norms, kinks[free] / norms
        force = slope[:, free] + kinks[free] * units + ridge * rows
        if np.max(np.sum(force * force, axis=0)) <= goal * goal:
            return
        near = gram if free.size == len(gram) else gram[np.ix_(free, free)]
        direction = _solve(near, units, bends, ridge, -force)
        if direction is None or not _walk(gram, kinks[free], ridge, W, slope, free, units, direction):
            return


def _walk(gram, kinks, ridge, W, slope, free, units, direction):
    """Go a part of a direction, in place, if the objective falls; whether it did. A row that would cross zero stops there."""
    old = W[:, free]
    norms, ahead = np.sum(units * old, axis=0), np.sum(units * direction, axis=0)
    nearest = float(np.min(norms[ahead < 0.0] / -ahead[ahead < 0.0], initial=np.inf))
    for part in (*_PARTS, *(reach * nearest for reach in _REACHES if nearest < _PARTS[-1])):
        new = old + part * direction
        new[:, (np.sum(units * new, axis=0) <= 0.0) & (kinks > 0.0)] = 0.0
        move = new - old
        image = move @ gram[free]
        change = np.sum(move * (slope[:, free] + image[:, free] / 2 + ridge * (old + move / 2)))
        if change + kinks @ (_norms(new) - _norms(old)) < 0.0:
            W[:, free] = new
            slope += image
            return True
    return False


def _norms(rows):
    return np.sqrt(np.sum(rows * rows, axis=0))


def _solve(gram, units, bends, ridge, right):
    """Solution d of (H + bend) d = right; None where the matrix is singular."""
    q, size = right.shape
    if right.size <= _DIRECT:
        matrix = np.zeros((q, size, q, size))
        for k in range(q):
            matrix[k, :, k] = gram + np.diag(bends + ridge)
        j = np.arange(size)
        matrix[:, j, :, j] -= np.einsum("j,kj,lj->jkl", bends, units, units)
        factor, fault = lapack.dpotrf(matrix.reshape(right.size, right.size), lower=1)
        direction = None if fault else lapack.dpotrs(factor, right.ravel(), lower=1)[0]
        return direction.reshape(q, size) if direction is not None and np.all(np.isfinite(direction)) else None
    own = np.diag(gram) + ridge
    across = 1.0 / (own + bends)
    # a product is as slow as memory, and the direction only rough
    rough = gram.astype(np.float32) if np.min(own) > _LEAST and np.max(own) < _MOST else gram

    def multiply(d):
        d = d.reshape(q, size)
        scale = np.max(np.abs(d)) or 1.0
        image = scale * ((d / scale).astype(rough.dtype) @ rough)
        return (image + (bends + ridge) * d - bends * units * np.sum(units * d, axis=0)).ravel()

    def near_inverse(r):
        # exact in each row alone
        r = r.reshape(q, size)
        return (across * r + (1.0 / own - across) * units * np.sum(units * r, axis=0)).ravel()

    direction = conjugate_gradients(multiply, near_inverse, right.ravel(), _ACCURACY, _STEPS)
    return None if direction is None else direction.reshape(q, size)
