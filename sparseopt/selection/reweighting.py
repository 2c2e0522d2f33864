"""Reweighting: a second lasso that trusts the coefficients of the first."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from sparseopt.certificate import certify
from sparseopt.inputs import as_coefficients, as_count, as_floats, as_number
from sparseopt.penalties import L1, MCP, SCAD, LogSum, Nonnegative, Ridged, Weighted
from sparseopt.problem import Problem
from sparseopt.solution import Solution, Status
from sparseopt.solve import solve


def adaptive(problem, pilot, *, gamma=1.0, eps=1e-3):
    """The problem with the adaptive lasso's weights from a pilot fit (Zou, 2006).

    Coefficient j has the weight ((largest + eps) / (|w_j| + eps))**gamma, with eps taken relative
    to the largest coefficient of the pilot: 1 for that one and more for all others, so that alpha
    keeps its meaning. Zou's own weights 1 / |w_j|**gamma differ by a factor and the small eps,
    without which a coefficient that is zero in the pilot would stay so.

    Parameters
    ----------
    problem : Problem
        With an L1 penalty, perhaps within Ridged or Nonnegative, whose L1 gets the weights.
    pilot : Solution or array of shape (p,)
        Least squares, a ridge, or a lasso.
    gamma : float > 0, default 1
        How much large coefficients are favoured.
    eps : float > 0, default 1e-3
        Part of the largest coefficient below which all count as the same (Candes, Wakin and Boyd, 2008).

    Returns
    -------
    Problem
        Its penalty is a new one, with `Weighted(L1(alpha), weights)` inside.
    """
    _check_problem(problem)
    w = np.abs(np.ravel(as_floats(pilot.w if isinstance(pilot, Solution) else pilot, "pilot")).astype(np.float64))
    if w.size != problem.n_features or not np.all(np.isfinite(w)):
        raise ValueError(f"pilot must have {problem.n_features} finite coefficients, one a feature; got {w.size}.")
    gamma, eps = as_number(gamma, "gamma", above=0.0), as_number(eps, "eps", above=0.0)
    largest = w.max(initial=0.0)
    if largest == 0.0:
        raise ValueError(
            "pilot has no nonzero coefficient, so that it tells none from another; give one with less penalty."
        )
    weights = ((1.0 + eps) / (w / largest + eps)) ** gamma
    return replace(problem, penalty=_with_weights(problem.penalty, weights))


def _with_weights(penalty, weights):
    match penalty:
        case L1():
            return Weighted(penalty, weights)
        case Weighted(L1() as inner, old):
            return Weighted(inner, old * weights)
        case Ridged(inner, beta):
            return Ridged(_with_weights(inner, weights), beta)
        case Nonnegative(inner):
            return Nonnegative(_with_weights(inner, weights))
    raise TypeError(f"adaptive weights belong to an L1 penalty, got {penalty!r:.60}; give Problem(loss, L1(alpha)).")


def reweighted(problem, solver=None, w0=None, *, rounds=10, tol=1e-6, max_iter=10_000, time_limit=np.inf) -> Solution:
    """Solve a folded-concave problem by a sequence of weighted lassos (LLA; Zou and Li, 2008).

    Each round replaces the penalty by its tangent at the last coefficients, which lies above it,
    so that the objective never rises. From zero the first round is the lasso with the same alpha
    and the second is Zou and Li's one-step estimator. For LogSum it is the reweighted l1 of
    Candes, Wakin and Boyd (2008).

    Parameters
    ----------
    problem : Problem
        With an MCP, SCAD or LogSum penalty.
    solver, w0, tol, max_iter
        As in `solve`, for each round.
    rounds : int, default 10
        At most; few are needed until the coefficients stay.
    time_limit : float, default inf
        Seconds for all rounds.

    Returns
    -------
    Solution
        Of the problem itself: the certificate is for its own penalty. It has converged where a
        round moved no coefficient by more than `tol` times the largest: no direction descends from there. A coefficient
        may still gain by a step of some length, as from zero under a steep LogSum, which the stationarity of the
        certificate says; `solve` takes such steps.
    """
    _check_problem(problem)
    start, remaining = time.perf_counter(), as_number(time_limit, "time_limit", least=0.0, finite=False)
    w = np.zeros(problem.n_features) if w0 is None else as_coefficients(w0, problem.shape, np.float64)
    iterations = 0
    for _ in range(as_count(rounds, "rounds", least=1)):
        tangent = replace(problem, penalty=Weighted(L1(1.0), _slopes(problem.penalty, np.abs(w))))
        found = solve(tangent, solver, w, tol=tol, max_iter=max_iter, time_limit=remaining)
        before, w = w, found.w.ravel()
        moved = np.max(np.abs(w - before), initial=0.0)
        iterations += found.iterations
        remaining = time_limit - (time.perf_counter() - start)
        status = found.status
        if status is not Status.CONVERGED or moved <= tol * np.max(np.abs(w), initial=0.0):
            break
        status = Status.ITERATION_LIMIT
        if remaining <= 0.0:
            status = Status.TIME_LIMIT
            break
    return replace(
        found,
        status=status,
        certificate=certify(problem, w),
        iterations=iterations,
        seconds=time.perf_counter() - start,
        solver=f"reweighted with {found.solver}",
    )


def _slopes(penalty, a):
    """Right derivative of the penalty at a >= 0."""
    match penalty:
        case MCP(alpha, gamma):
            return np.maximum(alpha - a / gamma, 0.0)
        case SCAD(alpha, gamma):
            return np.where(a <= alpha, alpha, np.maximum(gamma * alpha - a, 0.0) / (gamma - 1.0))
        case LogSum(alpha, eps):
            return alpha / (eps + a)
    raise TypeError(f"reweighted knows the tangents of MCP, SCAD and LogSum, got {penalty!r:.60}; give one of them.")


def _check_problem(problem):
    if not isinstance(problem, Problem):
        raise TypeError(
            f"problem must be a Problem, got {type(problem).__name__}; for example Problem(LeastSquares(X, y), L1(0.1))."
        )
