"""Two trees on one problem of few features: cheap bounds for single features, and dear ones for all their pairs.

The perspective relaxation of single features takes a fraction of a millisecond a node. The one of blocks, with blocks of one
feature, also chooses what is taken off the curvature, anew in each node, where the other takes what was chosen at the
root: it needs far fewer nodes, each of which costs some p**2 / 450 of the others. Easy problems are over before it
would have begun; of hard ones it closes several times faster those with a ridge and features that are correlated or
nearly as many as samples.

So the first tree goes ahead. Once it has done the work of a few nodes of the second, both go on until one is finished; three
quarters of the work go to the one that has closed more of its tree for the work that it has had, leaves at depth d
counted as 2**-d (Hendel, Anderson, Le Bodic and Pfetsch, 2022). Work is counted in nodes, not in seconds, so that
results do not depend on the machine.
"""

from __future__ import annotations

import time

import numpy as np

from sparseopt.solvers.trees.block_model import BlockModel
from sparseopt.solvers.trees.block_relaxation import BlockRelaxation
from sparseopt.solvers.trees.forest import Forest
from sparseopt.solvers.trees.tree import Tree

# Most features: beyond, a node of blocks takes too long.
MOST = 128
# Features of which the square is what a node of blocks costs in nodes of single features.
_COST = 450.0
# Nodes of blocks of which the work is done before there is one; the part of the work that goes to the tree that does better.
_AHEAD, _LEADER = 12, 0.75


class RivalTrees(Forest):
    """The trees, with the face of one.

    Parameters
    ----------
    first : Tree
        On a `QuadraticRelaxation`.
    subset : SubsetProblem
        Of which `has_rival` holds.
    """

    def __init__(self, first, subset):
        self.first, self.second, self.subset = first, None, subset
        p = first.relaxation.n_units
        self.cost = max(p * p / _COST, 1.0)
        self.may_begin = True
        # whose turn it is, and for how many nodes more: a limit of time comes between
        self._tree, self._left = first, 0
        self.floor = first.floor

    @staticmethod
    def has_rival(relaxation, subset):
        """Whether a relaxation of blocks takes the problem, and may be worth it."""
        is_plain = subset.alpha == 0.0 and subset.l1 == 0.0 and subset.lower is None and not subset.parents
        return is_plain and subset.ridge > 0.0 and relaxation.n_units <= MOST and not relaxation.keep_points

    @property
    def trees(self):
        """Those that have begun."""
        return [self.first] if self.second is None else [self.first, self.second]

    @property
    def lower_bound(self):
        """The better of the two."""
        return max(tree.lower_bound for tree in self.trees)

    @property
    def is_finished(self):
        """Whether one is, with all that was asked for, or both."""
        ended = [tree.is_finished for tree in self.trees]
        return all(ended) or any(
            is_over and tree.lower_bound >= tree.threshold for is_over, tree in zip(ended, self.trees, strict=True)
        )

    @property
    def keep_proof(self):
        """Never: points of two trees are no one's."""
        return False

    def offer(self, objective, point):
        """A better incumbent, if it is one."""
        for tree in self.trees:
            tree.offer(objective, point)

    def account(self):
        """How many nodes each has visited, in words."""
        if self.second is None:
            return f"{self.first.visited} nodes"
        return f"{self.first.visited} nodes of single features, {self.second.visited} of all pairs"

    def run(self, until, most):
        """Visit nodes until the time `until`, at most `most` of them; returns how many."""
        before = self.visited
        while self.visited - before < most and not self.is_finished:
            if self._left <= 0 or self._tree.is_finished:
                self._tree, self._left = self._turn()
            self._left -= self._tree.run(until, min(self._left, most - self.visited + before))
            if self._left <= 0 or self._tree.is_finished:
                self.offer(self.objective, self.point)
            if time.perf_counter() >= until:
                break
        return self.visited - before

    def _turn(self):
        """Whose turn it is, and for how many nodes."""
        if self.may_begin and self.first.visited >= _AHEAD * self.cost:
            self.may_begin, self.second = False, self._rival()
        burst = max(int(self.cost), 1)
        if self.second is None:
            return self.first, burst if not self.may_begin else int(_AHEAD * self.cost) + 1 - self.first.visited
        if self.first.is_finished or self.second.is_finished:
            return (self.second, 1) if self.first.is_finished else (self.first, burst)
        first, second = self.first.visited, self.second.visited * self.cost
        part = _LEADER if self.second.weight * first > self.first.weight * second else 1.0 - _LEADER
        is_behind = second * (1.0 - part) < first * part
        return (self.second, 1) if is_behind else (self.first, burst)

    def _rival(self):
        """The second tree; None where the numbers allow none."""
        first, model, subset = self.first, self.first.relaxation.model, self.subset
        everything = np.arange(model.n_features)
        gram, groups = model.block(everything), everything[:, None]
        blocks = BlockModel(
            gram, model.linear[:, None], model.constant, model.sizes, model.rounding, list(groups), subset.ridge
        )
        if not blocks.is_definite:
            return None
        relaxation = BlockRelaxation(blocks, subset)
        if relaxation.share is None:
            return None
        return Tree(
            relaxation,
            relaxation.first_status(),
            first.objective,
            first.point,
            tolerance=first.tolerance,
            floor=first.floor,
            lower_bound=first.lower_bound,
        )
