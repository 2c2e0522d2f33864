"""Local search for the best subset of a loss on samples, by the quadratic model at the present point.

With S the present support, v and h the slopes and curvatures of the samples at its minimiser, the model of
the objective is a weighted least squares problem. In it the exchange of i in S for j is worth, exactly,

    (c_j + w_i C_ij / Q_ii)**2 / (2 (d_j + C_ij**2 / Q_ii)) - w_i**2 / (2 Q_ii)

with Q the inverse of the weighted Gram matrix on S (and the ridge), C = Q H_S the coefficients of all
features on S, c minus their slopes and d their curvatures given S. The loss itself is no quadratic, so the best few
exchanges of the model are tried by a refit, and the first that lowers the objective is made.
"""

from __future__ import annotations

import numpy as np

from sparseopt.solvers.sample_fit import fit_support
from sparseopt.solvers.sample_view import SampleView

# Newton steps of a refit, halvings of one, and a fall that is rounding.
_NEWTON, _HALVINGS, _ROUNDING = 50, 40, 1e-15
# Exchanges of the model that are tried by a refit before the search ends.
_TRIALS = 8
# A fall of the objective, as a part of it, that counts.
_FALL = 1e-9
# Least curvature of a sample, as a part of the largest.
_DAMPING = 1e-6
_EPOCHS = 1000


class ModelSearch:
    """The present support of one search, with its fit; moves change both."""

    def __init__(self, loss, subset, view=None):
        self.subset, self.view = subset, SampleView(loss) if view is None else view
        p = self.view.features.size
        self.required = np.flatnonzero(np.isin(self.view.features, subset.required))
        self.is_allowed = ~np.isin(self.view.features, subset.forbidden)
        self.is_fixed = np.zeros(p, dtype=bool)
        self.is_fixed[self.required] = True
        self.refits = 0
        self.origin = self.view.settled(np.zeros(self.view.y.size)) if loss.intercept else 0.0
        self.fit = self.refit(self.required, np.zeros(self.required.size), self.origin)

    def refit(self, support, x, intercept):
        self.refits += 1
        return fit_support(self.view, self.subset, support, x, intercept)

    def restart(self, support):
        """Begin again from another support."""
        self.fit = self.refit(support, np.zeros(support.size), self.origin)

    def model(self):
        """Of the quadratic at the present point: Q, C, c and d."""
        view, fit, ridge = self.view, self.fit, self.subset.ridge
        loss, S = view.loss, fit.support
        point = view.point(fit.x @ view.rows[S] + fit.intercept)
        bends = view.bends(point, _DAMPING)
        c = view.pulls(point)
        d = view.squares @ bends + ridge
        rows = view.rows[S] * bends
        H = rows @ view.rows.T
        if loss.intercept:
            sums, total = view.rows @ bends, bends.sum()
            d = d - sums * sums / total
            H = H - np.outer(sums[S], sums) / total
        own = H[:, S] + ridge * np.eye(S.size)
        Q = np.linalg.pinv(own, hermitian=True) if S.size else own
        C = Q @ H
        rest = d - np.einsum("ij,ij->j", H, C)
        if self.subset.l1:
            c = np.sign(c) * np.maximum(np.abs(c) - self.subset.l1, 0.0)
        # what is nearly a combination of the support has nothing of its own to give
        rest = np.where(rest > 1e-10 * np.maximum(d, np.finfo(float).tiny), rest, np.inf)
        c = np.where(self.is_allowed, c, 0.0)
        c[S] = 0.0
        rest[S] = np.inf
        return Q, C, c, rest

    def add(self, rank=0):
        """Let in the feature that is best by the model, or the one that has this rank; whether there is one."""
        Q, C, c, d = self.model()
        gains = c * c / d
        if self.subset.lower is not None:
            gains = np.where(np.where(c > 0.0, self.upper_all, -self.lower_all) > 0.0, gains, 0.0)
        order = np.argpartition(-gains, min(rank, gains.size - 1))[: rank + 1] if gains.size else np.empty(0, int)
        if not order.size:
            return False
        j = order[np.argmin(gains[order])]
        if self.is_in(j) or not self.is_allowed[j]:
            return False
        self.fit = self._with(j, Q, C, c, d)
        return True

    @property
    def upper_all(self):
        return self.subset.upper[self.view.features]

    @property
    def lower_all(self):
        return self.subset.lower[self.view.features]

    def is_in(self, j):
        return bool(np.any(self.fit.support == j))

    def _with(self, j, Q, C, c, d):
        step = c[j] / d[j]
        x = np.append(self.fit.x - C[:, j] * step, step)
        return self.refit(np.append(self.fit.support, j), x, self.fit.intercept)

    def drop(self, position=None):
        """Take out the feature that costs least, or the one at this position of the support; whether there is one."""
        Q, *_ = self.model()
        own = np.diagonal(Q)
        costs = np.where(self.is_fixed[self.fit.support], np.inf, self._ratio(fit.x**2, own))
        if position is None:
            position = int(np.argmin(costs)) if costs.size else -1
        if position < 0 or not np.isfinite(costs[position]):
            return False
        self.fit = self._without(position, Q)
        return True

    def _without(self, i, Q):
        x = self.fit.x - Q[:, i] * (self.fit.x[i] / Q[i, i] if Q[i, i] > 0.0 else 0.0)
        return self.refit(np.delete(self.fit.support, i), np.delete(x, i), self.fit.intercept)

    def improve(self, deadline=None):
        """Exchange, drop and add while that lowers the objective."""
        while self._improve_once():
            if deadline is not None and deadline():
                return

    def _improve_once(self):
        fit, alpha = self.fit, self.subset.alpha
        Q, C, c, d = self.model()
        own, slots = np.diagonal(Q), np.flatnonzero(~self.is_fixed[fit.support])
        losses = _ratio(fit.x[slots] ** 2, own[slots])
        need = _FALL * abs(fit.objective)
        moves = []
        if alpha > 0.0:
            moves += [(losses[a] / 2 - alpha, slots[a], -1) for a in range(slots.size)]
            if fit.support.size < self.subset.k:
                gains = c * c / d
                moves += [(alpha - gains[j] / 2, -1, j) for j in np.argsort(-gains)[:_TRIALS]]
        for a, i in enumerate(slots):
            if not own[i] > 0.0:
                continue
            gains = (c + (fit.x[i] / own[i]) * C[i]) ** 2 / (d + C[i] ** 2 / own[i])
            best = np.argpartition(-gains, min(2, gains.size - 1))[:2]
            moves += [((losses[a] - gains[j]) / 2, i, j) for j in best if np.isfinite(d[j]) and self.is_allowed[j]]
        moves.sort(key=lambda move: move[0])
        for change, i, j in moves[:_TRIALS]:
            if change >= -need:
                break
            trial = self._exchanged(i, j, Q, C, c, d)
            if trial.objective < fit.objective - need:
                self.fit = trial
                return True
        return False

    def _exchanged(self, i, j, Q, C, c, d):
        """The fit with i out and j in; -1 stands for none."""
        if j < 0:
            return self._without(i, Q)
        if i < 0:
            return self._with(j, Q, C, c, d)
        fit, q = self.fit, Q[i, i]
        step = (c[j] + fit.x[i] * C[i, j] / q) / (d[j] + C[i, j] ** 2 / q)
        # with i out, the others take up its part by the column i of Q; with j in, they give way to it
        x = fit.x - Q[:, i] * (fit.x[i] / q)
        x = x - (C[:, j] - Q[:, i] * (C[i, j] / q)) * step
        keep = np.arange(fit.support.size) != i
        return self.refit(np.append(fit.support[keep], j), np.append(x[keep], step), fit.intercept)


def _ratio(squares, own):
    """squares / own; nothing where a feature has no curvature: it does nothing."""
    return np.divide(squares, own, out=np.zeros_like(squares), where=own > 0.0)


def search_subset(loss, subset, *, kicks=0, seed=0, view=None):
    """A good support of at most k features, by growing with exchanges at every size."""
    search = ModelSearch(loss, subset, view)
    best = search.fit
    k = min(subset.k, int(np.count_nonzero(search.is_allowed)))
    while search.fit.support.size < k:
        before = search.fit
        if not search.add():
            break
        search.improve()
        if search.fit.objective < best.objective:
            best = search.fit
        if subset.alpha > 0.0 and search.fit.support.size <= before.support.size:
            break
    search.fit = best
    rng = np.random.default_rng(seed)
    for _ in range(kicks):
        free = np.flatnonzero(~search.is_fixed[search.fit.support])
        count = min(2, free.size)
        if not count:
            break
        for _ in range(count):
            free = np.flatnonzero(~search.is_fixed[search.fit.support])
            search.drop(int(rng.choice(free)))
        for _ in range(count):
            search.add(int(rng.integers(6)))
        search.improve()
        if search.fit.objective < best.objective * (1 - _FALL):
            best = search.fit
        search.fit = best
    return best
