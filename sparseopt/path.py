"""Warm-started sequences of problems, from the strongest penalty to the weakest."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sparseopt.conjugates import convex_form, penalty_value
from sparseopt.constraints import Constraint, Intersection
from sparseopt.designs import keeping_copies
from sparseopt.forms import SeparableForm
from sparseopt.inputs import as_count, as_number
from sparseopt.losses import Loss, LossTerm
from sparseopt.packed import packed_point, stacked
from sparseopt.paths import batched_path, batched_samples, little_path, subset_path
from sparseopt.paths.little_path import LittleSolutions
from sparseopt.penalties import L0, L0L1, L1, MCP, SCAD, BlockPenalty, Nonnegative, PenaltyTerm, Ridged, Weighted
from sparseopt.problem import Problem
from sparseopt.solution import Solution
from sparseopt.solve import solve


@dataclass(frozen=True, eq=False)
class Path(Sequence):
    """Solutions of one problem under a sequence of penalties (or constraints), in that order."""

    solutions: Sequence[Solution]
    terms: tuple
    #: Part of the deviance that each solution explains, 1 - f(w) / f(0).
    explained: np.ndarray | None = None

    def __getitem__(self, index):
        return self.solutions[index]

    def __len__(self):
        return len(self.solutions)

    @property
    def w(self):
        """Coefficients, shape (len(path), p)."""
        if isinstance(self.solutions, LittleSolutions):
            return self.solutions.w
        return stacked(self.solutions)

    @property
    def intercepts(self):
        """One intercept a solution."""
        if isinstance(self.solutions, LittleSolutions):
            return self.solutions.intercepts
        return np.array([solution.intercept for solution in self.solutions])

    @property
    def support_sizes(self):
        """Number of nonzeros of each solution."""
        return np.array([solution.support.size for solution in self.solutions])

    @property
    def alphas(self):
        """Strength of each penalty (its innermost alpha), or k of each cardinality, also in an intersection."""
        return np.array([_strength(term) for term in self.terms])

    @property
    def largest_gap(self):
        """The largest relative gap on the path."""
        return max(solution.certificate.relative_gap for solution in self.solutions)

    def __repr__(self):
        sizes = self.support_sizes
        return f"Path({len(self)} solutions, support {sizes[0]} to {sizes[-1]}, largest relative gap {self.largest_gap:.0e})"


def _strength(term):
    match term:
        case L1(alpha) | L0(alpha) | MCP(alpha, _) | SCAD(alpha, _):
            return alpha
        case Ridged(inner, _) | Weighted(inner, _):
            return _strength(inner)
        case Nonnegative(inner):
            return _strength(inner)
        case Intersection(parts):
            return next((part.k for part in parts if hasattr(part, "k")), np.nan)
    return getattr(term, "alpha", getattr(term, "k", np.nan))


def alpha_max(loss, penalty=None) -> float:
    """The strength at which w = 0 becomes optimal (L1, convex rules) or no coordinate gains (MCP, SCAD, L0).

    Parameters
    ----------
    loss : LossTerm
    penalty : Penalty, default L1(1.0)
        The result is the factor by which its alpha must be multiplied; for L1(1.0), MCP(1.0)
        and SCAD(1.0) that is alpha itself. Of a loss that is not smooth, a strength from which on it is.

    Returns
    -------
    float
    """
    if not isinstance(loss, LossTerm):
        raise TypeError(f"loss must be a loss, got {type(loss).__name__}; of a problem give problem.loss.")
    penalty = L1(1.0) if penalty is None else penalty
    p = loss.n_features
    slope = np.asarray(loss.gradient(np.zeros(p)), dtype=np.float64)
    if not isinstance(loss, Loss) and not penalty.is_convex:
        raise TypeError(f"alpha_max knows no formula for {type(penalty).__name__} with {type(loss).__name__}; give L1.")
    bends = loss.curvatures_near(np.zeros(p)).astype(np.float64) if isinstance(loss, Loss) else np.zeros(p)
    gains = np.divide(slope**2, 2 * bends, out=np.zeros(p), where=bends > 0)
    match penalty:
        case MCP(alpha, gamma):
            return max(float(np.max(np.abs(slope), initial=0.0)), _flat_price(gains, gamma)) / alpha
        case SCAD(alpha, gamma):
            return max(float(np.max(np.abs(slope), initial=0.0)), _flat_price(gains, gamma + 1.0)) / alpha
        case L0(alpha):
            return float(np.max(gains, initial=0.0)) / alpha
        case L0L1(alpha, beta):
            rest = np.maximum(np.abs(slope) - beta, 0.0)
            return float(np.max(np.divide(rest**2, 2 * bends, out=np.zeros(p), where=bends > 0), initial=0.0)) / alpha
    if isinstance(penalty, BlockPenalty):
        return penalty.vanishing_factor(-slope)
    form = convex_form(penalty, p)
    if not isinstance(form, SeparableForm):
        return _factor_into_range(form, -slope, penalty)
    push = np.where(form.lower < 0.0, np.abs(slope), np.maximum(-slope, 0.0))
    held = form.a > 0.0
    return float(np.max(push[held] / form.a[held], initial=0.0))


def _factor_into_range(form, t, penalty):
    """The least factor k with t / k in the range of slopes of a homogeneous term."""
    if form is None or not form.is_homogeneous:
        raise TypeError(f"alpha_max knows no formula for {type(penalty).__name__}; compute it from loss.gradient(0).")
    if not np.any(t):
        return 0.0
    enlarged = 2.0
    while (scale := form.largest_scale(enlarged * t)) >= 1.0:
        enlarged *= 1e3
    return 1.0 / (enlarged * scale) if scale > 0.0 else np.inf


def _flat_price(gains, factor):
    """The alpha at which no coordinate gains by going where the penalty is flat, at factor alpha**2 / 2."""
    return float(np.sqrt(2.0 * np.max(gains, initial=0.0) / factor))


def alpha_grid(loss, count=100, ratio=None, penalty=None):
    """Strengths from `alpha_max` down, evenly spaced in the logarithm: the grid of glmnet (Friedman et al., 2010).

    Parameters
    ----------
    loss : Loss
    count : int, default 100
    ratio : float > 0, optional
        The last strength over the first. By default that of glmnet: 1e-2 where there are fewer rows
        than columns, 1e-4 elsewhere.
    penalty : Penalty, default L1(1.0)
        As in `alpha_max`.

    Returns
    -------
    array of shape (count,)
    """
    count = as_count(count, "count", least=1)
    ratio = _usual_ratio(loss) if ratio is None else as_number(ratio, "ratio", above=0.0)
    return alpha_max(loss, penalty) * np.geomspace(1.0, ratio, count)


def _usual_ratio(loss):
    """Without more rows than columns the weakest penalties only fit noise; a quadratic does not tell its rows."""
    design = getattr(loss, "X", None)
    return 1e-4 if design is not None and design.shape[0] >= design.shape[1] else 1e-2


def path(
    problem,
    penalties,
    solver=None,
    *,
    tol=1e-6,
    max_iter=None,
    time_limit=np.inf,
    explained=1.0,
    callback=None,
    progress=False,
) -> Path:
    """Solve the problem under each penalty in turn, each from the solution before it.

    Least squares and smooth losses on samples under convex penalties on single coefficients are solved in
    batches, with few looks at X for several penalties, and their solutions take memory for nonzeros
    alone until `w` is asked for. On little dense data, L1 and elastic net paths are solved many points at a time where no
    solver is named. Best subsets of several sizes are found in one run of `LocalSearch`.

    Parameters
    ----------
    problem : Problem
        Its own penalty (or constraint) is replaced.
    penalties : iterable of Penalty or Constraint
        Best from the strongest to the weakest; for example
        ``[L1(alpha) for alpha in alpha_grid(loss)]`` or ``[Cardinality(k) for k in range(1, 11)]``.
    solver, tol, max_iter
        As in `solve`, for each problem.
    time_limit : float, default inf
        Seconds for the whole path; problems that come after it are not solved, and the path
        is shorter. Best subsets are found together: all that were begun are there, with what was found.
    explained : float, default 1.0
        End the path after the first solution that explains this part of the deviance, 1 - f(w) / f(0);
        glmnet (Friedman et al., 2010) ends at 0.999.
    callback : callable, optional
        ``callback(position, solution)`` after each solution; the path ends where it returns True.
    progress : bool, default False
        Show how far the path has come on stderr.

    Returns
    -------
    Path
    """
    if not isinstance(problem, Problem):
        raise TypeError(
            f"problem must be a Problem, got {type(problem).__name__}; for example Problem(LeastSquares(X, y))."
        )
    if not isinstance(penalties, Iterable):
        raise TypeError(
            f"penalties must be a sequence of penalties or constraints, got {type(penalties).__name__}; put it into a list."
        )
    terms = tuple(penalties)
    if not terms:
        raise ValueError("penalties is empty; give at least one penalty, for example L1(0.1).")
    enough = as_number(explained, "explained", least=0.0)
    tol = as_number(tol, "tol", least=0.0)
    end = time.perf_counter() + as_number(time_limit, "time_limit", least=0.0, finite=False)
    watch = None
    if progress or callback is not None:
        watch = partial(_watch, total=len(terms), callback=callback, progress=progress)
    if little := little_path.begun(problem, terms, solver, tol):
        return _follow_little(little, max_iter, end, enough, watch)
    if subset_path.takes(problem, terms, solver):
        found = subset_path.in_one_run(problem, terms, solver, end)
    elif batched_path.takes(problem, terms, solver):
        found = _in_batches(batched_path.BatchedPath(problem, terms, solver, tol), problem, solver, max_iter, end)
    elif batched_samples.takes(problem, terms, solver):
        found = _in_batches(batched_samples.BatchedSamples(problem, terms, solver, tol), problem, solver, max_iter, end)
    else:
        found = _one_by_one(problem, terms, solver, tol, max_iter, end)
    solutions, shares = [], []
    null = problem.loss.evaluate(np.zeros(problem.n_features))
    for here, solution in found:
        solutions.append(solution)
        fit = solution.certificate.objective - _price(here.penalty, solution)
        shares.append(1.0 - fit / null if null > 0.0 else 0.0)
        if watch is not None and watch(solution, len(solutions)):
            break
        # 1.0 asks for the whole path, also where rounding says that all is explained
        if enough < 1.0 and shares[-1] >= enough:
            break
    return Path(tuple(solutions), terms[: len(solutions)], np.array(shares))


def _watch(solution, count, total, callback, progress):
    """Show a solution, and say whether the callback ends the path with it."""
    if progress:
        _show(count, total, solution)
    return callback is not None and callback(count - 1, solution) is True


def _price(penalty, solution):
    """The penalty at a solution; for few nonzeros from them alone, the rest being zeros without a price."""
    if (point := packed_point(solution)) is None:
        return penalty_value(penalty, solution.w.ravel().astype(np.float64))
    return convex_form(penalty, point.size).restrict(point.support).value(point.values.astype(np.float64))


def _one_by_one(problem, terms, solver, tol, max_iter, end):
    w, design = None, getattr(problem.loss, "X", None)
    with nullcontext() if design is None else keeping_copies(design):
        for term in terms:
            problem = _under(problem, term)
            # the first is solved however little time there is
            remaining = max(end - time.perf_counter(), 0.0)
            if w is not None and remaining == 0.0:
                return
            solution = solve(problem, solver, w, tol=tol, max_iter=max_iter, time_limit=remaining)
            w = solution.w
            yield problem, solution


def _follow_little(run, max_iter, end, enough, watch):
    """A little path, whose solutions are made when they are asked for; `watch` takes each of them, and may end the path."""
    null, made, is_over = run.problem.loss.value_at_zero(), [], False
    shares = np.zeros(len(run.terms))
    while run.count < len(run.terms) and not is_over:
        given = run.count
        remaining = max(end - time.perf_counter(), 0.0)
        if given and remaining == 0.0:
            break
        if run.needs_help:
            here = _under(run.problem, run.terms[given])
            solution = solve(here, w0=run.near(), tol=run.tol, max_iter=max_iter, time_limit=remaining)
            run.accept(solution, solution.certificate.objective - _price(here.penalty, solution))
        else:
            # the first is solved however little time there is
            run.advance(most=1 if remaining == 0.0 else len(run.terms))
        if null > 0.0:
            shares[given : run.count] = 1.0 - run.fits[given : run.count] / null
        if enough < 1.0 and (reached := np.flatnonzero(shares[given : run.count] >= enough)).size:
            run.count, is_over = given + int(reached[0]) + 1, True
        while watch is not None and len(made) < run.count:
            made.append(run.solution(len(made)))
            if watch(made[-1], len(made)):
                run.count, is_over = len(made), True
    solutions = LittleSolutions(run) if watch is None else tuple(made)
    return Path(solutions, run.terms[: run.count], shares[: run.count])


def _in_batches(run, problem, solver, max_iter, end):
    with keeping_copies(problem.loss.X):
        yield from _while_there_is_time(run, problem, solver, max_iter, end)


def _while_there_is_time(run, problem, solver, max_iter, end):
    given, terms, tol = 0, run.terms, run.tol
    while given < len(terms):
        remaining = max(end - time.perf_counter(), 0.0)
        if given and remaining == 0.0:
            return
        if run.needs_help:
            here = _under(problem, terms[given])
            w = run.solutions[-1].w if given else None
            run.accept(here, solve(here, solver, w, tol=tol, max_iter=max_iter, time_limit=remaining))
        else:
            run.advance()
        while given < len(run.solutions):
            yield run.problems[given], run.solutions[given]
            given += 1


def _under(problem, term):
    """The problem with a penalty or a constraint replaced."""
    if isinstance(term, PenaltyTerm):
        return replace(problem, penalty=term)
    if isinstance(term, Constraint):
        return replace(problem, constraint=term)
    raise TypeError(f"penalties must hold penalties or constraints, got {type(term).__name__}.")


def _show(position, count, solution):
    last = position == count
    sys.stderr.write(f"\rpath: {position} of {count}, support {solution.support.size}" + (" \n" if last else " "))
    sys.stderr.flush()
