"""Gram matrices of sparse columns, and the runs that turn to them or meet columns that are combinations of others."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.solvers.working import gram_model, sparse_columns
from sparseopt.solvers.working.residual_model import ResidualModel
from sparseopt.solvers.working.sparse_columns import SparseColumns

N, P = 70, 40


def sparse_data(seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((N, P)) < 0.15, rng.standard_normal((N, P)), 0.0)
    X[:, 7] = 0.0
    X[:, 8] = 1.0
    X[:, 9] = X[:, 10]
    return sparse.csc_array(X.astype(dtype)), rng.standard_normal(N).astype(dtype), rng.uniform(0.0, 2.0, N)


@pytest.mark.parametrize("at_once", [1, 40, 1 << 15])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_of_a_gram_matrix_from_sparse_columns_are_those_from_dense_ones(
    at_once, intercept, is_weighted, dtype, monkeypatch
):
    monkeypatch.setattr(sparse_columns, "_AT_ONCE", at_once)
    X, y, samples = sparse_data(0, dtype)
    loss = so.LeastSquares(X, y, samples if is_weighted else None, intercept)
    dense = loss.X.to_array()
    rows = np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), N)
    expected = dense.T @ (rows[:, None] * dense)
    columns, order = SparseColumns(loss), np.random.default_rng(1).permutation(P)
    for batch in (order[:5], order[5:6], order[6:]):
        found = columns.extend(batch)
        known = order[: found.shape[1]]
        # rounding of means in the loss's own precision, and what is held above zero in a constant column
        np.testing.assert_allclose(found, expected[np.ix_(batch, known)], rtol=0.0, atol=2e2 * np.finfo(dtype).eps)


def test_columns_that_are_left_out_are_multiplied_no_more():
    X, y, _ = sparse_data(2)
    loss, dense = so.LeastSquares(X, y), X.toarray()
    columns = SparseColumns(loss)
    columns.extend(np.array([3, 5, 11]))
    columns.restrict(np.array([True, False, True]))
    np.testing.assert_allclose(columns.extend(np.array([20])), dense[:, [20]].T @ dense[:, [3, 11, 20]] / N, atol=1e-14)


def test_all_columns_in_their_order_are_the_design_itself():
    X = so.LeastSquares(*sparse_data(2)[:2]).X
    every = np.arange(X.shape[1])
    assert X.restrict(every) is X
    for columns in (every[::-1], every[:-1], every > 0, np.zeros_like(every)):
        np.testing.assert_array_equal(X.restrict(columns).to_array(), X.to_array()[:, columns])


PENALTIES = [
    so.L1(0.01),
    so.Ridged(so.L1(0.01), 0.01),
    so.Nonnegative(so.L1(0.01)),
    so.Weighted(so.L1(0.01), np.linspace(0.0, 2.0, P)),
]


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: f"{penalty!r:.20}")
@pytest.mark.parametrize("intercept", [False, True])
def test_a_run_that_turns_to_a_gram_matrix_ends_at_the_same_optimum(penalty, intercept, monkeypatch):
    X, y, samples = sparse_data(3)
    problem = so.Problem(so.LeastSquares(X, y, samples, intercept), penalty)
    plain = so.solve(problem, so.CoordinateDescent(), tol=1e-10, max_iter=100_000)
    monkeypatch.setattr(ResidualModel, "is_dear", True)
    ours = so.solve(problem, so.WorkingSet(fewest=5), tol=1e-10)
    assert ours.account.startswith("Gram matrix")
    assert ours.certificate.relative_gap <= 1e-10
    np.testing.assert_allclose(ours.w, plain.w, atol=1e-4)


def test_descent_that_is_slow_on_long_sparse_columns_turns_to_a_gram_matrix():
    rng = np.random.default_rng(4)
    # each sample has a level of each of six factors and of their pairs: columns that add up to one another
    levels = rng.integers(0, 8, (20_000, 6))
    pairs = [8 * levels[:, i] + levels[:, j] for i in range(6) for j in range(i)]
    blocks = [sparse.csc_array(np.eye(8)[v]) for v in levels.T] + [sparse.csc_array(np.eye(64)[v]) for v in pairs]
    X = sparse.hstack(blocks, format="csc")
    y = X @ rng.standard_normal(X.shape[1]) + rng.standard_normal(20_000)
    loss = so.LeastSquares(X, y, intercept=True)
    alpha = 1e-3 * float(np.abs(loss.gradient(np.zeros(X.shape[1]))).max())
    found = so.solve(so.Problem(loss, so.L1(alpha)), so.WorkingSet(), tol=1e-8)
    assert found.account.startswith("Gram matrix")
    assert found.certificate.relative_gap <= 1e-8


def test_a_concave_penalty_keeps_the_model_of_its_sparse_columns(monkeypatch):
    X, y, _ = sparse_data(5)
    monkeypatch.setattr(ResidualModel, "is_dear", True)
    found = so.solve(so.Problem(so.LeastSquares(X, y), so.MCP(0.01)), so.WorkingSet())
    assert not found.account.startswith("Gram matrix")


def test_a_large_support_with_columns_that_are_combinations_of_others_is_solved(monkeypatch):
    monkeypatch.setattr(gram_model, "_EIGEN", 10)
    rng = np.random.default_rng(6)
    basis = rng.standard_normal((150, 60))
    X = np.hstack([basis, basis @ rng.standard_normal((60, 200)) / 8.0])
    y = X @ rng.standard_normal(260) + 0.1 * rng.standard_normal(150)
    problem = so.Problem(so.LeastSquares(X, y), so.L1(1e-4))
    found = so.solve(problem, so.WorkingSet(single_precision=False), tol=1e-9)
    assert found.account.startswith("Gram matrix")
    assert found.certificate.relative_gap <= 1e-9
