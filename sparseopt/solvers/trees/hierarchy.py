"""Hierarchies in a tree: what a fixed feature fixes with it, and supports that keep to them.

A relaxation that knows nothing of a hierarchy bounds it all the same, since there are fewer supports to choose from.
What is fixed in takes its ancestors in, what is fixed out its descendants out; and where the relaxation settles on a
support that is not admitted, a feature that lacks an ancestor is branched on.
"""

from __future__ import annotations

from copy import copy

import numpy as np

from sparseopt.solvers.trees.tree import FREE, IN, OUT, Relaxation, Relaxed
from sparseopt.subsets import ancestors


class Family:
    """The parents of features, and what follows from them.

    Parameters
    ----------
    parents : mapping of int to sequence of int
        Without circles.
    k : int
        Most features.
    """

    def __init__(self, parents, k):
        self.parents, self.k = {child: tuple(of) for child, of in parents.items()}, k
        self.above = {child: np.array(sorted(ancestors(self.parents, child)), dtype=np.intp) for child in self.parents}

    def complete(self, status):
        """Fix in a status, in place, what follows from it; False where no support is left."""
        for child, above in self.above.items():
            if status[child] == IN:
                if np.any(status[above] == OUT):
                    return False
                status[above] = IN
        for child, above in self.above.items():
            if status[child] == FREE and np.any(status[above] == OUT):
                status[child] = OUT
        return np.count_nonzero(status == IN) <= self.k

    def orphans(self, support):
        """Features of a support that lack an ancestor in it."""
        inside = set(np.asarray(support).tolist())
        return [j for j in sorted(inside) if not inside.issuperset(self.above.get(j, np.empty(0)).tolist())]

    def repaired(self, support, required, forbidden):
        """Supports near one that is not admitted: without its orphans, and with the ancestors of as many as there is room for."""
        orphans = self.orphans(support)
        rest = np.setdiff1d(support, orphans)
        full, out = set(rest.tolist()), set(np.asarray(forbidden).tolist())
        # those that lack least come first
        for j in sorted(orphans, key=lambda j: (len(set(self.above[j].tolist()) - full), j)):
            new = {j, *self.above[j].tolist()} - full
            if len(full) + len(new) <= self.k and not new & out:
                full |= new
        found = [rest, np.array(sorted(full), dtype=np.intp)]
        return [np.union1d(one, required).astype(np.intp) for one in found[: 1 + bool(orphans)]]


class HierarchyRelaxation(Relaxation):
    """A relaxation of single features, or rows, whose supports keep to a hierarchy.

    Parameters
    ----------
    inner : Relaxation
        Of the same problem without it.
    subset : SubsetProblem
    """

    def __init__(self, inner, subset):
        self.inner, self.subset, self.n_units = inner, subset, inner.n_units
        self.family = Family(subset.parents, subset.k)
        self.known = set()
        if hasattr(inner, "seen"):
            inner.seen = _Nothing()  # the support of every relaxation is looked at here

    def twin(self):
        twin = copy(self)
        twin.inner, twin.known = self.inner.twin(), copy(self.known)
        return twin

    @property
    def moved(self):
        """What the inner relaxation moves."""
        return self.inner.moved

    def first_status(self):
        """What the problem itself fixes."""
        status = self.inner.first_status()
        # a feature that the loss does not depend on may be needed by others
        needed = np.unique(np.concatenate([np.empty(0, dtype=np.intp), *self.family.above.values()]))
        status[needed[(status[needed] == OUT) & ~np.isin(needed, self.subset.forbidden)]] = FREE
        return status

    def relax(self, status, start, threshold, until):
        bound, points = -np.inf, []
        while True:
            if not self.family.complete(status):
                return Relaxed(np.inf, points=points)
            found = self.inner.relax(status, start, threshold, until)
            bound, points, start = max(bound, found.bound), [*points, *found.points], found.start
            if not found.is_finished:
                return Relaxed(bound, start=start, is_finished=False, points=points)
            if bound >= threshold:
                return Relaxed(bound, -1, start, points=points)
            before = status.copy()
            if not self.family.complete(status):
                return Relaxed(np.inf, points=points)
            unit = found.unit
            if np.array_equal(before, status) or (unit >= 0 and status[unit] == FREE):
                return Relaxed(bound, self._unit(unit, status, found.support), start, found.support, points=points)

    def evaluate(self, support):
        """The best of the admitted supports near one."""
        best = np.inf, None
        for one in self.family.repaired(support, self.subset.required, self.subset.forbidden):
            if one.size > self.family.k or self.family.orphans(one):
                continue
            key = one.tobytes()
            if key not in self.known:
                self.known.add(key)
                objective, w = self._evaluated(one)
                if objective < best[0]:
                    best = objective, w
        return best

    def _evaluated(self, support):
        """The least objective on a support, with the prices of ancestors that do nothing but are needed."""
        objective, w = self.inner.evaluate(support)
        held = self.subset.support_of(w)
        held[self.subset.required] = True
        w = self.subset.entered(w)
        return objective + self.subset.alpha * (int(self.subset.support_of(w).sum()) - int(held.sum())), w

    def _unit(self, unit, status, support):
        """A free feature to branch on: that of the relaxation, or one whose support lacks its ancestors; -1 for none."""
        if unit >= 0 and status[unit] == FREE:
            return unit
        if support is not None:
            orphans = [j for j in self.family.orphans(support) if status[j] == FREE]
            return int(orphans[0]) if orphans else -1
        free = np.flatnonzero(status == FREE)
        return int(free[0]) if free.size else -1


class _Nothing(set):
    """A set that remembers nothing."""

    def add(self, element):
        """It does not."""


def start_of(w, subset):
    """The units of an admitted support with the largest coefficients of w, and these coefficients."""
    if subset.groups is not None:
        sizes = np.array([np.linalg.norm(w[group]) for group in subset.groups])
    else:
        sizes = np.linalg.norm(w.reshape(subset.n_features, -1), axis=1)
    order = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
    others = order[~np.isin(order, np.concatenate([subset.required, subset.forbidden]))]
    support = np.sort(np.concatenate([subset.required, others[: subset.k - subset.required.size]]))
    if subset.parents:
        family = Family(subset.parents, subset.k)
        support = family.repaired(support, subset.required, subset.forbidden)[0]
    is_held = np.zeros(sizes.size, dtype=bool)
    is_held[support] = True
    if subset.groups is None:
        return support, np.where(np.repeat(is_held, w.size // sizes.size), w, 0.0)
    begin = np.zeros(w.size)
    for unit in support:
        begin[subset.groups[unit]] = w[subset.groups[unit]]
    return support, begin


def with_hierarchy(preparing, subset):
    """A preparation, a generator that returns a relaxation and a first support, for a problem with a hierarchy."""
    blind = preparing
    while True:
        try:
            next(blind)
        except StopIteration as done:
            inner, _, point = done.value
            break
        yield None  # what is found on the way may be no support that is admitted
    relaxation = HierarchyRelaxation(inner, subset)
    return relaxation, *relaxation.evaluate(np.flatnonzero(subset.support_of(point)))
