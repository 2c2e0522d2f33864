"""Nonlinear constraints: sides of functions of the coefficients, in SciPy's vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from sparseopt.constraints.supports import Constraint
from sparseopt.finite_differences import SCHEMES, differentiate
from sparseopt.inputs import as_floats


@dataclass(frozen=True, eq=False)
class NonlinearConstraint(Constraint):
    """lower <= fun(w) <= upper, value by value; an equality where both agree.

    Parameters
    ----------
    fun : callable
        ``fun(w)``, a number or a vector of m values, for a float64 vector w that is the function's to keep (in C order,
        where the loss has several outputs).
    lower, upper : float or array of shape (m,)
        Infinite where a value has one side only.
    jac : callable, "2-point" or "3-point", default "2-point"
        ``jac(w)``, the slopes as an array or sparse matrix of shape (m, p), or (p,) where fun returns one value.
        Otherwise finite differences, p or 2 p more calls of `fun` a time.

    Notes
    -----
    A `scipy.optimize.NonlinearConstraint` is taken in its place, its `jac` with it; its `hess` is not used.

    Examples
    --------
    >>> import numpy as np
    >>> from sparseopt import L1, LeastSquares, NonlinearConstraint, Problem, solve
    >>> ball = NonlinearConstraint(lambda w: w @ w, -np.inf, 1.0, lambda w: 2 * w)
    >>> solution = solve(Problem(LeastSquares(np.eye(3), [3.0, 0.1, -4.0]), L1(0.1), ball))
    >>> float(np.round(np.linalg.norm(solution.w), 6)), solution.support.tolist()
    (1.0, [0, 2])
    """

    fun: Callable
    lower: np.ndarray
    upper: np.ndarray
    jac: Callable | str = field(default="2-point")

    def __post_init__(self):
        if not callable(self.fun):
            raise TypeError(f"fun of NonlinearConstraint must be a function of w, got {type(self.fun).__name__}.")
        if not (callable(self.jac) or (isinstance(self.jac, str) and self.jac in SCHEMES)):
            raise ValueError(
                f'jac of NonlinearConstraint must be a function of w, "2-point" or "3-point", got {self.jac!r}.'
            )
        for side in ("lower", "upper"):
            bound = np.array(as_floats(getattr(self, side), f"{side} of NonlinearConstraint"), dtype=np.float64)
            if bound.ndim > 1 or np.any(np.isnan(bound)):
                raise ValueError(
                    f"{side} of NonlinearConstraint must be a number or a vector without NaN, got {bound!r}; use -inf or inf where there is no side."
                )
            bound.flags.writeable = False
            object.__setattr__(self, side, bound)
        if self.lower.ndim and self.upper.ndim and self.lower.size != self.upper.size:
            raise ValueError(
                f"NonlinearConstraint has {self.lower.size} lower and {self.upper.size} upper sides; their lengths must match."
            )
        if np.any(self.lower > self.upper) or np.any(self.lower == np.inf) or np.any(self.upper == -np.inf):
            raise ValueError("NonlinearConstraint is empty: a lower side exceeds its upper side; swap or correct them.")

    def rows(self, w):
        """The values of fun at w, as a vector."""
        returned = self.fun(np.array(w, dtype=np.float64))
        if returned is None:
            raise TypeError("fun of NonlinearConstraint returned None; it must return a number or a vector.")
        returned = as_floats(returned, "what fun of NonlinearConstraint returned")
        values = np.atleast_1d(np.array(returned, dtype=np.float64))
        for name, side in (("lower", self.lower), ("upper", self.upper)):
            if values.ndim != 1 or (side.ndim and side.size != values.size):
                raise ValueError(
                    f"fun of NonlinearConstraint returned shape {values.shape}, but {name} has {side.size} sides; return one value for each."
                )
        return values

    def sides(self, m):
        """Lower and upper sides of m values."""
        return np.broadcast_to(self.lower, m), np.broadcast_to(self.upper, m)

    def jacobian(self, w, rows):
        """The slopes of the values at w, (m, p); `rows` are the values there."""
        if not callable(self.jac):
            return differentiate(self.rows, np.array(w, dtype=np.float64), rows, self.jac)
        slopes = self.jac(np.array(w, dtype=np.float64))
        if sparse.issparse(slopes):
            slopes = sparse.csr_array(slopes, dtype=np.float64)
        else:
            slopes = as_floats(slopes, "what jac of NonlinearConstraint returned")
            slopes = np.atleast_2d(np.array(slopes, dtype=np.float64))
        if slopes.shape != (rows.size, w.size):
            raise ValueError(
                f"jac of NonlinearConstraint returned shape {slopes.shape}; it must be {(rows.size, w.size)}, one row for each value of fun."
            )
        return slopes

    def violation(self, w) -> float:
        rows = self.rows(w)
        lower, upper = self.sides(rows.size)
        excess = max(float(np.max(lower - rows, initial=0.0)), float(np.max(rows - upper, initial=0.0)))
        return excess if np.all(np.isfinite(rows)) else np.inf

    def rejects_size(self, p):
        return None
