"""Local search for the best subset of a loss on samples, by the quadratic model at the present point.

With S the present support, v and h the slopes and curvatures of the samples at its minimiser, the model of
the objective is a weighted least squares problem. In it the exchange of i in S for j is worth, exactly,

    (c_j + w_i C_ij / Q_ii)**2 / (2 (d_j + C_ij**2 / Q_ii)) - w_i**2 / (2 Q_ii)

with Q the inverse of the weighted Gram matrix on S (and the ridge), C = Q H_S the coefficients of all
features on S, c minus their slopes and d their curvatures given S. The loss itself is no quadratic: the best few
exchanges of the model are tried by a refit, and the first that lowers the objective is made. Most of that is done on
the features that look best at present; in the end all are looked at.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import lapack

from sparseopt.solution import Status
from sparseopt.solvers.base import State
from sparseopt.solvers.subsets.sample_fit import fit_support
from sparseopt.solvers.subsets.sample_view import SampleView

# Exchanges of the model that are tried by a refit while the support grows, and in the end.
_FEW, _TRIALS = 2, 8
# Features that are looked at on the way, at least, and for each that is in.
_POOL, _EACH = 64, 4
# Entries of X of which squares are not kept; rows that are squared at once there; looks at all that do without.
_LARGE, _FEW_ROWS, _ONCE = 1 << 22, 16, 2
# A fall of the objective, as a part of it, that counts.
_FALL = 1e-9
# Least curvature of a sample, as a part of the largest; what is left of that of a feature given others, at least.
_DAMPING, _OWN = 1e-6, 1e-10
# Part of the root of a diagonal below which a pivot of its factor is none.
_PIVOT = 1e-5
# Seconds of a step, after which limits and callbacks are looked at; a coefficient that is there and does nothing.
_CHUNK, _TINY = 0.02, 1e-30
# Features among which a kick chooses, and how many it exchanges.
_CHOICE, _KICK = 8, 2


@dataclass(frozen=True, eq=False)
class QuadraticModel:
    """The model at a fit, for the features of a pool."""

    pool: np.ndarray
    Q: np.ndarray
    C: np.ndarray
    c: np.ndarray
    d: np.ndarray


class ModelSearch:
    """One search: the present fit, the best one, and the moves that were made."""

    def __init__(self, loss, subset, view=None):
        self.subset, self.view = subset, SampleView(loss) if view is None else view
        p = subset.n_features
        self.is_open = np.ones(p, dtype=bool)
        self.is_open[subset.forbidden] = False
        self.is_fixed = np.zeros(p, dtype=bool)
        self.is_fixed[subset.required] = True
        self.k = min(subset.k, int(np.count_nonzero(self.is_open)))
        self.moves = self.refits = self._looks = 0
        self.few = _FEW
        self.origin = self.view.settled(np.zeros(self.view.y.size)) if loss.intercept else 0.0
        self.fit = self._refit(subset.required, np.zeros(subset.required.size), self.origin)
        self.best = self.fit
        # where a look at all takes long, a pool is chosen before the first move
        self._set_pool(np.arange(p if self.view.rows.size <= _LARGE else 0))

    def run(self, kicks=0, restarts=0, seed=0, start=None, few=_FEW, beginning=None):
        """Search, in parts: a generator. `few` exchanges are tried at each size on the way.

        It begins from a support `start`, or where a generator `beginning` leads to.
        """
        self.few = few
        if beginning is not None:
            yield from beginning
        if start is not None:
            self.begin_at(start)
            self._set_pool(np.arange(self.subset.n_features))
            yield from self._improve(_TRIALS)
        yield from self._grow()
        yield from self._finish()
        rng, settled = np.random.default_rng(seed), self.best
        for _ in range(kicks):
            self.fit = self.best
            if self._kick(rng):
                yield
                yield from self._improve(_FEW)
        if kicks and self.best is not settled:
            self.fit = self.best
            yield from self._finish()
        for _ in range(restarts):
            free = np.flatnonzero(self.is_open & ~self.is_fixed)
            if not free.size or self.k <= self.subset.required.size:
                break
            self.begin_at(np.append(self.subset.required, rng.choice(free)))
            yield
            yield from self._grow()
            yield from self._finish()

    def exchanged(self, pool):
        """From the present support by exchanges alone, with features of a pool, in parts: a generator."""
        self._set_pool(np.union1d(pool, self.fit.support))
        return self._improve(_TRIALS)

    def begin_at(self, support, w=None, intercept=None):
        """Go to a support, with what is required and without what may not be in, if it is not too large; the present fit.

        Its coefficients are near those of w, where that is given with an intercept.
        """
        support = np.unique(np.concatenate([self.subset.required, support[self.is_open[support]]]).astype(np.intp))
        if support.size <= self.k:
            x, start = (np.zeros(support.size), self.origin) if w is None else (w[support], intercept)
            self._take(self._refit(support, x, start))
        return self.fit

    def _grow(self):
        """Let features in one by one, with exchanges at each size."""
        while self.fit.support.size < self.k:
            self._choose_pool()
            before = self.fit.objective
            trial = self._added()
            if trial is None or (self.subset.alpha > 0.0 and trial.objective >= before):
                return
            self._take(trial)
            yield
            yield from self._improve(self.few)

    def _finish(self):
        """Exchange within the pool, then with all features, until nothing is left."""
        p = self.subset.n_features
        while True:
            self._choose_pool()
            yield from self._improve(_TRIALS)
            if self._pool.size == p:
                return
            self._set_pool(np.arange(p))
            if not self._improve_once(_TRIALS):
                return
            yield

    def _take(self, fit):
        self.fit = fit
        self.moves += 1
        if fit.objective < self.best.objective:
            self.best = fit

    def _refit(self, support, x, intercept):
        self.refits += 1
        return fit_support(self.view, self.subset, support, x, intercept)

    def _set_pool(self, pool):
        is_whole = pool.size == self.subset.n_features
        self._pool, self._model = pool, None
        self._rows = self.view.rows if is_whole else self.view.rows[pool]
        # of all features, squares are worth their memory where they are asked for again
        self._looks = self._looks + 1 if is_whole else self._looks
        self._squares = None
        if self._rows.size <= _LARGE and (not is_whole or self._looks > _ONCE):
            self._squares = self.view.squares if is_whole else self._rows * self._rows

    def _choose_pool(self):
        """The features with the largest slopes for their size, and those that are in."""
        S = self.fit.support
        size = max(_POOL, _EACH * self.k)
        if self.subset.n_features <= 2 * size:
            if self._pool.size < self.subset.n_features:
                self._set_pool(np.arange(self.subset.n_features))
            return
        pull = np.abs(self.view.pulls(self._point()))
        norms = self.view.norms
        worth = np.divide(pull, norms, out=np.zeros_like(pull), where=(norms > 0.0) & self.is_open)
        worth[S] = np.inf
        self._set_pool(np.sort(np.argpartition(-worth, size)[:size]))

    def _point(self):
        return self.view.point(self.fit.x @ self.view.rows[self.fit.support] + self.fit.intercept)

    def model(self):
        """The model at the present fit, for the pool."""
        if self._model is not None and self._model[0] is self.fit:
            return self._model[1]
        view, S, ridge = self.view, self.fit.support, self.subset.ridge
        point = self._point()
        bends = view.bends(point, _DAMPING)
        c = -(self._rows @ (view.s * point.slopes))
        d = _weighted_squares(self._rows, bends) if self._squares is None else self._squares @ bends
        rows = view.rows[S]
        weighted = rows * bends
        H, own = weighted @ self._rows.T, weighted @ rows.T
        if view.loss.intercept:
            sums, inside, total = self._rows @ bends, weighted.sum(axis=1), bends.sum()
            d, H = d - sums * sums / total, H - np.outer(inside, sums) / total
            own = own - np.outer(inside, inside) / total
        np.einsum("ii->i", own)[:] += ridge
        Q = _inverse(own)
        C = Q @ H
        rest = d + ridge - np.vecdot(H.T, C.T)
        c = np.sign(c) * np.maximum(np.abs(c) - self.subset.l1, 0.0)
        if self.subset.has_bounds:
            limit = np.where(c > 0.0, self.subset.upper[self._pool], -self.subset.lower[self._pool])
            c = np.where(limit > 0.0, c, 0.0)
        # what is nearly a combination of the support has nothing of its own to give
        may_enter = self.is_open.copy()
        may_enter[S] = False
        can_enter = (rest > _OWN * (d + ridge)) & may_enter[self._pool]
        model = QuadraticModel(self._pool, Q, C, c, np.where(can_enter, rest, np.inf))
        self._model = self.fit, model
        return model

    def _added(self):
        """The fit with one more feature, the best by the model; None if there is none."""
        model = self.model()
        gains = model.c**2 / model.d
        j = int(np.argmax(gains)) if gains.size else -1
        return self._exchanged(-1, j, model) if j >= 0 and np.isfinite(model.d[j]) else None

    def _kick(self, rng):
        """Exchange some features at random; whether there are any."""
        fit = self.fit
        free = np.flatnonzero(~self.is_fixed[fit.support])
        count = min(_KICK, free.size)
        if count == 0:
            return False
        kept = np.delete(np.arange(fit.support.size), rng.choice(free, count, replace=False))
        self.fit = fit = self._refit(fit.support[kept], fit.x[kept], fit.intercept)
        self._choose_pool()
        model = self.model()
        order = np.argsort(-(model.c**2) / model.d, kind="stable")[:_CHOICE]
        order = order[np.isfinite(model.d[order])]
        new = rng.choice(order, min(count, order.size), replace=False)
        support, x = np.append(fit.support, model.pool[new]), np.append(fit.x, model.c[new] / model.d[new])
        self.fit = self._refit(support, x, fit.intercept)
        return True

    def _improve(self, trials):
        """Exchange, drop and add while that lowers the objective."""
        while self._improve_once(trials):
            yield

    def _improve_once(self, trials):
        fit, need = self.fit, _FALL * abs(self.fit.objective)
        model = self.model()
        for change, i, j in self._moves(model)[:trials]:
            if change >= -need:
                break
            trial = self._exchanged(i, j, model)
            if trial.objective < fit.objective - need:
                self._take(trial)
                return True
        return False

    def _moves(self, model):
        """The best moves by the model: what they change of the objective, position to empty, place in the pool; -1 for none."""
        fit, alpha = self.fit, self.subset.alpha
        own = np.diagonal(model.Q)
        slots = np.flatnonzero(~self.is_fixed[fit.support] & (own > 0.0))
        losses = fit.x[slots] ** 2 / own[slots]
        moves = []
        if alpha > 0.0:
            moves += [(loss / 2 - alpha, i, -1) for loss, i in zip(losses, slots, strict=True)]
            if fit.support.size < self.k:
                gains = model.c**2 / model.d
                moves += [(alpha - gains[j] / 2, -1, j) for j in np.argsort(-gains, kind="stable")[:_TRIALS]]
        if slots.size and model.c.size:
            C, q = model.C[slots], own[slots][:, None]
            gains = (model.c + fit.x[slots][:, None] / q * C) ** 2 / (model.d + C * C / q)
            # the best two for each that goes out
            for _ in range(min(2, model.c.size)):
                best = np.argmax(gains, axis=1)
                most = np.take_along_axis(gains, best[:, None], axis=1)[:, 0]
                moves += zip((losses - most) / 2, slots, best, strict=True)
                np.put_along_axis(gains, best[:, None], -np.inf, axis=1)
        moves = [move for move in moves if move[2] < 0 or np.isfinite(model.d[move[2]])]
        return sorted(moves, key=lambda move: move[0])

    def _exchanged(self, i, j, model):
        """The fit with the position i out and the pool's feature j in; -1 stands for none."""
        fit, x, support = self.fit, self.fit.x, self.fit.support
        column, step = np.zeros(x.size), 0.0
        if j >= 0:
            column, c, d = model.C[:, j], model.c[j], model.d[j]
        if i >= 0:
            # with i out, the others take up its part by column i of Q
            q, own = model.Q[i, i], model.Q[:, i]
            x = x - own * (x[i] / q) if q > 0.0 else x
            if j >= 0:
                c, d = c + fit.x[i] * column[i] / q, d + column[i] ** 2 / q
                column = column - own * (column[i] / q)
        if j >= 0:
            step = c / d
            x = x - column * step
        kept = np.arange(x.size) != i
        support, x = support[kept], x[kept]
        if j >= 0:
            support, x = np.append(support, model.pool[j]), np.append(x, step)
        return self._refit(support, x, fit.intercept)


def _weighted_squares(rows, weights):
    """Sums of weighted squares of rows, of which only a few are squared at once."""
    total = np.empty(len(rows))
    for low in range(0, len(rows), _FEW_ROWS):
        part = slice(low, low + _FEW_ROWS)
        total[part] = np.square(rows[part]) @ weights
    return total


def _inverse(matrix):
    """The inverse of a positive definite matrix; the pseudoinverse of one that is nearly singular."""
    factor, fault = lapack.dpotrf(matrix, lower=1) if matrix.size else (matrix, 1)
    diagonal = np.sqrt(np.diagonal(matrix))
    if not fault and np.all(np.diagonal(factor) > _PIVOT * diagonal):
        inverse = lapack.dpotri(factor, lower=1)[0]
        return np.tril(inverse) + np.tril(inverse, -1).T
    return np.linalg.pinv(matrix, hermitian=True) if matrix.size else matrix


@dataclass
class ModelState(State):
    """State with the search and the moves that it has still to make."""

    search: ModelSearch | None = field(default=None, repr=False)
    rest: Iterator | None = field(default=None, repr=False)

    def account(self):
        search = self.search
        done = f"{search.moves} moves, {search.refits} refits"
        if search.best.is_minimal:
            return done
        return f"{done}; the support separates the samples, so that the loss has no minimiser on it: add a ridge, Ridged(penalty, beta)"

    def advance(self, dtype, max_iterations):
        """Go on with the search for a while, in place."""
        until, search = time.perf_counter() + _CHUNK, self.search
        last = search.moves + max_iterations
        for _ in self.rest:
            if time.perf_counter() >= until or search.moves >= last:
                break
        else:
            self.residual = 0.0
            self.status = Status.CONVERGED if search.best.is_minimal else Status.STALLED
        self.iterations = search.moves
        self.w = placed(search.best, search.subset, dtype)
        return self


def rejects_search(loss, subset):
    """Why a search cannot take a problem with a loss on samples, in words; None if it can."""
    if subset.groups is not None or subset.has_rows or subset.parents:
        return "under a loss on samples other than least squares it chooses single features, without hierarchies"
    if not SampleView.fits_memory(loss):
        return "X is too large to be kept dense; choose among fewer features"
    return None


def placed(fit, subset, dtype):
    """All coefficients of a fit in the type of the data, within bounds; a required one that is best at zero becomes tiny."""
    w = np.zeros(subset.n_features)
    w[fit.support] = fit.x
    w = w.astype(dtype)
    if subset.has_bounds:
        outside = (w < subset.lower) | (w > subset.upper)
        w[outside] = np.nextafter(w[outside], dtype.type(0))
    idle = subset.required[w[subset.required] == 0.0]
    w[idle] = _TINY
    if subset.has_bounds:
        w[idle] = np.where(subset.upper[idle] > 0.0, _TINY, -_TINY)
    return w


def search_subset(loss, subset, *, kicks=0, seed=0, view=None):
    """The fit of a good support of at most k features."""
    search = ModelSearch(loss, subset, view)
    for _ in search.run(kicks=kicks, seed=seed):
        pass
    return search.best
