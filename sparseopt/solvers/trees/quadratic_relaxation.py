"""Bounds for the choice of features in least squares and quadratics, by the perspective relaxation.

The bound of `kernels.perspective` holds at every w. It is the best that the perspective relaxation has to give at
a minimiser of f(w) + the relaxed prices, where the price of a feature is alpha and, where at most k may be in, what
one more of them is worth. That price is sought for each node; it begins with that of the parent. From the bounds
of the two choices of a feature some are fixed at once (Atamturk and Gomez, 2020; Guyard et al., 2024).
"""

from __future__ import annotations

import time
from copy import copy

import numpy as np

from sparseopt.solvers.subsets.gram_models import WholeGram
from sparseopt.solvers.subsets.support_fit import best_on_support
from sparseopt.solvers.trees.interior_node import interior_node
from sparseopt.solvers.trees.leaps import Leaps
from sparseopt.solvers.trees.pull_views import view_of
from sparseopt.solvers.trees.quadratic_node import QuadraticNode
from sparseopt.solvers.trees.quadratic_work import QuadraticWork
from sparseopt.solvers.trees.tree import FREE, IN, OUT, Relaxation, Relaxed

# Up to so many features, nodes are solved by an interior-point method once descent has taken so many Newton steps in one.
SMALL, _STALLED = 200, 30


class QuadraticRelaxation(Relaxation):
    """The relaxation of one problem.

    Parameters
    ----------
    model : GramModel
        With the part of its diagonal that goes into the prices moved; what is left must be positive semidefinite.
    subset : SubsetProblem
        Single features, without hierarchy.
    keep_points : bool
        Return the points that prove the bounds.
    """

    def __init__(self, model, subset, *, keep_points=False):
        p = model.n_features
        self.model, self.subset, self.n_units = model, subset, p
        self.curve = subset.ridge + model.moved
        self.lower = np.full(p, -np.inf) if subset.lower is None else subset.lower
        self.upper = np.full(p, np.inf) if subset.upper is None else subset.upper
        self.moved = model.moved if model.moved.any() else None
        self.keep_points = keep_points
        self.length = np.sqrt(2.0 * model.constant)
        is_smooth = subset.lower is None and subset.l1 == 0.0 and bool(np.all((self.curve > 0.0) | model.is_flat))
        #: Whether nodes are worked out by an interior-point method, and whether they may be.
        self.is_interior = False
        self.is_small = is_smooth and p <= SMALL and isinstance(model, WholeGram)
        # of supports of one size, without a proof that is kept point by point
        is_plain = self.is_small and subset.alpha == 0.0 and not keep_points
        self.leaps = Leaps(model, subset.ridge) if is_plain else None
        #: Supports that were worth an evaluation.
        self.seen = set()
        self.begin()

    def begin(self):
        """Scratch of the nodes, and what the last one left."""
        self.work = QuadraticWork(self)
        self.view = view_of(self)

    def twin(self):
        twin = copy(self)
        twin.model, twin.seen = self.model.twin(), copy(self.seen)
        twin.leaps = None if self.leaps is None else self.leaps.twin()
        twin.begin()
        return twin

    def unbounded(self):
        """A feature that may gain without limit whatever else is chosen, so that nothing is proven; -1 if none."""
        limit = np.maximum(-self.lower, self.upper)
        free = (self.curve <= 0.0) & (limit == np.inf) & ~self.model.is_flat
        free[self.subset.forbidden] = False
        return int(np.argmax(free)) if free.any() else -1

    def first_status(self):
        """What the problem itself fixes."""
        status = np.where(self.model.is_flat, np.int8(OUT), np.int8(FREE))
        status[self.subset.forbidden] = OUT
        status[self.subset.required] = IN
        return status

    def relax(self, status, start, threshold, until):
        if np.count_nonzero(status == IN) > self.subset.k:
            return Relaxed(np.inf)
        proven = -np.inf
        if self.leaps is not None and not isinstance(start, QuadraticNode):
            found, start, proven = self.leaps.relax(self.subset.k, status, start, threshold, until)
            if found is not None:
                return found
        found = self._relaxed(status, start, threshold, until)
        found.bound = max(found.bound, proven)
        return found

    def _relaxed(self, status, start, threshold, until):
        """The node by its perspective relaxation."""
        if self.is_interior:
            start = start if isinstance(start, np.ndarray) else None
            found = interior_node(self, status, start, threshold)
            if found is not None:
                return found
            self.is_interior = self.is_small = False
        if isinstance(start, np.ndarray):  # of an interior node
            start = None
        if isinstance(start, QuadraticNode):
            node = start
            node.resume(status, threshold)
        else:
            node = QuadraticNode(self, status, start, threshold)
        while not node.is_done:
            node.advance()
            if self.is_small and node.steps > _STALLED and not node.is_done:
                self.is_interior = True
                status[:] = node.first
                return self._relaxed(status, None, threshold, until)
            if time.perf_counter() >= until and not node.is_done:
                return node.interrupted()
        return node.result()

    def look(self, height):
        """The support to which the relaxation at the root leads, where `height` is an objective that is attained; None for none.

        A generator that returns it; the root begins where this ends.
        """
        # what is fixed on the way is not known to the root, nor what is proven
        status = self.first_status()
        if np.count_nonzero(status == IN) > self.subset.k:
            return None
        node = QuadraticNode(self, status, None, height)
        while not node.is_done:
            node.advance()
            yield
        self.seen.clear()
        # nothing is to be remembered of it: pulls of what it fixed out are not known, and the root has it free again
        node.unit = -1
        self.first_start = node.result().start
        return node.support

    def evaluate(self, support):
        if len(support) > self.subset.k:
            return np.inf, np.zeros(self.n_units)
        return best_on_support(self.model, self.subset, np.asarray(support, dtype=np.intp))
