"""All sets of the last few rows of a node, where no relaxation tells them apart and there are not too many."""

from __future__ import annotations

import math
import time

import numpy as np

from sparseopt.kernels.enumeration import enumerate_rows
from sparseopt.solvers.tree import FREE, IN

# Most features of a set, and most sets: where the bound is near to what it has to reach, and where it is far.
_LARGEST, _SETS, _MANY = 9, 3e6, 1e9
# How far below the threshold, as a part of it, a bound is far; what rounding may hide, as a part of it, at most.
_FAR, _EXACT = 0.1, 1e-5
# Multiplications of a call: some hundredths of a second.
_WORK = 2e7


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
    weight = size * 2.0 * model.constant / model.least
    return 4.0 * size * model.rounding * (weight + model.constant)


def is_worth(model, free, room, into, bound, threshold):
    """Whether the sets of a node are few enough, and rounding is small enough."""
    if not 2 <= room <= min(_LARGEST, free - 1) or not model.are_single or not model.least > 0.0:
        return False
    if margin_of(model, room + into) > _EXACT * abs(threshold):
        return False
    is_far = bound < threshold - _FAR * abs(threshold)
    return math.comb(free, room) <= (_MANY if is_far else _SETS)
