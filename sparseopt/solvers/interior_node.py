"""Nodes of a tree over few features, by an interior-point method, with a diagonal of their own.

What can be taken off the diagonal of G grows as features go out, and as others come in, from whose curvature nothing
need be taken. It is maximised again where many were fixed, for the features whose parts are far from whole: there it
raises the bound (Zheng, Sun and Li, 2014; Dong, Chen and Linderoth, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.kernels.perspective import fix_features, perspective_bound
from sparseopt.solvers.interior_relaxation import interior_parts
from sparseopt.solvers.perspective_diagonal import heaviest_diagonal
from sparseopt.solvers.tree import FREE, IN, OUT, Relaxed

# How often a node is solved again, where many features could be fixed: fewer than this part of the free ones are left.
_AGAIN, _MANY = 3, 0.8
# Free features left, as a part of those for which the diagonal was found, before it is found again.
_SHRUNK = -1.0
# Of what is missing, before the node is branched on.
_KNOWN = 1.0


@dataclass(frozen=True, eq=False)
class InteriorStart:
    """What a node leaves to its children: parts of features, the diagonal, for how many it was found, and who gains by more of it."""

    parts: np.ndarray
    diagonal: np.ndarray
    count: float
    gains: np.ndarray


def interior_node(of, status, start, threshold):
    """Bound a node of a `QuadraticRelaxation`, whose `status` is changed in place; None where the numbers do not allow it."""
    model, subset = of.model, of.subset
    if start is None:
        start = InteriorStart(np.full(of.n_units, 0.5), model.moved, np.inf, np.zeros(of.n_units))
    bound, points, best = -np.inf, [], None
    for _ in range(_AGAIN):
        room = subset.k - int(np.count_nonzero(status == IN))
        if room == 0:
            status[status == FREE] = OUT
        features = np.flatnonzero((status != OUT) & ~model.is_flat)
        is_in, linear = status[features] == IN, model.linear[features]
        gram = model.block(features)
        start = _with_diagonal(of, start, features, gram, is_in)
        moved = start.diagonal[features]
        gram[np.diag_indices(features.size)] -= moved
        curve = subset.ridge + moved
        found = None
        if np.all(curve > 0.0):
            parts = start.parts[features]
            found = interior_parts(
                gram, linear, curve, is_in, room, subset.alpha, parts, model.constant, threshold, _KNOWN
            )
        if found is None:
            return None
        w, z = found
        start = InteriorStart(
            _spread(of, features, z), start.diagonal, start.count, _spread(of, features, w * w * (1.0 / z - 1.0))
        )
        here, profits, least, last = _bound(of, features, status, gram, curve, w, room)
        if here > bound:
            bound, best = here, (features, w)
        if bound >= threshold:
            break
        known, own, free = np.arange(features.size), status[features], np.count_nonzero(is_in == 0)
        kept, removed = fix_features(known, profits, own, here, least, last, threshold) if room else (0, 0)
        status[features] = own
        if of.keep_points and kept + removed:
            points.append(((features, w), features[~is_in & (own == OUT)], features[~is_in & (own == IN)]))
        if not kept and np.count_nonzero(own == FREE) >= _MANY * free:
            break
    if of.keep_points and best is not None:
        nothing = np.empty(0, dtype=np.intp)
        points.append((best, nothing, nothing))
    unit, support = _choose(of, status, features, z)
    return Relaxed(bound, unit if bound < threshold else -1, start, support, points=points)


def _spread(of, features, values):
    full = np.zeros(of.n_units)
    full[features] = values
    return full


def _with_diagonal(of, start, features, gram, is_in):
    """The start with a diagonal for the features that are left, where they are many fewer than those it was found for.

    Where points are kept, all must have the same one.
    """
    count = int(np.count_nonzero(~is_in))
    if of.keep_points or count == 0 or count > _SHRUNK * start.count or not start.gains.any():
        return start
    gains = np.where(is_in, 0.0, start.gains[features])
    found = heaviest_diagonal(gram, gains, start.diagonal[features])
    diagonal = start.diagonal if found is None else _spread(of, features, found)
    return InteriorStart(start.parts, diagonal, count, start.gains)


def _bound(of, features, status, gram, curve, w, room):
    """The bound at w, the profits, and the least profit that it takes in and the next one."""
    model, subset = of.model, of.subset
    sizes, image = model.sizes[features], gram @ w
    weight = float(np.abs(w) @ sizes)
    error = model.rounding * (of.length + weight)
    own, known, profits = status[features], np.arange(features.size), np.empty(features.size)
    heap = np.empty(min(room, int(np.count_nonzero(own == FREE))) + 1)
    terms = (curve, 0.0, of.lower[features], of.upper[features], subset.alpha)
    pull = model.linear[features] - image
    total, rounding, least, last = perspective_bound(known, pull, sizes, own, *terms, error, 0.0, heap, profits)
    base = model.constant - 0.5 * float(w @ image)
    rounding += error * weight + 1e-15 * (model.constant + abs(total))
    return base - total - rounding, profits, least, last


def _choose(of, status, features, z):
    """The feature whose part is nearest to a half, -1 if all are fixed; and the support of the largest parts."""
    free = status[features] == FREE
    into = np.flatnonzero(status == IN)
    room, candidates, z = of.subset.k - into.size, features[free], z[free]
    count = room if of.subset.alpha == 0.0 else int(np.count_nonzero(z >= 0.5))
    order = np.argsort(-z, kind="stable")[: max(0, min(count, room))]
    support = np.sort(np.concatenate([into, candidates[order]]))
    if room <= 0 or candidates.size == 0:
        return -1, support
    return int(candidates[np.argmax(z)]), support
