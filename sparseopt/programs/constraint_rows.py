"""A constraint in two parts: rows with two sides, linear or not, and a box with perhaps a count of nonzeros."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt.constraints import Box, LinearConstraint, NonlinearConstraint, Projectable, Simplex
from sparseopt.losses.base import kept
from sparseopt.problem import parts_of


@dataclass(frozen=True, eq=False)
class ConstraintRows:
    """lower <= rows(w) <= upper: those of all `LinearConstraint`, `NonlinearConstraint` and `Simplex`, in their order."""

    parts: tuple

    @classmethod
    def of(cls, problem):
        """The rows of a problem; none where a projection keeps w in a set for which duality has a bound."""
        if problem.loss.is_compiled and isinstance(problem.proximal, Projectable):
            return cls(())
        kinds = LinearConstraint | NonlinearConstraint | Simplex
        return cls(tuple(part for part in parts_of(problem.constraint) if isinstance(part, kinds)))

    def values(self, w):
        """The rows at w, part by part."""
        return [_rows(part, w) for part in self.parts]

    def sides(self, values):
        """Lower and upper sides of all rows, as two vectors."""
        pairs = [_sides(part, rows.size) for part, rows in zip(self.parts, values, strict=True)]
        return tuple(np.concatenate([np.zeros(0), *(pair[i] for pair in pairs)]) for i in (0, 1))

    def jacobian(self, w, values):
        """Slopes of the rows at w, whose values are given; sparse where one of the parts is."""
        blocks = [_jacobian(part, w, rows) for part, rows in zip(self.parts, values, strict=True)]
        if any(sparse.issparse(block) for block in blocks):
            return sparse.csr_array(sparse.vstack([sparse.csr_array(block) for block in blocks]))
        return np.vstack([np.zeros((0, w.size)), *blocks])


def has_rows(problem) -> bool:
    """Whether w is kept in its set by rows, and by no projection."""
    return problem.proximal is None and bool(ConstraintRows.of(problem).parts)


def bounds_of(problem):
    """The intersection of all boxes of a problem's constraint, a simplex being in one: two vectors, not to be changed."""
    return kept(problem, "_bounds", lambda: _bounds(problem))


def _bounds(problem):
    p = problem.n_features
    lower, upper = np.full(p, -np.inf), np.full(p, np.inf)
    for part in parts_of(problem.constraint):
        match part:
            case Box():
                bounds = part.bounds(p)
                lower, upper = np.maximum(lower, bounds[0]), np.minimum(upper, bounds[1])
            case Simplex():
                lower = np.maximum(lower, 0.0)
    return lower, upper


def joined(values):
    """Rows of all parts as one vector."""
    return np.concatenate([np.zeros(0), *values])


def _rows(part, w):
    match part:
        case LinearConstraint():
            return part.A @ w
        case Simplex():
            return np.array([np.sum(w)])
    return part.rows(w)


def _sides(part, m):
    match part:
        case LinearConstraint():
            return part.lower, part.upper
        case Simplex(total):
            return np.array([total]), np.array([total])
    return part.sides(m)


def _jacobian(part, w, rows):
    match part:
        case LinearConstraint():
            return part.A
        case Simplex():
            return np.ones((1, w.size))
    return part.jacobian(w, rows)
