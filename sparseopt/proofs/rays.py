"""Rays: proofs that a problem with linear rows has no point, or no minimum, checked from the data."""

from dataclasses import dataclass

import numpy as np

from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.proofs.rows_and_bounds import form_of, largest, pulling, support

# Curvature along a ray, as a part of that of its entries one by one, which rounding of the ray may leave.
_FLAT = 1e-8


@dataclass(frozen=True)
class RayCheck:
    """A ray scaled to slope -1, and how far it is from an exact proof.

    `residual` is the largest entry that breaks a condition. An infeasibility ray excludes all
    points with an L1 norm below 1 / residual. Along an unboundedness ray the objective falls
    by one a unit until curvature or a side of that size stops it.
    """

    residual: float
    holds: bool


def check_primal_ray(problem, ray, *, tolerance=1e-8) -> RayCheck:
    """Whether the multipliers prove that no w satisfies the constraints (Farkas' lemma).

    `ray` holds one multiplier a row, and may hold those of the bounds after them; the latter
    are taken from A'y + v = 0, which they must satisfy. Bounds that cross need no ray.
    """
    form = form_of(problem)
    if np.any(form.lower > form.upper) or np.any(form.row_lower > form.row_upper):
        return RayCheck(0.0, holds=True)
    y = np.asarray(ray, dtype=np.float64)[: form.row_lower.size]
    if y.size < form.row_lower.size:
        return RayCheck(np.inf, holds=False)
    allowed = pulling(y, form.row_lower, form.row_upper)
    v = -(y @ form.A)
    balanced = pulling(v, form.lower, form.upper)
    total = support(allowed, form.row_lower, form.row_upper) + support(balanced, form.lower, form.upper)
    if not total < 0:
        return RayCheck(np.inf, holds=False)
    residual = max(largest(y - allowed), largest(v - balanced)) / -total
    return RayCheck(float(residual), holds=bool(residual <= tolerance))


def check_dual_ray(problem, ray, *, tolerance=1e-8) -> RayCheck:
    """Whether the objective of a quadratic loss falls for ever along the ray, which no side stops."""
    form, d = form_of(problem), np.asarray(ray, dtype=np.float64)
    if d.size != problem.n_features or not isinstance(problem.loss, Quadratic | LeastSquares):
        return RayCheck(np.inf, holds=False)
    fall = problem.loss.gradient(np.zeros(d.size)) @ d + form.alpha @ np.abs(d)
    if not fall < 0:
        return RayCheck(np.inf, holds=False)
    curvature = problem.loss.hessian_bound(d) + form.ridge * d
    # in small units of curvature what is below the tolerance may be no rounding
    apart = (problem.loss.curvatures() + form.ridge) @ np.square(d)
    if float(d @ curvature) > _FLAT * apart:
        return RayCheck(np.inf, holds=False)
    steep = form.A @ d
    obstacles = (
        largest(curvature),
        largest(_blocked(steep, form.row_lower, form.row_upper)),
        largest(_blocked(d, form.lower, form.upper)),
    )
    residual = max(obstacles) / -fall
    return RayCheck(float(residual), holds=bool(residual <= tolerance))


def _blocked(direction, lower, upper):
    """The parts of a direction that lead towards a finite side."""
    return np.where(np.isfinite(np.where(direction > 0, upper, lower)), direction, 0.0)
