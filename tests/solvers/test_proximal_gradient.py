"""Proximal gradient: step lengths, momentum and monotony."""

from dataclasses import replace

import numpy as np
import pytest

import sparseopt as so

RNG = np.random.default_rng(7)
X = RNG.standard_normal((40, 15)) @ (np.eye(15) + 0.3)
Y = X[:, 0] - X[:, 7] + 0.3 * RNG.standard_normal(40)
LASSO = so.Problem(so.LeastSquares(X, Y), so.L1(0.02))
LIPSCHITZ = np.linalg.eigvalsh(X.T @ X / 40)[-1]


def objectives(solver, problem=LASSO, steps=40):
    """The objective after each iteration of one run."""
    runs = (so.solve(problem, solver, tol=0.0, max_iter=count) for count in range(1, steps))
    return np.array([run.certificate.objective for run in runs])


def test_a_fixed_step_is_the_textbook_iteration():
    """ISTA by hand, in numpy."""
    step, w = 0.9 / LIPSCHITZ, np.zeros(15)
    for _ in range(25):
        ahead = w - step * (X.T @ (X @ w - Y) / 40)
        w = np.sign(ahead) * np.maximum(np.abs(ahead) - step * 0.02, 0.0)
    ours = so.solve(LASSO, so.ProximalGradient(accelerated=False, step_length=step), tol=0.0, max_iter=25)
    np.testing.assert_allclose(ours.w, w, rtol=0, atol=1e-12)


def test_a_fixed_step_with_momentum_is_fista():
    """Beck and Teboulle (2009) by hand, without restarts."""
    step, w, v, t = 0.9 / LIPSCHITZ, np.zeros(15), np.zeros(15), 1.0
    for _ in range(25):
        ahead = v - step * (X.T @ (X @ v - Y) / 40)
        new = np.sign(ahead) * np.maximum(np.abs(ahead) - step * 0.02, 0.0)
        t, last = (1 + np.sqrt(1 + 4 * t * t)) / 2, t
        w, v = new, new + (last - 1) / t * (new - w)
    ours = so.solve(LASSO, so.ProximalGradient(step_length=step, restarts=False), tol=0.0, max_iter=25)
    np.testing.assert_allclose(ours.w, w, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "solver",
    [
        so.ProximalGradient(accelerated=False),
        so.ProximalGradient(monotone=True),
        so.ProximalGradient(monotone=True, restarts=False),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "problem", [LASSO, replace(LASSO, penalty=so.Zero(), constraint=so.Simplex())], ids=["l1", "simplex"]
)
def test_the_objective_never_rises(solver, problem):
    found = objectives(solver, problem)
    assert np.all(np.diff(found) <= 1e-14 * found[0])


def test_momentum_saves_iterations():
    hard = so.Problem(so.LeastSquares(X @ np.diag(np.geomspace(1, 0.05, 15)), Y), so.L1(1e-4))
    plain, fast = (
        so.solve(hard, so.ProximalGradient(accelerated=accelerated), tol=1e-8, max_iter=10**5)
        for accelerated in (False, True)
    )
    assert fast.status is so.Status.CONVERGED
    assert plain.status is so.Status.CONVERGED
    assert fast.iterations < plain.iterations / 2


def test_backtracking_needs_no_curvature():
    """Steps follow the data over ten orders of magnitude."""
    for scale in (1e-5, 1.0, 1e5):
        problem = so.Problem(so.LeastSquares(scale * X, Y), so.L1(0.02 * scale))
        ours = so.solve(problem, so.ProximalGradient(), tol=1e-8)
        assert ours.status is so.Status.CONVERGED
        np.testing.assert_allclose(ours.w * scale, so.solve(LASSO, tol=1e-10).w, atol=1e-3)


def test_a_fixed_step_that_is_too_long_is_reported_not_hidden():
    ours = so.solve(LASSO, so.ProximalGradient(accelerated=False, step_length=3.0 / LIPSCHITZ), max_iter=50)
    assert ours.status is not so.Status.CONVERGED
    assert not ours.certificate.relative_gap <= 1e-6


@pytest.mark.parametrize("constraint", [so.Simplex(), so.L1Ball(0.5)])
def test_every_iterate_lies_in_the_set(constraint):
    problem, seen = so.Problem(LASSO.loss, constraint=constraint), []
    so.solve(
        problem,
        so.ProximalGradient(),
        np.full(15, 1 / 15),
        callback=lambda iterations, w: seen.append(problem.violation(w)),
    )
    assert max(seen) <= 1e-14


def test_a_gradient_of_a_problem_without_data_is_no_trouble():
    zero = so.Problem(so.LeastSquares(np.zeros((4, 3)), np.ones(4)), so.L1(0.1))
    assert so.solve(zero, so.ProximalGradient()).status is so.Status.CONVERGED
