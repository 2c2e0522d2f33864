"""The L1 ball among other constraints, or beside a penalty: its radius gets a price.

    minimise f(w) + g(w)   subject to   sum |w_j| <= r  and  w in C

has for every price t >= 0 the lower bound D(t) - t r, where D(t) bounds f + g + t sum |w_j| over C from below: whatever
proves bounds without the ball proves them with it. At the right price a solution of the priced problem is one of the
problem itself (Everett, 1963). Nothing here is shared with a solver.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from sparseopt.constraints import Box, Intersection, L1Ball
from sparseopt.losses import Loss, Quadratic
from sparseopt.losses.base import kept
from sparseopt.penalties import L1, Nonnegative, Penalty, Ridged, Weighted, Zero
from sparseopt.problem import Problem, parts_of

_EPS = np.finfo(np.float64).eps


def covers(problem) -> bool:
    """Whether a problem has an L1 ball without a projection of its own, and can be priced."""
    return kept(problem, "_has_priced_ball", lambda: _covers(problem))


def _covers(problem):
    return (
        L1Ball in map(type, parts_of(problem.constraint))
        and isinstance(problem.loss, Loss)
        and problem.proximal is None
        and problem.is_convex
        and with_price(problem.penalty, 1.0) is not None
    )


def radius_of(problem) -> float:
    """The radius of the smallest ball."""
    return min(part.radius for part in parts_of(problem.constraint) if isinstance(part, L1Ball))


def priced(problem, price, *, in_box=False) -> Problem:
    """The problem without its balls, and with a price for the L1 norm; in the box around the smallest ball, if so asked."""
    parts = parts_of(problem.constraint)
    rest = [part for part in parts if not isinstance(part, L1Ball | Box)]
    boxes = [part for part in parts if isinstance(part, Box)]
    if in_box:
        sides = np.asarray(radius_of(problem))
        boxes.append(Box(-sides, sides))
    if boxes:
        lower, upper = zip(*(box.bounds(problem.n_features) for box in boxes), strict=True)
        lower = np.max(lower, axis=0)
        # where the box and the ball do not meet there is no point, and every bound holds
        rest.append(Box(lower, np.maximum(lower, np.min(upper, axis=0))))
    constraint = None if not rest else rest[0] if len(rest) == 1 else Intersection(*rest)
    return replace(problem, penalty=with_price(problem.penalty, price), constraint=constraint)


def with_price(penalty, price) -> Penalty | None:
    """penalty + price * (L1 norm); None where that is none of ours."""
    match penalty:
        case _ if price == 0.0:
            return penalty
        case Zero():
            return L1(price)
        case L1(alpha):
            return L1(alpha + price)
        case Weighted(L1(alpha), weights):
            return Weighted(L1(1.0), alpha * weights + price)
        case Ridged(inner, beta):
            dearer = with_price(inner, price)
            return dearer and Ridged(dearer, beta)
        case Nonnegative(inner):
            dearer = with_price(inner, price)
            return dearer and Nonnegative(dearer)
    return None


def bound_with_price(lower_bound, price, radius) -> float:
    """The bound on the problem that a bound on the priced one gives, rounding allowed for."""
    cost = price * radius
    return float(lower_bound - cost - 8 * _EPS * (abs(lower_bound) + cost)) if np.isfinite(lower_bound) else lower_bound


def least_norm(problem) -> Problem:
    """The problem whose value is the least L1 norm of points that satisfy all but the ball."""
    p = problem.n_features
    nothing = Quadratic(sparse.csc_array((p, p)), np.zeros(p))
    is_nonnegative = isinstance(inner_of(problem.penalty), Nonnegative)
    penalty = Nonnegative(L1(1.0)) if is_nonnegative else L1(1.0)
    return Problem(nothing, penalty, priced(problem, 1.0).constraint)


def inner_of(penalty):
    """The penalty below its ridges."""
    return inner_of(penalty.penalty) if isinstance(penalty, Ridged) else penalty
