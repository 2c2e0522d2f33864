"""Partitions of the coefficients into groups, as kernels and as numpy see them.

The members of group g stand at the positions start(g) to start(g + 1); member(k) is the
coefficient at position k.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from sparseopt._jit import Term
from sparseopt.inputs import as_count

# Largest sums of squares that stay in range, with those of all that matters beside them.
_LEAST, _MOST = 1e-60, 1e200


class Partition(Term):
    """Disjoint groups that together hold every coefficient."""

    @abstractmethod
    def count(self, p):
        """Number of groups of p coefficients."""

    @abstractmethod
    def start(self, g):
        """Position of the first member of group g."""

    @abstractmethod
    def member(self, k):
        """The coefficient at position k."""

    @abstractmethod
    def sums(self, values):
        """Sum over each group of a vector with one value a coefficient, or of each row of a matrix."""

    @abstractmethod
    def spread(self, values, p):
        """One value a group, handed to each of its coefficients."""

    @abstractmethod
    def columns(self, g):
        """The coefficients of group g, as a slice or an array."""

    @abstractmethod
    def rejects_size(self, p):
        """Why p coefficients cannot be grouped so, or None."""

    def sizes(self, p):
        """Number of coefficients of each group."""
        return np.diff(self.start(np.arange(self.count(p) + 1)))

    def norms(self, values):
        """Euclidean norm of each group of a vector; no square leaves the range of numbers."""
        if values.dtype == np.float64:
            with np.errstate(over="ignore", under="ignore"):
                squares = self.sums(values * values)
            most = np.maximum.reduce(squares, axis=None, initial=0.0)
            if _LEAST < most < _MOST:
                return np.sqrt(squares)
            if most == 0.0 and not values.any():
                return squares
        top = max(float(np.max(values, initial=0.0)), -float(np.min(values, initial=0.0)))
        if not 0.0 < top < np.inf:
            return self.sums(np.abs(values))
        unit = 2.0 ** np.floor(np.log2(top))
        return unit * np.sqrt(self.sums((values / unit) ** 2))


@dataclass(frozen=True)
class EqualGroups(Partition):
    """Neighbours in groups of one size."""

    size: int

    def count(self, p):
        return p // self.size

    def start(self, g):
        return g * self.size

    def member(self, k):
        return k

    def sums(self, values):
        # a product with ones is quicker than a sum over many short rows
        return values.reshape(*values.shape[:-1], -1, self.size) @ np.ones(self.size, dtype=values.dtype)

    def spread(self, values, p):
        count = p // self.size
        return np.repeat(values if np.shape(values) == (count,) else np.broadcast_to(values, count), self.size)

    def columns(self, g):
        return slice(g * self.size, (g + 1) * self.size)

    def sizes(self, p):
        return np.full(p // self.size, self.size)

    def rejects_size(self, p):
        if p % self.size:
            return (
                f"groups of {self.size} do not divide {p} coefficients; "
                "give a list of index arrays, or one label a coefficient"
            )
        return None


@dataclass(frozen=True, eq=False)
class ListedGroups(Partition):
    """Groups as listed: members one group after another, and where each group starts."""

    starts: np.ndarray
    members: np.ndarray

    def count(self, p):
        return self.starts.size - 1

    def start(self, g):
        return self.starts[g]

    def member(self, k):
        return self.members[k]

    def sums(self, values):
        return np.add.reduceat(values[..., self.members], self.starts[:-1], axis=-1)

    def spread(self, values, p):
        spread = np.empty(p)
        spread[self.members] = np.repeat(np.broadcast_to(values, self.starts.size - 1), np.diff(self.starts))
        return spread

    def columns(self, g):
        return self.members[self.starts[g] : self.starts[g + 1]]

    def sizes(self, p):
        return np.diff(self.starts)

    def rejects_size(self, p):
        if self.members.size < p:
            return (
                f"groups hold {self.members.size} of {p} coefficients; "
                "add the others, for example as groups of one with weight 0 where they are not to be penalised"
            )
        if self.members.size > p:
            return f"groups name {self.members.size} coefficients, but there are {p}; leave out what is not there"
        return None


def as_partition(groups):
    """The partition that a size, a list of index arrays or one label a coefficient stands for.

    Labels may be of any kind that sorts; groups are then in the order of the sorted labels.
    """
    if isinstance(groups, Partition):
        return groups
    if isinstance(groups, int | np.integer) and not isinstance(groups, bool):
        return EqualGroups(as_count(groups, "groups", least=1))
    if not isinstance(groups, list | tuple | np.ndarray) or len(groups) == 0:
        raise TypeError(
            f"groups must be a size, a list of index arrays or an array of labels, got {groups!r:.60}; for example groups=3."
        )
    is_vector = isinstance(groups, np.ndarray) and groups.ndim == 1 and groups.dtype != object
    if is_vector or all(np.ndim(group) == 0 for group in groups):
        _, labels = np.unique(np.asarray(groups), return_inverse=True)
        starts = np.concatenate([[0], np.cumsum(np.bincount(labels))])
        return _listed(starts, np.argsort(labels, kind="stable"))
    arrays = [np.asarray(group) for group in groups]
    for g, array in enumerate(arrays):
        if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
            raise ValueError(f"group {g} must be a vector of at least one coefficient index, got {groups[g]!r:.60}.")
    members = np.concatenate(arrays).astype(np.int64)
    counts = np.bincount(np.maximum(members, 0))
    if np.any(members < 0):
        raise ValueError(f"groups hold the index {members.min()}; indices are counted from 0.")
    if np.any(counts > 1):
        raise ValueError(
            f"coefficient {np.argmax(counts > 1)} is in {counts.max()} groups; groups that overlap are "
            "solved on a copy of each shared column, see sparseopt.overlapping_groups."
        )
    if np.any(counts == 0):
        raise ValueError(
            f"coefficient {np.argmin(counts)} is in no group; add it, for example as a group of one "
            "with weight 0 where it is not to be penalised."
        )
    return _listed(np.concatenate([[0], np.cumsum([array.size for array in arrays])]), members)


def _listed(starts, members):
    starts, members = starts.astype(np.int64), members.astype(np.int64)
    starts.flags.writeable = members.flags.writeable = False
    return ListedGroups(starts, members)
