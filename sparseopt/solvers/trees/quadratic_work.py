"""What all nodes under a quadratic work on: the present point, its pulls, and what is known of it."""

from __future__ import annotations

import weakref

import numpy as np

from sparseopt.kernels import quadratic_nodes as kernels
from sparseopt.kernels.perspective import relaxed_costs, scaled_costs
from sparseopt.kernels.quadratic_nodes import judge_node
from sparseopt.solvers.subsets.relaxed_minimum import minimise_relaxed
from sparseopt.solvers.trees.tree import FREE, OUT


class QuadraticWork:
    """The point w and its pulls, as far as they are known."""

    def __init__(self, relaxation):
        p, subset, model = relaxation.n_units, relaxation.subset, relaxation.model
        # what it belongs to, which holds it: memory of that size must not wait for a collection of cycles
        self.of, self.model = weakref.proxy(relaxation), model
        self.w, self.pull, self.gains = np.zeros(p), np.zeros(p), np.zeros(p)
        self.entering, self.heap = np.empty(p, dtype=np.intp), np.empty(subset.k + 1)
        self.numbers, self.counts = np.zeros(13), np.zeros(8, dtype=np.int64)
        self._members, self._of_members = None, ()
        numbers = self.numbers
        numbers[kernels.CONSTANT], numbers[kernels.LENGTH] = model.constant, relaxation.length
        numbers[kernels.ROUNDING], numbers[kernels.ALPHA] = model.rounding, subset.alpha
        numbers[kernels.L1] = subset.l1
        #: Of the present point the objective at the price, the parts by which features are in, and the relaxation's value.
        self.priced = self.share = self.value = np.nan

    def place(self, features, values):
        """Go to a point, whose pulls are not known."""
        self.w.fill(0.0)
        self.w[features] = values

    def point(self):
        """Features that are not zero, and their coefficients."""
        used = self.w.nonzero()[0]
        return used, self.w[used]

    def minimise(self, view, status, price, room, tol):
        """Minimise on the members at a price until an epoch gains less than `tol`; returns the number of Newton steps.

        With shares scaled to the `room` there is, w is a point of the relaxation: its value there is no less than the bound.
        """
        of, on, (linear, bends, curve, lower, upper) = self.of, view.on, self._terms(view.on)
        # all of them are worked on in place
        is_part = not isinstance(on, slice)
        w, pull, status = (self.w[on], self.pull[on], status[on]) if is_part else (self.w, self.pull, status)
        costs = (curve, of.subset.l1, lower, upper, status, price)
        newton_steps, changes = minimise_relaxed(view.block, linear, w, pull, bends, costs, tol)
        if is_part:
            self.w[on], self.pull[on] = w, pull
        self.counts[kernels.STEPS] += changes
        cost, self.share = relaxed_costs(w, *costs)
        smooth = self.model.constant - 0.5 * float(w @ (linear + pull))
        self.priced, alpha, total = smooth + cost, of.subset.alpha, self.share - of.subset.k + room
        # at the price alone, more than what pays is not to be in
        scale = room / total if total > room or (price > alpha and total > 0.0) else 1.0
        self.value = smooth + scaled_costs(w, *costs, alpha, scale)[0] if scale > 0.0 else np.inf
        return newton_steps

    def _terms(self, on):
        """What is known of members, which mostly are the same as at the last call."""
        if self._members is not on:
            of, model = self.of, self.model
            self._members = on
            self._of_members = tuple(part[on] for part in (model.linear, model.bends, of.curve, of.lower, of.upper))
        return self._of_members

    def judge(self, known, used, status, price, room, threshold, level):
        """Bound the node at w and fix in `status` what that decides; what is found is in `numbers` and `counts`."""
        of, counts = self.of, self.counts
        counts[kernels.ROOM], counts[kernels.FREE] = room, np.count_nonzero(status == FREE)
        self.numbers[kernels.PRICE], self.numbers[kernels.THRESHOLD] = price, threshold
        judge_node(
            known, used, self.w, self.pull, self.model.linear, self.model.sizes, of.curve, of.lower, of.upper, status,
            level, self.heap, self.gains, self.entering, self.numbers, self.counts,
        )  # fmt: skip

    def shut(self, status):
        """With as many in as may be, all others are out, in place."""
        counts = self.counts
        counts[kernels.REMOVED] += counts[kernels.FREE]
        status[status == FREE] = OUT
        counts[kernels.DROPPED] += np.count_nonzero(self.w[status == OUT])
        self.w[status == OUT] = 0.0
        counts[kernels.WORTH] = counts[kernels.ENTERING] = 0
