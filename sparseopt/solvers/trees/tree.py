"""Branch and bound over supports, whatever the relaxation: open nodes, the incumbent, limits, and the proof.

A node fixes some units (features, or groups, or rows) in the support and some out of it. Its relaxation
proves a lower bound for all supports that agree with it, may fix more units, and names the one to branch
on. A node whose bound reaches the threshold

    threshold = incumbent - tolerance * max(|incumbent|, floor)

is closed: it holds nothing that is better by more than the gap that was asked for. The bound of the whole
tree is the least of its open nodes, and of the thresholds at which the others were closed.
"""

from __future__ import annotations

import heapq
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

# What a status says of a unit.
FREE, IN, OUT = 0, 1, -1
# A dive goes on below a node while its bound is no further from the least open one than this part of the gap.
_DIVE = 0.5
# Up to this part of the gap, several units are branched on at once.
_PLUNGE = 0.25
_NOTHING = np.empty(0, dtype=np.intp)


@dataclass(slots=True)
class Relaxed:
    """What a relaxation found of a node."""

    #: No support that agrees with the node has a smaller objective; inf where there is none.
    bound: float
    #: The unit to branch on; -1 where the bound is all that can be said: the relaxation is exact there.
    unit: int = -1
    #: Where the relaxations of the children begin; any object.
    start: object = None
    #: A support that is worth an evaluation, or None.
    support: np.ndarray | None = None
    #: Units that are likely to be in, in the order of branching, `unit` among them; nothing where there is no such guess.
    likely: np.ndarray = field(default_factory=lambda: _NOTHING)
    #: Whether the relaxation was worked out; otherwise time was up, and it goes on from `start`.
    is_finished: bool = True
    #: What the proof needs, where it is kept: (point, removed, kept) for each point that was used.
    points: list = field(default_factory=list)


class Relaxation(ABC):
    """Lower bounds for parts of the set of supports, and the exact value of one of them."""

    #: Number of units that may be in the support or not.
    n_units: int
    #: What was moved from the diagonal of the curvature into the prices, one number a coefficient; None for nothing.
    moved: np.ndarray | None = None
    #: Where the root begins, as `Relaxed.start`.
    first_start: object = None

    @abstractmethod
    def relax(self, status, start, threshold, until) -> Relaxed:
        """Bound the supports that agree with `status`, in which units may be fixed, in place.

        `start` is what the parent left, at the root `first_start`. The work ends where the bound reaches the
        `threshold`, or at the time `until` of `time.perf_counter`.
        """

    @abstractmethod
    def evaluate(self, support):
        """The least objective over coefficients on the units of `support`, and these coefficients; inf where it is not admitted."""

    def twin(self):
        """The same with scratch of its own, so that both may be worked on at the same time; None where there can be but one."""
        return None


class Node:
    """A node: its place in the tree, what it fixes beyond its parent, and what is proven of it."""

    __slots__ = ("bound", "depth", "is_in", "kept", "parent", "points", "removed", "start", "unit")

    def __init__(self, parent, unit, is_in, bound, start):
        self.parent, self.unit, self.is_in = parent, unit, is_in
        self.bound, self.start = bound, start
        self.depth = 0 if parent is None else parent.depth + 1
        #: Units that its relaxation fixed out of the support, and in it.
        self.removed = self.kept = _NOTHING
        self.points = []

    def fix(self, status):
        """Fix in `status` what the node itself fixes."""
        if self.removed.size:
            status[self.removed] = OUT
        if self.kept.size:
            status[self.kept] = IN
        if self.unit >= 0:
            status[self.unit] = IN if self.is_in else OUT

    def status(self, first):
        """The status of every unit: that of the root, `first`, and what the nodes above have fixed."""
        status, node = first.copy(), self
        while node is not None:
            node.fix(status)
            node = node.parent
        return status


class Tree:
    """The search: best bound first, diving from there.

    Parameters
    ----------
    relaxation : Relaxation
    status : array of int8
        What is fixed from the start.
    objective, point
        The incumbent; inf and None where there is none.
    tolerance, floor : float
        Relative gap to reach, and the least that it is relative to.
    lower_bound : float
        What is known without a search.
    keep_proof : bool
        Keep all nodes with the points that close them.
    """

    def __init__(
        self, relaxation, status, objective, point, *, tolerance, floor, lower_bound=-np.inf, keep_proof=False
    ):
        self.relaxation, self.first = relaxation, status
        self.objective, self.point = objective, point
        self.tolerance, self.floor = tolerance, floor
        self.keep_proof = keep_proof
        self.visited = 0
        #: Part of the tree that is closed, were every open node as large as its sibling (Hendel, Anderson, Le Bodic and Pfetsch, 2022).
        self.weight = 0.0
        #: Least of the bounds at which nodes were closed.
        self.closed = np.inf
        root = Node(None, -1, False, lower_bound, relaxation.first_start)
        self.nodes = [root] if keep_proof else []
        self._heap, self._count = [(lower_bound, 0, root)], 0
        self._dive = None
        # the least bound of nodes that are open in other trees
        self._elsewhere = np.inf
        # the node that was visited last, and its status: the next one is mostly its child
        self._last, self._status = None, status
        # the status where the work on that node began
        self._known = status

    @property
    def threshold(self):
        """A node with this bound is closed; without an incumbent only one that holds no point."""
        if self.objective == np.inf:
            return np.inf
        return self.objective - self.tolerance * max(abs(self.objective), self.floor)

    @property
    def lower_bound(self):
        """What is proven of all supports; no more than the threshold, at which units were fixed on the way."""
        least = min(self.threshold, self.closed, self._heap[0][0] if self._heap else np.inf)
        return min(least, self._dive.bound) if self._dive is not None else least

    @property
    def is_finished(self):
        """Whether no open node may hold anything better."""
        return self._dive is None and (not self._heap or self._heap[0][0] >= self.threshold)

    def run(self, until, most):
        """Visit nodes until the time `until`, at most `most` of them; returns how many."""
        before = self.visited
        while self.visited - before < most and not self.is_finished:
            self._visit(self._next(), until)
            if time.perf_counter() >= until:
                break
        if self.is_finished and self._heap:
            self.closed = min(self.closed, self._heap[0][0])
            self._heap = []
        return self.visited - before

    def account(self):
        """How many nodes were visited, in words."""
        return f"{self.visited} nodes"

    def offer(self, objective, point):
        """A better incumbent, if it is one."""
        if objective < self.objective:
            self.objective, self.point = objective, point

    @property
    def n_open(self):
        """Number of open nodes."""
        return len(self._heap) + (self._dive is not None)

    @property
    def least_open(self):
        """The least bound of an open node; inf if there is none."""
        least = self._heap[0][0] if self._heap else np.inf
        return least if self._dive is None else min(least, self._dive.bound)

    def take(self, most):
        """At most so many open nodes below the threshold, the best first, which belong to the caller from here."""
        if self._dive is not None:
            self.push(self._dive)
            self._dive = None
        nodes = []
        while len(nodes) < most and self._heap and self._heap[0][0] < self.threshold:
            nodes.append(heapq.heappop(self._heap)[2])
        return nodes

    def branch_off(self):
        """A tree without nodes, with a relaxation of its own, for nodes of this one."""
        twin = self.relaxation.twin()
        terms = {"tolerance": self.tolerance, "floor": self.floor, "keep_proof": self.keep_proof}
        other = Tree(twin, self.first, self.objective, self.point, **terms)
        other.nodes, other._heap = [], []
        return other

    def go_on(self, nodes, objective, point, elsewhere):
        """Take nodes of another tree, whose incumbent and least open bound are given."""
        self.objective, self.point, self._elsewhere = objective, point, elsewhere
        for node in reversed(nodes):
            self.push(node)

    def give_back(self, to):
        """Give open nodes, but for one that it dives into, and those that are kept to the tree from which they came."""
        for _, _, node in sorted(self._heap, key=lambda entry: entry[:2], reverse=True):
            to.push(node)
        to.nodes += self.nodes
        self._heap, self.nodes = [], []

    def _next(self):
        node, self._dive = self._dive, None
        return heapq.heappop(self._heap)[2] if node is None else node

    def _visit(self, node, until):
        self._dive = node  # open, should the work be interrupted
        if node is not self._last:
            self._known = self._status = self._status_of(node)
        # work that was interrupted goes on with what it has fixed, and may still take that back
        known, status = self._known, self._status.copy()
        found = self.relaxation.relax(status, node.start, self.threshold, until)
        changed = (status != known).nonzero()[0]
        node.removed, node.kept = changed[status[changed] == OUT], changed[status[changed] == IN]
        node.bound, node.start = max(node.bound, found.bound), found.start
        self._last, self._status = node, status
        if self.keep_proof:
            node.points += found.points
        if found.support is not None:
            self.offer(*self.relaxation.evaluate(found.support))
        if not found.is_finished:
            return
        self.visited += 1
        self._dive = node.start = None
        if node.bound >= self.threshold or found.unit < 0:
            self.closed = min(self.closed, node.bound)
            self.weight += 0.5**node.depth
            return
        self._plunge(node, found)

    def _plunge(self, node, found):
        """Branch on the unit of a node; while its bound is low, also on the others that are likely to be in with it.

        Nodes in which they are would mostly be branched on as well: their relaxations are saved.
        """
        least = min(node.bound, self._elsewhere, self._heap[0][0] if self._heap else np.inf)
        reach = node.bound - least if np.isfinite(least) else 0.0
        is_low = node.parent is None or reach <= _PLUNGE * (self.threshold - least)
        inner = node
        for unit in found.likely if is_low and found.likely.size else [found.unit]:
            outer, inner = (Node(inner, int(unit), is_in, node.bound, found.start) for is_in in (False, True))
            if self.keep_proof:
                self.nodes += [outer, inner]
            self.push(outer)
        least = min(self._heap[0][0], self._elsewhere)
        reach = node.bound - least if np.isfinite(least) else 0.0
        if reach <= _DIVE * (self.threshold - least):
            self._dive = inner
        else:
            self.push(inner)

    def _status_of(self, node):
        if node.parent is None or node.parent is not self._last:
            return node.status(self.first)
        status = self._status.copy()
        node.fix(status)
        return status

    def push(self, node):
        """Open a node."""
        self._count += 1
        # of equal bounds the latest first, which is the nearest
        heapq.heappush(self._heap, (node.bound, -self._count, node))
