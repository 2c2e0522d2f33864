"""What the checker of a `BoundTree` reads of a problem: units, prices, gains, and the bound's terms at a point.

Plain numpy on the matrix and the targets as they were lent, and on the definition of each loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse

from sparseopt.constraints import Box, LinearConstraint, SemiContinuous, Simplex
from sparseopt.constraints.supports import (
    Cardinality,
    Forbidden,
    GroupCardinality,
    Required,
    RowCardinality,
    StrongHierarchy,
    SupportConstraint,
)
from sparseopt.penalties import L0, L0L1, L1, Ridged, Zero
from sparseopt.problem import parts_of
from sparseopt.proofs.bound_blocks import block_fault, block_terms, has_blocks
from sparseopt.proofs.bound_models import GramModel, SampleModel, model_of
from sparseopt.proofs.bound_rows import RowPoint, RowRay, row_fault, row_terms

# A slope that is this small beside that at zero is zero, where a coefficient without curvature and bounds needs it so.
_NO_SLOPE = 1e-10
_IN, _OUT = 1, -1
_ROWS = LinearConstraint | Simplex | SemiContinuous


@dataclass(eq=False)
class ProblemData:
    """A problem as the bound needs it; `move` sets the diagonal."""

    model: GramModel | SampleModel
    k: int
    alpha: float
    l1: float
    ridge: float
    lower: np.ndarray
    upper: np.ndarray
    #: The unit of each coefficient.
    unit: np.ndarray
    n_units: int
    #: Units that are always in, and coefficients that are.
    units_in: np.ndarray
    always: np.ndarray
    never: np.ndarray
    hierarchies: tuple
    diagonal: np.ndarray | float = field(default=0.0)
    #: Linear rows, of which there may be none.
    A: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    row_lower: np.ndarray = field(default_factory=lambda: np.empty(0))
    row_upper: np.ndarray = field(default_factory=lambda: np.empty(0))
    #: Diagonals of points that have one of their own, and what is wrong with them.
    checked: dict = field(default_factory=dict)

    def __post_init__(self):
        #: Whether units are the coefficients, in their order; groups of one may be in another.
        self.are_single = self.n_units == self.unit.size and bool(np.all(self.unit == np.arange(self.n_units)))

    @staticmethod
    def of(problem) -> ProblemData | str:
        """The data of a problem; or, in words, why there is no such bound for it."""
        prices = _prices(problem.penalty)
        parts = parts_of(problem.constraint)
        if prices is None or not all(isinstance(part, Box | SupportConstraint | _ROWS) for part in parts):
            return "the checker knows no bound for such a penalty or constraint"
        model = model_of(problem.loss)
        if model is None:
            return f"the checker knows no bound for {type(problem.loss).__name__}"
        return _read(problem, prices, parts, model)

    def first_status(self):
        """What the problem itself fixes: 1 in, -1 out, 0 free; None where no support is left."""
        status = np.zeros(self.n_units, dtype=np.int8)
        status[np.bincount(self.unit, ~self.never, minlength=self.n_units) == 0] = _OUT
        if np.any(status[self.units_in] == _OUT):
            return None
        status[self.units_in] = _IN
        return self.completed(status)

    def completed(self, status):
        """The status with what follows from it, in place; None where no support is left."""
        is_changed = bool(self.hierarchies)
        while is_changed:
            is_changed = False
            for child, parents in (link for part in self.hierarchies for link in part.parents.items()):
                if status[child] != _OUT and any(status[parent] == _OUT for parent in parents):
                    if status[child] == _IN:
                        return None
                    status[child], is_changed = _OUT, True
                if status[child] == _IN and any(status[parent] != _IN for parent in parents):
                    status[list(parents)], is_changed = _IN, True
        return None if np.count_nonzero(status == _IN) > self.k else status

    def move(self, diagonal):
        """Move a diagonal from the curvature of the loss into the gains; why that is not allowed, or None."""
        if diagonal is not None:
            diagonal = np.asarray(diagonal, dtype=np.float64)
            if not isinstance(self.model, GramModel):
                return "a diagonal can be moved out of least squares and quadratics only"
            if diagonal.shape != self.lower.shape or not np.all((diagonal >= 0.0) & (diagonal < np.inf)):
                return "its diagonal is not a vector of one finite nonnegative number a coefficient"
            self.diagonal = diagonal
        return self.model.definiteness_fault(diagonal) if isinstance(self.model, GramModel) else None

    @cached_property
    def lengths(self):
        """Square roots of the curvature in each coefficient."""
        return np.sqrt(np.maximum(self.model.whole().diagonal(), 0.0))

    @property
    def has_curvature(self):
        """Whether the loss is a quadratic, whose matrix is at hand."""
        return isinstance(self.model, GramModel)

    def terms(self, point):
        """base, the gain of each unit, and the size of the sums, at a point."""
        if isinstance(point, RowPoint | RowRay):
            return row_terms(self, point)
        if has_blocks(point):
            return block_terms(self, point)
        base, t, size = self.base_and_slopes(point)
        if isinstance(self.model, GramModel):
            return base, self.unit_gains(t), size
        # any slopes prove a bound, and those of the solver are the same but for rounding: what that may move is let pass
        more, wrong = self.model.rounding(*_sparse(point))
        least = np.minimum(self._gains(t), np.minimum(self._gains(t - wrong), self._gains(t + wrong)))
        return base + more, self._summed(least - self.alpha), size

    def point_fault(self, point, status):
        """Why a point proves nothing of a status, or None."""
        if isinstance(point, RowPoint | RowRay):
            return row_fault(self, point, status) if self.are_single else "rows are known beside single features only"
        if not has_blocks(point):
            return None
        if not isinstance(self.model, GramModel):
            return "blocks can be taken off least squares and quadratics only"
        return block_fault(self, point, status)

    def base_and_slopes(self, point):
        """base, the slopes t, and the size of the sums, at a sparse point."""
        return self.model.base_and_slopes(*_sparse(point), self.diagonal)

    def unit_gains(self, t):
        """What each unit gains at most, less its price: the sum over those of its coefficients that are worth it."""
        return self._summed(self._gains(t) - self.alpha)

    def _summed(self, gains):
        if self.are_single:
            return gains
        worth = np.where(self.always, gains, np.maximum(gains, 0.0))
        return np.bincount(self.unit, np.where(self.never, 0.0, worth), minlength=self.n_units)

    def _gains(self, t):
        """max over w in [lower, upper] of t w - curvature w**2 / 2 - l1 |w|, one a coefficient."""
        return self.interval_gains(t, np.broadcast_to(self.ridge + self.diagonal, t.shape), self.l1)

    def interval_gains(self, t, curvature, l1):
        """The same with another curvature and weight."""
        excess = np.maximum(np.abs(t) - l1, 0.0)
        is_free = (curvature == 0.0) & np.isinf(np.where(t > 0.0, self.upper, self.lower))
        # where all targets are zero, slopes come from what bounds keep away from zero
        scale = max(self.model.slope_at_zero, float(np.max(np.abs(t), initial=0.0)))
        excess = np.where(is_free & (excess <= _NO_SLOPE * scale), 0.0, excess)
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.where(excess == 0.0, 0.0, np.sign(t) * excess / curvature)
            # concave in w: the best point of an interval is the nearest to the best of all
            best = np.clip(best, self.lower, self.upper)
            size = np.abs(best)
            gain = np.where(best == 0.0, 0.0, (np.sign(best) * t - l1) * size - curvature * size * size / 2)
        return np.where(np.isfinite(best), gain, np.inf)


def _sparse(point):
    """Indices, values and intercept of a point."""
    indices, values = np.asarray(point[0], dtype=np.intp), np.asarray(point[1], dtype=np.float64)
    return indices, values, float(point[2]) if len(point) > 2 else 0.0


def _prices(penalty):
    """Price of a nonzero, weight of the L1 norm, curvature of the ridge; None for another penalty."""
    match penalty:
        case Zero():
            return 0.0, 0.0, 0.0
        case L0(alpha):
            return alpha, 0.0, 0.0
        case L1(beta):
            return 0.0, beta, 0.0
        case L0L1(alpha, beta):
            return alpha, beta, 0.0
        case Ridged(inner, beta):
            prices = _prices(inner)
            return prices and (*prices[:2], prices[2] + beta)
    return None


def _read(problem, prices, parts, model):
    p, shape = problem.n_features, problem.shape
    lower, upper, held_lower, held_upper = _bounds(parts, p)
    rows = np.arange(p) // (p // shape[0])
    never, required = np.zeros(p, dtype=bool), np.zeros(p, dtype=bool)
    # with rows as units, features are rows; otherwise every coefficient is one, or there are groups
    groups = next((part for part in parts if isinstance(part, GroupCardinality)), None)
    counted = any(isinstance(part, RowCardinality) for part in parts) or not any(
        isinstance(part, Cardinality) for part in parts
    )
    counts_rows = groups is None and counted and any(not isinstance(part, Box) for part in parts)
    unit, n_units = (rows, shape[0]) if counts_rows else (np.arange(p), p)
    if groups is not None:
        n_units = groups.groups.count(p)
        unit = groups.groups.spread(np.arange(n_units), p).astype(np.intp)
    k, hierarchies = n_units, []
    for part in parts:
        match part:
            case Forbidden(features):
                never |= np.isin(rows, features)
            case Required(features):
                required |= np.isin(rows, features)
            case GroupCardinality() if part is groups:
                k = min(k, part.k)
            case RowCardinality() if counts_rows:
                k = min(k, part.k)
            case Cardinality() if n_units == p:
                k = min(k, part.k)
            case StrongHierarchy() if n_units == shape[0] and groups is None:
                hierarchies.append(part)
    always = (lower > 0.0) | (upper < 0.0)
    # what is in keeps to the bounds of nonzero coefficients too
    lower, upper = np.maximum(lower, held_lower), np.minimum(upper, held_upper)
    never |= ((lower == 0.0) & (upper == 0.0)) | (lower > upper)
    if len(shape) == 1:
        always |= required
        units_in = unit[always]
    else:  # of a required row any one coefficient is in, which only rows and groups of whole rows know
        units_in = np.concatenate([unit[always], unit[required]] if counts_rows else [unit[always]])
    alpha, l1, ridge = prices
    data = ProblemData(
        model, k, alpha, l1, ridge, lower, upper, unit, n_units, np.unique(units_in), always, never, tuple(hierarchies)
    )
    data.A, data.row_lower, data.row_upper = _rows(parts, p)
    return data


def _bounds(parts, p):
    """Bounds of all coefficients, and those of nonzero ones."""
    bounds = np.full((4, p), np.inf) * np.array([-1.0, 1.0, -1.0, 1.0])[:, None]
    for part in parts:
        match part:
            case Box() | SemiContinuous():
                first = 0 if isinstance(part, Box) else 2
                low, high = part.bounds(p)
            case Simplex(total):
                first, low, high = 0, np.zeros(p), np.full(p, total)
            case _:
                continue
        bounds[first], bounds[first + 1] = np.maximum(bounds[first], low), np.minimum(bounds[first + 1], high)
    return bounds


def _rows(parts, p):
    """The rows of all parts, and their sides."""
    rows = [(np.zeros((0, p)), np.zeros(0), np.zeros(0))]
    for part in parts:
        match part:
            case Simplex(total):
                rows.append((np.ones((1, p)), np.full(1, total), np.full(1, total)))
            case LinearConstraint(A, low, high):
                rows.append((A.toarray() if sparse.issparse(A) else A, low, high))
    return [np.concatenate(blocks) for blocks in zip(*rows, strict=True)]
