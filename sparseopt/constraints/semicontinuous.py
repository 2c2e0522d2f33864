"""Semicontinuous coefficients: each is zero, or within bounds that may leave zero out.

Of a portfolio these are buy-in limits: no position, or one between the least and the most that may be held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.constraints.supports import Constraint
from sparseopt.inputs import as_floats


@dataclass(frozen=True, eq=False)
class SemiContinuous(Constraint):
    """Each coefficient is zero, or lower <= w <= upper.

    The name is that of semicontinuous variables in mixed-integer solvers; beside it, a `Box` bounds all
    coefficients, zero or not.

    Parameters
    ----------
    lower, upper : float or array of shape (p,)
        Bounds of coefficients that are not zero; infinite where there is none. A coefficient of either sign that is at least
        so large has no such interval, and is two coefficients.

    Raises
    ------
    ValueError
        Where a lower bound exceeds the upper one.

    Examples
    --------
    >>> import numpy as np
    >>> from sparseopt import SemiContinuous
    >>> held = SemiContinuous(0.05, 0.4)
    >>> held.violation(np.array([0.0, 0.05, 0.45, 0.0])), held.violation(np.array([0.01, 0.0]))
    (0.04999999999999999, 0.01)
    """

    lower: np.ndarray
    upper: np.ndarray

    def __post_init__(self):
        for side in ("lower", "upper"):
            # a private copy, in which -0.0 is 0.0
            bound = np.array(as_floats(getattr(self, side), f"{side} of SemiContinuous") + 0.0, dtype=np.float64)
            if np.any(np.isnan(bound)):
                raise ValueError(f"{side} of SemiContinuous contains NaN; use -inf or inf where there is no bound.")
            if bound.ndim > 1:
                raise ValueError(f"{side} of SemiContinuous must be a number or a vector, got shape {bound.shape}.")
            bound.flags.writeable = False
            object.__setattr__(self, side, bound)
        if self.lower.ndim and self.upper.ndim and self.lower.size != self.upper.size:
            raise ValueError(
                f"SemiContinuous has {self.lower.size} lower and {self.upper.size} upper bounds; their lengths must match."
            )
        crossed = np.flatnonzero(
            np.atleast_1d((self.lower > self.upper) | (self.lower == np.inf) | (self.upper == -np.inf))
        )
        if crossed.size:
            low, up = (
                np.broadcast_to(bound, crossed[0] + 1)[crossed[0]] if bound.ndim == 0 else bound[crossed[0]]
                for bound in (self.lower, self.upper)
            )
            raise ValueError(
                f"SemiContinuous is zero alone: lower {low:g} exceeds upper {up:g} in entry {crossed[0]}; "
                "swap them, or use Forbidden."
            )

    def bounds(self, p):
        """The bounds of nonzero coefficients as two vectors of p entries."""
        return np.broadcast_to(self.lower, p).copy(), np.broadcast_to(self.upper, p).copy()

    def project(self, w):
        """Nearest point of the set; of equally near ones, zero."""
        inside = np.clip(w, self.lower.astype(w.dtype), self.upper.astype(w.dtype))
        return np.where(np.abs(w) <= np.abs(w - inside), 0.0, inside).astype(w.dtype) + 0.0

    def violation(self, w) -> float:
        return float(np.max(np.abs(w - self.project(np.asarray(w, dtype=np.float64))), initial=0.0))

    def rejects_size(self, p):
        for name, bound in (("lower", self.lower), ("upper", self.upper)):
            if bound.ndim and bound.size != p:
                return (
                    f"{name} of SemiContinuous has {bound.size} entries for {p} coefficients; their lengths must match"
                )
        return None
