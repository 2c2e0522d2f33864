"""Sets of coefficients: boxes, simplexes, balls and linear rows, each with its projection, and what several have in common."""

from __future__ import annotations

import math
import sys
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt._jit import Term
from sparseopt.constraints.nonlinear import NonlinearConstraint
from sparseopt.constraints.supports import (
    Constraint,
    Forbidden,
    SupportConstraint,
    conflict,
)
from sparseopt.designs import CSC
from sparseopt.finite_differences import SCHEMES
from sparseopt.inputs import LARGEST, SMALLEST, as_design, as_floats, as_number, little_columns, little_sides
from sparseopt.kernels.door_look import are_sound_columns
from sparseopt.showing import shown


class Projectable(Constraint, Term):
    """A set with a projection that kernels can call: the prox of its indicator."""

    @abstractmethod
    def prox_into(self, v, step, out):
        """Nearest point of the set to v, into `out`; the step does not matter."""

    def evaluate(self, w):
        """The indicator of the set, at a point of the set."""
        return 0.0

    def private(self, p):
        """The set with working memory of its own; itself, for it needs none."""
        return self

    def project(self, w):
        """Nearest point of the set, in the Euclidean norm."""
        nearest = np.empty_like(w)
        self.prox_into(np.ascontiguousarray(w), 1.0, nearest)
        return nearest

    def violation(self, w) -> float:
        return float(np.max(np.abs(w - self.project(w)), initial=0.0))


@dataclass(frozen=True, eq=False)
class Box(Constraint):
    """lower <= w <= upper.

    Parameters
    ----------
    lower, upper : float or array of shape (p,)
        Infinite where there is no bound.
    """

    lower: np.ndarray
    upper: np.ndarray

    def __post_init__(self):
        _set_bounds(self, "Box")

    def bounds(self, p):
        """The bounds as two vectors of p entries."""
        return np.broadcast_to(self.lower, p).copy(), np.broadcast_to(self.upper, p).copy()

    def project(self, w):
        """Nearest point of the set."""
        return np.clip(w, self.lower.astype(w.dtype), self.upper.astype(w.dtype))

    def violation(self, w) -> float:
        return float(max(np.max(self.lower - w, initial=0.0), np.max(w - self.upper, initial=0.0)))

    def rejects_size(self, p):
        for name, bound in (("lower", self.lower), ("upper", self.upper)):
            if bound.ndim and bound.size != p:
                return f"{name} of Box has {bound.size} entries for {p} coefficients; their lengths must match"
        return None


@dataclass(frozen=True)
class Simplex(Projectable):
    """w >= 0 and sum(w) = total: mixtures, long-only portfolios.

    The projection is Michelot's (1986): shift by what is too much, drop what turns negative.
    """

    total: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "total", as_number(self.total, "total", above=0.0))

    def prox_into(self, v, step, out):
        shift = simplex_shift(v, self.total)
        for j in range(v.size):
            out[j] = max(v[j] - shift, 0.0)

    def rejects_size(self, p):
        return None


@dataclass(frozen=True)
class L1Ball(Projectable):
    """sum(abs(w)) <= radius (projection: Duchi et al., 2008, by way of the simplex).

    Beside a convex penalty, or in an `Intersection` with boxes and linear rows, `solve` finds the price of the norm
    (Everett, 1963): `duals.ball` of the solution.

    Parameters
    ----------
    radius : float > 0, default 1.0
    """

    radius: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "radius", as_number(self.radius, "radius", above=0.0))

    def prox_into(self, v, step, out):
        norm = 0.0
        for j in range(v.size):
            out[j] = abs(v[j])
            norm += out[j]
        shift = 0.0 if norm <= self.radius else simplex_shift(out, self.radius)
        for j in range(v.size):
            size = max(out[j] - shift, 0.0)
            out[j] = -size if v[j] < 0.0 < size else size

    def violation(self, w) -> float:
        """How much the L1 norm exceeds the radius."""
        return float(max(np.sum(np.abs(w)) - self.radius, 0.0))

    def rejects_size(self, p):
        return None


def simplex_shift(v, total):
    """The number by which v must be lowered so that its positive part sums to `total`.

    What is kept grows smaller from step to step; where rounding makes it larger, the last shift is the one.
    """
    shift, count = -np.inf, v.size + 1
    while True:
        kept, mass = 0, 0.0
        for j in range(v.size):
            if v[j] > shift:
                kept += 1
                mass += v[j]
        if kept == 0 or kept >= count:
            return shift
        count = kept
        shift = (mass - total) / kept


@dataclass(frozen=True, eq=False)
class LinearConstraint(Constraint):
    """lower <= A w <= upper, row by row; an equality where both agree.

    Parameters
    ----------
    A : array or sparse matrix of shape (m, p)
    lower, upper : float or array of shape (m,)
        Infinite where a row has one side only.
    """

    A: np.ndarray | sparse.csc_array
    lower: np.ndarray
    upper: np.ndarray

    def __post_init__(self):
        columns = little_columns(self.A)
        if columns is not None and are_sound_columns(columns, SMALLEST[np.float64], LARGEST[np.float64]):
            object.__setattr__(self, "A", columns.T)
            _set_bounds(self, "LinearConstraint", rows=columns.shape[1])
            return
        A = self.A if sparse.issparse(self.A) else np.atleast_2d(self.A)
        # no rows are no constraint; everything else passes the same door as X
        if A.shape[0]:
            design = as_design(A, "A of LinearConstraint")
            A = design.matrix
            if type(design) is CSC and A.dtype == np.float64:
                self.__dict__["_design"] = design
        else:
            A = np.zeros(A.shape)
        A = A if A.dtype == np.float64 else A.astype(np.float64)
        object.__setattr__(self, "A", A)
        _set_bounds(self, "LinearConstraint", rows=A.shape[0])

    @property
    def design(self):
        """A sparse A as kernels take it, which the door has left here, or as good."""
        A = self.A
        return self.__dict__.get("_design") or CSC(A.data, A.indices, A.indptr, A.shape[0])

    def violation(self, w) -> float:
        rows = self.A @ w
        return float(max(np.max(self.lower - rows, initial=0.0), np.max(rows - self.upper, initial=0.0)))

    def rejects_size(self, p):
        if self.A.shape[1] != p:
            return f"A of LinearConstraint has {self.A.shape[1]} columns for {p} coefficients; they must match"
        return None


@dataclass(frozen=True)
class Intersection(Constraint):
    """All of several constraints at once: ``Intersection(Box(0, 1), LinearConstraint(A, b, b))``, SciPy's among them."""

    parts: tuple

    def __init__(self, *parts):
        flat: list[Constraint] = []
        for given in parts:
            part = given if isinstance(given, Constraint) else as_constraint(given)
            if not isinstance(part, Constraint):
                raise TypeError(f"Intersection takes constraints, got {type(part).__name__}.")
            flat.extend(part.parts if type(part) is Intersection else (part,))
        object.__setattr__(self, "parts", tuple(flat))

    def violation(self, w) -> float:
        return max((violation(part, w) for part in self.parts), default=0.0)

    def rejects_size(self, p):
        return self.rejects_shape((p,))

    def rejects_shape(self, shape):
        has_support = False
        for part in self.parts:
            if reason := part.rejects_shape(shape):
                return reason
            has_support = has_support or isinstance(part, SupportConstraint)
        if not has_support:
            return None  # whether convex sets meet is for solvers to say, with a ray that proves it
        boxes = [part.bounds(math.prod(shape)) for part in self.parts if isinstance(part, Box)]
        lower = np.max([box[0] for box in boxes], axis=0, initial=-np.inf)
        upper = np.min([box[1] for box in boxes], axis=0, initial=np.inf)
        if np.any(lower > upper):
            return f"the boxes have nothing in common in entry {np.argmax(lower > upper)}; widen one of them"
        return self._support_conflict(shape, lower, upper)

    def _support_conflict(self, shape, lower, upper):
        """Why no support suits all sets; what the box keeps from zero is in, what it keeps at zero is out."""
        supports = [part for part in self.parts if isinstance(part, SupportConstraint)]
        nonzero = np.broadcast_to((lower > 0.0) | (upper < 0.0), math.prod(shape)).reshape(shape[0], -1).any(axis=1)
        zero = np.broadcast_to((lower == 0.0) & (upper == 0.0), math.prod(shape)).reshape(shape[0], -1).all(axis=1)
        return conflict([*supports, Forbidden(np.flatnonzero(zero))], shape, np.flatnonzero(nonzero).tolist())


def as_constraint(given):
    """Our constraint for one of SciPy's, or for a list of both kinds; anything else as it is."""
    # none of SciPy's is there before their module is, which takes long to import
    optimize = sys.modules.get("scipy.optimize")
    if isinstance(given, list | tuple):
        return Intersection(*given)
    return given if optimize is None else _of_scipy(given, optimize)


def _of_scipy(given, optimize):
    match given:
        case optimize.NonlinearConstraint():
            if not (callable(given.jac) or given.jac in SCHEMES):
                raise ValueError(
                    f'jac of NonlinearConstraint is {given.jac!r}, which is not known here; give a function, "2-point" or "3-point".'
                )
            return NonlinearConstraint(given.fun, _number(given.lb), _number(given.ub), given.jac)
        case optimize.LinearConstraint():
            return LinearConstraint(given.A, _number(given.lb), _number(given.ub))
        case optimize.Bounds():
            return Box(_number(given.lb), _number(given.ub))
    return given


def _number(side):
    """A side that SciPy has made a vector of one entry as the number that it stands for."""
    return np.asarray(side).ravel()[0] if np.size(side) == 1 else side


def violation(constraint, w):
    """Violation of a constraint at coefficients in their shape, which sets of supports know and others do not."""
    return constraint.violation(w if isinstance(constraint, SupportConstraint | Intersection) else np.ravel(w))


@dataclass(frozen=True, eq=False)
class Duals:
    """Multipliers of linear rows and of a box: positive where the upper side is active, negative where the lower one is.

    Of a `WorstCase`, `losses` has the weight of each loss: nonnegative, they sum to one. `ball` is the price of the L1
    norm where an `L1Ball` stands among other constraints or beside a penalty; inf where rows and box prove alone that the
    ball is too small.
    """

    rows: np.ndarray
    box: np.ndarray
    losses: np.ndarray | None = None
    ball: float = 0.0
    __repr__ = shown


def _set_bounds(constraint, name, rows=None):
    given = constraint.lower, constraint.upper
    count = given[0].size if rows is None and type(given[0]) is np.ndarray else rows or 0
    if (sides := little_sides(*given, count)) is not None:
        for side, values in zip(("lower", "upper"), sides, strict=True):
            object.__setattr__(constraint, side, values)
        return
    # a private copy, in which -0.0 is 0.0
    lower, upper = (
        np.asarray(as_floats(getattr(constraint, side), f"{side} of {name}") + 0.0, dtype=np.float64)
        for side in ("lower", "upper")
    )
    # a comparison with NaN is false, and a maximum with it no number
    if rows is not None and not lower.shape == upper.shape == (rows,):
        lower, upper = (_one_a_row(bound, side, name, rows) for bound, side in ((lower, "lower"), (upper, "upper")))
    is_clear = (
        max(lower.ndim, upper.ndim) <= 1
        and (not (lower.ndim and upper.ndim) or lower.size == upper.size)
        and np.maximum.reduce(lower, axis=None, initial=-np.inf) < np.inf
        and np.minimum.reduce(upper, axis=None, initial=np.inf) > -np.inf
        and np.logical_and.reduce(lower <= upper, axis=None)
    )
    if not is_clear:
        _complain(lower, upper, name)
    for bound, side in ((lower, "lower"), (upper, "upper")):
        bound.flags.writeable = False
        object.__setattr__(constraint, side, bound)


def _one_a_row(bound, side, name, rows):
    """A bound as one number a row."""
    if bound.ndim and bound.shape != (rows,):
        raise ValueError(f"{side} of {name} has shape {bound.shape} for {rows} rows of A; pass one bound a row.")
    return bound if bound.ndim else np.full(rows, bound)


def _complain(lower, upper, name):
    """Say what is wrong with bounds."""
    for bound, side in ((lower, "lower"), (upper, "upper")):
        if np.isnan(bound).any():
            raise ValueError(f"{side} of {name} contains NaN; use -inf or inf where there is no bound.")
        if bound.ndim > 1:
            raise ValueError(f"{side} of {name} must be a number or a vector, got shape {bound.shape}.")
    if lower.ndim and upper.ndim and lower.size != upper.size:
        raise ValueError(f"{name} has {lower.size} lower and {upper.size} upper bounds; their lengths must match.")
    shape = np.broadcast_shapes(lower.shape, upper.shape)
    low, up = np.broadcast_to(lower, shape).ravel(), np.broadcast_to(upper, shape).ravel()
    i = int(np.flatnonzero((low > up) | (low == np.inf) | (up == -np.inf))[0])
    raise ValueError(f"{name} is empty: lower {low[i]:g} exceeds upper {up[i]:g} in entry {i}; swap or correct them.")
