"""Laws of constraints."""

from __future__ import annotations

import numpy as np

from sparseopt.constraints import (
    Box,
    Cardinality,
    Forbidden,
    GroupCardinality,
    Projectable,
    SemiContinuous,
    SupportConstraint,
)
from sparseopt.testing.comparisons import check_frozen, compiled, copied, prox_and_value


def check_constraint(constraint, p, *, seed=0) -> None:
    """Check that the projection on a set is its nearest point, and that violation is zero there.

    Parameters
    ----------
    constraint : Constraint
        One without a projection (linear rows) is only measured.
    p : int
        Number of coefficients to test with.
    seed : int, default 0
        Of the random points.

    Raises
    ------
    AssertionError
        With the point and the numbers that contradict each other.
    """
    if reason := constraint.rejects_size(p):
        raise AssertionError(f"{constraint!r} refuses {p} coefficients: {reason}.")
    check_frozen(constraint)
    random = np.random.default_rng(seed)
    points = [np.zeros(p), *(scale * random.standard_normal(p) for scale in (0.01, 0.1, 1.0, 10.0) for _ in range(5))]
    points += [w * (random.random(p) < 0.5) + 0.0 for w in points[1:9]]
    for w in points:
        w.flags.writeable = False
        violation = constraint.violation(w)
        if not (isinstance(violation, float) and violation >= 0.0):
            raise AssertionError(f"{constraint!r}: violation({w}) is {violation!r}; it must be a float of at least 0.")
    if isinstance(constraint, SupportConstraint):
        _check_support(constraint, points)
    if not isinstance(constraint, Projectable | Box | Cardinality | GroupCardinality | Forbidden | SemiContinuous):
        return
    again = copied(constraint)
    inside = [constraint.project(w) for w in points]
    inside += [constraint.project(z + 1e-3 * random.standard_normal(p)) for z in inside]
    for w in points:
        _check_projection(constraint, again, w, inside)


def _check_support(constraint, points):
    for w in points:
        support = w != 0.0
        if constraint.allows(support) != (constraint.violation(w) == 0.0):
            raise AssertionError(f"{constraint!r}: allows({support}) contradicts violation({w}).")
        if constraint.violation(w) != copied(constraint).violation(np.sign(w)):
            raise AssertionError(f"{constraint!r}: the violation of {w} must depend on its support alone.")


def _check_projection(constraint, again, w, inside):
    z = constraint.project(w)
    rounding = 1e2 * np.finfo(np.float64).eps * w.size * (1.0 + np.abs(w).max() + np.abs(z).max())
    name = repr(constraint)
    if constraint.violation(z) > rounding:
        raise AssertionError(
            f"{name}: the projection of {w} is {z}, which violates the set by {constraint.violation(z):g}."
        )
    if np.abs(constraint.project(z) - z).max() > rounding:
        raise AssertionError(f"{name}: the projection of {w} is {z}, whose own projection is {constraint.project(z)}.")
    if constraint.violation(w) == 0.0 and np.abs(z - w).max() > rounding:
        raise AssertionError(f"{name}: {w} lies in the set, but its projection is {z}.")
    distance = np.linalg.norm(z - w)
    nearer = [x for x in inside if np.linalg.norm(x - w) < distance - rounding]
    if nearer:
        raise AssertionError(
            f"{name}: the projection of {w} is {z} at distance {distance:.9g}, but {nearer[0]} is nearer, at {np.linalg.norm(nearer[0] - w):.9g}."
        )
    if np.any((z == 0.0) & np.signbit(z)):
        raise AssertionError(f"{name}: the projection of {w} holds -0.0; return 0.0.")
    if np.abs(again.project(w) - z).max() != 0.0:
        raise AssertionError(f"{name}: a copy, as by pickle, projects {w} on {again.project(w)}, not on {z}.")
    if constraint.project(w.astype(np.float32)).dtype != np.float32:
        raise AssertionError(
            f"{name}: the projection of float32 numbers is {constraint.project(w.astype(np.float32)).dtype}."
        )
    if isinstance(constraint, Projectable):
        found = np.empty_like(w)
        compiled(constraint, prox_and_value, constraint, np.array(w), 1.0, found)
        if np.abs(found - z).max() > rounding:
            raise AssertionError(f"{name}: the projection of {w} is {z} in plain Python and {found} compiled.")
