"""Supports beside the one that was found: which are worth a trial, and what the trials gave.

The model of the augmented Lagrangian tells, without a look at the user's functions, how low it gets on a support with
one feature more, one less, or one exchanged; the lowest are tried, as in a local search (Miller, 2002).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.solution import Status
from sparseopt.solvers.lagrangian.constrained_terms import CountedTerm

# Features that may enter and leave, of which all pairs are looked at by the model.
_ENTERING, _LEAVING = 8, 6


@dataclass(eq=False)
class SupportTrials:
    """The best support so far, and supports to try."""

    #: The term whose price or count of nonzeros makes the supports.
    term: CountedTerm
    #: Where the best support has led; None until the run has come to the term itself.
    best: object = None
    #: Why no support has led to a solution yet.
    failure: Status | None = None
    objective: float = np.inf
    y: np.ndarray | None = None
    rho: float = 1.0
    waiting: list = field(default_factory=list)
    seen: set = field(default_factory=set)
    count: int = 0
    #: Whether the run is with the term itself, no longer with what is simpler.
    is_counting: bool = False
    #: Iterations at which the present trial began.
    began: int = 0

    def propose(self, state, slope, fewest):
        """Supports near the best one, those first that the model likes."""
        on = np.flatnonzero(self.best.w)
        form, k = self.term.form, self.term.k
        can_leave = on[(form.lower[on] <= 0.0) & (form.upper[on] >= 0.0)]
        can_enter = np.flatnonzero((self.best.w == 0.0) & (form.lower < form.upper))
        leaving = can_leave[np.argsort(np.abs(self.best.w[can_leave]), kind="stable")][:_LEAVING]
        entering = can_enter[np.argsort(form.a[can_enter] - np.abs(slope[can_enter]), kind="stable")][:_ENTERING]
        found = []
        if on.size < k:
            found += [(*on, j) for j in entering]
        if self.term.price > 0.0:
            found += [tuple(np.setdiff1d(on, i)) for i in leaving]
        found += [(*np.setdiff1d(on, i), j) for i in leaving for j in entering]
        found = [support for support in map(_sorted, found) if support not in self.seen and support]
        heights = [self._height(state, support) for support in found]
        order = np.argsort(heights, kind="stable")[:fewest]
        self.waiting = [found[i] for i in order]

    def _height(self, state, support):
        piece = self.term.piece(_indicator(support, state.here.w.size))
        model = state.model(piece)
        d = model.minimise(1e-3 * max(1.0, float(np.max(np.abs(state.here.slope), initial=0.0))))
        return model.value(d) + self.term.price * len(support)

    def take(self):
        """The next support to try."""
        support = self.waiting.pop(0)
        self.seen.add(support)
        self.count += 1
        return _indicator(support, self.best.w.size)


def _sorted(support):
    return tuple(sorted(int(j) for j in support))


def _indicator(support, p):
    inside = np.zeros(p)
    inside[list(support)] = 1.0
    return inside
