"""Best subset problems as solvers read them: how many features, at what price, and which may go together.

Every problem of this kind is

    minimise  f(w) + beta |w|**2 / 2 + l1 |w|_1 + alpha (number of nonzeros)   over lower <= w <= upper

where the set of nonzeros is one of those that the constraints admit. What is counted are single
features, groups of them, or rows of the coefficients of several responses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sparseopt.constraints import Box, Cardinality, Intersection
from sparseopt.penalties import L0, L1, Ridged, Zero


@dataclass(frozen=True, eq=False)
class SubsetProblem:
    """What a best subset problem asks for, whatever terms it was written with.

    Attributes
    ----------
    k : int
        Most nonzero units: features, or groups or rows where those are counted; all of them where there is no limit.
    alpha : float
        Price of a nonzero coefficient; zero if none.
    ridge, l1 : float
        Weights of |w|**2 / 2 and of |w|_1.
    lower, upper : array of shape (p,) or None
        Bounds of the coefficients, infinite where there is none; both None without a box.
    required, forbidden : array of int
        Features that are always in, and never; sorted.
    parents : mapping
        For a feature, those that must be in wherever it is.
    groups : tuple of arrays or None
        The groups that are counted.
    has_rows : bool
        Whether rows of a matrix of coefficients are counted.
    """

    n_features: int
    k: int
    alpha: float = 0.0
    ridge: float = 0.0
    l1: float = 0.0
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    required: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    forbidden: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    parents: Mapping = field(default_factory=dict)
    groups: tuple | None = None
    has_rows: bool = False

    @staticmethod
    def of(problem) -> SubsetProblem | str:
        """The reading of a problem; or, in words, why it is no best subset problem or has no solution."""
        found = _with_penalty(SubsetProblem(problem.n_features, problem.n_features), problem.penalty)
        parts = _parts(problem.constraint)
        counted = False
        for part in parts:
            if isinstance(found, str):
                return found
            if isinstance(part, Cardinality):
                if counted:
                    return "it takes one constraint on the number of nonzeros; keep the tightest"
                counted = True
            found = _with_constraint(found, part)
        if isinstance(found, str):
            return found
        if not counted and found.alpha == 0.0:
            return "nothing asks for few nonzeros; add Cardinality(k) or L0(alpha)"
        return _impossible(found) or found

    @property
    def has_bounds(self):
        """Whether coefficients are bounded."""
        return self.lower is not None

    @property
    def is_plain(self):
        """Whether every set of at most k features is admitted and its coefficients solve one linear system."""
        return not (
            self.has_bounds
            or self.l1
            or self.required.size
            or self.forbidden.size
            or self.parents
            or self.groups is not None
            or self.has_rows
        )


def _impossible(found):
    """Why no support is admitted, or None."""
    if both := np.intersect1d(found.required, found.forbidden).tolist():
        return f"feature {both[0]} is both required and forbidden; choose one"
    if found.groups is None and not found.has_rows and found.required.size > found.k:
        return f"{found.required.size} features are required but k = {found.k}; raise k"
    return None


def _parts(constraint):
    if constraint is None:
        return ()
    return constraint.parts if isinstance(constraint, Intersection) else (constraint,)


def _with_penalty(found, penalty):
    match penalty:
        case Zero():
            return found
        case L0(alpha):
            return replace(found, alpha=found.alpha + alpha)
        case L1(alpha):
            return replace(found, l1=found.l1 + alpha)
        case Ridged(inner, beta):
            return _with_penalty(replace(found, ridge=found.ridge + beta), inner)
    return f"it knows no best subset with {type(penalty).__name__}; Zero, L0, L1 and Ridged of these it takes"


def _with_constraint(found, part):
    match part:
        case Cardinality(k):
            return replace(found, k=k)
        case Box():
            lower, upper = part.bounds(found.n_features)
            if found.has_bounds:
                lower, upper = np.maximum(lower, found.lower), np.minimum(upper, found.upper)
            return replace(found, lower=lower, upper=upper)
    return f"it knows no best subset under {type(part).__name__}"
