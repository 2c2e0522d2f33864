"""Supports under linear rows by local search: features come in, go out and change places, each time refitted exactly.

All that is kept satisfies the rows. A support that has no point is valued by how far the rows are missed, with a
weight that outdoes the objective, until the search has found one that has.
"""

from __future__ import annotations

import numpy as np

# Features outside that are tried in place of each inside: those that promise most.
_TRIED = 24
# Features inside that may leave in one move.
_LEAVING = 30
# Part of the values that a move must gain.
_GAIN = 1e-9
# Features of a kick.
_KICK = 3


class RowSearch:
    """The search of one problem, from a ranking of the features.

    Parameters
    ----------
    programs : SupportPrograms
    first : list of arrays
        Supports to begin with; the best of them is.
    kicks, seed : int
        How often some features of the best support are exchanged at random, and the seed of that.
    """

    def __init__(self, programs, first, *, kicks, seed):
        self.programs, self.subset = programs, programs.subset
        self.first, self.kicks, self.random = first, kicks, np.random.default_rng(seed)
        # values below this part of the curvature's are rounding
        q = programs.linear[self.subset.lower <= self.subset.upper]
        self.scale = float(np.max(np.abs(q), initial=0.0)) * 1e-3
        self.bound = -np.inf
        self.moves, self.value, self.support, self.point = 0, np.inf, None, None
        subset = self.subset
        self.bends = programs.H.diagonal() + subset.ridge
        is_open = subset.lower <= subset.upper
        is_open[subset.forbidden] = False
        self.is_open, self.is_held = is_open, np.zeros(subset.n_features, dtype=bool)
        self.is_held[subset.required] = True

    def run(self):
        """Search, one trial after another: a generator."""
        if self.is_held.sum() > self.subset.k or np.any(self.is_held & ~self.is_open):
            return
        here = None
        for support in self.first:
            found = self._value(np.asarray(support, dtype=np.intp))
            yield
            if here is None or found < here:
                here, start = found, np.asarray(support, dtype=np.intp)
        if here is None:
            return
        yield from self._descend(start, here)
        for _ in range(self.kicks):
            if self.support is None:
                return
            support = self._kicked(self.support)
            yield from self._descend(support, self._value(support))

    def offer(self, support):
        """Try a support that something else has found."""
        return self._value(np.asarray(support, dtype=np.intp))

    def _value(self, support):
        """How far the rows are missed on a support, and its objective where they are not; smaller is better."""
        value = float(self.programs.values(support[None, :])[0])
        if value == np.inf:
            return (self.programs.missed(support), np.inf)
        self._keep(support, value)
        return (0.0, value)

    def _keep(self, support, value):
        if value < self.value:
            self.value, self.support = value, support

    def _descend(self, support, here):
        """Make the best move until none gains."""
        while True:
            better = None
            for trials in self._moves(support):
                values = self.programs.values(trials)
                yield
                best = int(np.argmin(values))
                if values[best] < np.inf:
                    found = (0.0, float(values[best]))
                    self._keep(trials[best], found[1])
                elif here[0] > 0.0:
                    missed = [self.programs.missed(trial) for trial in trials]
                    best = int(np.argmin(missed))
                    found = (missed[best], np.inf)
                else:
                    continue
                if found < (here if better is None else better[1]) and self._gains(found, here):
                    better = trials[best], found
            if better is None:
                return
            support, here = better
            self.moves += 1

    def _gains(self, found, here):
        return found[0] < here[0] * (1.0 - 1e-9) or (
            found[0] == here[0] and found[1] < here[1] - _GAIN * (abs(here[1]) + self.scale)
        )

    def _moves(self, support):
        """Supports that one move leads to, in matrices of one size each: one more, one less, and exchanges."""
        subset = self.subset
        inside = np.zeros(subset.n_features, dtype=bool)
        inside[support] = True
        outside = np.flatnonzero(self.is_open & ~inside)
        outside = outside[np.argsort(-self._promise(support, outside), kind="stable")[:_TRIED]]
        leaving = np.flatnonzero(~self.is_held[support])
        if support.size < subset.k and outside.size:
            yield np.column_stack([np.tile(support, (outside.size, 1)), outside])
        if leaving.size and (subset.alpha > 0.0 or np.any(subset.lower > 0.0) or np.any(subset.upper < 0.0)):
            yield np.stack([np.delete(support, i) for i in leaving])
        if leaving.size and outside.size:
            if leaving.size > _LEAVING:
                leaving = self.random.choice(leaving, _LEAVING, replace=False)
            trials = np.tile(support, (leaving.size * outside.size, 1))
            trials[np.arange(len(trials)), np.repeat(leaving, outside.size)] = np.tile(outside, leaving.size)
            yield trials

    def _promise(self, support, features):
        """What features would gain alone at the multipliers of a support; of one without a point, a random order."""
        _, w, y = self.programs.solve(support)
        if w is None:
            return self.random.random(features.size) + np.abs(self.subset.A[:, features]).sum(axis=0) * 1e-3
        pull = self.programs.linear[features] - self.programs.H[np.ix_(features, support)] @ w
        pull -= y @ self.subset.A[:, features]
        lower, upper, bends = self.subset.lower[features], self.subset.upper[features], self.bends[features]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            best = np.sign(pull) * np.maximum(np.abs(pull) - self.subset.l1, 0.0) / bends
            best = np.clip(np.nan_to_num(best), lower, upper)
            gains = pull * best - self.subset.l1 * np.abs(best) - 0.5 * bends * best * best
        return np.nan_to_num(gains, posinf=np.finfo(float).max)

    def _kicked(self, support):
        leaving = support[~self.is_held[support]]
        outside = np.setdiff1d(np.flatnonzero(self.is_open), support)
        count = min(_KICK, leaving.size, outside.size)
        gone = self.random.choice(leaving, count, replace=False)
        best = outside[np.argsort(-self._promise(support, outside), kind="stable")[: 4 * _KICK]]
        new = self.random.choice(best, min(count, best.size), replace=False)
        return np.sort(np.concatenate([np.setdiff1d(support, gone), new]))


def rounded(z, status, subset):
    """Supports that the parts z of a relaxation round to: of the largest parts, as many as there may be, and fewer."""
    held = np.flatnonzero(status == 1)
    free = np.flatnonzero(status == 0)
    order = free[np.argsort(-z[free], kind="stable")]
    most = max(min(subset.k - held.size, free.size), 0)
    counts = {most, min(most, round(float(z[free].sum())))}
    counts |= {min(most, int(np.count_nonzero(z[free] > level))) for level in (0.05, 0.3, 0.5, 0.9)}
    return [np.sort(np.concatenate([held, order[:count]])) for count in sorted(counts, reverse=True)]
