"""Nodes of a tree over few features, by an interior-point method."""

from __future__ import annotations

import numpy as np

from sparseopt.kernels.perspective import fix_features, perspective_bound
from sparseopt.solvers.trees.interior_relaxation import interior_parts
from sparseopt.solvers.trees.tree import FREE, IN, OUT, Relaxed

# How often a node is solved again, where many features could be fixed: fewer than this part of the free ones are left.
_AGAIN, _MANY = 3, 0.8
# Of what is missing, before the node is branched on: as soon as the relaxation is below the threshold. Parts that are
# still far from the boundary make better branchings than those of the minimiser, most of which are none or whole.
_KNOWN = 1.0


def interior_node(of, status, start, threshold):
    """Bound a node of a `QuadraticRelaxation`, whose `status` is changed in place; None where the numbers do not allow it."""
    model, subset = of.model, of.subset
    parts = np.full(of.n_units, 0.5) if start is None else start
    bound, points, best = -np.inf, [], None
    for _ in range(_AGAIN):
        room = subset.k - int(np.count_nonzero(status == IN))
        if room == 0:
            status[status == FREE] = OUT
        features = np.flatnonzero((status != OUT) & ~model.is_flat)
        is_in, linear = status[features] == IN, model.linear[features]
        gram, moved = model.block(features), model.moved[features]
        gram[np.diag_indices(features.size)] -= moved
        curve = subset.ridge + moved
        terms = (room, subset.alpha, parts[features], model.constant, threshold, _KNOWN)
        found = interior_parts(gram, linear, curve, is_in, *terms) if np.all(curve > 0.0) else None
        if found is None:
            return None
        w, z = found
        parts = np.zeros(of.n_units)
        parts[features] = z
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
    return Relaxed(bound, unit if bound < threshold else -1, parts, support, points=points)


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
    total, rounding, least, last = perspective_bound(known, pull, sizes, own, *terms, error, 0.0, 0.0, heap, profits)
    base = model.constant - 0.5 * float(w @ image)
    # gains are what is left of larger ones at the price
    rounding += error * weight + 1e-15 * (model.constant + abs(total) + subset.alpha * features.size)
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
