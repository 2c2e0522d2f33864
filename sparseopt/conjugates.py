"""Values and Fenchel conjugates of losses and penalties in numpy, as certificates need them.

Written apart from the compiled terms on purpose: a certificate shares no code with the
solver whose work it judges. Every convex penalty built from ours has on each coefficient
the form

    g_j(w) = a_j |w| + b_j w**2 / 2   for   l_j <= w <= u_j

so that one pair of formulas serves them all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparseopt.constraints import L1Ball, Simplex
from sparseopt.losses import Huber, LeastSquares, Logistic, fitted
from sparseopt.penalties import L0, L1, Boxed, Nonnegative, Penalty, Ridged, Weighted, Zero


@dataclass(frozen=True, eq=False)
class ConvexForm:
    """g_j(w) = a_j |w| + b_j w**2 / 2 on [l_j, u_j], for all coefficients at once."""

    a: np.ndarray
    b: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def is_homogeneous(self):
        """Whether g(k w) = k g(w) for k > 0: the conjugate is then zero where it is finite."""
        is_cone = np.isin(self.lower, (-np.inf, 0.0)) & np.isin(self.upper, (0.0, np.inf))
        return bool(np.all((self.b == 0.0) & is_cone))

    def value(self, w):
        """g(w), infinite outside of the bounds."""
        if np.any(w < self.lower) or np.any(w > self.upper):
            return np.inf
        return float(np.sum(self.a * np.abs(w) + self.b * w * w / 2))

    def conjugate(self, t):
        """sup over w of t.w - g(w); infinite where t leaves the range of slopes."""
        excess = np.sign(t) * np.maximum(np.abs(t) - self.a, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            free = np.where(excess == 0.0, 0.0, excess / self.b)
        # the objective is concave in one dimension: the best point of an interval is the nearest one
        best = np.clip(free, self.lower, self.upper)
        if not np.all(np.isfinite(best)):
            return np.inf
        return float(np.sum(t * best - self.a * np.abs(best) - self.b * best * best / 2))

    def slope_range(self):
        """Smallest and largest t with a finite conjugate, for each coefficient."""
        is_linear = self.b == 0.0
        least = np.where(is_linear & np.isinf(self.lower), -self.a, -np.inf)
        largest = np.where(is_linear & np.isinf(self.upper), self.a, np.inf)
        return least, largest

    def subgradient_distance(self, w, slope):
        """Distance of -slope to the subdifferential of g at w, for each coefficient."""
        t = -slope - self.b * w
        nearest = np.where(w == 0.0, np.clip(t, -self.a, self.a), self.a * np.sign(w))
        rest = t - nearest
        # a bound takes up any force that pushes outwards
        rest = np.where(w <= self.lower, np.maximum(rest, 0.0), rest)
        return np.abs(np.where(w >= self.upper, np.minimum(rest, 0.0), rest))


@dataclass(frozen=True)
class SupportFunction:
    """The conjugate of the indicator of a bounded set: finite for every slope."""

    constraint: Simplex | L1Ball
    is_homogeneous = False

    def conjugate(self, t):
        """sup of t.w over the set."""
        match self.constraint:
            case Simplex(total):
                return total * float(np.max(t))
            case L1Ball(radius):
                return radius * float(np.max(np.abs(t)))

    def slope_range(self):
        """Every slope."""
        return np.array(-np.inf), np.array(np.inf)


def convex_form(penalty, p):
    """The convex form of a penalty (or of a set's indicator) on p coefficients; None where it has none."""
    match penalty:
        case Simplex() | L1Ball():
            return SupportFunction(penalty)
        case Zero():
            return _form(p, 0.0)
        case L1(alpha):
            return _form(p, alpha)
        case Ridged(inner, beta):
            form = convex_form(inner, p)
            return form and replace(form, b=form.b + beta)
        case Weighted(inner, weights):
            form = convex_form(inner, p)
            if form is None:
                return None
            # a weight of zero frees the coefficient, also from a bound
            lower, upper = np.where(weights > 0.0, form.lower, -np.inf), np.where(weights > 0.0, form.upper, np.inf)
            return replace(form, a=form.a * weights, b=form.b * weights, lower=lower, upper=upper)
        case Nonnegative(inner):
            form = convex_form(inner, p)
            return form and replace(form, lower=np.maximum(form.lower, 0.0))
        case Boxed(inner, lower, upper):
            form = convex_form(inner, p)
            return form and replace(form, lower=np.maximum(form.lower, lower), upper=np.minimum(form.upper, upper))
    return None


def _form(p, alpha):
    return ConvexForm(np.full(p, alpha), np.zeros(p), np.full(p, -np.inf), np.full(p, np.inf))


def penalty_value(penalty, w):
    """g(w) in float64."""
    form = convex_form(penalty, w.size)
    if form is not None:
        return form.value(w)
    if not isinstance(penalty, Penalty):
        return float(penalty.evaluate(w))
    match penalty:
        case L0(alpha):
            return alpha * np.count_nonzero(w)
        case Ridged(inner, beta):
            return penalty_value(inner, w) + beta * float(w @ w) / 2
    nonzero = np.flatnonzero(w)
    at_zero = float(penalty.value_at(0, 0.0)) if nonzero.size < w.size else 0.0
    return at_zero * (w.size - nonzero.size) + sum(float(penalty.value_at(j, w[j])) for j in nonzero.tolist())


def has_conjugate(loss):
    """Whether the conjugate of the loss is known here."""
    return isinstance(loss, LeastSquares | Logistic | Huber)


def loss_conjugate(loss, v):
    """phi*(y_i, v_i) for each sample; v must lie in the range of slopes of phi."""
    match loss:
        case LeastSquares():
            return v * v / 2 + v * loss.target
        case Huber():
            return np.where(np.abs(v) <= loss.delta * (1 + 1e-15), v * v / 2 + v * loss.y, np.inf)
        case Logistic():
            q = -loss.y * v
            with np.errstate(divide="ignore", invalid="ignore"):
                entropy = np.where(q > 0, q * np.log(q), 0.0) + np.where(q < 1, (1 - q) * np.log1p(-q), 0.0)
            return np.where((q >= 0) & (q <= 1), entropy, np.inf)
    raise TypeError(f"the conjugate of {type(loss).__name__} is not known.")


def slope_scale(loss, v):
    """Largest factor up to 1 that brings v into the range of slopes of phi, which holds zero."""
    match loss:
        case Huber():
            return min(1.0, loss.delta / max(np.abs(v).max(initial=0.0), loss.delta))
        case Logistic():
            q = -loss.y * v
            return 1.0 / max(q.max(initial=0.0), 1.0) if np.all(q >= 0.0) else 0.0
    return 1.0


def sample_slopes(loss, w):
    """Slope of phi in each fitted value, at w, in float64."""
    if isinstance(loss, LeastSquares):
        return fitted(loss, w) - loss.target
    return loss.slope(loss.y.astype(np.float64), loss.predict(w))
