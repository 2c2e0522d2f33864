"""Local search: exact gains of all swaps of two features, until none is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sparseopt.inputs import as_count, as_number
from sparseopt.losses import LeastSquares, MultiResponse, Quadratic, SampleLoss
from sparseopt.programs.row_subsets import RowSubset
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.subsets.endless import endless_features
from sparseopt.solvers.subsets.gram_rows import GramRows
from sparseopt.solvers.subsets.model_search import ModelState, rejects_search
from sparseopt.solvers.subsets.sample_start import begin_search
from sparseopt.solvers.subsets.separate_search import SeparateSearch
from sparseopt.solvers.subsets.subset_search import SubsetSearch
from sparseopt.solvers.subsets.subset_state import SubsetState
from sparseopt.solvers.subsets.support_fit import best_on_support
from sparseopt.solvers.subsets.unit_walk import SupportRules
from sparseopt.solvers.subsets.unit_walks import BoundedWalk, GroupWalk, RowWalk
from sparseopt.solvers.trees.row_model import RowSearchState, begin_row_search, rejects_rows
from sparseopt.solvers.working.newton import hessian, least_squares_on, minimise_on
from sparseopt.subsets import SubsetProblem

# Entries of memory that a step goes through: some ten milliseconds.
_CHUNK = 15_000_000
# Kicks by default under a quadratic, among single features without rules, and under another loss on samples.
_KICKS, _PLAIN_KICKS, _SAMPLE_KICKS = 4, 16, 2


@dataclass
class SearchState(State):
    """State with the search and the moves that it has still to make."""

    search: SubsetSearch | SeparateSearch | None = None
    rest: Iterator | None = None
    reading: SubsetProblem | None = None
    found: np.ndarray | None = None

    def account(self):
        return f"{self.search.moves} moves, {self.search.gram.computed} rows of the Gram matrix"


@dataclass(frozen=True, kw_only=True)
class LocalSearch(Solver):
    """Best subsets by swaps (Efroymson, 1960; Miller, 2002), all of them at once: exact ones under least squares.

    The support grows by the feature that gains most. At each size every exchange of a feature
    inside for one outside is valued, both refits included, and the best is made until none gains. The support
    grows beyond k and shrinks back in the same way. The values of all k (p - k) swaps come from one pass over
    k p numbers, which a move updates.

    Under linear rows and buy-in limits the search begins from the largest parts of a relaxation, refits the exchanges that
    promise most, and keeps only what meets the rows. Where it finds none that does, it ends as STALLED, at the start.

    Under another loss on samples the search begins from the perspective relaxation, where X is not small and there is no price, bound or required
    feature, and else by growth. Swaps are valued by its quadratic model at the present fit, and those that promise most
    are made where a refit confirms them; `overshoot` has no effect there. Where the support separates the samples and
    nothing holds the coefficients back, there is no minimiser: the run ends as STALLED and its account says so.

    Parameters
    ----------
    overshoot : float, default 0.5
        How far beyond k the support grows, as a part of k.
    kicks : int, optional
        How often a few features of the best support are exchanged at random before the search goes down again
        (iterated local search: Lourenço, Martin and Stützle, 2003). Single features of a quadratic are kicked among those
        that promise most, and among more of them the longer it goes on, in the end all: sixteen times by default, a small
        part of the time. Without kicks the search begins among all features. With groups, rows of several responses, bounds or hierarchies there are four; under another loss, where
        each takes several refits, two, and none after a relaxation. More of them search longer.
    restarts : int, default 0
        How often the search begins anew from a first feature chosen at random.
    seed : int, default 0
        Of the random choices.
    """

    judges_itself: ClassVar[bool] = True
    overshoot: float = 0.5
    kicks: int | None = None
    restarts: int = 0
    seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "overshoot", as_number(self.overshoot, "overshoot", least=0.0))
        for name in ("kicks", "restarts", "seed"):
            count = getattr(self, name)
            object.__setattr__(self, name, count if name == "kicks" and count is None else as_count(count, name))

    def kicks_under(self, loss):
        """How many kicks a search under a loss makes."""
        if self.kicks is not None:
            return self.kicks
        return _SAMPLE_KICKS if isinstance(loss, SampleLoss) else _KICKS

    def rejects(self, problem):
        if RowSubset.has_rows(problem):
            return rejects_rows(problem)
        reading = SubsetProblem.of(problem)
        if isinstance(reading, str):
            return reading
        if isinstance(problem.loss, SampleLoss):
            return rejects_search(problem.loss, reading)
        if not isinstance(problem.loss, LeastSquares | MultiResponse | Quadratic):
            return "it values swaps by the Gram matrix of a quadratic: least squares, Quadratic, or the model of a loss on samples"
        if reading.groups is not None and (reading.has_bounds or reading.l1):
            return "groups of features are refitted by a linear system, which knows no bounds and no L1 norm"
        if reading.has_rows and reading.l1:
            return "rows of several responses are refitted by a linear system, which knows no L1 norm"
        if (features := endless_features(problem)) is not None:
            return (
                f"the objective falls without end along a combination of features {_named(features)}; "
                "add a ridge, Ridged(penalty, beta), or bounds, Box(-M, M)"
            )
        return None

    def init(self, problem, w):
        w = w.astype(np.float64)
        if RowSubset.has_rows(problem):
            return begin_row_search(problem, self, w)
        if isinstance(problem.loss, SampleLoss):
            return begin_search(problem.loss, SubsetProblem.of(problem), self, w)
        search, reading = search_of(problem, self, w)
        return SearchState(w=np.zeros_like(w), search=search, rest=search.run(), reading=reading)

    def step(self, problem, state, tol, max_iterations):
        if isinstance(state, ModelState | RowSearchState):
            return state.advance(problem.dtype, max_iterations)
        cost, last = 0, state.search.moves + max_iterations
        for spent in state.rest:
            cost += spent
            if cost >= _CHUNK or state.search.moves >= last:
                break
        else:
            state.residual, state.status = 0.0, Status.CONVERGED
        state.iterations = state.search.moves
        best = state.search.best.support
        if state.found is None or not np.array_equal(best, state.found):
            state.found, state.w = best, _coefficients(problem, state, best)
        return state


def _named(features):
    """The first few of some features, in words."""
    first = ", ".join(str(j) for j in features[:5].tolist())
    return first + (" ..." if features.size > 5 else "")


def _coefficients(problem, state, best):
    """The best coefficients on the best support, as the search has them or refitted."""
    fitted = state.search.fitted() if isinstance(state.search, SubsetSearch) and state.status else None
    if fitted is None:
        return refitted(problem, state.reading, best)
    w = np.zeros(problem.n_features)
    w[fitted[0]] = fitted[1]
    return state.reading.entered(w)


def search_of(problem, solver, w=None, down_to=None):
    """The search that a `LocalSearch` makes on a problem from w, and the problem as it reads it."""
    loss, reading, gram = problem.loss, SubsetProblem.of(problem), GramRows.of(problem.loss)
    options = {"overshoot": solver.overshoot, "restarts": solver.restarts, "seed": solver.seed}
    options["kicks"] = _PLAIN_KICKS if solver.kicks is None else solver.kicks
    if isinstance(loss, MultiResponse) and not reading.has_rows:
        if reading.is_plain and down_to is None:
            slopes = loss.output_slopes(np.zeros(loss.n_features))
            return SeparateSearch(gram, 0.5 * np.sum(loss.weights * slopes**2, axis=0), reading, options), reading
        gram = gram.flattened()
    start = None if w is None else _units_of(w, reading)
    walk, k = walk_of(gram, reading), reading.k
    options["kicks"] = options["kicks"] if isinstance(walk, SubsetState) else solver.kicks_under(loss)
    if reading.required.size and isinstance(walk, SubsetState):
        # those that are combinations of others do not enter, and take their places all the same
        walk.reset()
        k -= reading.required.size - walk.size
    search = SubsetSearch(walk, k, reading.alpha, **options, start=start, down_to=down_to)
    return search, reading


def walk_of(gram, reading):
    """The walk that a best subset problem asks for."""
    # room for what the search grows to, within reason
    room = min(reading.k + reading.k // 2 + 5, 64)
    if reading.is_plain:
        return SubsetState(gram, reading.ridge, capacity=room)
    if reading.groups is not None:
        return GroupWalk(gram, reading, SupportRules(len(reading.groups)))
    rules = SupportRules(reading.n_features, reading.required, reading.forbidden, reading.parents)
    if reading.has_bounds or reading.l1:
        return BoundedWalk(gram, reading, rules)
    if reading.has_rows or reading.parents:
        return RowWalk(gram, reading, rules)
    return SubsetState(gram, reading.ridge, rules.is_allowed, reading.required, room)


def refitted(problem, reading, units):
    """The best coefficients on some units, from the data and in float64."""
    loss = problem.loss
    support = np.sort(_coefficients_of(units, problem, reading))
    if type(loss) is LeastSquares and not (reading.has_bounds or reading.l1):
        w = least_squares_on(loss, support, reading.ridge)
    elif not (reading.has_bounds or reading.l1):
        w = minimise_on(loss, support, np.zeros(loss.n_features), reading.ridge)
    else:
        w = np.zeros(loss.n_features)
        pull = -np.asarray(loss.gradient(w), dtype=np.float64)[support]
        block = hessian(loss, w, support)
        gram = GramRows(lambda j: block[j], pull, block.diagonal(), 0.0)
        part = replace(
            reading,
            lower=None if reading.lower is None else reading.lower[support],
            upper=None if reading.upper is None else reading.upper[support],
        )
        w[support] = best_on_support(gram, part, np.arange(support.size))[1]
    return reading.entered(w)


def _coefficients_of(units, problem, reading):
    """Places in w of the coefficients of some units."""
    if reading.groups is not None:
        return np.concatenate([np.empty(0, dtype=np.intp), *(reading.groups[g] for g in units)])
    if reading.has_rows:
        q = problem.n_features // reading.n_features
        return (np.asarray(units)[:, None] * q + np.arange(q)).ravel()
    return np.asarray(units, dtype=np.intp)


def _units_of(w, reading):
    """The k units with the largest coefficients, or None where all are zero."""
    if not w.any():
        return None
    if reading.groups is not None:
        sizes = np.array([np.linalg.norm(w[group]) for group in reading.groups])
    else:
        sizes = np.linalg.norm(w.reshape(reading.n_features, -1), axis=1)
    largest = np.argsort(-sizes, kind="stable")[: min(reading.k, np.count_nonzero(sizes))]
    return np.sort(largest) if largest.size else None
