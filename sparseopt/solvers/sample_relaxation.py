"""Lower bounds of best subset problems with a loss on samples, for the nodes of a branch and bound.

The problem is min over w and b of sum_i s_i phi(y_i, x_i w + b) plus, for every nonzero coefficient, the price
alpha and ridge w**2 / 2 + l1 |w|, with at most k of them, within bounds. A node fixes some features in (F1) and
some out. Its relaxation lets a feature be in by a share z, 0 <= z <= 1, with the shares of the free features at most
room = k - |F1| in sum; its price is the multiplier of that sum (see kernels/shares.py).

Every point gives a bound by Fenchel duality. With v_i the slopes of phi there, made to sum to zero under the weights
with an intercept, t = -X'(s v) and gain_j = max over w of t_j w - ridge w**2 / 2 - l1 |w| - alpha,

    D = - sum_i s_i phi*(y_i, v_i) - sum over F1 of gain_j - sum of the `room` largest positive gains of the free

and with one more feature fixed, D changes by a difference of gains: so a point that does not close a node may still
fix features of it, all at once (Guyard, Herzet, Elvira and Arslan, 2024).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.conjugates import has_conjugate
from sparseopt.kernels.shares import descend_shares
from sparseopt.losses import LeastSquares, SampleLoss
from sparseopt.solvers.sample_view import ROUNDING, SampleView, fits_memory

# Steps in a node; of them those after which the curvature is taken anew.
_STEPS, _PATIENCE = 60, 3
# Part of what is between a node and its fate to which its relaxation is solved, and what counts as solved.
_SHARP, _SOLVED = 0.05, 1e-10
# Epochs on a model; features that may enter one at once, at least.
_EPOCHS, _ENTERING = 200, 30
# Least curvature of a sample, as a part of the largest; halvings of a step.
_DAMPING, _HALVINGS = 1e-3, 20
# Shares that are as good as whole.
_WHOLE = 1e-6

FREE, IN, OUT = 0, 1, -1


@dataclass(frozen=True, eq=False)
class Place:
    """Where a node begins: what is fixed, and a point with its price."""

    status: np.ndarray
    w: np.ndarray
    intercept: float
    price: float
    bound: float = -np.inf


@dataclass(eq=False)
class Relaxed:
    """What a relaxation has found out about a node."""

    place: Place
    bound: float
    #: Feature to branch on; -1 where there is none.
    branch: int
    #: Support of a good solution of the node.
    support: np.ndarray
    #: Proofs: points, and the features that each has fixed out and in.
    points: list = field(default_factory=list)


class SampleRelaxation:
    """Bounds of the nodes of a best subset problem with a loss on samples."""

    def __init__(self, loss, subset, view=None):
        self.loss, self.subset = loss, subset
        self.view = SampleView(loss) if view is None else view
        p = self.view.features.size
        self.lower = np.full(p, -np.inf) if subset.lower is None else subset.lower[self.view.features].astype(np.float64)
        self.upper = np.full(p, np.inf) if subset.upper is None else subset.upper[self.view.features].astype(np.float64)
        self.has_bounds = subset.lower is not None
        self.steps = 0

    @staticmethod
    def rejects(loss, subset):
        """Why the relaxation cannot bound the problem, in words; None if it can."""
        if not isinstance(loss, SampleLoss) or isinstance(loss, LeastSquares) or not has_conjugate(loss):
            return f"it bounds losses on samples with a conjugate, not {type(loss).__name__}"
        if subset.has_rows or subset.groups is not None:
            return "it counts single features where the loss is not least squares"
        if subset.parents:
            return "it knows no hierarchy where the loss is not least squares"
        if subset.ridge == 0.0:
            is_open = subset.lower is None or not np.all(np.isfinite(subset.lower) & np.isfinite(subset.upper))
            if is_open:
                return (
                    "without a ridge or a box its relaxation has no bound above zero: "
                    "add Ridged(penalty, beta), or Box(-M, M) in an Intersection"
                )
        if not fits_memory(loss):
            return "X is too large to be kept dense; screen the features first"
        return None

    def root(self):
        """The place where everything begins."""
        p = self.view.features.size
        status = np.zeros(p, dtype=np.int8)
        status[np.isin(self.view.features, self.subset.required)] = IN
        status[np.isin(self.view.features, self.subset.forbidden)] = OUT
        w = np.zeros(p)
        intercept = self.view.settled(w)
        point = self.view.point(w, intercept)
        self.view.renew(self.view.bends(point, _DAMPING))
        gains = self._gains(self.view.pulls(point))[0] + self.subset.alpha
        room = self._room(status)
        free = np.sort(gains[status == FREE])[::-1]
        price = free[min(room, free.size - 1)] if free.size else 0.0
        #: Prices less than this are none.
        self.least = max(self.subset.alpha, 1e-9 * abs(point.height) / max(self.subset.k, 1))
        return Place(status, w, intercept, max(price, self.least))

    def _room(self, status):
        return self.subset.k - int(np.count_nonzero(status == IN))

    def _gains(self, t):
        """What each feature takes off the bound where it is in, and the coefficients that do it."""
        beta, bound = self.subset.ridge, np.inf
        u = np.maximum(np.abs(t) - self.subset.l1, 0.0)
        if self.has_bounds:
            bound = np.where(t > 0.0, self.upper, -self.lower)
        size = np.minimum(u / beta, bound) if beta > 0.0 else np.where(u > 0.0, bound, 0.0)
        return size * (u - beta * size / 2) - self.subset.alpha, size

    def bound(self, point, status):
        """The bound at a point; and by how much the bound rises where each free feature is fixed out, and in."""
        t = self.view.pulls(point)
        gains, sizes = self._gains(t)
        value, terms = self.view.conjugate(point)
        is_in, free = status == IN, np.flatnonzero(status == FREE)
        room = self._room(status)
        errors = ROUNDING * (np.abs(gains) + self.subset.alpha + sizes * self.view.norms * np.linalg.norm(point.mass))
        value -= float(gains[is_in].sum()) + ROUNDING * terms + float(errors[is_in].sum())
        worth = np.maximum(gains[free], 0.0)
        if room <= 0:
            return value if room == 0 else np.inf, t, None, None
        if free.size > room:
            parts = np.partition(worth, free.size - room - 1)
            total, last, following = float(parts[free.size - room :].sum()), float(parts[free.size - room :].min()), float(parts[free.size - room - 1])
        else:
            total, last, following = float(worth.sum()), 0.0, 0.0
        value -= total + room * float(np.max(errors[free], initial=0.0))
        forced_out, forced_in = np.zeros(status.size), np.zeros(status.size)
        forced_out[free] = np.where(worth >= last, worth - following, 0.0)
        # one that is among the best already costs nothing, unless it is no gain at all
        forced_in[free] = np.where(gains[free] >= last, np.maximum(-gains[free], 0.0), last - gains[free])
        return value, t, forced_out, forced_in

    def relax(self, place, threshold):
        """Solve the relaxation of a node as far as it takes to close it, or to know that it stays open."""
        status, w, b, price = place.status.copy(), place.w.copy(), place.intercept, place.price
        w[status == OUT] = 0.0
        best, proofs, view = place.bound, [], self.view
        point = view.point(w, b)
        last_gap = np.inf
        for step in range(_STEPS):
            bound, t, forced_out, forced_in = self.bound(point, status)
            if bound > best:
                best = bound
            if bound >= threshold:
                proofs.append((w.copy(), b, (), ()))
                return Relaxed(Place(status, w, b, price, best), best, -1, np.empty(0, dtype=int), proofs)
            room = self._room(status)
            moved = False
            if forced_out is not None:
                free = status == FREE
                removed = np.flatnonzero(free & (bound + forced_in >= threshold))
                kept = np.flatnonzero(free & (bound + forced_out >= threshold))
                if removed.size or kept.size:
                    proofs.append((w.copy(), b, removed, kept))
                    status[removed], status[kept] = OUT, IN
                    if np.any(w[removed]):
                        w[removed] = 0.0
                        point = view.point(w, b)
                        moved = True
                    room = self._room(status)
                    if room < 0 or np.any(np.isin(removed, kept)):
                        return Relaxed(Place(status, w, b, price, threshold), threshold, -1, np.empty(0, dtype=int), proofs)
            if room == 0 and np.any(w[status == FREE]):
                w[status == FREE] = 0.0
                point = view.point(w, b)
                moved = True
            shares = self._shares(w, status, price)
            free = (status == FREE) & (room > 0)
            upper = self._relaxed_objective(point, w, status, shares, room)
            gap = upper - bound
            has_choice = bool(np.any(np.minimum(shares, 1.0 - shares)[free] > _WHOLE))
            sharp = _SHARP * abs(threshold - upper) if has_choice else 0.0
            if not moved and (gap <= max(sharp, _SOLVED * abs(upper)) or (gap > 0.99 * last_gap and step > 2 * _PATIENCE)):
                break
            last_gap = gap
            if step and step % _PATIENCE == 0:
                view.renew(view.bends(point, _DAMPING))
            w, b, point, price = self._advance(w, b, point, price, t, status, room, 0.2 * gap)
        return Relaxed(
            Place(status, w, b, price, best), best, self._branch(shares, free, forced_out), self._support(w, status, room), proofs
        )

    def _shares(self, w, status, price):
        """Shares of the free features at a price."""
        beta = self.subset.ridge
        limit = np.full(w.size, np.sqrt(2.0 * price / beta) if beta > 0.0 else np.inf)
        if self.has_bounds:
            limit = np.minimum(limit, np.where(w > 0.0, self.upper, -self.lower))
        on = (w != 0.0) & (status == FREE)
        return np.where(on, np.minimum(np.divide(np.abs(w), limit, out=np.ones(w.size), where=limit > 0.0), 1.0), 0.0)

    def _relaxed_objective(self, point, w, status, shares, room):
        """Objective of the relaxation at w, with the shares scaled to fit: no bound of the node is better."""
        total = float(shares.sum())
        z = shares * min(1.0, room / total) if total > 0.0 else shares
        on, is_in = np.flatnonzero(z), status == IN
        value = point.height + self.subset.l1 * float(np.abs(w).sum())
        value += float(self.subset.ridge * (w[on] ** 2 / z[on]).sum() / 2 + self.subset.alpha * z.sum())
        return value + float(self.subset.ridge * (w[is_in] ** 2).sum() / 2 + self.subset.alpha * np.count_nonzero(is_in))

    def _penalty(self, w, is_in, lower, upper, price):
        """Cost of the features of a model at a price."""
        beta, l1 = self.subset.ridge, self.subset.l1
        size = np.abs(w)
        full = beta * size * size / 2
        reach = np.sqrt(2.0 * price / beta) if beta > 0.0 else np.inf
        bound = np.where(w > 0.0, upper, -lower)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(reach <= bound, beta * reach, price / bound + beta * bound / 2)
        envelope = np.where(size >= np.minimum(reach, bound), price + full, slope * size)
        return float(np.where(is_in, full, np.where(size > 0.0, envelope, 0.0)).sum() + l1 * size.sum())

    def _advance(self, w, b, point, price, t, status, room, tol):
        """One proximal Newton step on the features that matter: the new point and price."""
        self.steps += 1
        view, beta = self.view, self.subset.ridge
        excess = np.abs(t) - self.subset.l1 - self._thresholds(t, price)
        in_play = (w != 0.0) | (status == IN)
        entering = np.flatnonzero((status == FREE) & ~in_play & (excess > 0.0)) if room > 0 else np.empty(0, dtype=int)
        most = max(_ENTERING, int(np.count_nonzero(in_play)))
        if entering.size > most:
            entering = entering[np.argpartition(-excess[entering], most)[:most]]
        A = np.flatnonzero(in_play)
        A = np.concatenate([A, entering])
        gram, means = view.gram(A)
        x, is_in = w[A].copy(), status[A] == IN
        force = t[A].copy()
        lower, upper = self.lower[A], self.upper[A]
        prices = np.array([price, self.least])
        descend_shares(gram, x, force, is_in, lower, upper, float(max(room, 0)), prices, beta, self.subset.l1, _EPOCHS, max(tol, 1e-14 * abs(point.height)))
        price = float(prices[0])
        move = x - w[A]
        on = np.flatnonzero(move)
        if not on.size and not self.loss.intercept:
            return w, b, point, price
        image = move[on] @ view.rows[A[on]]
        shift = 0.0
        if self.loss.intercept:
            along, total = view.curve(image)
            shift = -(along + point.imbalance) / total
        eta = point.z + image + shift - self._offset()
        before, at_start = point.height, self._penalty(w[A], is_in, lower, upper, price)
        gain = -float(t[A] @ move) + self._penalty(x, is_in, lower, upper, price) - at_start
        length = 1.0
        for trial in range(_HALVINGS):
            trial_x = w[A] + length * move
            new = view.point_of(eta if trial == 0 else point.z - self._offset() + length * (image + shift))
            fall = before - new.height + at_start - self._penalty(trial_x, is_in, lower, upper, price)
            if fall >= -1e-4 * length * min(gain, 0.0) - 1e-12 * abs(before):
                break
            length /= 2.0
        else:
            view.renew(view.bends(point, 1.0))
            return w, b, point, price
        if trial:
            view.renew(view.bends(new, _DAMPING))
        out = w.copy()
        out[A] = trial_x
        return out, b + length * shift, new, price

    def _offset(self):
        return getattr(self.loss.offset, "values", 0.0)

    def _thresholds(self, t, price):
        beta = self.subset.ridge
        reach = np.sqrt(2.0 * price / beta) if beta > 0.0 else np.inf
        if not self.has_bounds:
            return beta * reach
        bound = np.where(t > 0.0, self.upper, -self.lower)
        with np.errstate(divide="ignore"):
            return np.where(reach <= bound, beta * reach if beta > 0.0 else 0.0, price / bound + beta * bound / 2)

    def _branch(self, shares, free, forced_out):
        """The feature whose share is furthest from whole."""
        if not np.any(free):
            return -1
        split = np.where(free, np.minimum(shares, 1.0 - shares), -1.0)
        j = int(np.argmax(split))
        if split[j] <= _WHOLE and forced_out is not None:
            j = int(np.argmax(np.where(free, forced_out, -1.0)))
        return j

    def _support(self, w, status, room):
        """What is in, and the largest of the free."""
        sizes = np.where(status == FREE, np.abs(w), 0.0)
        chosen = np.argsort(-sizes, kind="stable")[: max(room, 0)]
        chosen = chosen[sizes[chosen] > 0.0]
        return np.sort(np.concatenate([np.flatnonzero(status == IN), chosen]))
