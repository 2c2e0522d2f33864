"""The least worst loss of a convex problem, by an interior point method, with the weights that prove it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from sparseopt.certificate import certify_private
from sparseopt.constraints import Duals
from sparseopt.constraints.supports import SupportConstraint
from sparseopt.losses import Perturbed, WorstCase
from sparseopt.penalties import Zero
from sparseopt.problem import parts_of
from sparseopt.proofs.worst_bound import form_of, weights_at
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.worst_case.epigraph import Epigraph, Terms, is_open, polished
from sparseopt.solvers.worst_case.group_models import GroupModel, NormGroups, group_model

# Seconds of a step, after which limits and callbacks are looked at.
_CHUNK = 0.05
# Part of the tolerance to which the method goes before it is proven, and how much nearer it goes where that was not enough.
_FIRST, _NEARER, _NEAREST = 0.1, 1e-2, 1e-15
# Relative gap at which what is zero is no longer waited for.
_FINEST = 1e-12
# Newton steps, of which ten are usual.
_MOST = 200
# Beyond so many samples and coefficients, the smaller of the two, a factorisation takes too long.
_LARGEST = 5000


@dataclass
class MinimaxState(State):
    """State with the interior point, on the coefficients that are not fixed by their bounds."""

    epigraph: Epigraph | None = field(default=None, repr=False)
    free: np.ndarray | None = field(default=None, repr=False)
    fixed: np.ndarray | None = field(default=None, repr=False)
    #: x * sizes is what the interior point moves in.
    sizes: np.ndarray | None = field(default=None, repr=False)
    objective: float = np.inf
    goal: float = 0.0
    #: Relative gap of the best point so far.
    gap: float = np.inf

    def account(self):
        return f"{self.epigraph.iterations} Newton steps for {self.epigraph.model.n_groups} losses"


@dataclass(frozen=True, kw_only=True)
class Minimax(Solver):
    """The least worst loss: interior point on the epigraph of a `WorstCase`, then Newton on what binds.

    Minimises t with every loss at most t (Mehrotra, 1992; Vanderbei and Shanno, 1999). An iteration factorises the
    curvature of the mean of the losses once, from a Gram matrix for each loss of least squares, or by a system of the
    size of the samples where these are fewer (of `Perturbed` losses always from Gram matrices). A few Newton steps on the coefficients that are not zero and the losses
    that are the worst end the run: zeros are exact. `Solution.duals.losses` has the weights of the losses that prove it.
    """

    def rejects(self, problem):
        if reason := rejects_convex(problem):
            return reason
        is_perturbed = isinstance(problem.loss, Perturbed)
        smaller = problem.n_features if is_perturbed else min(problem.n_features, problem.loss.stack.y.size)
        if smaller > _LARGEST:
            return f"it factorises a matrix of {smaller} rows, more than {_LARGEST}; SmoothedMinimax needs none"
        return None

    def init(self, problem, w):
        loss, form = problem.loss, form_of(problem)
        model = group_model(loss)
        terms = Terms.of(form, has_intercept=loss.intercept)
        x = np.append(w, 0.0) if loss.intercept else w.astype(np.float64)
        fixed = np.where(terms.lower == terms.upper, terms.lower, 0.0)
        free = np.flatnonzero(terms.lower < terms.upper)
        if free.size < x.size:
            model, terms = _without_fixed(loss, model, fixed, free), terms.restrict(free)
        sizes = model.sizes()
        state = MinimaxState(
            w=np.clip(w.astype(np.float64), form.lower, form.upper), free=free, fixed=fixed, sizes=sizes
        )
        state.epigraph = Epigraph(model.scaled(sizes), terms.scaled(sizes), x[free] * sizes)
        state.duals = _duals(weights_at(problem, state.w))
        found = certify_private(problem, state.w, duals=state.duals)
        state.objective, state.gap = found.objective, abs(found.relative_gap)
        return state

    def step(self, problem, state, tol, max_iterations):
        if state.gap <= state.tolerance and state.iterations == 0:  # the start, mostly zero
            state.status = Status.CONVERGED
            return state
        state.goal = state.goal or max(_FIRST * state.tolerance, _NEAREST)
        epigraph, until = state.epigraph, time.perf_counter() + _CHUNK
        last = epigraph.iterations + max_iterations
        while is_open(epigraph, state.goal) and epigraph.iterations < last:
            length = epigraph.step()
            if not np.all(np.isfinite(epigraph.x)) or length < 1e-8 or epigraph.iterations >= _MOST:
                state.status = Status.STALLED
                break
            if time.perf_counter() >= until:
                break
        state.iterations = epigraph.iterations
        points, has_zeros = [(epigraph.x, epigraph.weights)] if np.all(np.isfinite(epigraph.x)) else [], False
        is_done = state.status is not None or not is_open(epigraph, state.goal)
        if is_done and points:
            # zeros that are exact, first by leaving out what is nearly zero, then by Newton's method
            points.append((epigraph.guess()[1], epigraph.weights))
            points += [found for found in (polished(epigraph),) if found is not None]
        for x, weights in points:
            is_taken = self._offer(problem, state, x, weights)
            has_zeros = is_taken and x is not epigraph.x
        if state.gap <= state.tolerance and (has_zeros or not epigraph.has_ends or state.goal <= _FINEST):
            state.status = Status.CONVERGED
        elif is_done:
            state.goal *= _NEARER
            if state.goal < _NEAREST or state.status is not None:
                state.status = Status.CONVERGED if state.gap <= state.tolerance else Status.STALLED
        return state

    def _offer(self, problem, state, x, weights):
        """Take a point for the result where its gap is no larger; returns whether it is."""
        full = state.fixed.copy()
        full[state.free] = x / state.sizes
        weights = np.maximum(weights, 0.0)
        if not (np.all(np.isfinite(x)) and 0.0 < weights.sum() < np.inf):
            return False
        form = form_of(problem)
        w, duals = np.clip(full[: problem.n_features], form.lower, form.upper), _duals(weights)
        found = certify_private(problem, w.astype(problem.dtype).astype(np.float64), duals=duals)
        gap = abs(found.relative_gap)
        # of two that are proven well enough, the second has its zeros
        is_taken = gap <= state.tolerance or (state.gap > state.tolerance and found.objective < state.objective)
        if is_taken:
            state.w, state.duals, state.gap, state.objective = w, duals, gap, found.objective
            state.residual = found.stationarity
        return is_taken


def rejects_convex(problem):
    """Why the problem is no convex one with the worst of several losses, or None."""
    if not isinstance(problem.loss, WorstCase | Perturbed):
        return f"it takes the worst of several losses, a WorstCase, not {type(problem.loss).__name__}"
    if isinstance(problem.loss, Perturbed) and not isinstance(problem.penalty, Zero):
        return "the worst perturbation is a penalty of its own, beside which it takes no other"
    if any(isinstance(part, SupportConstraint) for part in parts_of(problem.constraint)) or problem.chooses_support:
        return "it takes convex problems; MinimaxSearch and MinimaxBranchAndBound choose supports"
    if problem.proximal is None or not problem.is_convex or form_of(problem) is None:
        return "it takes Zero, L1, weights, signs and a ridge on them, and a Box"
    return None


def _duals(weights):
    return Duals(np.zeros(0), np.zeros(0), weights / weights.sum())


def _without_fixed(loss, model: GroupModel, fixed, free):
    """The model on the free coefficients, with what the others contribute as an offset."""
    if not fixed.any():
        return model.restrict(free)
    if isinstance(loss, Perturbed):
        return NormGroups(_without_fixed(loss.loss, group_model(loss.loss), fixed, free))
    offsets = np.split(loss.stack.A @ fixed[: loss.n_features], loss.stack.starts[1:-1])
    parts = tuple(_shifted(part, offset) for part, offset in zip(loss.losses, offsets, strict=True))
    return group_model(replace(loss, losses=parts)).restrict(free)


def _shifted(part, offset):
    known = part.offset.added_to(np.zeros(part.y.size)) + offset
    return replace(part, offset=known)
