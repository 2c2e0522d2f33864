"""The verb: run a solver on a problem, within limits, and certify where it ends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from sparseopt._jit import CompilationError
from sparseopt.ball_search import USUAL_LIMIT, solve_in_ball
from sparseopt.certificate import (
    certify,
    certify_little_lasso,
    certify_once,
    certify_private,
    certify_program,
)
from sparseopt.choice import FEW, INSIDE, SIDES, default_solver, has_few_coefficients, has_few_sides
from sparseopt.curvature import is_settled, least_curvature
from sparseopt.inputs import as_coefficients, as_count, as_number
from sparseopt.packed import filled
from sparseopt.paths import little_path
from sparseopt.penalties import L1
from sparseopt.problem import Problem
from sparseopt.progress import Progress
from sparseopt.proofs import priced_ball
from sparseopt.solution import Solution, Status, TracePoint, UnsupportedProblem
from sparseopt.solvers.base import Solver
from sparseopt.solvers.gram_descent import account_of, descend_from_zero
from sparseopt.solvers.working_set import WorkingSet
from sparseopt.watch import Watch

_FEW_NAME, _SIDES_NAME, _INSIDE_NAME = repr(FEW), repr(SIDES), repr(INSIDE)
_EARLY = (Status.STALLED, Status.ITERATION_LIMIT, Status.TIME_LIMIT)  # when nobody may have looked at the gap


def solve(
    problem,
    solver=None,
    w0=None,
    *,
    tol=1e-6,
    max_iter=None,
    time_limit=np.inf,
    callback=None,
    trace=False,
    progress=False,
) -> Solution:
    """Minimise loss(w) + penalty(w) over w in the constraint.

    Parameters
    ----------
    problem : Problem
    solver : Solver, optional
        By default the one that `default_solver` chooses.
    w0 : array of shape (p,), or (p, q) where the loss has q outputs, optional
        Start; zero by default. Copied.
    tol : float, default 1e-6
        The relative duality gap to reach where the problem is convex and its dual is known;
        the largest residual, relative to the slope at zero, where there is no dual; the
        absolute residuals for a problem with rows, or with a loss that is a function of yours: stationarity and violation.
    max_iter : int, optional
        Epochs or iterations; by default the solver's `usual_limit`: 10,000, and no limit on the nodes of
        `BranchAndBound`, whose number says nothing of what is still to come.
    time_limit : float, default inf
        Seconds; kept to within a tenth of a second, or a few where a dense matrix has thousands of rows.
    callback : callable, optional
        ``callback(iterations, w)`` after each chunk of work, w read-only; the run stops
        where it returns True.
    trace : bool, default False
        Record objective and gap after each chunk; costs a certificate each time.
    progress : bool, default False
        Show where the run stands on stderr.

    Returns
    -------
    Solution
        A limit that came first is a status, not an error; see `Solution.require`. Its w has the dtype of X; where that is
        float32 and w met `tol` only in float64, it is float64.

    Raises
    ------
    UnsupportedProblem
        Where the solver cannot take the problem; the message says why.
    TypeError
        Where a method of a term of yours cannot be compiled.

    Examples
    --------
    >>> import numpy as np
    >>> from sparseopt import L1, LeastSquares, Problem, solve
    >>> X = np.eye(3)
    >>> solve(Problem(LeastSquares(X, [3.0, 0.1, -2.0]), L1(0.1))).support
    array([0, 2])
    """
    if not isinstance(problem, Problem):
        raise TypeError(
            f"problem must be a Problem, got {type(problem).__name__}; for example Problem(LeastSquares(X, y), L1(0.1))."
        )
    if solver is not None and not isinstance(solver, Solver):
        raise TypeError(f"solver must be a Solver instance, got {solver!r:.60}; for example CoordinateDescent().")
    tol = as_number(tol, "tol", least=0.0)
    time_limit = as_number(time_limit, "time_limit", least=0.0, finite=False)
    start = time.perf_counter()
    if problem.constraint is not None and priced_ball.covers(problem):
        limits = _Limits(tol, as_count(USUAL_LIMIT if max_iter is None else max_iter, "max_iter", least=1), time_limit)
        solve_priced = partial(solve, solver=solver, progress=progress)
        return solve_in_ball(problem, solve_priced, w0, limits, start, callback=callback, trace=trace)
    is_from_zero = w0 is None and not (callback or trace or progress) and time_limit > 0.0
    if is_from_zero and (found := _solve_little(problem, solver, tol, max_iter, start)):
        return found
    if is_from_zero and solver is None:
        found, w0 = little_path.solved(problem, tol, max_iter)
        if found is not None:
            return found
    is_little = solver is None and _is_little_lasso(problem)
    if solver is None:
        solver = default_solver(problem)
        # of few sides or coefficients, it has been asked already
        is_open = is_from_zero and not has_few_coefficients(problem)
        if is_open and (found := _solve_little(problem, solver, tol, max_iter, start)):
            return found
    if solver is not FEW and (reason := solver.rejects(problem)):
        raise UnsupportedProblem(f"{type(solver).__name__}: {reason}.")
    max_iter = as_count(solver.usual_limit if max_iter is None else max_iter, "max_iter", least=1)
    if solver is FEW and is_from_zero and not is_little and (found := _solve_at_once(problem, tol, max_iter, start)):
        return found
    limits, dtype = _Limits(tol=tol, iterations=max_iter, seconds=time_limit), problem.dtype
    w = np.zeros(problem.n_features, dtype) if w0 is None else as_coefficients(w0, problem.shape, dtype)
    try:
        state, status, points = _run(problem, solver, w, limits, start, callback, trace, progress)
    except CompilationError as fault:
        raise TypeError(
            f"a method of {problem.loss!r:.60} or {problem.proximal!r:.60} cannot be compiled; "
            "sparseopt.testing.check_penalty and check_loss say which and why."
        ) from fault
    w = np.asarray(state.w, dtype=np.float64 if state.is_wide else dtype) + 0.0  # a negative zero becomes a zero
    certificate = certify_private(
        problem,
        w.astype(np.float64),
        lower_bound=state.lower_bound,
        tree=state.proof(),
        duals=state.duals,
        ray=state.ray,
        is_brief=status in (Status.TIME_LIMIT, Status.STOPPED) and not is_settled(problem.loss),
    )
    if status is Status.CONVERGED and dtype == np.float64 and _is_beyond(certificate, tol):
        status = Status.STALLED
    return _solution(problem, w, status, certificate, state, start, repr(solver), tuple(points))


def _is_beyond(certificate, tol):
    """Whether the residuals of a problem with rows, from the data, exceed the tolerance.

    Beside multipliers of 1e8 they depend on the order of summation, and a solver may have summed up more kindly.
    """
    rest = np.fmax(certificate.dual_residual, certificate.complementarity)
    return not np.isnan(rest) and max(certificate.violation, rest) > tol


def _solve_little(problem, solver, tol, max_iter, start):
    """The solution of a problem so small that calls take most of the time, found in few of them; None where more has to be done."""
    if solver is None and _is_little_lasso(problem):
        limit = as_count(FEW.usual_limit if max_iter is None else max_iter, "max_iter", least=1)
        return _solve_little_lasso(problem, tol, limit, start)
    is_open = solver is None
    if is_open and not has_few_coefficients(problem):
        return None
    solver = solver or SIDES
    limit = as_count(solver.usual_limit if max_iter is None else max_iter, "max_iter", least=1)
    outcome = solver.at_once(problem, tol, limit)
    if outcome is None and is_open:
        # without curvature in some direction the active set takes many proximal points
        solver = INSIDE
        outcome = solver.at_once(problem, tol, limit)
    # of few sides the active set finds those that hold the solution, if in several times the time
    if outcome is None or (is_open and not outcome.is_exact and has_few_sides(problem)):
        return None
    w, duals = outcome.w, outcome.duals
    w += 0.0  # a negative zero becomes a zero
    certificate = certify_program(problem, w.copy(), duals)
    if certificate is None:
        # whether a solver takes negative curvature is for `rejects` to say
        if least_curvature(problem.loss) < 0.0:
            return None
        certificate = certify(problem, w, duals=duals)
    if not max(certificate.violation, certificate.dual_residual) <= tol:
        return None
    return filled(
        Solution,
        w=w,
        intercept=0.0,
        status=Status.CONVERGED,
        certificate=certificate,
        iterations=outcome.iterations,
        seconds=time.perf_counter() - start,
        solver=_name_of(solver),
        trace=(),
        duals=duals,
        feature_names=None,
        account=outcome.account,
    )


def _name_of(solver):
    """The solver and its options; those of most are known."""
    if solver is SIDES:
        return _SIDES_NAME
    return _INSIDE_NAME if solver == INSIDE else repr(solver)


def _is_little_lasso(problem):
    """Whether nearly all of the time would go into calls, so that there is a way with few."""
    penalty = problem.penalty
    return (
        problem.loss.little is not None
        and type(penalty) is L1
        and penalty.alpha > 0.0
        and problem.constraint is None
        and problem.loss.n_features <= WorkingSet.fewest
    )


def _solve_little_lasso(problem, tol, max_iter, start):
    """What `_solve_at_once` finds for a little lasso, in fewer calls."""
    loss = problem.loss
    w, epochs, steps = descend_from_zero(loss, problem.penalty.alpha, max_iter)
    certificate = certify_little_lasso(problem, w.copy())
    if not abs(certificate.relative_gap) <= tol:
        return None
    return Solution(
        w=w,
        intercept=loss.intercept_at(w),
        status=Status.CONVERGED,
        certificate=certificate,
        iterations=epochs,
        seconds=time.perf_counter() - start,
        solver=_FEW_NAME,
        account=account_of(w.size, epochs, steps),
    )


def _solve_at_once(problem, tol, max_iter, start):
    """The solution that the first step of `GramDescent` finds, as nearly always; None where more has to be done.

    The same step and the same test as in the loop, without what the loop keeps for steps to come.
    """
    state = FEW.step(problem, FEW.init(problem, np.zeros(problem.n_features)), 0.0, max_iter)
    w = state.w
    w += 0.0  # a negative zero becomes a zero
    certificate = certify_once(problem, w.copy())
    if not (abs(certificate.relative_gap) <= tol and certificate.violation <= tol):
        return None
    return _solution(problem, w, Status.CONVERGED, certificate, state, start, _FEW_NAME, ())


def _solution(problem, w, status, certificate, state, start, solver, trace):
    return Solution(
        w=w.reshape(problem.shape),
        intercept=problem.loss.intercept_at(w.astype(np.float64)),
        status=status,
        certificate=certificate,
        iterations=state.iterations,
        seconds=time.perf_counter() - start,
        solver=solver,
        trace=trace,
        duals=state.duals,
        feature_names=problem.loss.feature_names,
        account=state.account(),
    )


@dataclass(frozen=True)
class _Limits:
    tol: float
    iterations: int
    seconds: float


def _run(problem, solver, w, limits, start, callback, trace, progress):
    """The one loop: steps until the tolerance or a limit; returns state, status and trace."""
    points, first = [], w.copy()
    state = solver.init(problem, w)
    state.tolerance = limits.tol
    watch, shown = Watch(problem, solver, limits.tol), Progress(solver) if progress else None
    if state.status is not None:
        return state, state.status, points
    while True:
        with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges has a status for it
            state = solver.step(problem, state, watch.goal, limits.iterations - state.iterations)
            if not np.logical_and.reduce(np.isfinite(state.w)):
                state.w, state.status = first, Status.DIVERGED
            status, seconds = state.status or watch.judge(state), time.perf_counter() - start
            if status is None and state.iterations >= limits.iterations:
                status = Status.ITERATION_LIMIT
            if status is None and seconds > limits.seconds:
                status = Status.TIME_LIMIT
            if status in _EARLY and watch.is_met(state, is_last=True):
                status = Status.CONVERGED  # by the problem's measure, if not by the solver's own
        if (
            callback is not None
            and callback(state.iterations, _read_only(state.w.reshape(problem.shape))) is True
            and status is None
        ):
            status = Status.STOPPED
        if trace:
            points.append(_trace_point(problem, state, seconds))
        if shown is not None:
            shown.show(state, watch.gap, seconds, is_last=status is not None)
        if status is not None:
            return state, status, points


def _read_only(w):
    view = w.view()
    view.flags.writeable = False
    return view


def _trace_point(problem, state, seconds):
    certificate = certify(problem, state.w, lower_bound=state.lower_bound, duals=state.duals)
    return TracePoint(
        iterations=state.iterations,
        seconds=seconds,
        objective=certificate.objective,
        gap=certificate.relative_gap,
        support_size=int(np.count_nonzero(state.w)),
        residual=float(state.residual),
        lower_bound=certificate.lower_bound,
    )
