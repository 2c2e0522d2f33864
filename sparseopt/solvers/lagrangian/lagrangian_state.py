"""What a run of `AugmentedLagrangian` knows: the user's functions at a point, multipliers, penalties, curvature."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from sparseopt.losses import Smooth
from sparseopt.programs.constraint_rows import ConstraintRows, joined
from sparseopt.solvers.base import State
from sparseopt.solvers.lagrangian.constrained_terms import ConstrainedTerm
from sparseopt.solvers.lagrangian.model_curvature import ModelCurvature
from sparseopt.solvers.lagrangian.penalised_quadratic import PenalisedQuadratic
from sparseopt.solvers.lagrangian.quasi_newton import QuasiNewton
from sparseopt.solvers.lagrangian.support_trials import SupportTrials


@dataclass(eq=False)
class Look:
    """The user's functions at a point; slopes where they were asked for."""

    w: np.ndarray
    loss: float
    values: list
    rows: np.ndarray
    known_slope: np.ndarray | None = None
    slope: np.ndarray | None = None
    J: np.ndarray | sparse.csr_array | None = None


@dataclass(kw_only=True)
class LagrangianState(State):
    """Where the run stands."""

    rows: ConstraintRows
    #: What the run works with now: the term of the problem, or a simpler one on the way to it.
    term: ConstrainedTerm
    here: Look
    lower: np.ndarray
    upper: np.ndarray
    y: np.ndarray
    #: Of each row in the penalty, so that all have slopes of at most one.
    weights: np.ndarray
    rho: float
    curvature: QuasiNewton
    #: Step of the prox that proposes supports, and moves where the term has no pieces.
    prox_step: float
    #: Largest residual when the multipliers were last set, and the distance to the rows then.
    merit: float = np.inf
    distance: float = np.inf
    #: Searches for a step in vain, one after the other; updates of the multipliers that came no nearer to the rows.
    idle: int = 0
    trapped: int = 0
    #: Consecutive steps without a fall that rounding would show.
    flat: int = 0
    #: Steps since the multipliers were set, or rho grew.
    steps: int = 0
    evaluations: int = 1
    updates: int = 0
    #: Heights of late, for steps that may rise a little.
    heights: list = field(default_factory=list)
    trials: SupportTrials | None = None
    #: Whether residuals of `tol` are the end; where there are no rows, `solve` looks at the gap.
    ends_itself: bool = True
    #: Whether steps go to minimisers of Newton models where the term has no pieces; the second derivative of the last one.
    has_newton_model: bool = False
    second: ModelCurvature | None = None

    @property
    def penalties(self):
        """rho of each row."""
        return self.rho * self.weights

    def excess(self, rows):
        """Distance of the rows, shifted by their multipliers, to their sides, with its sign."""
        shifted = rows + self.y / self.penalties
        return shifted - np.minimum(np.maximum(shifted, self.lower), self.upper)

    def pull(self, rows):
        """The multipliers that the rows pull with."""
        return self.penalties * self.excess(rows)

    def height(self, there):
        """The augmented Lagrangian at a point; infinite beyond the domain of the functions."""
        excess = self.excess(there.rows)
        height = there.loss + float(self.penalties @ (excess * excess)) / 2 + self.term.value(there.w)
        return height if np.isfinite(height) else np.inf

    def model(self, piece):
        """The model of the augmented Lagrangian from here, on a piece of the term."""
        here = self.here
        return PenalisedQuadratic(
            here.w,
            here.slope,
            self.curvature,
            here.J,
            here.rows + self.y / self.penalties,
            self.lower,
            self.upper,
            self.penalties,
            piece,
        )

    def go(self, there):
        """Stand at a point, whose slopes are known."""
        self.here = there
        self.heights.clear()
        self.merit = self.distance = np.inf
        self.idle = self.trapped = self.flat = self.steps = 0

    def account(self):
        tried = "" if self.trials is None else f", {self.trials.count} other supports tried"
        return f"{self.evaluations} evaluations, {self.updates} multiplier updates, rho {self.rho:.0e}{tried}"


def look(problem, rows, w):
    """The values of the user's functions at w; no number where they are not defined."""
    slope = None
    with np.errstate(all="ignore"):  # beyond the domain of a function the step is shortened
        if isinstance(problem.loss, Smooth) and problem.loss.grad is True:
            loss, slope = problem.loss.value_and_gradient(w)
        else:
            loss = float(problem.loss.evaluate(w))
        values = rows.values(w)
    return Look(w, loss, values, joined(values), slope)


def differentiate(problem, rows, there):
    """Fill in the slopes, or raise where they are no numbers."""
    slope = problem.loss.gradient(there.w) if there.known_slope is None else there.known_slope
    there.slope = np.asarray(slope, dtype=np.float64)
    there.J = rows.jacobian(there.w, there.values)
    if not np.all(np.isfinite(there.slope)):
        j = int(np.flatnonzero(~np.isfinite(there.slope))[0])
        raise ValueError(
            f"the gradient of the loss is {there.slope[j]} in entry {j} where the loss is {there.loss:g}; correct it, or keep w away from there by a Box."
        )
    if not np.all(np.isfinite(there.J.data if sparse.issparse(there.J) else there.J)):
        raise ValueError(
            "the Jacobian of a constraint contains NaN or infinity where its values are finite; correct it, or keep w away from there by a Box."
        )


def check_start(here):
    """Refuse a start at which a function is no number."""
    if not np.isfinite(here.loss):
        raise ValueError(f"the loss is {here.loss} at the start; give a w0 where it is finite.")
    if not np.all(np.isfinite(here.rows)):
        i = int(np.flatnonzero(~np.isfinite(here.rows))[0])
        raise ValueError(f"row {i} of the constraint is {here.rows[i]} at the start; give a w0 where it is finite.")
