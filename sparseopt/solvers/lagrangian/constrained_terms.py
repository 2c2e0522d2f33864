"""A penalty within a box and a count of nonzeros, as `AugmentedLagrangian` needs it: value, prox, and its pieces.

A piece is a separable convex form that agrees with the term near a point, or lies above it and touches it there:
for priced or counted nonzeros the form on the support with zeros elsewhere; for a concave penalty its tangent
(Zou and Li, 2008).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from sparseopt.conjugates import convex_form, penalty_value
from sparseopt.constraints import (
    Box,
    Cardinality,
    Constraint,
    L1Ball,
    LinearConstraint,
    NonlinearConstraint,
    Projectable,
    Simplex,
)
from sparseopt.forms import SeparableForm
from sparseopt.kernels.proximal import prox
from sparseopt.penalties import L0, L0L1, Penalty, ProximalTerm, Ridged, Zero, concavity, straightened
from sparseopt.problem import is_priced, parts_of, without_price
from sparseopt.programs.constraint_rows import bounds_of
from sparseopt.proofs.stationary_points import short_step
from sparseopt.solvers.lagrangian.penalised_quadratic import prox_of

# Relative move at which the slope of a concave penalty is read off its values.
_MOVE = 1e-6


class ConstrainedTerm(ABC):
    """The term, by what a proximal quasi-Newton step needs of it."""

    #: Whether a line between two points of the set is in the set, and the term convex on it.
    is_convex = False
    #: Whether its pieces are supports, between which the prox chooses.
    has_supports = False
    #: Steps of the prox are shorter than this.
    longest_step = np.inf

    @abstractmethod
    def value(self, w):
        """Penalty of a point of the set."""

    @abstractmethod
    def prox(self, v, step):
        """A minimiser of step * penalty(w) + norm(w - v)**2 / 2 in the set."""

    @abstractmethod
    def piece(self, w):
        """The separable form of the term around w; None where there is none."""

    def enter(self, w):
        """A point of the set near w."""
        return self.prox(w, min(1e-10, self.longest_step))

    def slope_distance(self, w, slope):
        """Distance of -slope to the slopes of the term at w, for each coefficient."""
        return self.piece(w).subgradient_distance(w, slope)


@dataclass(frozen=True, eq=False)
class ConvexTerm(ConstrainedTerm):
    """a |w| + b w**2 / 2 in a box."""

    form: SeparableForm
    is_convex = True

    def value(self, w):
        return float(self.form.a @ np.abs(w) + self.form.b @ (w * w) / 2)

    def prox(self, v, step):
        return prox_of(self.form, v, step)

    def piece(self, w):
        return self.form

    def enter(self, w):
        return np.clip(w, self.form.lower, self.form.upper)


@dataclass(frozen=True, eq=False)
class CountedTerm(ConstrainedTerm):
    """The same, with a price for each nonzero and at most k of them."""

    form: SeparableForm
    price: float
    k: int
    has_supports = True

    def value(self, w):
        smooth = np.sum(self.form.a * np.abs(w) + self.form.b * w * w / 2)
        return float(smooth + self.price * np.count_nonzero(w))

    def prox(self, v, step):
        nonzero = prox_of(self.form, v, step)
        cost = step * (self.form.a * np.abs(nonzero) + self.form.b * nonzero**2 / 2) + (nonzero - v) ** 2 / 2
        gain = v * v / 2 - cost
        needed = (self.form.lower > 0.0) | (self.form.upper < 0.0)
        gain = np.where(needed, np.inf, gain)
        order = np.argsort(-gain, kind="stable")[: self.k]
        kept = order[gain[order] > step * self.price]
        z = np.zeros_like(v)
        z[kept] = nonzero[kept]
        return z

    def piece(self, w):
        on = w != 0.0
        return replace(self.form, lower=np.where(on, self.form.lower, 0.0), upper=np.where(on, self.form.upper, 0.0))

    def slope_distance(self, w, slope):
        distance = self.form.subgradient_distance(w, slope)
        is_full = self.price > 0.0 or np.count_nonzero(w) >= self.k
        return np.where(w == 0.0, 0.0, distance) if is_full else distance


@dataclass(frozen=True, eq=False)
class ConcaveTerm(ConstrainedTerm):
    """A penalty on single coefficients that is not convex, in a box."""

    penalty: Penalty
    lower: np.ndarray
    upper: np.ndarray
    longest_step: float = np.inf

    def value(self, w):
        return penalty_value(self.penalty, w)

    def prox(self, v, step):
        z = np.empty_like(v)
        prox(self.penalty, v, step, z)
        return np.clip(z, self.lower, self.upper)

    def piece(self, w):
        a = np.empty_like(w)
        lower, upper = self.lower.copy(), self.upper.copy()
        for j, w_j in enumerate(w.tolist()):
            reach = _MOVE * max(abs(w_j), _MOVE)
            ahead, behind = self.penalty.value_at(j, w_j + reach), self.penalty.value_at(j, w_j - reach)
            here = self.penalty.value_at(j, w_j)
            if behind == np.inf:
                lower[j], behind = max(lower[j], w_j if w_j <= 0.0 else lower[j]), here
                a[j] = (ahead - here) / reach
            elif w_j == 0.0:
                a[j] = (min(ahead, behind) - here) / reach
            else:
                a[j] = (ahead - behind) / (2.0 * reach) * np.sign(w_j)
        return SeparableForm(np.maximum(a, 0.0), np.zeros_like(w), lower, upper)

    def enter(self, w):
        w = np.clip(w, self.lower, self.upper)
        return w if self.value(w) < np.inf else self.prox(w, min(1e-10, self.longest_step))


@dataclass(frozen=True, eq=False)
class WholeTerm(ConstrainedTerm):
    """A term that ties coefficients together: its prox, and no pieces."""

    term: ProximalTerm
    penalty: ProximalTerm
    #: The set that the prox projects on, where it is one.
    constraint: Constraint | None = None

    def value(self, w):
        return penalty_value(self.penalty, w)

    def prox(self, v, step):
        z = np.empty_like(v)
        prox(self.term, np.ascontiguousarray(v), step, z)
        return z

    def piece(self, w):
        return None

    def slope_distance(self, w, slope):
        step = short_step(w, slope)
        return np.abs(w - self.prox(w - step * slope, step)) / step


def constrained_term(problem):
    """The term of a problem without its rows, or the reason why there is none."""
    penalty, p = problem.penalty, problem.n_features
    if not isinstance(penalty, ProximalTerm):
        return "the penalty has no prox of its own: it is one of a linear map"
    if problem.loss.is_compiled and isinstance(problem.proximal, Projectable):
        return WholeTerm(problem.proximal.private(p), penalty, problem.constraint)
    rows = LinearConstraint | NonlinearConstraint
    others = [part for part in parts_of(problem.constraint) if not isinstance(part, rows)]
    lower, upper = bounds_of(problem)
    if np.any(lower > upper):
        return "the boxes have nothing in common"
    balls = [part for part in others if isinstance(part, L1Ball)]
    if unknown := [part for part in others if not isinstance(part, Box | Simplex | Cardinality | L1Ball)]:
        return f"beside rows it takes boxes, Simplex, L1Ball and Cardinality, not {type(unknown[0]).__name__}"
    if balls:
        if len(others) > 1 or not isinstance(penalty, Zero):
            return "L1Ball has a prox by itself only, without a penalty or a box"
        return WholeTerm(balls[0].private(p), penalty, balls[0])
    counts = [part.k for part in others if isinstance(part, Cardinality)]
    form = convex_form(without_price(penalty), p)
    if isinstance(form, SeparableForm):
        form = replace(form, lower=np.maximum(form.lower, lower), upper=np.minimum(form.upper, upper))
        if not counts and not is_priced(penalty):
            return ConvexTerm(form)
        return CountedTerm(form, _price(penalty), min(counts, default=p))
    if counts:
        return "with a Cardinality it takes convex penalties on single coefficients"
    if not isinstance(penalty, Penalty):
        is_free = bool(np.all(np.isinf(lower)) and np.all(np.isinf(upper)))
        return WholeTerm(penalty.private(p), penalty) if is_free else "the prox of this penalty in a box is not known"
    if np.all(np.isinf(lower)) and np.all(np.isinf(upper)):
        return ConcaveTerm(penalty, lower, upper)
    if straightened(penalty, 2.0) is None:
        return "the prox of this penalty in a box is not known"
    # with a shorter step the scalar problem is convex, so that its minimiser in a box is the nearest point
    return ConcaveTerm(penalty, lower, upper, 0.99 / max(concavity(penalty), 1e-300))


def _price(penalty):
    """Price of a nonzero coefficient."""
    match penalty:
        case Ridged(inner, _):
            return _price(inner)
        case L0(alpha) | L0L1(alpha):
            return alpha
    return 0.0
