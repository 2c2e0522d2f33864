"""Combinations of features along which a quadratic falls without end, so that there is no best subset to search for.

Of dependent features each that is a combination v of independent ones has no curvature along e_j - v, and where c has a
slope along it, nothing ends the fall. These directions, one a dependent feature, span all of them: where none has a slope
there is no other, and where as many features are admitted as the rank and one more, one of them is found if there is any.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack, solve_triangular

from sparseopt.losses import Quadratic
from sparseopt.losses.base import kept
from sparseopt.subsets import SubsetProblem, ancestors

# Up to this size a matrix is factored where a problem is looked at.
_LARGEST = 1500
# Curvature of rounding, in units of that of the data's type and for each feature.
_DIGITS = 16.0
# Entries of a direction that are rounding, as a part of the largest.
_SMALL = 1e-8
# A fall to this many times the most that one feature gains, with rounding for curvature, is one without end.
_ENDLESS = 1e6


def endless_features(problem):
    """Features that may be in together and along a combination of which a quadratic falls without end; None where none are known."""
    loss, reading = problem.loss, SubsetProblem.of(problem)
    if not isinstance(loss, Quadratic) or isinstance(reading, str) or reading.ridge or loss.n_features > _LARGEST:
        return None
    return kept(problem, "_endless_features", lambda: _first_endless(loss, reading))


def _first_endless(loss, reading):
    Q, c = np.asarray(loss.Q.to_array(), dtype=np.float64), loss.c.astype(np.float64)
    is_open = Q.diagonal() > 0.0
    is_open[reading.forbidden] = False
    features = np.flatnonzero(is_open)
    if features.size < 2:
        return None
    sizes = np.sqrt(Q.diagonal()[features])
    Q, c = Q[np.ix_(features, features)] / np.outer(sizes, sizes), c[features] / sizes
    rounding = _DIGITS * features.size * float(np.finfo(loss.dtype).eps)
    directions, most = _flat_directions(Q, rounding), _ENDLESS * rounding * float(np.max(c * c))
    slopes = directions @ c
    # of a unit diagonal rounding leaves at least so much
    for i in np.flatnonzero(slopes * slopes > most * np.sum(directions * directions, axis=1)):
        d = -np.sign(slopes[i]) * directions[i]
        size = float(np.abs(d) @ (np.abs(Q) @ np.abs(d)))
        fall = abs(slopes[i]) - reading.l1 * float(np.sum(np.abs(d) / sizes))
        is_endless = fall > 0.0 and fall * fall > most * size and d @ (Q @ d) <= rounding * size
        moved = features[d != 0.0]
        if is_endless and _is_free(reading, moved, d[d != 0.0]) and _fits(reading, moved):
            return moved
    return None


def _flat_directions(Q, rounding):
    """Directions without curvature, a row for each dependent feature, by a Cholesky factor with pivots of a matrix of unit diagonal."""
    factor, order, rank, _ = lapack.dpstrf(np.array(Q, order="F"), tol=rounding, lower=1)
    found, order = np.zeros((order.size - rank, order.size)), order - 1
    base, rest = np.tril(factor[:rank, :rank]), factor[rank:, :rank]
    found[:, order[:rank]] = -solve_triangular(base, rest.T, lower=True, trans="T").T
    found[np.abs(found) <= _SMALL * np.max(np.abs(found), axis=1, initial=1.0, keepdims=True)] = 0.0
    found[np.arange(len(found)), order[rank:]] = 1.0
    return found


def _is_free(reading, moved, moves):
    """Whether no bound ends the way."""
    if not reading.has_bounds:
        return True
    sides = np.where(moves > 0.0, reading.upper[moved], reading.lower[moved])
    return bool(np.all(np.isinf(sides)))


def _fits(reading, moved):
    """Whether these features may be in together, beside those that must be."""
    if reading.groups is not None:
        return sum(bool(np.isin(group, moved).any()) for group in reading.groups) <= reading.k
    needed = {*reading.required.tolist(), *moved.tolist()}
    for child in moved.tolist():
        needed |= ancestors(reading.parents, child)
    return len(needed) <= reading.k and not needed & set(reading.forbidden.tolist())
