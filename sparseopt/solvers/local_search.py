"""Local search: exact gains of all swaps of two features, until none is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sparseopt.inputs import as_count, as_number
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.solution import Status
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.gram_rows import GramRows
from sparseopt.solvers.newton import minimise_on
from sparseopt.solvers.subset_search import SubsetSearch
from sparseopt.solvers.subset_state import SubsetState
from sparseopt.subsets import SubsetProblem

# Entries of memory that a step goes through: some milliseconds.
_CHUNK = 5_000_000


@dataclass
class SearchState(State):
    """State with the search and the moves that it has still to make."""

    search: SubsetSearch | None = None
    rest: Iterator | None = None
    reading: SubsetProblem | None = None

    def account(self):
        found = self.search
        return f"{found.moves} moves, {found.walk.gram.computed} rows of the Gram matrix"


@dataclass(frozen=True, kw_only=True)
class LocalSearch(Solver):
    """Best subsets of least squares by exact swaps (Efroymson, 1960; Miller, 2002), all of them at once.

    The support grows by the feature that gains most. At each size every exchange of a feature
    inside for one outside is valued, both refits included, and the best is made until none gains. The support
    grows beyond k and shrinks back in the same way. The values of all k (p - k) swaps come from one pass over
    k p numbers, which a move updates.

    Parameters
    ----------
    overshoot : float, default 0.5
        How far beyond k the support grows, as a part of k.
    kicks : int, default 0
        How often two to four features of the best support are exchanged at random before the search goes down again
        (iterated local search: Lourenço, Martin and Stützle, 2003).
    restarts : int, default 0
        How often the search begins anew from a first feature chosen at random.
    seed : int, default 0
        Of the random choices.
    """

    overshoot: float = 0.5
    kicks: int = 0
    restarts: int = 0
    seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "overshoot", as_number(self.overshoot, "overshoot", least=0.0))
        for name in ("kicks", "restarts", "seed"):
            object.__setattr__(self, name, as_count(getattr(self, name), name))

    def rejects(self, problem):
        reading = SubsetProblem.of(problem)
        if isinstance(reading, str):
            return reading
        if not isinstance(problem.loss, LeastSquares | Quadratic):
            return "it values swaps by the Gram matrix of a quadratic: LeastSquares or Quadratic"
        if not reading.is_plain:
            return "it takes single features, without bounds or rules"
        return None

    def init(self, problem, w):
        reading = SubsetProblem.of(problem)
        w = w.astype(np.float64)
        walk = SubsetState(GramRows.of(problem.loss), reading.ridge)
        start = np.argsort(-np.abs(w), kind="stable")[: min(reading.k, np.count_nonzero(w))]
        search = SubsetSearch(
            walk,
            reading.k,
            reading.alpha,
            overshoot=self.overshoot,
            kicks=self.kicks,
            restarts=self.restarts,
            seed=self.seed,
            start=np.sort(start) if start.size else None,
        )
        return SearchState(w=np.zeros_like(w), search=search, rest=search.run(), reading=reading)

    def step(self, problem, state, tol, max_iterations):
        cost, last = 0, state.search.moves + max_iterations
        for spent in state.rest:
            cost += spent
            if cost >= _CHUNK or state.search.moves >= last:
                break
        else:
            state.residual, state.status = 0.0, Status.CONVERGED
        state.iterations = state.search.moves
        if state.search.by_size:
            support = np.sort(state.search.best.support)
            state.w = minimise_on(problem.loss, support, state.w, state.reading.ridge)
        return state
