"""Best subsets under linear rows, or of a quadratic that is linear in a coefficient, as their solvers read them.

minimise  f(w) + beta |w|**2 / 2 + l1 |w|_1 + alpha (number of nonzeros)
subject to  row_lower <= A w <= row_upper,  and each w_j zero or lower_j <= w_j <= upper_j,  at most k of them nonzero
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt.constraints import (
    Box,
    Cardinality,
    Forbidden,
    GroupCardinality,
    LinearConstraint,
    Required,
    RowCardinality,
    Simplex,
    StrongHierarchy,
)
from sparseopt.constraints.semicontinuous import SemiContinuous
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.problem import is_priced, parts_of
from sparseopt.subsets import prices_of

# Rows and bounds that make a best subset one of this kind.
ROWS = LinearConstraint | Simplex | SemiContinuous


@dataclass(frozen=True, eq=False)
class RowSubset:
    """What a best subset problem under rows asks for, whatever terms it was written with.

    Attributes
    ----------
    n_features, k : int
        Coefficients, and the most of them that may be nonzero.
    alpha, l1, ridge : float
        Price of a nonzero, weights of |w|_1 and of |w|**2 / 2.
    A : array of shape (m, p)
        Rows, in the order of the parts of the constraint; those of a `Simplex` too.
    row_lower, row_upper : array of shape (m,)
    lower, upper : array of shape (p,)
        Bounds of a coefficient that is in the support; they may leave zero out.
    required, forbidden : array of int
        Features that are always in, and never; sorted.
    """

    n_features: int
    k: int
    alpha: float
    l1: float
    ridge: float
    A: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    required: np.ndarray
    forbidden: np.ndarray
    #: Features that are required by name, whose coefficients may be best at zero.
    named: np.ndarray

    @staticmethod
    def has_rows(problem) -> bool:
        """Whether a problem is one of this kind: it chooses a support under rows or semicontinuous bounds, or is linear in a coefficient."""
        if not problem.chooses_support:
            return False
        return _is_linear(problem.loss) or any(isinstance(part, ROWS) for part in parts_of(problem.constraint))

    @staticmethod
    def of(problem) -> RowSubset | str:
        """The reading of a problem; or, in words, why it is none."""
        if not isinstance(problem.loss, LeastSquares | Quadratic):
            return f"under linear rows a support is chosen for LeastSquares and Quadratic, not {type(problem.loss).__name__}"
        if len(problem.shape) > 1:
            return "under linear rows it takes one response"
        prices = prices_of(problem.penalty)
        if isinstance(prices, str):
            return prices
        parts = parts_of(problem.constraint)
        for part in parts:
            if isinstance(part, GroupCardinality | StrongHierarchy):
                kind = (
                    "where the quadratic is linear in a coefficient"
                    if _is_linear(problem.loss)
                    else "under linear rows"
                )
                return f"{kind} it counts single features, without {type(part).__name__}"
        if not (
            is_priced(problem.penalty) or any(not isinstance(part, Box | LinearConstraint | Simplex) for part in parts)
        ):
            return "nothing asks for few nonzeros; add Cardinality(k) or L0(alpha)"
        return _read(problem.n_features, prices, parts)

    def entered(self, w):
        """w with what is required by name in its support, by tiny numbers."""
        if not self.named.size or np.all(w[self.named] != 0.0):
            return w
        w, least = np.array(w), float(np.finfo(np.float32).tiny)
        empty = self.named[w[self.named] == 0.0]
        w[empty] = np.where(
            self.upper[empty] > 0.0, np.minimum(least, self.upper[empty]), np.maximum(-least, self.lower[empty])
        )
        return w


def _is_linear(loss):
    """Whether a quadratic is linear in a coefficient, as in the weight of a riskless asset: only its bounds end what it gains."""
    return isinstance(loss, Quadratic) and bool(np.any((loss.curvatures() == 0.0) & (loss.c != 0.0)))


def _read(p, prices, parts):
    """The reading; a support that nothing is in has crossed bounds or too many required features, which the search finds."""
    box_lower, box_upper = np.full(p, -np.inf), np.full(p, np.inf)
    lower, upper, k = box_lower.copy(), box_upper.copy(), p
    required, forbidden = np.zeros(p, dtype=bool), np.zeros(p, dtype=bool)
    matrices, low_sides, high_sides = [np.zeros((0, p))], [np.zeros(0)], [np.zeros(0)]
    for part in parts:
        match part:
            case Box():
                low, high = part.bounds(p)
                box_lower, box_upper = np.maximum(box_lower, low), np.minimum(box_upper, high)
            case SemiContinuous():
                low, high = part.bounds(p)
                lower, upper = np.maximum(lower, low), np.minimum(upper, high)
            case Simplex(total):
                box_lower, box_upper = np.maximum(box_lower, 0.0), np.minimum(box_upper, total)
                matrices.append(np.ones((1, p)))
                low_sides.append(np.full(1, total))
                high_sides.append(np.full(1, total))
            case LinearConstraint():
                A = part.A.toarray() if sparse.issparse(part.A) else part.A
                matrices.append(np.asarray(A, dtype=np.float64))
                low_sides.append(part.lower)
                high_sides.append(part.upper)
            case Cardinality(count) | RowCardinality(count):
                k = min(k, count)
            case Required(features):
                required[list(features)] = True
            case Forbidden(features):
                forbidden[list(features)] = True
    named = np.flatnonzero(required)
    lower, upper = np.maximum(lower, box_lower), np.minimum(upper, box_upper)
    required |= (box_lower > 0.0) | (box_upper < 0.0)
    forbidden |= (lower > upper) | ((lower == 0.0) & (upper == 0.0))
    A, row_lower, row_upper = np.concatenate(matrices), np.concatenate(low_sides), np.concatenate(high_sides)
    alpha, l1, ridge = prices
    return RowSubset(
        p, k, alpha, l1, ridge, np.ascontiguousarray(A), row_lower, row_upper, lower, upper,
        np.flatnonzero(required), np.flatnonzero(forbidden), named,
    )  # fmt: skip
