"""What a run returns: the coefficients, why it stopped, and what is proven of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np

from sparseopt.certificate import Certificate
from sparseopt.constraints import Duals
from sparseopt.packed import may_be_packed, packed_point


class Status(enum.Enum):
    """Why a run stopped. What is proven of its result is the certificate's to say."""

    CONVERGED = "The solver met its tolerance."
    STALLED = "The solver can make no more progress in this precision; rescale the data, or accept the certificate."
    DIVERGED = "The iterates left the range of numbers; the start is returned. Give a shorter step, or none."
    ITERATION_LIMIT = "The iteration limit came first; raise max_iter or loosen tol."
    TIME_LIMIT = "The time limit came first; raise time_limit or loosen tol."
    STOPPED = "The callback asked to stop."
    LOCALLY_INFEASIBLE = "The violation is stationary here: no small move lowers it. Other points may satisfy the constraints; start elsewhere."
    INFEASIBLE = "No point satisfies the constraints; the certificate's ray proves it."
    UNBOUNDED = "The objective falls without bound; the certificate's ray proves it."


class NotCertified(RuntimeError):  # noqa: N818 (it is a statement about the solution, not a fault)
    """A solution does not carry the proof that was required of it."""


class UnsupportedProblem(TypeError):  # noqa: N818 (named for the reader: the problem is what is unsupported)
    """A solver was given a problem that it cannot take; the message says why."""


@dataclass(frozen=True)
class TracePoint:
    """Where a run stood after one step of its solver."""

    iterations: int
    seconds: float
    objective: float
    gap: float
    support_size: int
    residual: float
    #: What was proven by then; -inf for nothing.
    lower_bound: float = -np.inf


@may_be_packed
@dataclass(frozen=True, eq=False)
class Solution:
    """The result of `solve`.

    Attributes
    ----------
    w : array of shape (p,), or (p, q) where the loss has q outputs
        Coefficients, in the type of the data.
    intercept : float, or array of shape (q,)
        The unpenalised constant; 0.0 where none was asked for.
    status : Status
        Why the run stopped.
    certificate : Certificate
        What is proven, recomputed from the data and w after the run.
    iterations : int
        Epochs, gradient steps or splitting steps, whichever the solver counts.
    seconds : float
        Wall time of the run.
    solver : str
        The solver and its options.
    account : str
        What the run did: the inner method that was chosen, and how much work it was; empty for
        solvers without choices.
    trace : tuple of TracePoint
        Empty unless asked for.
    duals : Duals or None
        Multipliers of linear rows and bounds, from solvers that have them.
    feature_names : tuple of str or None
        Column names of the data frame that was given.
    """

    w: np.ndarray
    intercept: float | np.ndarray
    status: Status
    certificate: Certificate
    iterations: int
    seconds: float
    solver: str
    trace: tuple = ()
    duals: Duals | None = None
    feature_names: tuple | None = field(default=None, repr=False)
    account: str = ""

    @property
    def support(self):
        """Indices of the nonzero coefficients; of the features in use, where there are several outputs."""
        if (point := packed_point(self)) is not None:
            return point.support.copy()
        return np.flatnonzero(self.w if self.w.ndim == 1 else self.w.any(axis=1))

    @property
    def support_names(self):
        """Names of the nonzero coefficients; their indices as text where the data had none."""
        names = self.feature_names or tuple(map(str, range(len(self.w))))
        return tuple(names[j] for j in self.support)

    def require(self, *, gap=None, violation=1e-8):
        """This solution, if its proven relative gap is at most `gap`; `NotCertified` otherwise.

        Parameters
        ----------
        gap : float, optional
            Largest relative gap; None asks for feasibility only.
        violation : float, default 1e-8
            Largest distance to the constraint.
        """
        certificate = self.certificate
        if gap is not None and not certificate.relative_gap <= gap:
            raise NotCertified(
                f"relative gap {certificate.relative_gap:.3g} exceeds {gap:.3g} ({certificate.proof}): {self.status.value}"
            )
        if not certificate.violation <= violation:
            raise NotCertified(f"violation {certificate.violation:.3g} exceeds {violation:.3g}: {self.status.value}")
        return self

    def __repr__(self):
        return (
            f"Solution({self.status.name} after {self.iterations} iterations, "
            f"support {self.support.size} of {len(self.w)}, {self.certificate.summary})"
        )
