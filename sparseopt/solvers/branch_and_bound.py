"""Branch and bound: the best support, and a proof that there is none better."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from sparseopt.inputs import as_count
from sparseopt.losses import LeastSquares, MultiResponse, Quadratic, SampleLoss
from sparseopt.programs.row_subsets import RowSubset
from sparseopt.proofs.examination import size_at_zero
from sparseopt.solution import Status, UnsupportedProblem
from sparseopt.solvers.base import Solver, State
from sparseopt.solvers.local_search import walk_of
from sparseopt.solvers.subsets.gram_models import RoughGram, WholeGram, gram_model, takes_long
from sparseopt.solvers.subsets.gram_rows import GramRows
from sparseopt.solvers.subsets.subset_search import SubsetSearch
from sparseopt.solvers.subsets.subset_state import SubsetState
from sparseopt.solvers.subsets.support_fit import best_on_support
from sparseopt.solvers.trees.block_relaxation import prepare_blocks, rejects_blocks
from sparseopt.solvers.trees.hierarchy import start_of, with_hierarchy
from sparseopt.solvers.trees.lanes import Lanes
from sparseopt.solvers.trees.perspective_diagonal import largest_diagonal
from sparseopt.solvers.trees.quadratic_relaxation import SMALL, QuadraticRelaxation
from sparseopt.solvers.trees.rival_trees import RivalTrees
from sparseopt.solvers.trees.row_model import as_data, prepare_rows, rejects_rows
from sparseopt.solvers.trees.sample_relaxation import SampleRelaxation, prepare_samples
from sparseopt.solvers.trees.tree import Tree
from sparseopt.solvers.trees.tree_proof import proof_of
from sparseopt.subsets import SubsetProblem

# Seconds of a step, after which limits and callbacks are looked at.
_CHUNK = 0.05
# The gap is relative to the objective, but to no less than this part of that at zero, as in the certificate.
_FLOOR = 1e-6
# What a preparation says at its end.
_READY = object()
# Of the tolerance, which rounding in the certificate leaves to the search.
_PART = 0.999
# Rounding of an objective, in units of that of its type, which is no part of a gap.
_DIGITS = 16.0
_REMEDY = "add a ridge, Ridged(penalty, beta), or bounds, Box(-M, M)"
_UNBOUNDED = "feature {} depends on others, and nothing is proven without a limit to its coefficient; " + _REMEDY
# Of the search for the first support: with a few, it is mostly the best one.
_KICKS = 10


@dataclass
class TreeState(State):
    """State with the tree, and what is still to be done before there is one."""

    preparation: object = field(default=None, repr=False)
    tree: Tree | Lanes | RivalTrees | None = field(default=None, repr=False)
    subset: SubsetProblem | None = field(default=None, repr=False)
    #: Gives the best coefficients that the preparation has found so far.
    best: Callable | None = field(default=None, repr=False)

    def proof(self):
        return None if self.tree is None else proof_of(self.tree)

    def account(self):
        if self.tree is None:
            return "no node was visited"
        return self.tree.account()


@dataclass(frozen=True, kw_only=True)
class BranchAndBound(Solver):
    """The best subset with its proof, by branch and bound on the perspective relaxation.

    `tol` is the relative gap between the objective and the bound that is proven for all supports;
    an iteration is a node.

    A local search brings the first support, or the start `w0`, where that is better. Nodes then minimise a
    perspective relaxation, with a price for each feature that is found node by node, and fix at once what its bound
    decides. Where there are no fewer samples than features, part of the diagonal of the Gram matrix takes the place of
    a ridge. Of up to 200 features, nodes that stay open are gone through support by support where that takes little,
    with leaps over those that all features together cannot make good (Furnival and Wilson, 1974).

    Rows of several responses and groups are bounded by the semidefinite relaxation of their choice, for up to 500
    coefficients of one response; the last few rows of a node may be enumerated, but not where the proof is kept. Of up to 128
    single features with a ridge, a second tree with that bound goes on beside the first once that has proven hard; the
    one that closes more of its tree for its work has most of the work. Hierarchies are kept by branching.

    Under linear rows and buy-in limits (`LinearConstraint`, `Simplex`, `SemiContinuous`), of least squares and quadratics,
    nodes minimise the perspective relaxation by operator splitting (Stellato et al., 2020) with a diagonal that a semidefinite
    program finds for it (Zheng, Sun and Li, 2014), and their bounds are proven by multipliers of the rows. That no support
    has a point is proven as well: INFEASIBLE.

    Parameters
    ----------
    keep_proof : bool, default False
        Keep the tree, so that the certificate can be verified without this solver. Supports are then not gone through
        one by one, which leaves nothing to keep.
    threads : int, default 1
        Threads that work on open nodes. The search goes on in rounds of nodes that do not depend on it, and visits the
        same nodes, with the same bounds and coefficients, with any number, digit by digit. It is one, since only one thread
        at a time does what Python does between compiled loops, half of a node or more: others pay where nodes take
        milliseconds, of a thousand features and more. Nodes under linear rows, and of up to 128 single features with a
        ridge, are worked on one after another.
    """

    usual_limit: ClassVar[int] = 2**62
    judges_itself: ClassVar[bool] = True
    keep_proof: bool = False
    threads: int = 1

    def __post_init__(self):
        object.__setattr__(self, "threads", as_count(self.threads, "threads", least=1))

    def rejects(self, problem):
        if RowSubset.has_rows(problem):
            return rejects_rows(problem)
        subset = SubsetProblem.of(problem)
        if isinstance(subset, str):
            return subset
        if isinstance(problem.loss, SampleLoss):
            return SampleRelaxation.rejects(problem.loss, subset)
        if not isinstance(problem.loss, LeastSquares | MultiResponse | Quadratic):
            return "it takes least squares, quadratics and losses on samples"
        if _has_blocks(problem.loss, subset) and (reason := rejects_blocks(problem.loss, subset)):
            return reason
        if not isinstance(problem.loss, Quadratic) and not subset.ridge and not subset.has_bounds:
            n, p = problem.loss.X.shape
            if p - subset.forbidden.size > n:
                return f"{p} features fit {n} samples exactly, and nothing is proven from that; " + _REMEDY
        return None

    def init(self, problem, w):
        state = TreeState(w=w)
        state.preparation = self._prepare(problem, state, w)
        return state

    def step(self, problem, state, tol, max_iterations):
        until = time.perf_counter() + _CHUNK
        while state.preparation is not None:
            found = next(state.preparation, _READY)
            if found is _READY:
                state.preparation = None
            elif found is not None:
                state.best = found
            if time.perf_counter() >= until:
                self._take_best(problem, state)
                return state
        if state.status is not None:
            return state
        tree = state.tree
        state.iterations += tree.run(until, max_iterations)
        if tree.point is not None:
            state.w = _rounded(tree.point, problem.dtype, state.subset)
        state.lower_bound = tree.lower_bound
        if tree.is_finished and tree.point is None:
            state.status = Status.INFEASIBLE if state.lower_bound == np.inf else Status.STALLED
        elif tree.is_finished:
            # of the point that is returned: a required coefficient that is best at zero, say, is not zero there
            objective = problem.objective(state.w)
            tolerance = state.tolerance + _DIGITS * float(np.finfo(problem.dtype).eps)
            reached = objective - state.lower_bound <= tolerance * max(abs(objective), tree.floor)
            state.status = Status.CONVERGED if reached else Status.STALLED
        return state

    def _take_best(self, problem, state):
        """The best of what the preparation knows becomes the solution so far."""
        if state.best is not None:
            w = _rounded(state.best(), problem.dtype, state.subset)
            if problem.objective(w) < problem.objective(state.w) or isinstance(state.subset, RowSubset):
                state.w = w

    def _prepare(self, problem, state, w):
        """Read the problem, find an incumbent and begin the tree, in parts."""
        has_rows = RowSubset.has_rows(problem)
        subset, loss = (RowSubset if has_rows else SubsetProblem).of(problem), problem.loss
        state.subset = subset
        if not has_rows:
            support, begin = start_of(w, subset)
            state.w = _rounded(begin, problem.dtype, subset)
        if isinstance(loss, LeastSquares | MultiResponse) and not self.keep_proof:
            state.lower_bound = 0.0  # of squares and prices, but it is no part of a kept proof
        if has_rows:
            relaxation, objective, point = yield from prepare_rows(problem, state, w, keep_proof=self.keep_proof)
            return self._begin(problem, state, relaxation, objective, point)
        prepare = prepare_samples if isinstance(loss, SampleLoss) else _prepare_quadratic
        if _has_blocks(loss, subset):
            prepare = prepare_blocks
        preparing = prepare(loss, subset, keep_points=self.keep_proof)
        if subset.parents:
            preparing = with_hierarchy(preparing, subset)
        relaxation, objective, point = yield from preparing
        self._begin(problem, state, relaxation, objective, point)
        if isinstance(relaxation, QuadraticRelaxation) and RivalTrees.has_rival(relaxation, subset):
            state.tree = RivalTrees(state.tree, subset)
        else:
            state.tree = Lanes(state.tree, self.threads)
        if w.any():
            state.tree.offer(*relaxation.evaluate(support))

    def _begin(self, problem, state, relaxation, objective, point):
        state.tree = Tree(
            relaxation,
            relaxation.first_status(),
            objective,
            point,
            tolerance=_PART * state.tolerance,
            floor=_FLOOR * size_at_zero(problem),
            lower_bound=state.lower_bound,
            keep_proof=self.keep_proof,
        )


def _has_blocks(loss, subset):
    """Whether what is in or out are rows of several responses, or groups."""
    return not isinstance(loss, SampleLoss) and (isinstance(loss, MultiResponse) or subset.groups is not None)


def _prepare_quadratic(loss, subset, *, keep_points):
    """The relaxation of a quadratic, and the objective and coefficients of a first support, in parts: a generator.

    It yields None, or a function that gives the best coefficients so far.
    """
    model = yield from _model_before_search(loss)
    yield
    if isinstance(model, WholeGram | RoughGram):
        rounding = float(np.finfo(model.gram.dtype).eps)
        linear, bends, constant = model.linear, model.bends, model.constant
        rows = GramRows(lambda features: model.gram[features], linear, bends, constant, rounding)
    else:
        rows = GramRows.of(loss)
    is_open = np.ones(rows.n_features, dtype=bool)
    is_open[subset.forbidden] = False
    # of many features, the relaxation says whether a short search was enough
    is_short = rows.n_features > SMALL and not subset.parents
    search = _search(rows, subset, is_open, 0 if is_short else _KICKS)

    def found(of=rows):
        return best_on_support(of, subset, np.union1d(search.best.support, subset.required))

    for _ in search.run():
        yield lambda: found()[1]
    model = (yield from gram_model(loss)) if model is None else model
    objective, point = found(model)
    if isinstance(model, WholeGram) and (diagonal := (yield from largest_diagonal(model))) is not None:
        model.move_diagonal(diagonal)
    relaxation = QuadraticRelaxation(model, subset, keep_points=keep_points)
    if (j := relaxation.unbounded()) >= 0:
        raise UnsupportedProblem(f"BranchAndBound: {_UNBOUNDED.format(j)}.")
    if is_short:
        support = yield from relaxation.look(objective)
        if support is not None and not np.array_equal(support, np.flatnonzero(point)):
            # the relaxation does not show the best support that is known: a longer search
            search = _search(rows, subset, is_open, _KICKS)
            for _ in search.run():
                yield lambda: found()[1]
            objective, point = min((objective, point), found(model), key=lambda pair: pair[0])
    return relaxation, objective, point


def _model_before_search(loss):
    """The model, where it does not take long; None where a search had better come first. A generator that returns it."""
    if RoughGram.suits(loss):
        return RoughGram(loss)
    return None if takes_long(loss) else (yield from gram_model(loss))


def _search(rows, subset, is_open, kicks):
    """A local search for the first support, which knows nothing of bounds and of an L1 norm."""
    if subset.parents:
        return SubsetSearch(walk_of(rows, subset), subset.k, subset.alpha, kicks=kicks)
    state = SubsetState(rows, subset.ridge, is_open, subset.required)
    # required features that are combinations of others do not enter, and take their places all the same
    idle = subset.required.size - state.size
    return SubsetSearch(state, subset.k - idle, subset.alpha, kicks=kicks)


def _rounded(point, dtype, subset):
    """The point in the type of the data, within its bounds; a required coefficient that is best at zero becomes tiny."""
    if isinstance(subset, RowSubset):
        return as_data(point, dtype, subset)
    lower, upper = (-np.inf, np.inf) if subset.lower is None else (subset.lower, subset.upper)
    w = subset.entered(point).astype(dtype)
    outside = (w < lower) | (w > upper)
    if outside.any():
        middle = 0.5 * (np.maximum(lower, -1.0) + np.minimum(upper, 1.0))
        w[outside] = np.nextafter(w[outside], middle[outside].astype(dtype))
    return w
