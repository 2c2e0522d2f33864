"""The problem: minimise loss(w) + penalty(w) over w in a set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sparseopt.conjugates import penalty_value
from sparseopt.constraints import (
    Box,
    Constraint,
    Intersection,
    LinearConstraint,
    NonlinearConstraint,
    Projectable,
    SemiContinuous,
    Simplex,
    SupportConstraint,
    as_constraint,
    violation,
)
from sparseopt.losses import LossTerm, Quadratic
from sparseopt.penalties import L0, L0L1, L1, Boxed, Penalty, PenaltyTerm, ProximalTerm, Ridged, Zero


@dataclass(frozen=True, eq=False)
class Problem:
    """minimise loss(w) + penalty(w) subject to w in constraint.

    Parameters
    ----------
    loss : LossTerm
        The loss with its data: a `Loss`, which is smooth, or a `WorstCase`.
    penalty : PenaltyTerm, default Zero()
        A `Penalty`, a `ProximalTerm`, or a `Composed` one.
    constraint : Constraint, optional
        None means no constraint; several are given as an `Intersection` or a list. SciPy's `NonlinearConstraint`,
        `LinearConstraint` and `Bounds` are taken as well.

    Raises
    ------
    TypeError, ValueError
        Where a part is of another kind or its size does not match the loss.
    """

    loss: LossTerm
    penalty: PenaltyTerm = Zero()
    constraint: Constraint | None = None

    def __post_init__(self):
        loss, penalty, constraint = self.loss, self.penalty, self.constraint
        if not (isinstance(loss, LossTerm) and isinstance(penalty, PenaltyTerm)):
            is_loss = isinstance(loss, LossTerm)
            part, kind, name = (penalty, "PenaltyTerm", "penalty") if is_loss else (loss, "Loss", "loss")
            raise TypeError(f"{name} must be a {kind}, got {type(part).__name__}: {part!r:.60}.")
        if constraint is not None and not isinstance(constraint, Constraint):
            constraint = as_constraint(constraint)
            object.__setattr__(self, "constraint", constraint)
        if constraint is not None and not isinstance(constraint, Constraint):
            raise TypeError(f"constraint must be a Constraint or None, got {type(constraint).__name__}.")
        # what a run asks for dozens of times
        known, p = self.__dict__, loss.n_features
        known["n_features"], known["dtype"], known["shape"] = p, loss.dtype, loss.shape
        reason = penalty.rejects_size(p)
        if reason is None and constraint is not None:
            reason = constraint.rejects_shape(self.shape)
        if reason:
            raise ValueError(f"{reason}.")

    @cached_property
    def n_features(self):
        return self.loss.n_features

    @cached_property
    def shape(self):
        """Shape of the coefficients: (p,), or (p, q) where the loss has q outputs."""
        return self.loss.shape

    @cached_property
    def dtype(self):
        return self.loss.dtype

    def objective(self, w) -> float:
        """loss(w) + penalty(w), summed in float64."""
        w = np.asarray(w, dtype=np.float64).ravel()
        return self.loss.evaluate(w) + penalty_value(self.penalty, w)

    def violation(self, w) -> float:
        """Distance of w to the constraint; 0.0 inside."""
        if self.constraint is None:
            return 0.0
        return violation(self.constraint, np.asarray(w, dtype=np.float64).reshape(self.shape))

    @cached_property
    def proximal(self):
        """The term whose prox is that of penalty + indicator of the constraint; None if no formula is known."""
        match self.constraint:
            case None:
                return self.penalty if isinstance(self.penalty, ProximalTerm) else None
            case Box() if isinstance(self.penalty, Penalty) and self.penalty.is_convex:
                lower, upper = self.constraint.bounds(self.n_features)
                return Boxed(self.penalty, lower, upper)
            case Projectable() if isinstance(self.penalty, Zero):
                return self.constraint
        return None

    @property
    def is_convex(self):
        """Whether the problem is known to be convex; functions of the user's may be anything."""
        return self.loss.is_compiled and self.penalty.is_convex and _is_convex(self.constraint)

    @cached_property
    def chooses_support(self):
        """Whether a support is to be chosen, and the best coefficients on it: nonzeros are counted or priced, in a box or under rows perhaps."""
        parts = parts_of(self.constraint)
        if not all(
            isinstance(part, SupportConstraint | SemiContinuous | Box | LinearConstraint | Simplex) for part in parts
        ):
            return False
        return is_priced(self.penalty) or any(isinstance(part, SupportConstraint | SemiContinuous) for part in parts)


_ROWS_AND_BOUNDS = frozenset((LinearConstraint, Box, Simplex))


def is_plain_program(problem):
    """Whether a problem is, by the types of its parts alone, a `Quadratic` under linear rows and bounds, without a penalty."""
    constraint = problem.constraint
    return (
        type(problem.loss) is Quadratic
        and type(problem.penalty) is Zero
        and type(constraint) in (LinearConstraint, Intersection)
        and _ROWS_AND_BOUNDS.issuperset(map(type, parts_of(constraint)))
    )


def is_priced(penalty):
    """Whether a penalty has a price for each nonzero coefficient: L0, L0 + L1, and a ridge on these."""
    return isinstance(penalty.penalty if isinstance(penalty, Ridged) else penalty, L0 | L0L1)


def without_price(penalty):
    """The penalty without its price for each nonzero coefficient: what L0, L0 + L1, and a ridge on these, are on a support."""
    match penalty:
        case L0():
            return Zero()
        case L0L1(_, beta):
            return L1(beta)
        case Ridged(inner, beta):
            return Ridged(without_price(inner), beta)
    return penalty


def parts_of(constraint):
    """The sets of which a constraint is the intersection."""
    if constraint is None:
        return ()
    return constraint.parts if isinstance(constraint, Intersection) else (constraint,)


def _is_convex(constraint):
    kinds = SupportConstraint | NonlinearConstraint | SemiContinuous
    return not any(isinstance(part, kinds) for part in parts_of(constraint))
