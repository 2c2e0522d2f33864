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

from sparseopt.constraints import (
    Box,
    Cardinality,
    Forbidden,
    GroupCardinality,
    Intersection,
    Required,
    RowCardinality,
    StrongHierarchy,
    SupportConstraint,
)
from sparseopt.constraints.supports import entered
from sparseopt.losses.base import kept
from sparseopt.penalties import L0, L0L1, L1, Ridged, Zero


@dataclass(frozen=True, eq=False)
class SubsetProblem:
    """What a best subset problem asks for, whatever terms it was written with.

    Attributes
    ----------
    n_features : int
        Coefficients; rows of them where rows are counted.
    k : int
        Most nonzero units: features, or groups or rows where those are counted; all of them where there is no limit.
    alpha : float
        Price of a nonzero coefficient; zero if none.
    ridge, l1 : float
        Weights of |w|**2 / 2 and of |w|_1.
    lower, upper : array of shape (p,) or None
        Bounds of the coefficients, infinite where there is none; both None without a box.
    required, forbidden : array of int
        Features that are always in (their ancestors, and what the bounds keep from zero, too), and never; sorted.
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
        return kept(problem, "_subset_reading", lambda: SubsetProblem._read(problem))

    @staticmethod
    def _read(problem):
        found = _with_penalty(SubsetProblem(problem.n_features, problem.n_features), problem.penalty)
        parts = _parts(problem.constraint)
        if isinstance(found, SubsetProblem):
            found = _with_units(found, parts, problem.shape)
        for part in parts:
            if isinstance(found, SubsetProblem):
                found = _with_constraint(found, part)
        if isinstance(found, str):
            return found
        if not (found.alpha or any(isinstance(part, SupportConstraint) for part in parts)):
            return "nothing asks for few nonzeros; add Cardinality(k) or L0(alpha)"
        return _closed(found)

    @property
    def has_bounds(self):
        """Whether coefficients are bounded."""
        return self.lower is not None

    def support_of(self, w):
        """Which features, or rows of the coefficients, are nonzero."""
        return np.reshape(w != 0.0, (self.n_features, -1)).any(axis=1)

    def entered(self, w):
        """Coefficients w with what is required, and the ancestors of what is in, in their support, by tiny numbers."""
        needed = set(self.required.tolist())
        if self.parents:
            for child in np.flatnonzero(self.support_of(w)).tolist():
                needed |= ancestors(self.parents, child)
        if not needed:
            return w
        lower, upper = (-np.inf, np.inf) if self.lower is None else (self.lower, self.upper)
        features = np.array(sorted(needed))
        empty, q = features[~self.support_of(w)[features]], np.size(w) // self.n_features
        return entered((empty[:, None] * q + np.arange(q)).ravel().tolist(), w, lower, upper)

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


def ancestors(parents, child):
    """The parents of a feature, their parents, and so on."""
    found, rest = set(), list(parents.get(child, ()))
    while rest:
        parent = rest.pop()
        if parent not in found:
            found.add(parent)
            rest.extend(parents.get(parent, ()))
    return found


def _parts(constraint):
    if constraint is None:
        return ()
    return constraint.parts if isinstance(constraint, Intersection) else (constraint,)


def prices_of(penalty):
    """Price of a nonzero, weight of the L1 norm and curvature of the ridge; or why a best subset does not take the penalty."""
    found = _with_penalty(SubsetProblem(0, 0), penalty)
    return found if isinstance(found, str) else (found.alpha, found.l1, found.ridge)


def _with_penalty(found, penalty):
    match penalty:
        case Zero():
            return found
        case L0(alpha):
            return replace(found, alpha=found.alpha + alpha)
        case L1(alpha):
            return replace(found, l1=found.l1 + alpha)
        case L0L1(alpha, beta):
            return replace(found, alpha=found.alpha + alpha, l1=found.l1 + beta)
        case Ridged(inner, beta):
            return _with_penalty(replace(found, ridge=found.ridge + beta), inner)
    return f"a best subset takes the penalties Zero, L0, L1, L0L1 and Ridged of these, not {type(penalty).__name__}"


def _with_units(found, parts, shape):
    """The reading with what is counted: features, groups, or rows of a matrix of coefficients."""
    counts = {type(part) for part in parts if isinstance(part, Cardinality | RowCardinality | GroupCardinality)}
    if len(shape) == 1:
        counts = {Cardinality if kind is RowCardinality else kind for kind in counts}
    if len(counts) > 1:
        return "it counts one thing at a time: features, groups or rows; keep one of the cardinalities"
    names = any(isinstance(part, Required | Forbidden | StrongHierarchy) for part in parts)
    if len(shape) == 2 and (RowCardinality in counts or (names and not counts)):
        found = replace(found, n_features=shape[0], k=shape[0], has_rows=True)
    elif len(shape) == 2 and names:
        return "with several responses Required, Forbidden and StrongHierarchy name rows; count those by RowCardinality"
    if GroupCardinality in counts:
        groups = next(part.groups for part in parts if isinstance(part, GroupCardinality))
        count = groups.count(found.n_features)
        members = tuple(np.arange(found.n_features)[groups.columns(g)] for g in range(count))
        found = replace(found, k=count, groups=members)
        if names:
            return "Required, Forbidden and StrongHierarchy name features; beside counted groups it does not know them"
    if found.alpha and (found.has_rows or found.groups is not None):
        return "the price of L0 is for single coefficients; where rows or groups are counted, leave it out"
    return found


def _with_constraint(found, part):
    match part:
        case Cardinality(k) | RowCardinality(k):
            return replace(found, k=min(k, found.k))
        case GroupCardinality() if found.groups is not None:
            count = part.groups.count(found.n_features)
            if count != len(found.groups) or any(
                not np.array_equal(np.arange(found.n_features)[part.groups.columns(g)], found.groups[g])
                for g in range(count)
            ):
                return "it counts groups of one partition only; keep one GroupCardinality"
            return replace(found, k=min(part.k, found.k))
        case Box():
            if found.has_rows:
                return "it knows no bounds on rows of several responses"
            lower, upper = part.bounds(found.n_features)
            if found.has_bounds:
                lower, upper = np.maximum(lower, found.lower), np.minimum(upper, found.upper)
                if np.any(lower > upper):
                    return f"the boxes have nothing in common in entry {np.argmax(lower > upper)}; widen one of them"
            always = np.flatnonzero((lower > 0.0) | (upper < 0.0))
            return replace(found, lower=lower, upper=upper, required=np.union1d(found.required, always))
        case Required(features):
            return replace(found, required=np.union1d(found.required, np.array(features, dtype=np.intp)))
        case Forbidden(features):
            return replace(found, forbidden=np.union1d(found.forbidden, np.array(features, dtype=np.intp)))
        case StrongHierarchy(parents):
            together = {child: tuple(found.parents.get(child, ())) for child in (*found.parents, *parents)}
            together |= {child: tuple(sorted({*together[child], *own})) for child, own in parents.items()}
            return replace(found, parents=together)
    return f"a best subset takes no {type(part).__name__}"


def _closed(found):
    """The reading with all ancestors of required features required, and all descendants of forbidden ones forbidden."""
    if not (found.has_bounds or found.required.size or found.forbidden.size or found.parents):
        return found
    required, forbidden = set(found.required.tolist()), set(found.forbidden.tolist())
    if found.has_bounds:
        forbidden |= set(np.flatnonzero((found.lower == 0.0) & (found.upper == 0.0)).tolist())
    size = -1
    while size != len(required) + len(forbidden):
        size = len(required) + len(forbidden)
        for child, parents in found.parents.items():
            if child in required:
                required.update(parents)
            if forbidden.intersection(parents):
                forbidden.add(child)
    if both := required & forbidden:
        return f"feature {min(both)} is both required and forbidden; take it out of one of the two"
    count = len(required)
    if found.groups is not None:
        count = sum(bool(required.intersection(members.tolist())) for members in found.groups)
    if count > found.k:
        return f"{count} features are required, but k is {found.k}; raise k or require fewer"
    return replace(
        found,
        required=np.array(sorted(required), dtype=np.intp),
        forbidden=np.array(sorted(forbidden), dtype=np.intp),
    )
