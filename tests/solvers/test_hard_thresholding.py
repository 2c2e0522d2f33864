"""Hard thresholding: supports, refits and starts (the oracle over all supports is in tests/oracles)."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

RNG = np.random.default_rng(8)
X = RNG.standard_normal((50, 20))
W = np.zeros(20)
W[[1, 5, 12]] = 2.0, -1.5, 1.0
Y = X @ W + 0.1 * RNG.standard_normal(50) + 3.0


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("refit", [True, False])
def test_the_result_is_least_squares_on_its_support(storage, refit):
    solution = so.solve(
        so.Problem(so.LeastSquares(storage(X), Y, intercept=True), constraint=so.Cardinality(3)),
        so.HardThresholding(refit=refit),
    )
    assert solution.support.tolist() == [1, 5, 12]
    exact = np.linalg.lstsq(np.column_stack([X[:, [1, 5, 12]], np.ones(50)]), Y, rcond=None)[0]
    np.testing.assert_allclose(solution.w[solution.support], exact[:3], atol=1e-5)
    np.testing.assert_allclose(solution.intercept, exact[3], atol=1e-5)


def test_a_ridge_is_part_of_the_refit():
    problem = so.Problem(so.LeastSquares(X, Y - 3.0), so.Ridged(so.Zero(), 0.5), so.Cardinality(3))
    solution = so.solve(problem)
    part = X[:, solution.support]
    np.testing.assert_allclose(
        solution.w[solution.support],
        np.linalg.solve(part.T @ part / 50 + 0.5 * np.eye(3), part.T @ (Y - 3.0) / 50),
        atol=1e-10,
    )


def test_a_start_outside_of_the_set_is_projected():
    solution = so.solve(so.Problem(so.LeastSquares(X, Y), constraint=so.Cardinality(3)), w0=np.arange(20.0))
    assert solution.support.size <= 3
    assert solution.certificate.violation == 0.0


def test_twice_the_same_column_is_no_trouble():
    twice = np.column_stack([X, X[:, 1]])
    solution = so.solve(so.Problem(so.LeastSquares(twice, Y, intercept=True), constraint=so.Cardinality(4)))
    assert np.all(np.isfinite(solution.w))
    assert solution.certificate.objective <= so.Problem(so.LeastSquares(twice, Y, intercept=True)).objective(
        np.append(W, 0.0)
    )


def test_more_columns_than_rows_can_hold_is_no_trouble():
    solution = so.solve(so.Problem(so.LeastSquares(X[:5], Y[:5]), constraint=so.Cardinality(10)))
    assert np.all(np.isfinite(solution.w))
    assert solution.certificate.objective <= 1e-8 * np.mean(Y[:5] ** 2)


def test_float32_data_gives_float32_coefficients():
    solution = so.solve(
        so.Problem(so.LeastSquares(X.astype(np.float32), Y, intercept=True), constraint=so.Cardinality(3))
    )
    assert solution.w.dtype == np.float32
    assert solution.support.tolist() == [1, 5, 12]
