"""Bounds for the choice of rows of several responses, or of groups, by the perspective relaxation of blocks.

At any W, with C = diag(C_b) such that H - C is positive semidefinite and T = Q - (H - C) W,

    f(W') + ridge |W'|**2 / 2  >=  constant - tr W'(H - C)W / 2 - sum over blocks in the support of tr T_b' C_b^-1 T_b / 2

for every W' (Bertsimas and Van Parys, 2020, for blocks as for coefficients): no support is better than with the gains
of the blocks that are in and the largest of as many others as may be. The interior-point method finds both W and C, anew
for the blocks that are left in each node: what is out takes nothing off the curvature of the rest.
"""

from __future__ import annotations

import math
from copy import copy

import numpy as np

from sparseopt.losses import MultiResponse
from sparseopt.solution import UnsupportedProblem
from sparseopt.solvers.local_search import walk_of
from sparseopt.solvers.subsets.gram_rows import GramRows
from sparseopt.solvers.subsets.subset_search import SubsetSearch
from sparseopt.solvers.trees.block_interior import interior_blocks
from sparseopt.solvers.trees.block_model import MOST, block_model
from sparseopt.solvers.trees.row_enumeration import RowEnumeration, enumerated, is_worth
from sparseopt.solvers.trees.tree import FREE, IN, OUT, Relaxation, Relaxed

# How often a node is solved again, where many blocks could be fixed: fewer than this part of the free ones are left.
_AGAIN, _MANY = 3, 0.8
# Of what is missing, before the node is branched on.
_KNOWN = 0.3
# Of the search for the first support.
_KICKS = 10
# Coefficients up to which a relaxation takes some hundredths of a second at most: it is worked out whatever the time, so
# that results do not depend on it.
_QUICK = 200
_NOTHING = np.empty(0, dtype=np.intp)


class BlockRelaxation(Relaxation):
    """The relaxation of one problem.

    Parameters
    ----------
    model : BlockModel
    subset : SubsetProblem
        Rows or groups, without bounds, prices and hierarchy.
    keep_points : bool
        Return the points that prove the bounds.
    """

    def __init__(self, model, subset, *, keep_points=False):
        self.model, self.subset, self.keep_points = model, subset, keep_points
        self.n_units = len(model.members)
        self.share = model.first_share()
        #: Relaxations that were worked out, and sets that were enumerated.
        self.visited = self.sets = 0

    def twin(self):
        # nodes have no scratch; what is counted is each one's own
        return copy(self)

    def first_status(self):
        """What the problem itself fixes."""
        status = np.array([FREE if block.size else OUT for block in self.model.members], dtype=np.int8)
        status[self.subset.forbidden] = OUT
        status[self.subset.required] = IN
        return status

    def relax(self, status, start, threshold, until):
        if np.count_nonzero(status == IN) > self.subset.k:
            return Relaxed(np.inf)
        if isinstance(start, RowEnumeration):
            return enumerated(start, -np.inf, threshold, until)
        z, c, mu = (np.full(self.n_units, 0.5), self.share, np.inf) if start is None else start
        bound, points, best, rounds = -np.inf, [], None, 0
        while True:
            room = self.subset.k - int(np.count_nonzero(status == IN))
            if room == 0:
                status[status == FREE] = OUT
            units = np.flatnonzero((status != OUT) & [block.size > 0 for block in self.model.members])
            is_in = status[units] == IN
            used, blocks = self.model.part(units, is_in)
            if used.size == 0:
                best = used, np.empty((0, self.model.Q.shape[1])), units, _NOTHING
                return Relaxed(self.model.constant * (1.0 - 1e-15), points=self._kept(points, best))
            late = np.inf if used.size <= _QUICK else until
            found = interior_blocks(blocks, room, z[units], c[units], mu, threshold, _KNOWN, late)
            if found is None:
                return self._blind(status, bound, points, (z, c, np.inf))
            _, U, part, share, last = found
            W = self.model.T[np.ix_(used, used)] @ U
            z, c, mu = np.zeros(self.n_units), c.copy(), np.inf
            z[units], c[units] = (part, share) if last is None else last[:2]
            base, gains, rounding = self.model.bound(units, used, W, part, share)
            here, into, out = _judged(base, gains, is_in, room, rounding, threshold)
            point = used, W, units, share
            if here > bound:
                bound, best = here, point
            if bound >= threshold or room == 0 or is_in.all():
                break
            status[units[out]], status[units[into]] = OUT, IN
            if self.keep_points and out.size + into.size:
                points.append((self._point(point), units[out], units[into]))
            if last is not None:
                mu = last[2] if out.size + into.size == 0 else np.inf
                return Relaxed(bound, start=(z, c, mu), is_finished=False, points=self._kept(points, best))
            rounds += 1
            is_open = np.any(status == FREE)
            if is_open and (rounds >= _AGAIN or out.size + into.size < (1.0 - _MANY) * np.count_nonzero(~is_in)):
                break
        self.visited += 1
        free, into = (int(np.count_nonzero(status == side)) for side in (FREE, IN))
        room, is_open = self.subset.k - into, bound < threshold and not self.keep_points
        if is_open and is_worth(self.model, free, room, into, threshold, self.visited, self.sets):
            self.sets += math.comb(free, room)
            return enumerated(RowEnumeration(self.model, status, room), bound, threshold, until)
        unit, support = self._choose(status, z)
        return Relaxed(
            bound, unit if bound < threshold else -1, (z, c, np.inf), support, points=self._kept(points, best)
        )

    def evaluate(self, support):
        if len(support) > self.subset.k:
            return np.inf, np.zeros(self.model.n_coefficients * self.model.n_outputs)
        return self.model.evaluate(support)

    def _choose(self, status, z):
        """The free block that is in by the largest part, -1 if all are fixed; and the support of the largest parts."""
        free, into = np.flatnonzero(status == FREE), np.flatnonzero(status == IN)
        room = self.subset.k - into.size
        order = free[np.argsort(-z[free], kind="stable")]
        support = np.sort(np.concatenate([into, order[: max(room, 0)]]))
        return (int(order[0]) if room > 0 and free.size else -1), support

    def _blind(self, status, bound, points, start):
        """What is left where the numbers allow no step: to branch on."""
        free = np.flatnonzero(status == FREE)
        return Relaxed(bound, int(free[0]) if free.size else -1, start, points=points)

    def _kept(self, points, best):
        """What proves the fixings, and last the bound."""
        if not self.keep_points or best is None:
            return points
        return [*points, (self._point(best), _NOTHING, _NOTHING)]

    def _point(self, point):
        """A point as the checker reads it: coefficients, no intercept, and what is taken off each unit."""
        used, W, units, share = point
        w = self.model.coefficients(used, W)
        indices = np.flatnonzero(w)
        own, members = self.model.own, self.model.members
        taken = tuple((members[unit], part * own[unit]) for unit, part in zip(units, share, strict=True))
        return indices, w[indices], 0.0, taken


def _judged(base, gains, is_in, room, rounding, threshold):
    """The bound, and the places of the blocks that it fixes in and out of the support."""
    free = np.flatnonzero(~is_in)
    profits = gains[free]
    order = np.argsort(-profits, kind="stable")
    top = profits[order[:room]]
    total = float(gains[is_in].sum()) + float(top.sum())
    rounding += 1e-15 * total * (1 + gains.size)
    here = base - total - rounding
    last = top[-1] if top.size else 0.0
    following = profits[order[room]] if free.size > room else 0.0
    into = free[order[:room]][here + (top - following) >= threshold]
    rest = free[order[room:]]
    out = rest[here + (last - gains[rest]) >= threshold]
    return here, into, out


def rejects_blocks(loss, subset):
    """Why nothing can be proven of the choice of rows or groups, in words; None if something can."""
    is_matrix = isinstance(loss, MultiResponse)
    if is_matrix and (subset.groups is not None or not subset.has_rows):
        return "with several responses it chooses rows, by RowCardinality; LocalSearch counts single coefficients"
    if subset.has_bounds or subset.l1:
        return "rows and groups are bounded by linear systems, which know no bounds on coefficients and no L1 norm"
    if subset.n_features > MOST:
        return f"it takes up to {MOST} coefficients of one response in rows or groups, got {subset.n_features}"
    return None


def prepare_blocks(loss, subset, *, keep_points):
    """The relaxation, and the objective and coefficients of a first support, in parts: a generator.

    It yields None, or a function that gives the best coefficients so far.
    """
    model = yield from block_model(loss, subset)
    if not model.is_definite or model.first_share() is None:
        raise UnsupportedProblem(
            "BranchAndBound: some columns are combinations of others, and nothing is proven without a limit to their "
            "coefficients; add a ridge, Ridged(penalty, beta)."
        )
    G = model.H - subset.ridge * np.eye(model.n_coefficients)
    pull = model.Q.T if subset.has_rows else model.Q[:, 0]
    rows = GramRows(lambda features: G[features], pull, G.diagonal(), model.constant, model.rounding)
    search = SubsetSearch(walk_of(rows, subset), subset.k, kicks=_KICKS)

    def found():
        return model.evaluate(np.union1d(search.best.support, subset.required).astype(np.intp))

    for _ in search.run():
        yield lambda: found()[1]
    return BlockRelaxation(model, subset, keep_points=keep_points), *found()
