"""Values and Fenchel conjugates of losses and penalties in numpy, as certificates need them.

Written apart from the compiled terms on purpose: a certificate shares no code with the
solver whose work it judges. Every convex penalty built from ours has on each coefficient
the form

    g_j(w) = a_j |w| + b_j w**2 / 2   for   l_j <= w <= u_j

so that one pair of formulas serves them all.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from sparseopt.constraints import L1Ball, Simplex
from sparseopt.forms import ConvexForm, SeparableForm
from sparseopt.losses import Huber, LeastSquares, Logistic, Offset, SampleLoss
from sparseopt.penalties import (
    L0,
    L0L1,
    L1,
    MCP,
    BlockPenalty,
    Boxed,
    Nonnegative,
    Penalty,
    ProximalTerm,
    Ridged,
    Weighted,
    Zero,
)

# Coefficients up to which forms have arrays that kernels take as they are, and those that all have alike are kept.
_FEW = 1000


@dataclass(frozen=True)
class SupportFunction(ConvexForm):
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

    def value(self, w):
        return 0.0 if self.constraint.violation(w) == 0.0 else np.inf

    def largest_scale(self, t):
        """Every t is a slope."""
        return 1.0

    def nearest_slope(self, t):
        return t


def convex_form(penalty, p):
    """The convex form of a penalty (or of a set's indicator) on p coefficients; None where it has none.

    The last one is kept with the penalty: a run asks for it a dozen times.
    """
    kept = penalty.__dict__.get("_convex_form")
    if kept is None or kept[0] != p:
        kept = p, _convex_form(penalty, p)
        object.__setattr__(penalty, "_convex_form", kept)
    return kept[1]


def _convex_form(penalty, p):
    match penalty:
        case L1(alpha):
            return _form(p, alpha)
        case Zero():
            return _form(p, 0.0)
        case Simplex() | L1Ball():
            return SupportFunction(penalty)
        case Ridged(inner, beta):
            form = convex_form(inner, p)
            is_separable = isinstance(form, SeparableForm)
            return replace(form, b=_each(lambda b: b + beta, form.b)) if is_separable else None
        case Weighted(inner, weights):
            form = convex_form(inner, p)
            if form is None:
                return None
            # a weight of zero frees the coefficient, also from a bound
            lower, upper = np.where(weights > 0.0, form.lower, -np.inf), np.where(weights > 0.0, form.upper, np.inf)
            return replace(form, a=form.a * weights, b=form.b * weights, lower=lower, upper=upper)
        case Nonnegative(inner):
            form = convex_form(inner, p)
            return form and replace(form, lower=_each(lambda lower: np.maximum(lower, 0.0), form.lower))
        case Boxed(inner, lower, upper):
            form = convex_form(inner, p)
            return form and replace(form, lower=np.maximum(form.lower, lower), upper=np.minimum(form.upper, upper))
    return penalty.convex_form(p) if isinstance(penalty, ProximalTerm) else None


def ridged_norms(penalties, p):
    """The forms of several penalties in one array, a, b, lower and upper of each; None where one is more than a norm and a ridge.

    Every coefficient has a norm, a > 0, and no bounds.
    """
    forms = np.empty((len(penalties), 4, p))
    forms[:, 1], forms[:, 2], forms[:, 3] = 0.0, -np.inf, np.inf
    a, b = forms[:, 0], forms[:, 1]
    if all(type(penalty) is L1 for penalty in penalties):
        a[:] = np.array([penalty.alpha for penalty in penalties])[:, None]
        return forms if a.min(initial=np.inf) > 0.0 else None
    for k, penalty in enumerate(penalties):
        if type(penalty) is Ridged and type(penalty.penalty) is L1:
            a[k], b[k] = penalty.penalty.alpha, penalty.beta
            continue
        form = convex_form(penalty, p) if isinstance(penalty, Penalty) else None
        if not isinstance(form, SeparableForm):
            return None
        if form.lower.max(initial=-np.inf) > -np.inf or form.upper.min(initial=np.inf) < np.inf:
            return None
        a[k], b[k] = form.a, form.b
    return forms if a.min(initial=np.inf) > 0.0 else None


def _form(p, alpha):
    arrays = l1_arrays(p, alpha) if p <= _FEW else [_equal(p, value) for value in (alpha, 0.0, -np.inf, np.inf)]
    form = SeparableForm(*arrays)
    # what the form would find out by itself, entry by entry
    form.__dict__.update(is_plain=True, is_homogeneous=True, can_stick=alpha == 0.0)
    return form


def l1_arrays(p, alpha):
    """The form of alpha |w| on p coefficients, as its arrays: a, b, lower and upper."""
    a = np.empty(p)
    a.fill(alpha)
    return a, *(_free_known(p) if p <= _FEW else _free(p))


def _equal(p, value):
    """A vector of equal entries, which are one in memory: on long paths each penalty keeps its form."""
    entries = np.ndarray((p,), np.float64, np.array([value]), 0, (0,))
    entries.flags.writeable = False
    return entries


def _each(change, entries):
    """Entries that are changed one by one; equal ones stay one."""
    return _equal(entries.size, change(entries[0])) if entries.strides == (0,) else change(entries)


def _free(p):
    """No curvature and no bounds on p coefficients; forms never write to their arrays."""
    b, lower, upper = np.empty((3, p))
    b.fill(0.0)
    lower.fill(-np.inf)
    upper.fill(np.inf)
    return b, lower, upper


_free_known = functools.lru_cache(_free)


def penalty_value(penalty, w):
    """g(w) in float64."""
    form = convex_form(penalty, w.size)
    if form is not None:
        return form.value(w)
    if not isinstance(penalty, ProximalTerm):
        inner, A = penalty.composition(w.size)
        return penalty_value(inner, A @ w)
    if isinstance(penalty, BlockPenalty):
        return penalty.measure(w)
    if not isinstance(penalty, Penalty):
        return float(penalty.evaluate(w))
    match penalty:
        case L0(alpha):
            return alpha * np.count_nonzero(w)
        case L0L1(alpha, beta):
            return alpha * np.count_nonzero(w) + beta * float(np.abs(w).sum())
        case MCP(alpha, gamma):
            size = np.minimum(np.abs(w), gamma * alpha)
            return float(np.sum(alpha * size - size * size / (2.0 * gamma)))
        case Ridged(inner, beta):
            return penalty_value(inner, w) + beta * float(w @ w) / 2
    nonzero = np.flatnonzero(w)
    at_zero = float(penalty.value_at(0, 0.0)) if nonzero.size < w.size else 0.0
    return at_zero * (w.size - nonzero.size) + sum(float(penalty.value_at(j, w[j])) for j in nonzero.tolist())


def has_conjugate(loss):
    """Whether the conjugate of the loss is known here."""
    return isinstance(loss, LeastSquares | Logistic | Huber) or loss.has_conjugate


def loss_conjugate(loss, v):
    """Conjugate of phi(y_i, z_i + o_i) in z_i for each sample; v must lie in the range of slopes of phi."""
    conjugate = _phi_conjugate(loss, v)
    if isinstance(loss, SampleLoss) and isinstance(loss.offset, Offset):
        return conjugate - v * loss.offset.values
    return conjugate


def _phi_conjugate(loss, v):
    match loss:
        case LeastSquares():
            return v * v / 2 + v * loss.target
        case Huber():
            return np.where(np.abs(v) <= loss.delta * (1 + 1e-15), v * v / 2 + v * loss.y, np.inf)
        case Logistic():
            q = -loss.y * v
            if np.minimum.reduce(q, None, initial=1.0) > 0.0 and np.maximum.reduce(q, None, initial=0.0) < 1.0:
                return q * np.log(q) + (1.0 - q) * np.log1p(-q)
            with np.errstate(divide="ignore", invalid="ignore"):
                entropy = np.where(q > 0, q * np.log(q), 0.0) + np.where(q < 1, (1 - q) * np.log1p(-q), 0.0)
            return np.where((q >= 0) & (q <= 1), entropy, np.inf)
    return loss.conjugate(v)


def slope_scale(loss, v):
    """Largest factor up to 1 that brings v into the range of slopes of phi, which holds zero."""
    match loss:
        case Huber():
            return min(1.0, loss.delta / max(np.abs(v).max(initial=0.0), loss.delta))
        case Logistic():
            q = -loss.y * v
            return 1.0 / max(q.max(initial=0.0), 1.0) if np.all(q >= 0.0) else 0.0
    return 1.0 if isinstance(loss, LeastSquares) else loss.slope_scale(v)


def sample_slopes(loss, w):
    """Slope of phi in each fitted value, at w, in float64."""
    if isinstance(loss, LeastSquares):
        return loss.residual(w).values
    return loss.slope(loss.y.astype(np.float64), loss.predict(w))
