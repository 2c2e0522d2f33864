"""Interior point method for the worst of several convex losses, with an L1 norm, a ridge and bounds.

    minimise t + sum_j a_j |x_j| + b_j x_j**2 / 2   subject to L_g(x) + s_g = t, s >= 0, lower <= x <= upper

with multipliers lambda_g of the losses, which sum to one at a solution: the weights of the bound. |x_j| is the least
tau_j with tau_j - x_j >= 0 and tau_j + x_j >= 0; tau and all slacks are eliminated, which leaves the curvature of the mean
of the losses plus a diagonal, and a border with one row a loss. Each iteration solves that system twice, for the direction
towards mu = 0 and for the step, with the bend of the losses along the first in the second (Mehrotra, 1992; for convex
constraints that are no planes: Vanderbei and Shanno, 1999).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Steps end at this part of the way to the boundary.
_PART = 0.995
# Of a step that was too long.
_HALVINGS = 20
# What the slope may lag behind the gap.
_BEHIND = 1e-3


@dataclass(eq=False)
class Terms:
    """Penalty and bounds of each coefficient, an intercept among them, as arrays."""

    a: np.ndarray
    b: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @staticmethod
    def of(form, *, has_intercept):
        """Those of a `SeparableForm`."""
        if not has_intercept:
            return Terms(form.a, form.b, form.lower, form.upper)
        ends = ((form.a, 0.0), (form.b, 0.0), (form.lower, -np.inf), (form.upper, np.inf))
        return Terms(*(np.append(array, end) for array, end in ends))

    def restrict(self, columns):
        """Those of some coefficients."""
        return Terms(self.a[columns], self.b[columns], self.lower[columns], self.upper[columns])

    def scaled(self, sizes):
        """Those of x * sizes."""
        return Terms(self.a / sizes, self.b / sizes**2, self.lower * sizes, self.upper * sizes)

    def value(self, x):
        """The penalty of x."""
        return float(self.a @ np.abs(x) + self.b @ (x * x) / 2)


class Epigraph:
    """Where the method stands: x, weights, and all slacks.

    Parameters
    ----------
    model : GroupModel
    terms : Terms
        With lower < upper everywhere.
    x : array
        The start, which is moved inside the bounds.
    """

    def __init__(self, model, terms, x):
        self.model, self.terms = model, terms
        self.is_sloped = np.flatnonzero(terms.a > 0.0)
        self.has_lower, self.has_upper = (
            np.flatnonzero(np.isfinite(terms.lower)), np.flatnonzero(np.isfinite(terms.upper)),
        )  # fmt: skip
        width = np.minimum(terms.upper - terms.lower, 2.0)
        self.x = np.clip(x, terms.lower + 0.1 * width, terms.upper - 0.1 * width)
        self.values, self.slopes = model.move_to(self.x)
        count = model.n_groups
        spread = float(np.max(self.values) - np.min(self.values))
        size = max(float(np.max(np.abs(self.values))), spread, 1e-300)
        self.scale = size
        self.t = float(np.max(self.values)) + 0.1 * size
        self.s, self.weights = self.t - self.values, np.full(count, 1.0 / count)
        mu = 0.1 * size / count
        a = terms.a[self.is_sloped]
        on = self.x[self.is_sloped]
        tau = np.abs(on) + 2.0 * mu / np.maximum(a, 1e-300)
        #: tau - x, tau + x, x - lower, upper - x, as numbers of their own, which keep their digits near zero.
        self.slacks = [
            tau - on,
            tau + on,
            self.x[self.has_lower] - terms.lower[self.has_lower],
            terms.upper[self.has_upper] - self.x[self.has_upper],
        ]
        self.z = [a / 2.0, a / 2.0, mu / self.slacks[2], mu / self.slacks[3]]
        self.iterations = 0

    @property
    def has_ends(self):
        """Whether coefficients may end at zero or at a bound."""
        return bool(self.is_sloped.size or self.has_lower.size or self.has_upper.size)

    @property
    def gap(self):
        """Sum of all products of slacks and multipliers: the duality gap at a feasible point."""
        return float(self.s @ self.weights) + sum(float(self.slacks[k] @ self.z[k]) for k in range(4))

    def step(self):
        """One iteration; returns the length of its step."""
        slope, _ = self.residual()
        self.model.sharpen(max(self.gap, slope * _length(self.x)))
        system, slacks, old = _System(self), self.slacks, (self.x, self.t, self.s, self.gap)
        count = self.s.size + sum(slack.size for slack in slacks)
        mu = self.gap / count
        ahead = system.direction(0.0, [0.0] * 5, 0.0)
        reach = min(1.0, self._longest(ahead))
        after = float((self.s + reach * ahead.s) @ (self.weights + reach * ahead.weights)) + sum(
            float((slack + reach * ds) @ (z + reach * dz))
            for slack, ds, z, dz in zip(slacks, ahead.slacks, self.z, ahead.z, strict=True)
        )
        sigma = min(1.0, max(after / count / mu, 0.0)) ** 3 if mu > 0.0 else 0.0
        products = [ahead.s * ahead.weights, *(ds * dz for ds, dz in zip(ahead.slacks, ahead.z, strict=True))]
        found = system.direction(sigma * mu, products, 0.5 * self.model.bends(reach * ahead.x))
        length, (x, t, s, gap) = min(1.0, _PART * self._longest(found)), old
        for _ in range(_HALVINGS):
            self.x, self.t, self.s = x + length * found.x, t + length * found.t, s + length * found.s
            self.values, self.slopes = self.model.move_to(self.x)
            # losses that bend away from their models by more than the gap: the step was too long for these
            if np.max(self.values - self.t + self.s) <= gap:
                break
            length /= 2.0
        self.weights = self.weights + length * found.weights
        self.slacks = [slack + length * d for slack, d in zip(slacks, found.slacks, strict=True)]
        self.z = [z + length * d for z, d in zip(self.z, found.z, strict=True)]
        self._lift()
        self.iterations += 1
        return length

    def _lift(self):
        """Where the losses bend away from their models, t and the slacks follow what is true."""
        missing = self.values - self.t + self.s
        worst = float(np.max(missing))
        if worst > 0.1 * max(float(np.min(self.s)), 1e-3 * self.gap):
            self.t += worst
            self.s = np.maximum(self.s, self.t - self.values)

    def _longest(self, direction):
        pairs = [(self.s, direction.s), (self.weights, direction.weights)]
        pairs += [*zip(self.slacks, direction.slacks, strict=True), *zip(self.z, direction.z, strict=True)]
        return min((_to_boundary(v, d) for v, d in pairs), default=1.0)

    def residual(self):
        """Largest violation of the equations of stationarity, in the units of the slopes, and of the losses."""
        terms = self.terms
        slope = self.slopes @ self.weights + terms.b * self.x
        slope[self.is_sloped] += self.z[0] - self.z[1]
        slope[self.has_lower] -= self.z[2]
        slope[self.has_upper] += self.z[3]
        return float(np.max(np.abs(slope), initial=0.0)), float(np.max(np.abs(self.values - self.t + self.s)))

    def guess(self):
        """What is nonzero and not at a bound, and which losses are the worst, by multipliers and slacks.

        Returns the places of free coefficients, x with the others where they end, and the places of losses.
        """
        x, terms = self.x.copy(), self.terms
        is_free = np.ones(x.size, dtype=bool)
        on = self.is_sloped
        # of a zero both multipliers stay apart from zero, of others one goes to zero
        least = np.minimum(self.z[0], self.z[1]) / terms.a[on]
        is_zero = least > terms.a[on] * np.abs(x[on]) / self.scale
        x[on[is_zero]], is_free[on[is_zero]] = 0.0, False
        for kind, at, ends in ((2, self.has_lower, terms.lower), (3, self.has_upper, terms.upper)):
            slack, scale = self.slacks[kind], float(np.max(np.abs(self.slopes), initial=1e-300))
            is_held = self.z[kind] / scale > slack / np.maximum(1.0, np.abs(ends[at]))
            x[at[is_held]], is_free[at[is_held]] = ends[at[is_held]], False
        worst = np.flatnonzero(self.weights > self.s / self.scale)
        return np.flatnonzero(is_free), x, worst if worst.size else np.array([int(np.argmax(self.weights))])


class _Direction(NamedTuple):
    """A direction of everything that an `Epigraph` holds."""

    x: np.ndarray
    t: float
    s: np.ndarray
    weights: np.ndarray
    slacks: list
    z: list


class _System:
    """Newton's equations where an `Epigraph` stands, with all but x, the weights and t eliminated."""

    def __init__(self, epigraph):
        e = self.of = epigraph
        self.p = [z / slack for z, slack in zip(e.z, e.slacks, strict=True)]
        diagonal = e.terms.b.copy()
        self.both = self.p[0] + self.p[1]
        diagonal[e.is_sloped] += 4.0 * self.p[0] * self.p[1] / self.both
        diagonal[e.has_lower] += self.p[2]
        diagonal[e.has_upper] += self.p[3]
        self.solve = e.model.factor(e.weights, diagonal)
        self.border = self.solve(e.slopes)
        count = e.s.size
        small = np.zeros((count + 1, count + 1))
        small[:-1, :-1] = e.slopes.T @ self.border + np.diag(e.s / e.weights)
        small[:-1, -1] = small[-1, :-1] = 1.0
        self.inverse = _inverse(small)

    def direction(self, target, corrections, bends):
        """The direction to products `target`, less corrections of second order, with what the losses bend along it."""
        e, p, z = self.of, self.p, self.of.z
        r = [(target - c) / slack - own for c, slack, own in zip(corrections[1:], e.slacks, z, strict=True)]
        lean = r[0] + r[1] - (e.terms.a[e.is_sloped] - z[0] - z[1])
        pull = e.slopes @ e.weights + e.terms.b * e.x
        pull[e.is_sloped] += z[0] - z[1] + r[0] - r[1] - (p[0] - p[1]) * lean / self.both
        pull[e.has_lower] -= z[2] + r[2]
        pull[e.has_upper] += z[3] + r[3]
        base = self.solve(-pull)
        reach = (target - corrections[0]) / e.weights - e.s
        right = e.slopes.T @ base + (e.values - e.t + e.s) + bends + reach
        found = self.inverse @ np.append(right, 1.0 - e.weights.sum())
        dx = base - self.border @ found[:-1]
        on = dx[e.is_sloped]
        d_tau = (lean + (p[0] - p[1]) * on) / self.both
        d_slacks = [d_tau - on, d_tau + on, dx[e.has_lower], -dx[e.has_upper]]
        dz = [r[k] - p[k] * d_slacks[k] for k in range(4)]
        return _Direction(dx, found[-1], reach - e.s / e.weights * found[:-1], found[:-1], d_slacks, dz)


def polished(epigraph, steps=6):
    """x and weights by Newton's method on the equations of what an `Epigraph` takes to be free and worst; None where it fails."""
    model, terms = epigraph.model, epigraph.terms
    free, x, worst = epigraph.guess()
    signs = np.sign(x[free]) * (terms.a[free] > 0.0)
    weights = np.zeros(model.n_groups)
    weights[worst] = epigraph.weights[worst] / epigraph.weights[worst].sum()
    part = model.restrict(free)
    best, least = None, np.inf
    for _ in range(steps):
        values, slopes = model.move_to(x)
        t = float(weights @ values)
        rest = slopes[free] @ weights + terms.b[free] * x[free] + terms.a[free] * signs
        uneven = values[worst] - t
        size = max(float(np.max(np.abs(rest), initial=0.0)) * _length(x), float(np.max(np.abs(uneven))))
        if not np.isfinite(size):
            return best
        if size < least:
            # a coefficient whose sign is not that of its slope is best at zero
            turned = free[signs * x[free] < 0.0]
            best, least = (x.copy(), weights.copy()), size
            best[0][turned] = 0.0
        elif size > 1e-14 * epigraph.scale * len(worst):
            return best
        else:
            break
        step = _newton(model, part, free, worst, slopes, weights, terms.b[free], rest, uneven)
        if step is None:
            return best
        x = x.copy()
        x[free] += step[0]
        weights = weights.copy()
        weights[worst] += step[1]
    return best


def _newton(model, part, free, worst, slopes, weights, ridge, rest, uneven):
    """Steps of the free coefficients and of the weights of the worst losses."""
    part.take(model, free)
    solve = part.factor(np.maximum(weights, 0.0), ridge)
    Q = slopes[np.ix_(free, worst)]
    border, base = solve(Q), solve(-rest)
    # the worst losses become equal: q_g'dx - dt = -uneven, and the weights keep their sum
    m = worst.size
    small = np.zeros((m + 1, m + 1))
    small[:m, :m] = Q.T @ border
    small[:m, m] = small[m, :m] = 1.0
    right = np.append(Q.T @ base + uneven, 0.0)
    if not (np.all(np.isfinite(small)) and np.all(np.isfinite(right))):  # LAPACK may go on for ever with these
        return None
    try:
        found = np.linalg.lstsq(small, right, rcond=1e-14)[0]
    except np.linalg.LinAlgError:
        return None
    return base - border @ found[:m], found[:m]


def minimise_epigraph(model, terms, x, tol, most=60):
    """x and weights of the least worst loss to a relative gap `tol`, and perhaps what `polished` makes of them; at once."""
    sizes = model.sizes()
    epigraph = Epigraph(model.scaled(sizes), terms.scaled(sizes), x * sizes)
    for _ in range(most):
        if not is_open(epigraph, tol):
            break
        epigraph.step()
        if not np.all(np.isfinite(epigraph.x)):
            break
    found = polished(epigraph)
    points = [(epigraph.x / sizes, epigraph.weights)]
    return points if found is None else [*points, (found[0] / sizes, found[1])]


def is_open(epigraph, tol):
    """Whether the gap or a residual is still larger than this part of the objective."""
    gap = epigraph.gap
    if not np.isfinite(gap):
        return False
    scale = max(abs(epigraph.t + epigraph.terms.value(epigraph.x)), 1e-6 * epigraph.scale)
    slope, loss = epigraph.residual()
    # the slope keeps fewer digits, and Newton's method on what binds does not need them
    return max(gap, _BEHIND * slope * _length(epigraph.x), loss) > tol * scale


def _length(x):
    return max(float(np.sum(np.abs(x))), 1e-300)


def _to_boundary(v, d):
    falls = d < 0.0
    return float(np.min(-v[falls] / d[falls], initial=np.inf)) if falls.any() else np.inf


def _inverse(small):
    if not np.all(np.isfinite(small)):  # as in `_newton`
        return np.full_like(small, np.nan)
    try:
        return np.linalg.inv(small)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(small)
