"""The prox of a term that ties coefficients together, and how it moves with its point: a generalised derivative.

    prox'(v) = E T T' E'

E is sparse with orthonormal columns, one for each number that the result is made of (the signed mean of a cluster of
equal sizes, one nonzero coefficient), and T is symmetric, a block of one direction for each group, or the identity. Most
of these terms are piecewise linear or quadratic, and the derivative is that of the piece on which v lies (Li, Sun and Toh,
2018; Luo, Sun, Toh and Xiu, 2019; Lin, Yuan, Sun and Toh, 2023).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from sparseopt.constraints import L1Ball, Simplex
from sparseopt.kernels.proximal import prox
from sparseopt.penalties import (
    SLOPE,
    ExclusiveLasso,
    FusedLasso,
    GroupLasso,
    ProximalTerm,
    SparseGroupLasso,
    TotalVariation,
)


class Directions(NamedTuple):
    """across (I - uu') + along uu' for a block of each group, u of length one: as many numbers as there are coefficients."""

    #: The u of each group, a column.
    U: sparse.csc_array
    #: Of each coefficient.
    across: np.ndarray
    #: along - across of each group.
    gain: np.ndarray

    def __matmul__(self, M):
        """The blocks times a vector or a matrix."""
        across, gain = (self.across, self.gain) if M.ndim == 1 else (self.across[:, None], self.gain[:, None])
        return across * M + self.U @ (gain * (self.U.T @ M))


class ProxSlope(NamedTuple):
    """The derivative by its root E T; T is None for the identity."""

    E: sparse.csc_array
    T: Directions | None = None

    def root(self, numbers):
        """E T times a vector."""
        return self.E @ (numbers if self.T is None else self.T @ numbers)

    def transposed(self, v):
        """T'E' v."""
        numbers = self.E.T @ v
        return numbers if self.T is None else self.T @ numbers

    def enclose(self, gram):
        """T' gram T."""
        return gram if self.T is None else self.T @ (self.T @ gram).T


class TiedTerm(ABC):
    """A term of x, where w = units * x: prox, and the derivative of it."""

    units: np.ndarray

    @abstractmethod
    def prox(self, v, step):
        """The minimiser of step * term(x) + norm(x - v)**2 / 2."""

    @abstractmethod
    def slope(self, v, x, step) -> ProxSlope:
        """The derivative of the prox at v, whose value is x."""


_PIECES = TotalVariation | FusedLasso | SLOPE | GroupLasso | SparseGroupLasso


def has_prox_slope(term) -> bool:
    """Whether `tied_term` knows the term."""
    is_exclusive = isinstance(term, ExclusiveLasso) and term.alpha > 0.0
    return is_exclusive or isinstance(term, _PIECES | L1Ball | Simplex)


def tied_term(term, curvatures) -> TiedTerm | None:
    """The term in units in which the given curvatures of w are 1, or typically so; None where the derivative is not known."""
    p = curvatures.size
    known = curvatures[curvatures > 0.0]
    typical = float(np.median(known)) if known.size else 1.0
    units = 1.0 / np.sqrt(np.where(curvatures > 0.0, curvatures, typical))
    one = np.zeros(p, dtype=np.int64)
    if isinstance(term, _PIECES):
        return Pieces(np.full(p, 1.0 / np.sqrt(typical)), term.private(p))
    match term:
        case L1Ball(radius):
            return SumsOfSizes(units, one, radius, None, False)
        case Simplex(total):
            return SumsOfSizes(units, one, total, None, True)
        case ExclusiveLasso() if term.alpha > 0.0:
            return SumsOfSizes(units, _numbers(term.groups, p), 0.0, term.alpha, False)
    return None


@dataclass(frozen=True, eq=False)
class SumsOfSizes(TiedTerm):
    """The sum of sizes s of each group, which is `total` (at most, if signs are free) or costs alpha s**2 / 2."""

    units: np.ndarray
    #: Group of each coefficient.
    number: np.ndarray
    total: float
    alpha: float | None
    is_nonnegative: bool

    def prox(self, v, step):
        sizes = v if self.is_nonnegative else np.abs(v)
        kept = np.maximum(sizes - self._shift(sizes, step)[self.number] * self.units, 0.0)
        return np.where(v < 0.0, -kept, kept) + 0.0

    def _shift(self, sizes, step):
        """The number c of each group so that max(sizes - c units, 0) has the right sum, by Newton steps on all at once.

        The sum is convex in c, so that c rises from where all sizes count to the end, and no size comes back (Michelot,
        1986): a few steps, and one for each size at most.
        """
        softness = 0.0 if self.alpha is None else 1.0 / (step * self.alpha)
        number, units, count = self.number, self.units, int(self.number.max()) + 1
        shift = np.full(count, -np.inf if self.is_nonnegative else 0.0)
        while number.size:
            squares = np.bincount(number, units * units, minlength=count)
            sums = np.bincount(number, units * sizes, minlength=count) - self.total
            # rounding may leave none of equal sizes
            nearer = np.divide(sums, softness + squares, out=np.full(count, -np.inf), where=squares > 0.0)
            shift = np.maximum(shift, nearer)
            is_in = sizes > shift[number] * units
            if np.all(is_in):
                break
            number, units, sizes = number[is_in], units[is_in], sizes[is_in]
        return shift

    def slope(self, v, x, step):
        if self.alpha is None and not self.is_nonnegative and self.units @ np.abs(v) <= self.total:
            return ProxSlope(sparse.csc_array(sparse.eye_array(x.size)))
        support, E = _support(x)
        number, units = self.number[support], self.units[support]
        squares = np.bincount(number, units**2, minlength=int(self.number.max()) + 1)
        # along the units of a group sizes move by one part in 1 + step alpha units'units, or not at all
        along = np.zeros(squares.size) if self.alpha is None else 1.0 / np.sqrt(1.0 + step * self.alpha * squares)
        unit = units / np.sqrt(squares[number])
        return ProxSlope(E, _directions(number, unit, np.ones(squares.size), along))


@dataclass(frozen=True, eq=False)
class Pieces(TiedTerm):
    """Pieces or clusters of equal coefficients, and norms of groups; all units are equal."""

    units: np.ndarray
    term: ProximalTerm

    def prox(self, v, step):
        unit, z = self.units[0], np.empty_like(v)
        prox(self.term, unit * v, step * unit * unit, z)
        return z / unit

    def slope(self, v, x, step):
        unit = self.units[0]
        match self.term:
            case TotalVariation():
                return _means(_pieces(x), np.ones_like(x))
            case FusedLasso():
                return _means(np.where(x == 0.0, -1, _pieces(x)), np.ones_like(x))
            case SLOPE():
                sizes = np.unique(np.abs(x), return_inverse=True)[1].ravel()
                return _means(np.where(x == 0.0, -1, sizes), np.sign(x))
        return _shrunk(self.term, unit * v, unit * x, step * unit * unit)


def _numbers(groups, p):
    return groups.spread(np.arange(groups.count(p)), p).astype(np.int64)


def _pieces(x):
    """Number of the constant piece of each coefficient."""
    return np.append(0, np.cumsum(x[1:] != x[:-1]))


def _means(numbers, signs):
    """The derivative for signed means of the coefficients with the same number; none where it is negative."""
    used = np.flatnonzero(numbers >= 0)
    number = np.unique(numbers[used], return_inverse=True)[1].ravel()
    sizes = np.bincount(number)
    entries = signs[used] / np.sqrt(sizes[number]), (used, number)
    return ProxSlope(sparse.csc_array(entries, shape=(numbers.size, sizes.size)))


def _support(x):
    support = np.flatnonzero(x)
    entries = np.sign(x[support]), (support, np.arange(support.size))
    return support, sparse.csc_array(entries, shape=(x.size, support.size))


def _shrunk(term, v, z, step):
    """A shrunk vector moves along itself by what the ridge leaves, and across as much as it is shorter."""
    support, E = _support(z)
    number, count = _numbers(term.groups, z.size)[support], term.groups.count(z.size)
    sizes = np.abs(z[support])
    after = np.sqrt(np.bincount(number, sizes**2, minlength=count))
    soft = np.maximum(np.abs(v[support]) - step * term.resistance, 0.0)
    before = np.sqrt(np.bincount(number, soft**2, minlength=count))
    across = np.sqrt(after / np.where(before > 0.0, before, 1.0))
    along = np.full(count, 1.0 / np.sqrt(1.0 + step * term.ridge))
    return ProxSlope(E, _directions(number, sizes / np.where(after > 0.0, after, 1.0)[number], across, along))


def _directions(number, unit, across, along):
    """The blocks of coefficients with the same number, of which `unit` has the directions."""
    entries = unit, (np.arange(number.size), number)
    return Directions(sparse.csc_array(entries, shape=(number.size, across.size)), across[number], along - across)
