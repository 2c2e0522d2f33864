"""SlopeWorkingSet ends where FISTA on all columns does, and sooner."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.solvers import slope_working_set
from sparseopt.testing import check_solver

RNG = np.random.default_rng(6)
N, P = 50, 300
X = RNG.standard_normal((N, P)) + 0.7 * RNG.standard_normal((N, 1))
Y = X[:, :5] @ [2.0, -2.0, 2.0, 1.0, -1.0] + 0.5 * RNG.standard_normal(N)


def strongest(X, y):
    """The least alpha for which OSCAR's alphas, this times 1 + k / p, leave nothing."""
    form = so.SLOPE.oscar(1.0, 1.0 / P, P).convex_form(P)
    slope = X.T @ y / y.size
    big = 1e6 * slope
    return 1e-6 / form.largest_scale(big)


@pytest.mark.parametrize("fraction", [1.1, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("intercept", [False, True])
def test_it_ends_where_fista_does(fraction, storage, intercept):
    alpha = fraction * strongest(X, Y)
    loss = so.LeastSquares(storage(X), Y, sample_weight=np.arange(1.0, N + 1), intercept=intercept)
    problem = so.Problem(loss, so.SLOPE.oscar(alpha, alpha / P, P))
    solution = so.solve(problem, so.SlopeWorkingSet(), tol=1e-8, max_iter=100_000)
    plain = so.solve(problem, so.ProximalGradient(), tol=1e-8, max_iter=100_000)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.relative_gap <= 1e-8
    assert solution.certificate.objective == pytest.approx(plain.certificate.objective, rel=2e-8)


def test_a_large_working_set_goes_without_a_gram_matrix(monkeypatch):
    monkeypatch.setattr(slope_working_set, "_LARGEST_GRAM", 10)
    problem = so.Problem(so.LeastSquares(X, Y), so.SLOPE.oscar(0.1, 0.0001, P))
    assert so.solve(problem, so.SlopeWorkingSet()).status is so.Status.CONVERGED


def test_it_is_the_default_for_slope_and_keeps_the_laws_of_solvers():
    problems = [
        so.Problem(so.LeastSquares(X, Y), so.SLOPE.oscar(0.2, 0.001, P)),
        so.Problem(so.LeastSquares(X.astype(np.float32), Y), so.SLOPE.oscar(0.2, 0.001, P)),
        so.Problem(so.LeastSquares(X, Y), so.L1(0.1)),
        so.Problem(so.Huber(X, Y), so.SLOPE.oscar(0.2, 0.001, P)),
    ]
    assert isinstance(so.default_solver(problems[0]), so.SlopeWorkingSet)
    assert isinstance(so.default_solver(problems[3]), so.TiedNewton)
    check_solver(so.SlopeWorkingSet(), problems)


def test_a_path_that_keeps_the_matrix_of_its_columns_ends_where_single_runs_do():
    rng = np.random.default_rng(8)
    X, y = rng.standard_normal((40, 160)), rng.standard_normal(40)
    loss = so.LeastSquares(X, y, rng.uniform(0.5, 1.5, 40), intercept=True)
    sequence = np.linspace(1.0, 0.5, 160)
    first = so.alpha_max(loss, so.SLOPE(sequence))
    penalties = [so.SLOPE(a * first * sequence) for a in (1.0, 0.5, 0.1, 0.3)]
    found = so.path(so.Problem(loss, penalties[0]), penalties, so.SlopeWorkingSet(), tol=1e-10)
    for penalty, solution in zip(penalties, found.solutions, strict=True):
        alone = so.solve(so.Problem(loss, penalty), so.SlopeWorkingSet(), tol=1e-10)
        assert solution.certificate.relative_gap <= 1e-10
        np.testing.assert_allclose(solution.w, alone.w, atol=1e-6)


@pytest.mark.parametrize("of_y", [1e-70, 1.0, 1e70])
@pytest.mark.parametrize("of_x", [1e-70, 1e70])
def test_columns_whose_squares_are_out_of_range_need_no_matrix(of_x, of_y):
    """The Gram matrix that they would have is one that no loss takes."""
    rng = np.random.default_rng(6)
    X, y = rng.standard_normal((30, 6)), rng.standard_normal(30)
    alphas = np.linspace(0.2, 0.05, 6)
    solution = so.solve(so.Problem(so.LeastSquares(X * of_x, y * of_y), so.SLOPE(alphas * of_x * of_y)), tol=1e-10)
    assert solution.status is so.Status.CONVERGED
    plain = so.solve(so.Problem(so.LeastSquares(X, y), so.SLOPE(alphas)), tol=1e-10)
    np.testing.assert_allclose(solution.w * (of_x / of_y), plain.w, atol=1e-5)


@pytest.mark.parametrize("max_iter", [1, 999, 1000, 1003, 10_000])
def test_newton_steps_count_as_iterations_and_come_after_many_of_fista(monkeypatch, max_iter):
    """A limit of the user's ended FISTA, and 200 Newton steps followed that were not counted."""
    models, curvature_of = [], slope_working_set.curvature_of
    monkeypatch.setattr(slope_working_set, "curvature_of", lambda *given: models.append(given) or curvature_of(*given))
    rng = np.random.default_rng(9)
    X, alphas = rng.standard_normal((60, 20)) * np.geomspace(1.0, 1e4, 20), np.linspace(1.0, 0.5, 20)
    loss = so.LeastSquares(X, X @ (1.0 / np.geomspace(1.0, 1e4, 20)) + 0.1 * rng.standard_normal(60))
    solution = so.solve(so.Problem(loss, so.SLOPE(0.01 * alphas)), so.SlopeWorkingSet(), max_iter=max_iter)
    assert solution.iterations <= max_iter
    assert bool(models) == ("Newton steps" in solution.account) == (max_iter > 1000)
    if max_iter == 10_000:
        assert solution.status is so.Status.CONVERGED
