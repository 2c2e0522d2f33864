"""A good support for the worst of several losses: exchanges of features, each refitted for the worst loss."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from sparseopt.constraints import Duals
from sparseopt.inputs import as_count
from sparseopt.losses import Perturbed, WorstCase
from sparseopt.penalties import Zero
from sparseopt.problem import Problem
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.local_search import LocalSearch, search_of
from sparseopt.solvers.worst_case.worst_supports import Fit, WorstSupports
from sparseopt.subsets import SubsetProblem

# Seconds of a step, after which limits and callbacks are looked at.
_CHUNK = 0.05
# Exchanges that are fitted before a support is taken to be the best one near.
_TRIALS = 40
# Subsets for means of the losses, of which each begins a search.
_MEANS = 4
# Features that a kick throws out, and of how many promising ones it chooses others.
_OUT, _FROM = 2, 10


@dataclass
class MinimaxSearchState(State):
    """State with the search, of which the rest is still to be done."""

    supports: WorstSupports | None = field(default=None, repr=False)
    rest: object = field(default=None, repr=False)
    best: Fit | None = field(default=None, repr=False)

    def account(self):
        return f"{self.supports.count} supports"


@dataclass(frozen=True, kw_only=True)
class MinimaxSearch(Solver):
    """A good subset for the worst loss: local search with refits, from subsets that are good for means of the losses.

    The weights of the losses that belong to a support bound what every exchange can reach at best, in least squares; so
    those that cannot help are not fitted. `MinimaxBranchAndBound` proves how good the result is.

    Parameters
    ----------
    kicks : int, default 10
        Random changes of the best support after which the search goes on (Lourenço et al., 2003).
    seed : int, default 0
        Of the kicks.
    """

    kicks: int = 10
    seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "kicks", as_count(self.kicks, "kicks"))
        object.__setattr__(self, "seed", as_count(self.seed, "seed"))

    def rejects(self, problem):
        return rejects_subset(problem)

    def init(self, problem, w):
        subset = SubsetProblem.of(problem)
        supports = WorstSupports(problem, subset)
        state = MinimaxSearchState(w=subset.entered(np.zeros_like(w)), supports=supports)
        state.rest = search(problem, supports, np.flatnonzero(w), self.kicks, self.seed)
        return state

    def step(self, problem, state, tol, max_iterations):
        until, last = time.perf_counter() + _CHUNK, state.iterations + max_iterations
        while time.perf_counter() < until and state.iterations < last:
            found = next(state.rest, None)
            if found is None:
                state.residual, state.status = 0.0, Status.CONVERGED
                break
            state.iterations += 1
            if state.best is None or found.objective < state.best.objective:
                state.best = found
                state.w = within(state.supports, found, problem.dtype)
                state.duals = Duals(np.zeros(0), np.zeros(0), found.weights)
        return state


def rejects_subset(problem):
    """Why the problem is no choice of single features for the worst of several losses, or None."""
    if not isinstance(problem.loss, WorstCase | Perturbed):
        return f"it takes the worst of several losses, a WorstCase, not {type(problem.loss).__name__}"
    if isinstance(problem.loss, Perturbed) and not isinstance(problem.penalty, Zero):
        return "the worst perturbation is a penalty of its own, beside which it takes no other"
    subset = SubsetProblem.of(problem)
    if isinstance(subset, str):
        return subset
    if subset.parents or subset.groups is not None:
        return "it chooses single features, without groups and hierarchies"
    return None


def within(supports, fit, dtype):
    """The coefficients of a fit in the type of the data, within their bounds."""
    w = supports.subset.entered(supports.coefficients(fit)).astype(dtype)
    lower, upper = supports.lower.astype(dtype), supports.upper.astype(dtype)
    return np.clip(w, np.where(w == 0.0, -np.inf, lower), np.where(w == 0.0, np.inf, upper))


def search(problem, supports, start, kicks, seed):
    """Fits, each of which may be better than those before: a generator."""
    best = None
    for begin in _starts(problem, supports, start):
        for fit in _descent(supports, begin):
            yield fit
        if best is None or fit.objective < best.objective:
            best = fit
    random = np.random.default_rng(seed)
    for _ in range(kicks if best is not None else 0):
        kicked = _kicked(supports, best, random)
        if kicked is None:
            return
        for fit in _descent(supports, kicked):
            yield fit
        if fit.objective < best.objective:
            best = fit


def _starts(problem, supports, start):
    """Supports to begin from: that of w0, and those that are good for means of the losses."""
    subset = supports.subset
    if start.size:
        largest = np.setdiff1d(start, subset.forbidden)
        others = np.setdiff1d(largest, subset.required)[: subset.k - subset.required.size]
        yield np.union1d(others, subset.required).astype(np.intp)
    begin = np.array(subset.required, dtype=np.intp)
    if not supports.is_squares:
        yield begin
        return
    weights, most = np.full(supports.loss.n_groups, 1.0 / supports.loss.n_groups), np.zeros(0)
    finder = LocalSearch(kicks=0)
    for turn in range(_MEANS):
        inner = Problem(supports.loss.mixture(weights), problem.penalty, problem.constraint)
        if finder.rejects(inner):
            yield begin
            return
        walk, _ = search_of(inner, finder)
        for _ in walk.run():
            pass
        found = np.union1d(np.asarray(walk.best.support, dtype=np.intp), subset.required).astype(np.intp)
        yield found
        # towards the losses that are the worst there, by less and less
        weights = weights + (supports.fit(found).weights - weights) / (turn + 1.5)
        if np.array_equal(found, most):
            return
        most = found


def _descent(supports, support):
    """Fits from a support on, each of which is better than the one before: a generator."""
    fit = supports.fit(support)
    yield fit
    while True:
        better = None
        for _, trial in supports.exchanges(fit)[:_TRIALS]:
            found = supports.fit(trial)
            if found.objective < fit.objective - 1e-11 * abs(fit.objective):
                better = found
                break
            yield fit
        if better is None:
            return
        fit = better
        yield fit


def _kicked(supports, fit, random):
    """The support with some features exchanged for others at random; None where there are no others."""
    subset = supports.subset
    leaving = np.setdiff1d(fit.support, subset.required)
    _, pull, bends = supports.near(fit)
    promise = np.where(bends[: pull.size] > 0.0, pull**2 / np.maximum(bends[: pull.size], 1e-300), -1.0)
    promise[fit.support], promise[subset.forbidden] = -1.0, -1.0
    others = np.argsort(-promise, kind="stable")[:_FROM]
    others = others[promise[others] >= 0.0]
    if leaving.size == 0 or others.size == 0:
        return None
    count = min(_OUT, leaving.size, others.size)
    gone = random.choice(leaving, count, replace=False)
    return np.union1d(np.setdiff1d(fit.support, gone), random.choice(others, count, replace=False)).astype(np.intp)
