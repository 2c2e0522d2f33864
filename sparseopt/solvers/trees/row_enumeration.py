"""All sets of the last few rows of a node, where no relaxation tells them apart and there are not too many."""

from __future__ import annotations

import math
import time

import numpy as np

from sparseopt.kernels.enumeration import enumerate_rows
from sparseopt.solvers.trees.tree import FREE, IN, Relaxed

# Most features of a set; sets that take the time of a node or less; and for each node that came before, so that
# enumerations in vain take no more than some times what all nodes do.
_LARGEST, _SETS, _MORE = 9, 3e6, 2e6
# What rounding may hide, as a part of the threshold, at most.
_EXACT = 1e-5
# Multiplications of a call: some hundredths of a second.
_WORK = 2e7
_EPS = float(np.finfo(np.float64).eps)


class RowEnumeration:
    """The work on one node: sets of rows with a coefficient for each response, or of single features.

    With the rows that are in eliminated, the sets of as many others as there is room for are valued; fewer are no better.
    """

    def __init__(self, model, status, room):
        self.free, into = np.flatnonzero(status == FREE), np.flatnonzero(status == IN)
        members = [int(block[0]) for block in model.members if block.size]
        place = np.full(len(model.members), -1)
        place[[unit for unit, block in enumerate(model.members) if block.size]] = members
        self.free = self.free[place[self.free] >= 0]
        into = into[place[into] >= 0]
        self.into, self.size = np.flatnonzero(status == IN), room
        F, A = place[self.free], place[into]
        H, Q, base = model.H[np.ix_(F, F)], model.Q[F], model.constant
        if A.size:
            inner, cross = model.H[np.ix_(A, A)], model.H[np.ix_(A, F)]
            solved = np.linalg.solve(inner, np.column_stack([cross, model.Q[A]]))
            base -= 0.5 * float(np.einsum("ij,ij->", model.Q[A], solved[:, F.size :]))
            H, Q = H - cross.T @ solved[:, : F.size], Q - cross.T @ solved[:, F.size :]
        # those that explain most come last, where few are left to be combined with
        gains = np.einsum("ij,ij->i", Q, Q) / H.diagonal()
        order = np.argsort(gains, kind="stable")
        self.free, H, Q = self.free[order], H[np.ix_(order, order)], Q[order]
        self.base, self.margin = base, margin_of(model, self.into.size + room)
        self.H, self.N = np.zeros((2, max(room - 1, 1), F.size + 1, F.size))
        self.H[0, :-1], self.N[0, :-1] = H, Q @ Q.T
        self.H[0, -1], self.N[0, -1] = H.diagonal(), self.N[0, :-1].diagonal()
        self.place, self.gains = np.full(room + 2, -1), np.zeros(room + 1)
        self.place[0] = 0
        self.chosen, self.best = np.full(room, -1), np.empty(1)
        self.is_begun = False

    def run(self, threshold, until):
        """Value sets until all are seen, or it is `until`; returns whether all are."""
        if not self.is_begun:
            self.best[0], self.goal, self.is_begun = self.base - threshold - self.margin, threshold, True
        most = max(1, int(_WORK / self.free.size**2))
        terms = (self.H, self.N, self.size, self.place, self.gains, self.chosen, self.best)
        while not enumerate_rows(*terms, most):
            if time.perf_counter() >= until:
                return False
        return True

    @property
    def bound(self):
        """What no set that was seen goes below."""
        return self.goal if self.chosen[0] < 0 else self.base - self.best[0] - self.margin

    @property
    def support(self):
        """The best set with the rows that are in; None where none is below the threshold."""
        return None if self.chosen[0] < 0 else np.sort(np.concatenate([self.into, self.free[self.chosen]]))


def margin_of(model, size):
    """What rounding may do to the value of a set: a factor of H is that of a matrix which is nearly H."""
    weight = model.length * float(model.reach[min(size, model.reach.size - 1)])
    return (model.rounding + 4.0 * (size + 2) * _EPS) * (weight + model.length) ** 2


def is_worth(model, free, room, into, threshold, visited, seen):
    """Whether the sets of a node are few enough, after so many nodes and sets, and rounding is small enough."""
    if not 2 <= room <= min(_LARGEST, free - 1) or not model.are_single:
        return False
    if not margin_of(model, room + into) <= _EXACT * abs(threshold):
        return False
    return math.comb(free, room) <= max(_SETS, _MORE * visited - seen)


def enumerated(sets, bound, threshold, until):
    """The exact value of a node, from all of its sets of rows."""
    if not sets.run(threshold, until):
        return Relaxed(bound, start=sets, is_finished=False)
    return Relaxed(max(bound, sets.bound), support=sets.support)
