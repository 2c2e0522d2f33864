"""Best subsets under linear rows for `BranchAndBound` and `LocalSearch`: the quadratic, the first supports, the tree."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from sparseopt.curvature import least_curvature
from sparseopt.inputs import LARGEST, SMALLEST
from sparseopt.losses import LeastSquares, Quadratic
from sparseopt.programs.row_subsets import RowSubset
from sparseopt.solution import Status, UnsupportedProblem
from sparseopt.solvers.base import State
from sparseopt.solvers.subsets.gram_models import rounding_of, whole_gram
from sparseopt.solvers.subsets.row_search import RowSearch, rounded
from sparseopt.solvers.trees.row_relaxation import RowRelaxation
from sparseopt.solvers.trees.tree import OUT

# Up to so many features the matrix of the quadratic is formed.
_LARGEST = 5000
# Rounds of the diagonal at the root of a tree: of few features, where the tree is small anyhow, and of many.
_ROUNDS, _MANY_ROUNDS, _MANY = 1, 3, 100
# Exchanges at random before a tree.
_KICKS = 2
# Seconds of a step.
_CHUNK = 0.05


@dataclass(frozen=True, eq=False)
class RowModel:
    """f(w) = constant - linear'w + w'(gram) w / 2; products with column j have errors of `rounding` times sizes_j."""

    gram: np.ndarray
    linear: np.ndarray
    constant: float
    sizes: np.ndarray
    rounding: float

    @property
    def n_features(self):
        return self.linear.size


def row_model(loss):
    """The model of a loss, in parts: a generator that returns it."""
    if isinstance(loss, LeastSquares):
        found = yield from whole_gram(loss)
        return RowModel(np.ascontiguousarray(found.gram), found.linear, found.constant, found.sizes, found.rounding)
    gram = np.ascontiguousarray(loss.Q.to_array(), dtype=np.float64)
    yield
    return RowModel(gram, -np.asarray(loss.c, dtype=np.float64), 0.0, np.sqrt(gram.diagonal()), rounding_of(1))


def rejects_rows(problem):
    """Why a support under linear rows cannot be chosen, or None."""
    subset = RowSubset.of(problem)
    if isinstance(subset, str):
        return subset
    if problem.n_features > _LARGEST:
        return f"under linear rows it forms the matrix of the quadratic, for up to {_LARGEST} features"
    if isinstance(problem.loss, Quadratic) and (curvature := least_curvature(problem.loss)) < 0.0:
        return f"Q has negative curvature {curvature:.3g}; a convex objective is needed"
    if isinstance(problem.loss, Quadratic) and (j := _endless(problem.loss, subset)) >= 0:
        return (
            f"the objective falls without end along coefficient {j}, which has no curvature, no bound and no row; "
            "add a ridge, Ridged(penalty, beta), or bounds, Box(-M, M)"
        )
    if subset.l1 and (j := _beyond_range(problem.loss)) >= 0:
        return (
            f"under linear rows and an L1 norm it forms a matrix, in which the square of column {j} is out of the range "
            f"[{SMALLEST[np.float64]:g}, {LARGEST[np.float64]:g}]; rescale X"
        )
    return None


def _beyond_range(loss):
    """A column whose square is out of the range in which a matrix is taken; -1 if none is."""
    squares = np.asarray(loss.curvatures(), dtype=np.float64)
    beyond = (squares > LARGEST[np.float64]) | ((squares > 0.0) & (squares < SMALLEST[np.float64]))
    return int(np.argmax(beyond)) if beyond.any() else -1


def _endless(loss, subset):
    """A coefficient that may be the only one in a support, beside those required, along which a quadratic falls without end; -1 if none."""
    if subset.ridge or subset.required.size >= subset.k:
        return -1
    push = -loss.c.astype(np.float64)
    falls = ((push > subset.l1) & (subset.upper == np.inf)) | ((-push > subset.l1) & (subset.lower == -np.inf))
    falls &= (loss.curvatures() == 0.0) & ~subset.A.any(axis=0)
    falls[subset.forbidden] = False
    return int(np.argmax(falls)) if falls.any() else -1


def begin_rows(problem, w, rounds, *, keep_points, kicks, seed):
    """The relaxation of a problem, and a search that has run: a generator that yields None or the search, and returns both."""
    subset = RowSubset.of(problem)
    model = yield from row_model(problem.loss)
    relaxation = RowRelaxation(model, subset, keep_points=keep_points)
    if relaxation.is_void:
        return relaxation, RowSearch(relaxation.programs, [], kicks=0, seed=seed)
    first = [np.flatnonzero(w)] if w.any() and np.count_nonzero(w) <= subset.k else []
    z = yield from relaxation.prepare(0)
    status = relaxation.first_status()
    search = RowSearch(relaxation.programs, first + rounded(z, status, subset), kicks=kicks, seed=seed)
    search.bound = relaxation.root_bound
    for _ in search.run():
        yield search
    if rounds:
        z = yield from relaxation.prepare(rounds)
        for support in rounded(z, status, subset):
            search.offer(support)
        yield search
    return relaxation, search


def prepare_rows(problem, state, w, *, keep_proof):
    """The relaxation, the objective and coefficients of a first support, in parts: a generator.

    It yields None, or a function that gives the best coefficients so far; what is proven on the way is told to `state`.
    """
    rounds = _MANY_ROUNDS if problem.n_features > _MANY else _ROUNDS
    preparing = begin_rows(problem, w, rounds, keep_points=keep_proof, kicks=_KICKS, seed=0)
    while True:
        try:
            search = next(preparing)
        except StopIteration as end:
            relaxation, search = end.value
            break
        if search is not None and not keep_proof:  # of which it would be no part
            state.lower_bound = max(state.lower_bound, search.bound)
        yield None if search is None or search.support is None else (lambda of=search: point_of(of))
    if (j := _unbounded(relaxation)) >= 0:
        raise UnsupportedProblem(
            f"BranchAndBound: feature {j} has no curvature of its own and no bound, and nothing is proven without a limit "
            "to its coefficient; add a ridge, Ridged(penalty, beta), or bounds, Box(-M, M)."
        )
    relaxation.best = search.value
    return relaxation, search.value, None if search.support is None else point_of(search)


def _unbounded(relaxation):
    """A feature that may gain without limit whatever the multipliers are; -1 if none."""
    subset = relaxation.subset
    if relaxation.is_void:
        return -1
    system = relaxation.systems[0]
    limit = np.maximum(np.abs(system.lower), np.abs(system.upper))
    free = (system.curve <= 0.0) & np.isinf(limit) & (relaxation.first_status()[system.features] != OUT)
    return int(system.features[np.argmax(free)]) if free.any() and subset.k else -1


def point_of(search):
    """The best coefficients of a search, where the rows are met as well as the numbers allow."""
    if search.point is None or search.point[0] is not search.support:
        w = np.zeros(search.subset.n_features)
        w[search.support] = search.programs.solve(search.support, refine=True)[1]
        search.point = search.support, w
    return search.point[1]


def as_data(point, dtype, subset):
    """The point in the type of the data, within the bounds, with what is required by name in its support."""
    w = subset.entered(point).astype(dtype)
    outside = (w != 0.0) & ((w < subset.lower) | (w > subset.upper))
    if outside.any():
        middle = 0.5 * (np.maximum(subset.lower, -1.0) + np.minimum(subset.upper, 1.0))
        w[outside] = np.nextafter(w[outside], middle[outside].astype(dtype))
    return w


@dataclass
class RowSearchState(State):
    """State with the search, and the work that is left."""

    rest: object = field(default=None, repr=False)
    search: RowSearch | None = field(default=None, repr=False)
    subset: RowSubset | None = field(default=None, repr=False)
    shown: float = np.inf

    def account(self):
        if self.search is None:
            return "no support was tried"
        found = "" if self.search.support is not None else "; none of them has a point that meets the rows"
        return f"{self.search.moves} moves, {self.search.programs.solved} supports{found}"

    def advance(self, dtype, most):
        """Some of the work."""
        until, before = time.perf_counter() + _CHUNK, 0 if self.search is None else self.search.moves
        while time.perf_counter() < until:
            try:
                found = next(self.rest)
            except StopIteration as end:
                self.search = end.value[1]
                self.status = Status.STALLED if self.search.support is None else Status.CONVERGED
                self.residual = 0.0 if self.search.support is not None else np.inf
                break
            self.search = found or self.search
            if self.search is not None and self.search.moves - before >= most:
                break
        if self.search is not None:
            self.iterations = self.search.moves
            if self.search.support is not None and self.search.value < self.shown:
                self.shown, self.w = self.search.value, as_data(point_of(self.search), dtype, self.subset)
        return self


def begin_row_search(problem, solver, w):
    """The state of a `LocalSearch` under rows."""
    rest = begin_rows(problem, w, 0, keep_points=False, kicks=solver.kicks_under(problem.loss), seed=solver.seed)
    return RowSearchState(w=w, rest=rest, subset=RowSubset.of(problem))
