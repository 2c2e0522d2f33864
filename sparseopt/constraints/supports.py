"""Constraints on the support alone: which coefficients, groups or rows may be nonzero, and how many of them.

With several responses the coefficients are a matrix W of shape (p, q), and a *feature* is a row of it, which
is in the support where any of its coefficients is nonzero. Groups, as those of `GroupLasso`, and `Cardinality`
are of coefficients, in C order.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sparseopt._jit import Kind
from sparseopt.inputs import as_count
from sparseopt.penalties.partitions import Partition, as_partition
from sparseopt.showing import show_by_shape


class Constraint(metaclass=Kind):
    """A set of coefficient vectors."""

    def __init_subclass__(cls, **options):
        """Show the sets of `cls` with their arrays by shape."""
        super().__init_subclass__(**options)
        show_by_shape(cls)

    @abstractmethod
    def violation(self, w) -> float:
        """Distance of w to the set in the largest coefficient or row; 0.0 inside."""

    @abstractmethod
    def rejects_size(self, p) -> str | None:
        """Why the set cannot hold vectors of p coefficients, or None."""

    def rejects_shape(self, shape) -> str | None:
        """Why the set cannot hold coefficients of this shape, or None; sets that know rows replace it."""
        return self.rejects_size(math.prod(shape))


class SupportConstraint(Constraint):
    """A set that asks only which coefficients are nonzero. `LocalSearch` and `BranchAndBound` search them."""

    @abstractmethod
    def excess(self, support) -> int:
        """How many features, groups or coefficients too many or too few there are, of booleans in the coefficients' shape."""

    @abstractmethod
    def rejects_shape(self, shape):
        """Why the set cannot hold coefficients of this shape, or None."""

    def rejects_size(self, p):
        return self.rejects_shape((p,))

    def allows(self, support) -> bool:
        """Whether coefficients with this support are in the set."""
        return self.excess(np.asarray(support, dtype=bool)) == 0

    def violation(self, w) -> float:
        """How many there are too many, or too few."""
        return float(self.excess(np.asarray(w) != 0.0))


@dataclass(frozen=True)
class Cardinality(SupportConstraint):
    """At most k coefficients are nonzero."""

    k: int

    def __post_init__(self):
        object.__setattr__(self, "k", as_count(self.k, "k"))

    def project(self, w):
        """Nearest point of the set: the k largest entries, the first of equal ones."""
        nearest = np.zeros_like(w)
        kept = np.argsort(-np.abs(w), kind="stable")[: self.k]
        nearest[kept] = w[kept]
        return nearest

    def excess(self, support):
        return max(int(np.count_nonzero(support)) - self.k, 0)

    def rejects_shape(self, shape):
        return _rejects_count(self.k, math.prod(shape), "features" if len(shape) == 1 else "coefficients")


@dataclass(frozen=True)
class RowCardinality(SupportConstraint):
    """At most k rows of W are nonzero: one support for all responses. On a vector it is `Cardinality`."""

    k: int

    def __post_init__(self):
        object.__setattr__(self, "k", as_count(self.k, "k"))

    def excess(self, support):
        return max(int(np.count_nonzero(_by_feature(support))) - self.k, 0)

    def rejects_shape(self, shape):
        return _rejects_count(self.k, shape[0], "rows")


@dataclass(frozen=True, eq=False)
class GroupCardinality(SupportConstraint):
    """At most k groups have nonzero coefficients.

    Parameters
    ----------
    k : int
    groups : int, list of index arrays, or array of labels
        As of `GroupLasso`: the size of neighbouring groups; or the coefficients of each group, in any
        order; or one label a coefficient. Each coefficient is in one group.
    """

    k: int
    groups: Partition

    def __post_init__(self):
        object.__setattr__(self, "k", as_count(self.k, "k"))
        object.__setattr__(self, "groups", as_partition(self.groups))

    def project(self, w):
        """Nearest point of the set: the k groups of largest norm, the first of equal ones."""
        nearest = np.zeros_like(w)
        for g in np.argsort(-self.groups.norms(np.asarray(w, dtype=np.float64)), kind="stable")[: self.k]:
            members = self.groups.columns(g)
            nearest[members] = w[members]
        return nearest

    def excess(self, support):
        return max(int(np.count_nonzero(self.groups.sums(np.ravel(support).astype(np.float64)))) - self.k, 0)

    def rejects_shape(self, shape):
        p = math.prod(shape)
        return self.groups.rejects_size(p) or _rejects_count(self.k, self.groups.count(p), "groups")


@dataclass(frozen=True)
class Required(SupportConstraint):
    """These features are in the support: they count towards k, and pay the price of `L0`.

    Parameters
    ----------
    features : int or sequence of int
        Indices of features; kept sorted, each once.

    Notes
    -----
    The set is open: where the best coefficient of a required feature is zero, as on a bound of a box, no
    point of the set is best. `entered` then gives it the smallest number that there is.
    """

    features: tuple

    def __post_init__(self):
        object.__setattr__(self, "features", _as_features(self.features, "features of Required"))

    def excess(self, support):
        return len(self.features) - int(np.count_nonzero(_by_feature(support)[list(self.features)]))

    def rejects_shape(self, shape):
        return _rejects_features(self.features, shape[0], "Required")


@dataclass(frozen=True)
class Forbidden(SupportConstraint):
    """These features are not in the support.

    Parameters
    ----------
    features : int or sequence of int
        Indices of features; kept sorted, each once.
    """

    features: tuple

    def __post_init__(self):
        object.__setattr__(self, "features", _as_features(self.features, "features of Forbidden"))

    def project(self, w):
        """Nearest point of the set: zero where it must be."""
        nearest = w + 0.0  # without -0.0
        nearest[list(self.features)] = 0.0
        return nearest

    def excess(self, support):
        return int(np.count_nonzero(_by_feature(support)[list(self.features)]))

    def rejects_shape(self, shape):
        return _rejects_features(self.features, shape[0], "Forbidden")


@dataclass(frozen=True)
class StrongHierarchy(SupportConstraint):
    """A feature is in the support only where all its parents are: an interaction only with its main effects.

    Parameters
    ----------
    parents : mapping of int to int or sequence of int
        The parents of each feature that has any; parents may have parents (Bien, Taylor and Tibshirani, 2013).
    """

    parents: dict

    def __post_init__(self):
        if not isinstance(self.parents, Mapping):
            raise TypeError(
                f"parents must map a feature to its parents, got {type(self.parents).__name__}; for example {{2: (0, 1)}}."
            )
        children = _as_features(list(self.parents), "features of StrongHierarchy")
        given = {int(child): parents for child, parents in self.parents.items()}
        parents = {child: _as_features(given[child], f"parents of feature {child}") for child in children}
        object.__setattr__(self, "parents", parents)
        for child in children:
            if child in self.ancestors(parents[child]):
                raise ValueError(
                    f"parents is cyclic: feature {child} is its own ancestor; remove one link of the circle."
                )

    def __hash__(self):
        return hash(tuple(self.parents.items()))

    def ancestors(self, features):
        """The features, their parents, the parents of these, and so on; a set."""
        found, rest = set(), [int(feature) for feature in features]
        while rest:
            feature = rest.pop()
            if feature not in found:
                found.add(feature)
                rest.extend(self.parents.get(feature, ()))
        return found

    def excess(self, support):
        """How many features are in without one of their parents."""
        features = _by_feature(support)
        return sum(bool(features[child]) and not features[list(of)].all() for child, of in self.parents.items())

    def rejects_shape(self, shape):
        named = {*self.parents, *(parent for of in self.parents.values() for parent in of)}
        return _rejects_features(sorted(named), shape[0], "StrongHierarchy")


def conflict(parts, shape, forced=()):
    """Why no support is in all of the sets at once, or None.

    Parameters
    ----------
    parts : iterable of SupportConstraint
        Each of which can hold coefficients of the shape.
    shape : tuple
    forced : iterable of int
        Features that are in for another reason, as a box that does not hold zero.
    """
    parts = tuple(parts)
    inside = {*forced, *(j for part in parts if isinstance(part, Required) for j in part.features)}
    named = len(inside)
    trees = [part for part in parts if isinstance(part, StrongHierarchy)]
    size = -1
    while size < len(inside):  # a parent in one hierarchy may be a child in another
        size = len(inside)
        for tree in trees:
            inside |= tree.ancestors(inside)
    out = {j for part in parts if isinstance(part, Forbidden) for j in part.features}
    if inside & out:
        return f"feature {min(inside & out)} is both required and forbidden; take it out of one of the two"
    for part in parts:
        taken, unit = _fewest(part, inside, shape)
        if unit and taken > part.k:
            also = "" if size == named else f", with {size - named} parents of them,"
            return f"{named} required features{also} take {taken} {unit}, but k is {part.k}; raise k or require fewer"
    return None


def _fewest(part, inside, shape):
    """How many of what a set counts the required features take at least; no unit where it does not count."""
    match part:
        case Cardinality():
            return len(inside), "coefficients"
        case RowCardinality():
            return len(inside), "rows"
        case GroupCardinality() if len(shape) == 1:
            support = np.zeros(shape)
            support[list(inside)] = 1.0
            return int(np.count_nonzero(part.groups.sums(support))), "groups"
    return 0, None


def entered(features, w, lower=-np.inf, upper=np.inf):
    """w with all required features in its support, by a tiny number where one is zero.

    It is the smallest normal number of float32, so that the objective is what it was but for its price.

    Parameters
    ----------
    features : sequence of int
    w : array of shape (p,)
        Not changed.
    lower, upper : float or arrays of shape (p,)
        A box that allows each of the features a nonzero coefficient.
    """
    w = np.array(w)
    lower, upper = np.broadcast_to(lower, w.shape), np.broadcast_to(upper, w.shape)
    least = float(np.finfo(np.float32).tiny)
    for j in features:
        if w[j] == 0.0:
            w[j] = min(least, upper[j]) if upper[j] > 0.0 else max(-least, lower[j])
    return w


def _by_feature(support):
    """Which features are in, of a support of a vector or of a matrix with one row a feature."""
    return support if support.ndim == 1 else support.any(axis=1)


def _rejects_count(k, count, things):
    if k > count:
        return f"k = {k} exceeds the {count} {things}; choose k between 0 and {count}"
    return None


def _rejects_features(features, p, name):
    if features and features[-1] >= p:
        return f"{name} names feature {features[-1]}, but there are {p}; features are counted from 0 to {p - 1}"
    return None


def _as_features(features, name):
    """Sorted tuple of indices, each once."""
    if isinstance(features, str) or not isinstance(features, Iterable):
        features = [features]
    elif isinstance(features, np.ndarray) and features.dtype == bool:
        raise TypeError(f"{name} must be indices, got booleans; pass np.flatnonzero of them.")
    return tuple(sorted({as_count(feature, f"an index among the {name}") for feature in features}))
