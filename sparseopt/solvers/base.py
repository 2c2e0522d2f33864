"""What a solver is: a start, a step, and the problems it can take."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np

from sparseopt._jit import Kind
from sparseopt.losses import Loss
from sparseopt.solution import Duals, Status


@dataclass
class State:
    """Where a run stands. Solvers extend it with what they carry from step to step."""

    w: np.ndarray
    #: How far w is from a fixed point, in the solver's own measure; inf while unknown.
    residual: float = np.inf
    #: Iterations made so far.
    iterations: int = 0
    #: A bound on the optimal value that the solver has proven (branch and bound).
    lower_bound: float = -np.inf
    #: Set by a solver that ends its run itself.
    status: Status | None = None
    #: Gradient of the loss at w, where the step has just computed it from the data in float64.
    slope: np.ndarray | None = None
    #: The tolerance that the run was asked for, which `solve` sets; zero while unknown.
    tolerance: float = 0.0
    #: Whether w meets the tolerance in float64 and not in the float32 of the data, which `solve` finds.
    is_wide: bool = False
    duals: Duals | None = None
    ray: np.ndarray | None = field(default=None, repr=False)

    def proof(self):
        """The `BoundTree` that proves `lower_bound`, where the solver has kept one; asked for after the run."""
        return None

    def account(self) -> str:
        """What the run did, in words: its inner method and the work."""
        return ""


class Outcome(NamedTuple):
    """A point that a solver has found to meet the tolerance, without the state of a run."""

    w: np.ndarray
    duals: Duals
    iterations: int
    account: str
    #: Whether coefficients that are held by a side lie on it exactly, not just inside.
    is_exact: bool = True


def unsmooth(problem) -> str | None:
    """Why a method that takes steps along the slope of the loss cannot take the problem, or None."""
    if isinstance(problem.loss, Loss):
        return None
    return f"{type(problem.loss).__name__} is not smooth; Minimax and SmoothedMinimax take it"


def beyond_loops(problem) -> str | None:
    """Why compiled loops along the slope of the loss cannot take the problem, or None."""
    if reason := unsmooth(problem):
        return reason
    if problem.loss.is_compiled:
        return None
    return "it runs compiled loops, and the loss is made of Python functions; AugmentedLagrangian takes it"


class Solver(metaclass=Kind):
    """A method with its options: a frozen dataclass, only mathematics.

    The loop, the limits, the trace, the status and the certificate belong to `solve`.
    """

    #: Iterations that `solve` allows where no other limit is given: signs of a run that will not converge.
    usual_limit: ClassVar[int] = 10_000
    #: Whether it ends every run by a status of its own, and leaves `residual` alone: nothing else is measured then.
    judges_itself: ClassVar[bool] = False

    @abstractmethod
    def rejects(self, problem) -> str | None:
        """Why this solver cannot take the problem, in words; None if it can."""

    def at_once(self, problem, tol, max_iterations) -> Outcome | None:
        """The solution of a problem so small that calls take most of the time, or None: then the run is made.

        Asked for before `rejects`, where the start is zero and nothing is to be shown on the way.
        """
        return None

    @abstractmethod
    def init(self, problem, w) -> State:
        """The state at w, which is the solver's to keep."""

    @abstractmethod
    def step(self, problem, state, tol, max_iterations) -> State:
        """A bounded chunk of work, of 0.1 ms to 0.1 s, and at most `max_iterations` iterations."""
