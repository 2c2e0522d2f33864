"""Proximal gradients, and proximal Newton steps where those take long, for terms that tie coefficients together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.inputs import as_count
from sparseopt.losses.samples import slope_at_zero
from sparseopt.solvers.augmented_lagrangian import AugmentedLagrangian
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.block_descent import BlockDescent
from sparseopt.solvers.lagrangian.newton_models import has_newton_model
from sparseopt.solvers.lagrangian.prox_slopes import has_prox_slope
from sparseopt.solvers.lagrangian.tied_models import models_in_vain
from sparseopt.solvers.proximal_gradient import ProximalGradient

# A residual of so many units of precision of the slope at zero is no measure.
_ROUNDING = 16.0
# Steps along the gradient that a pass over the groups stands for.
_PASS = 10
# Models in turn whose budget led nowhere, before plain steps go on, and how many of these: twice as many each time.
_IN_VAIN, _BACK = 10, 100


@dataclass
class TiedState(State):
    """State of the method that runs, and whether that is the second one."""

    run: State | None = None
    is_newton: bool = False
    #: Residual of a proximal gradient step that is rounding: of a slope at zero, or of a step that has become short.
    rounding: float = 0.0
    #: Plain steps after which Newton steps begin, and those after which they begin again.
    patience: int = 0
    back: int = _BACK
    newton_steps: int = 0

    def account(self):
        return f"{self.newton_steps} Newton steps after plain ones" if self.newton_steps else self.run.account()


@dataclass(frozen=True, kw_only=True)
class TiedNewton(Solver):
    """Proximal gradients, then Newton models (Lee, Sun and Saunders, 2014) of a term on the whole vector.

    For sorted, fused and exclusive norms, norms of groups, balls and simplices, beside losses whose second derivative is
    known. Proximal gradients are quick where columns are alike; beside a column that is a thousand times larger they take
    a million steps. For penalties on groups the steps of `BlockDescent` come first. The minimiser of a Newton model comes
    from proximal points and the derivative of the prox (Li, Sun and Toh, 2018): mostly tens of models, of at most 200
    systems each. Of a large problem a model ends after a bounded amount of work, which is up to one system at a time, and
    systems beyond some 1e7 numbers are solved by conjugate gradients; both take more models. Where ten of them in turn
    lead nowhere, plain steps go on.

    Parameters
    ----------
    patience : int, default 1000
        Proximal gradient steps before the first Newton step, or ten times as many as passes over groups.
    """

    patience: int = 1000

    def __post_init__(self):
        object.__setattr__(self, "patience", as_count(self.patience, "patience"))

    def rejects(self, problem):
        if reason := ProximalGradient().rejects(problem):
            return reason
        if not problem.is_convex or not has_prox_slope(problem.proximal):
            return "the derivative of the prox is not known; ProximalGradient takes it"
        if not has_newton_model(problem, problem.proximal):
            return "the second derivative of the loss is not known, or too large; ProximalGradient takes it"
        return None

    def init(self, problem, w):
        scale = float(np.max(np.abs(slope_at_zero(problem.loss)), initial=0.0))
        rounding = _ROUNDING * float(np.finfo(problem.dtype).eps) * scale
        return TiedState(w=w, run=_plain(problem).init(problem, w), rounding=rounding, patience=self.patience)

    def step(self, problem, state, tol, max_iterations):
        before, plain = state.run.iterations, _plain(problem)
        patience = state.patience if isinstance(plain, ProximalGradient) else state.patience // _PASS
        if state.is_newton and models_in_vain(state.run.term) >= _IN_VAIN:
            state.is_newton, before = False, 0
            state.patience, state.back = state.back, 2 * state.back
            state.run = plain.step(problem, plain.init(problem, state.w.astype(problem.dtype)), tol, max_iterations)
        elif state.is_newton:
            state.run = AugmentedLagrangian().step(problem, state.run, tol, max_iterations)
        elif before < patience and not state.run.residual <= state.rounding:
            state.run = plain.step(problem, state.run, tol, min(patience - before, max_iterations))
        else:
            state.is_newton, before = True, 0
            state.run = AugmentedLagrangian().init(problem, np.asarray(state.w, dtype=np.float64))
            state.iterations += 1
        state.iterations += state.run.iterations - before
        state.newton_steps += (state.run.iterations - before) if state.is_newton else 0
        state.w, state.status = state.run.w, state.run.status
        # where proximal gradients can do no more the gap is looked at, and Newton steps go on
        state.residual = state.run.residual if state.is_newton else max(state.run.residual, state.rounding)
        return state


def _plain(problem):
    """The method of the first steps."""
    return ProximalGradient() if BlockDescent().rejects(problem) else BlockDescent()
