"""The proof of a branch and bound, kept as a tree, and the program that checks it.

Supports are split by which units (features, or groups, or rows) they hold. A node fixes some in and some out; its
points fix more and, at a leaf, close it. Any point x will do. With v_i the slope of phi in its i-th fitted value and
t = -X'(s v), convexity gives for every w with support S

    f(w) + beta |w|**2 / 2 + l1 |w|_1 + alpha |S|  >=  base - sum over j in S of (gain_j(t_j) - alpha)

    base = -sum_i s_i phi*(y_i, v_i),    gain_j(t) = max over w_j in the box of t w_j - beta w_j**2 / 2 - l1 |w_j|

so that no support that is still possible does better than base, less the gains of what is in, less the largest gains
of as many others as k allows (Bertsimas and Van Parys, 2020; Atamturk and Gomez, 2020). In least squares and
quadratics a diagonal D may be moved from the curvature G of f into the gains, if G - D is positive semidefinite
(Frangioni and Gentile, 2007): then t = q - (G - D) x with the pull q of f at zero, and base is f(0) - x'(G - D) x / 2.

All is written from these formulas in plain numpy. It shares no code with the solver, and believes nothing but the
data of the problem: everything in a tree is a claim.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.proofs.bound_data import ProblemData
from sparseopt.proofs.bound_rows import RowRay

# What rounding may take off a bound, as part of the sums that it is made of, is let pass.
_ROUNDING = 1e-12
_FREE, _IN, _OUT = 0, 1, -1


@dataclass(frozen=True, eq=False)
class ProofNode:
    """A node of a `BoundTree`.

    Attributes
    ----------
    parent : int
        Position of the parent in `BoundTree.nodes`; -1 at the root.
    feature : int
        The unit on which the parent branched: a feature, a group or a row; -1 at the root.
    is_in : bool
        Whether it is in the supports of this node, or out of them.
    points : tuple of (indices, values, intercept) or (indices, values, intercept, blocks)
        Sparse coefficients, in the order in which they were used; the intercept is for losses that have one, the blocks,
        (features, matrix) each, are what rows and groups take off the curvature, of the features that may be in there.
    removed, kept : tuple of arrays
        For each point, units that it fixes out and in: were they on the other side, its bound would be at least
        that of the tree.
    is_leaf : bool
        The bound of the last point, or of the last one of a node above it, is at least that of the tree; or no
        support is left.
    """

    parent: int
    feature: int
    is_in: bool
    points: tuple = field(repr=False)
    removed: tuple = field(repr=False)
    kept: tuple = field(repr=False)
    is_leaf: bool


@dataclass(frozen=True, eq=False)
class BoundTree:
    """A proof that nothing in the constraint has an objective below `lower_bound`.

    Attributes
    ----------
    nodes : tuple of ProofNode
        The root first, every other one after its parent.
    lower_bound : float
    diagonal : array of shape (p,) or None
        What is moved from the curvature of the loss into the gains; None for nothing.
    """

    nodes: tuple
    lower_bound: float
    diagonal: np.ndarray | None = None

    def __repr__(self):
        return f"BoundTree({len(self.nodes)} nodes, lower_bound={self.lower_bound!r})"

    def fault(self, problem) -> str | None:
        """What is wrong with the proof for a problem, in words; None where it holds.

        Notes
        -----
        Each point costs a product with X, or in least squares one with some columns of X'SX.
        """
        data = ProblemData.of(problem)
        if isinstance(data, str):
            return data
        try:
            if np.isnan(self.lower_bound):
                return f"{self.lower_bound!r} is no lower bound"
            return _shape_fault(self.nodes, data) or data.move(self.diagonal) or _claim_fault(self, data)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            # whatever a file may hold in place of numbers and indices
            return f"it is malformed ({error})"


def _shape_fault(nodes, data):
    """Why the nodes are no tree in which each inner node has a child for both sides of a unit, or None."""
    if not nodes or nodes[0].parent != -1:
        return "it has no root"
    children = [[] for _ in nodes]
    for position, node in enumerate(nodes):
        if not len(node.points) == len(node.removed) == len(node.kept):
            return f"node {position} does not say of each point what it fixes"
        named = np.concatenate([np.empty(0, dtype=np.intp), *node.removed, *node.kept])
        if position and not 0 <= node.parent < position:
            return f"node {position} does not follow its parent"
        if (position and not 0 <= node.feature < data.n_units) or np.any((named < 0) | (named >= data.n_units)):
            return f"node {position} names a unit that the problem does not have"
        if position:
            children[node.parent].append(node)
    for position, (node, below) in enumerate(zip(nodes, children, strict=True)):
        if node.is_leaf and below:
            return f"node {position} is a leaf with children"
        sides = sorted(bool(child.is_in) for child in below)
        if not node.is_leaf and (sides != [False, True] or below[0].feature != below[1].feature):
            return f"node {position} is open: it needs one child for each side of a unit"
    return None


def _claim_fault(tree, data):
    """The first claim of a node that does not hold, or None; parents come before children."""
    waiting = np.bincount([node.parent for node in tree.nodes[1:]], minlength=len(tree.nodes))
    known = {}
    for position, node in enumerate(tree.nodes):
        # the status, and the last points of the nodes from here to the root
        status, above = known[node.parent] if position else (data.first_status(), ())
        if position:
            waiting[node.parent] -= 1
            if not waiting[node.parent]:
                del known[node.parent]
            status = None if status is None else _fixed(data, status, [node.feature], _IN if node.is_in else _OUT)
        bound = None
        for point, removed, kept in zip(node.points, node.removed, node.kept, strict=True):
            if status is None:
                break
            if reason := data.point_fault(point, status):
                return f"node {position}: {reason}"
            bound = _Bound(data, point)
            if reason := bound.fault(status, removed, kept, tree.lower_bound):
                return f"node {position}: {reason}"
            status = _fixed(data, status, removed, _OUT)
            status = None if status is None else _fixed(data, status, kept, _IN)
        if node.is_leaf and status is not None:
            least = -np.inf if bound is None else bound.at(status)
            if not least >= tree.lower_bound:
                least = max(least, _best_bound(data, status, above, tree.lower_bound))
            if not least >= tree.lower_bound:
                return f"node {position}: its bound is {least:.12g}, not {tree.lower_bound:.12g}"
        if waiting[position]:
            known[position] = status, (node.points[-1], above) if node.points else above
    return None


def _best_bound(data, status, points, enough):
    """The best bound that a linked list of points proves of a status, or the first that is enough."""
    least = -np.inf
    while points and not least >= enough:
        point, points = points
        least = max(least, _Bound(data, point).at(status))
    return least


def _fixed(data, status, units, side):
    """The status with some units on one side, and what follows from it; None where no support is left."""
    status = status.copy()
    for unit in units:
        if status[unit] not in (_FREE, side):
            return None
        status[unit] = side
    return data.completed(status)


class _Bound:
    """What one point proves of all nodes: base, and the gain of each unit."""

    def __init__(self, data, point):
        self.k = data.k
        self.base, self.gains, self.size = data.terms(point)
        self.is_ray = isinstance(point, RowRay)

    def at(self, status):
        """The bound of all supports with this status, with what rounding may take off added to it."""
        inside = self.gains[status == _IN]
        others = np.maximum(self.gains[status == _FREE], 0.0)
        room = min(self.k - inside.size, others.size)
        if room < 0:
            return np.inf
        best = np.partition(others, others.size - room)[others.size - room :] if room else others[:0]
        return self._less(inside.sum() + best.sum(), np.abs(inside).sum() + best.sum())

    def _less(self, gain, size):
        if self.is_ray:
            return np.inf if self.base - gain > _ROUNDING * (self.size + size) else -np.inf
        return self.base - gain + _ROUNDING * (self.size + size) if np.isfinite(gain) else -np.inf

    def fault(self, status, removed, kept, lower_bound):
        """The first unit that is fixed though its other side may hold something better than the lower bound, or None."""
        for units, side, name in ((removed, _IN, "out"), (kept, _OUT, "in")):
            for unit, bound in zip(units, self._with_each(status, np.asarray(units, dtype=np.intp), side), strict=True):
                if not bound >= lower_bound:
                    return f"unit {unit} is fixed {name}, but on the other side the bound is {bound:.12g}, not {lower_bound:.12g}"
        return None

    def _with_each(self, status, units, side):
        """The bounds with each one of some units on a side; the others stay as they are."""
        if (
            self.is_ray
            or units.size < 5
            or np.any(status[units] != _FREE)
            or not np.isfinite(self.gains[status != _OUT]).all()
        ):
            return np.array([self._with(status, unit, side) for unit in units.tolist()])
        free = np.flatnonzero(status == _FREE)
        inside = self.gains[status == _IN]
        room = self.k - inside.size - (side == _IN)
        if room < 0:
            return np.full(units.size, np.inf)
        others = np.maximum(self.gains[free], 0.0)
        order = np.argsort(-others, kind="stable")
        rank = np.empty(status.size, dtype=np.intp)
        rank[free[order]] = np.arange(free.size)
        sums = np.concatenate([[0.0], np.cumsum(others[order])])
        # the largest gains of all others: one further down where the unit is among them itself
        is_among = rank[units] < room
        best = sums[np.minimum(room + is_among, free.size)] - is_among * np.maximum(self.gains[units], 0.0)
        own = self.gains[units] if side == _IN else np.zeros(units.size)
        size = np.abs(inside).sum() + np.abs(own) + best
        return self.base - (inside.sum() + own + best) + _ROUNDING * (self.size + size)

    def _with(self, status, unit, side):
        if status[unit] not in (_FREE, side):
            return np.inf
        changed = status.copy()
        changed[unit] = side
        return self.at(changed)
