"""The optimum over all supports, one after another: the oracle of everything that chooses a subset.

Every support that the constraint allows is refitted, all of them at once, by damped Newton steps whose quadratic
models are solved by coordinate descent and active sets, in plain numpy. An intercept is one more coefficient, and in
least squares the mean. It shares phi and its derivatives with the losses, and nothing with a solver. Each value belongs to
coefficients that were really there, so that it is never too low; `worst` says how far from stationary the worst
refit is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import sparse

import sparseopt as so
from sparseopt.designs import uncentered

_ROUNDS, _NEWTON_STEPS = 300, 200
# Of the slope at zero: a refit this near to a stationary point is done.
_ENOUGH = 1e-13


@dataclass(frozen=True, eq=False)
class Refits:
    """All supports that are allowed, as booleans in the shape (supports, coefficients), and the best point on each.

    Where a coefficient that the support holds is best at zero, as on a bound, the price of the support is its full one:
    the value is an infimum.
    """

    supports: np.ndarray
    values: np.ndarray
    w: np.ndarray
    intercepts: np.ndarray
    worst: float

    @property
    def best(self) -> float:
        """The least value."""
        return float(np.min(self.values, initial=np.inf))

    @property
    def support(self):
        """Indices of the coefficients in the first of the best supports."""
        return np.flatnonzero(self.supports[np.argmin(self.values)])


def best_value(problem) -> float:
    """The optimum of the problem, inf where no support is allowed."""
    return refits(problem).best


def refits(problem) -> Refits:
    """The refit of every support that the problem allows; with p coefficients there are up to 2**p."""
    p, shape = problem.n_features, problem.shape
    alpha, l1, ridge = _weights(problem.penalty)
    lower, upper, sets = np.full(p, -np.inf), np.full(p, np.inf), []
    for part in _parts(problem.constraint):
        if isinstance(part, so.Box):
            lower, upper = np.maximum(lower, part.bounds(p)[0]), np.minimum(upper, part.bounds(p)[1])
        else:
            sets.append(part)
    always, never = (lower > 0) | (upper < 0), (lower == 0) & (upper == 0)
    supports = np.array(list(itertools.product([False, True], repeat=p)), dtype=bool)
    supports = supports[supports[:, always].all(axis=1) & ~supports[:, never].any(axis=1)]
    if sets:
        supports = supports[[all(part.allows(support.reshape(shape)) for part in sets) for support in supports]]
    if not len(supports):
        return Refits(supports, np.empty(0), np.empty((0, p)), np.empty(0), 0.0)
    smooth = _smooth_part(problem.loss)
    extra = smooth.size - p  # the intercept
    on = np.pad(supports, ((0, 0), (0, extra)), constant_values=True)
    term = _Term(
        np.pad(np.full(p, l1), (0, extra)),
        np.pad(np.full(p, ridge), (0, extra)),
        np.where(on, np.pad(lower, (0, extra), constant_values=-np.inf), 0.0),
        np.where(on, np.pad(upper, (0, extra), constant_values=np.inf), 0.0),
    )
    W, worst = _minimised(smooth, term, on)
    values = smooth.value(W) + term.value(W) + alpha * supports.sum(axis=1)
    return Refits(supports, values, W[:, :p], W[:, p] if extra else np.zeros(len(W)), worst)


def _weights(penalty):
    """Price of a nonzero, weight of the L1 norm, curvature of the ridge."""
    match penalty:
        case so.Zero():
            return 0.0, 0.0, 0.0
        case so.L0(alpha):
            return alpha, 0.0, 0.0
        case so.L1(beta):
            return 0.0, beta, 0.0
        case so.L0L1(alpha, beta):
            return alpha, beta, 0.0
        case so.Ridged(inner, ridge):
            alpha, l1, more = _weights(inner)
            return alpha, l1, ridge + more
    raise TypeError(f"brute force knows no formula for {penalty!r}.")


def _parts(constraint):
    if constraint is None:
        return ()
    return constraint.parts if isinstance(constraint, so.Intersection) else (constraint,)


@dataclass(frozen=True, eq=False)
class _Term:
    """l1 |w| + ridge w**2 / 2 on a box, one row a support."""

    l1: np.ndarray
    ridge: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    def value(self, W):
        return np.abs(W) @ self.l1 + W**2 @ self.ridge / 2

    def distance(self, W, slope):
        """Distance of -slope to the subdifferential, the largest of each row."""
        t = -slope - self.ridge * W
        rest = t - np.where(W == 0.0, np.clip(t, -self.l1, self.l1), self.l1 * np.sign(W))
        rest = np.where(self.lower >= W, np.maximum(rest, 0.0), rest)
        return np.abs(np.where(self.upper <= W, np.minimum(rest, 0.0), rest)).max(axis=1, initial=0.0)


class _Samples:
    """A loss on samples, with the intercept as the last coefficient."""

    def __init__(self, loss):
        X, y = uncentered(loss.X).to_array().astype(np.float64), loss.y.astype(np.float64)
        self.weights = np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), len(X))
        self.loss, self.is_quadratic = loss, isinstance(loss, so.LeastSquares)
        self.y, self.X = loss.offset.taken_from(y) if self.is_quadratic else y, X
        if loss.intercept and self.is_quadratic:  # its constant is the mean
            part = self.weights / self.weights.sum()
            self.X, self.y = X - part @ X, self.y - part @ self.y
        elif loss.intercept:
            self.X = np.column_stack([X, np.ones(len(X))])
        self.size = self.X.shape[1]

    def _fitted(self, W):
        Z = W @ self.X.T
        return Z if self.is_quadratic else self.loss.offset.added_to(Z)

    def value(self, W):
        Z = self._fitted(W)
        return ((Z - self.y) ** 2 / 2 if self.is_quadratic else self.loss.value(self.y, Z)) @ self.weights

    def slope(self, W):
        Z = self._fitted(W)
        return (self.weights * (Z - self.y if self.is_quadratic else self.loss.slope(self.y, Z))) @ self.X

    def curvature(self, W):
        bends = np.ones_like(W[:, :1]) if self.is_quadratic else self.loss.curvature(self.y, self._fitted(W))
        if self.is_quadratic:
            gram = (self.X.T * self.weights) @ self.X
            return np.broadcast_to(gram, (len(W), *gram.shape))
        return np.einsum("mn,nj,nk->mjk", bends * self.weights, self.X, self.X, optimize=True)


class _Gram:
    """w'Qw / 2 + c'w + constant."""

    is_quadratic = True

    def __init__(self, Q, c, constant=0.0):
        self.Q, self.c, self.constant, self.size = Q, c, constant, c.size

    def value(self, W):
        return np.einsum("mj,jk,mk->m", W, self.Q, W, optimize=True) / 2 + W @ self.c + self.constant

    def slope(self, W):
        return W @ self.Q + self.c

    def curvature(self, W):
        return np.broadcast_to(self.Q, (len(W), *self.Q.shape))


def _smooth_part(loss):
    match loss:
        case so.Quadratic():
            Q = loss.Q.matrix
            return _Gram((Q.toarray() if sparse.issparse(Q) else Q).astype(np.float64), loss.c.astype(np.float64))
        case so.MultiResponse():
            X, Y = uncentered(loss.X).to_array().astype(np.float64), loss.y.astype(np.float64)
            weights = np.broadcast_to(np.ravel(loss.sample_weight.values), len(X)).astype(np.float64)
            if loss.intercept:
                X, Y = X - weights @ X / weights.sum(), Y - weights @ Y / weights.sum()
            q = Y.shape[1]
            return _Gram(
                np.kron((X.T * weights) @ X, np.eye(q)),
                -((X.T * weights) @ Y).ravel(),
                float(weights @ Y**2 @ np.ones(q)) / 2,
            )
        case so.LeastSquares() | so.SampleLoss():
            return _Samples(loss)
    raise TypeError(f"brute force knows no formula for {type(loss).__name__}.")


def _minimised(smooth, term, on):
    """The best point on each support, and the largest distance to a stationary one, relative to the slope at zero."""
    W = np.clip(np.zeros(on.shape), term.lower, term.upper)
    # at zero itself: where bounds keep W away from it, exponentials there may be of any size
    scale = max(float(np.abs(smooth.slope(np.zeros(W.shape))).max()), 1e-300)
    if smooth.is_quadratic:
        H, slope = smooth.curvature(W), smooth.slope(W)
        r = np.einsum("mjk,mk->mj", H, W) - slope
        W = _model_minimum(H, r, term, W, on)
        return W, float(term.distance(W, np.where(on, smooth.slope(W), 0.0)).max()) / scale
    damping, height = np.full(len(W), 1e-3), smooth.value(W) + term.value(W)
    for _ in range(_NEWTON_STEPS):
        slope = smooth.slope(W)
        distance = term.distance(W, np.where(on, slope, 0.0))
        if distance.max() <= _ENOUGH * scale or damping.min() > 1e12:
            break
        # only what is not done yet
        rows = np.flatnonzero((distance > _ENOUGH * scale) & (damping <= 1e12))
        if rows.size == 0:
            break
        part = _Term(term.l1, term.ridge, term.lower[rows], term.upper[rows])
        H = smooth.curvature(W[rows])
        size = np.einsum("mjj->mj", H).max(axis=1) + np.einsum("nj,n->j", smooth.X**2, smooth.weights).max() * 1e-6
        H = H + (damping[rows] * size)[:, None, None] * np.eye(smooth.size)
        new = _model_minimum(H, np.einsum("mjk,mk->mj", H, W[rows]) - slope[rows], part, W[rows], on[rows])
        with np.errstate(over="ignore", invalid="ignore"):
            reached = smooth.value(new) + part.value(new)
        better = reached <= height[rows]
        W[rows[better]], height[rows[better]] = new[better], reached[better]
        damping[rows] = np.where(better, damping[rows] / 10, damping[rows] * 8)
    distance = term.distance(W, np.where(on, smooth.slope(W), 0.0))
    return W, float(distance.max()) / scale


def _model_minimum(H, r, term, W, on):
    """Minimiser of w'Hw / 2 - r'w + term, one row a support: sweeps of coordinate descent, then a step on what is free."""
    W, p = np.array(W), W.shape[1]
    bend = np.einsum("mjj->mj", H) + term.ridge
    safe = np.where(bend > 0, bend, 1.0)
    scale = max(float(np.abs(r).max()), 1e-300)
    for _ in range(_ROUNDS):
        for _ in range(3):
            for j in range(p):
                t = r[:, j] - np.einsum("mk,mk->m", H[:, j], W) + H[:, j, j] * W[:, j]
                rest = np.sign(t) * np.maximum(np.abs(t) - term.l1[j], 0.0)
                # without curvature the slope decides, and where there is none the coefficient stays
                flat = np.where(rest > 0, term.upper[:, j], np.where(rest < 0, term.lower[:, j], W[:, j]))
                new = np.where(bend[:, j] > 0, rest / safe[:, j], np.where(np.isfinite(flat), flat, W[:, j]))
                W[:, j] = np.where(on[:, j], np.clip(new, term.lower[:, j], term.upper[:, j]), 0.0)
        W = _newton_on_free(H, r, term, W, on)
        slope = np.where(on, np.einsum("mjk,mk->mj", H, W) - r, 0.0)
        if term.distance(W, slope).max() <= _ENOUGH * scale:
            break
    return W


def _newton_on_free(H, r, term, W, on):
    """A step to the minimum in what is inside of the box and, with an L1 norm, not zero; as far as both stay so."""
    free = on & (term.lower < W) & (term.upper > W) & ((W != 0.0) | (term.l1 == 0.0))
    both = free[:, :, None] & free[:, None, :]
    curved = np.where(both, H + np.eye(W.shape[1]) * term.ridge, 0.0)
    slope = np.einsum("mjk,mk->mj", H, W) + term.ridge * W - r + term.l1 * np.sign(W)
    # columns of one size, so that a small one is not taken for one that depends on others
    size = np.sqrt(np.einsum("mjj->mj", curved))
    size = np.where(size > 0.0, size, 1.0)
    inverse = np.linalg.pinv(curved / (size[:, :, None] * size[:, None, :]), rcond=1e-13, hermitian=True)
    step = -np.einsum("mjk,mk->mj", inverse, np.where(free, slope, 0.0) / size) / size
    step = np.where(free, step, 0.0)
    # signs hold where there is an L1 norm
    low = np.where((term.l1 > 0) & (W > 0), np.maximum(term.lower, 0.0), term.lower)
    high = np.where((term.l1 > 0) & (W < 0), np.minimum(term.upper, 0.0), term.upper)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(step > 0, (high - W) / step, np.where(step < 0, (low - W) / step, np.inf))
    length = np.minimum(room.min(axis=1, initial=np.inf), 1.0)[:, None]
    new = np.clip(W + length * step, low, high)
    gain = (
        np.einsum("mj,mj->m", slope, new - W) + np.einsum("mj,mjk,mk->m", new - W, curved, new - W, optimize=True) / 2
    )
    return np.where((gain <= 0.0)[:, None], new, W)
