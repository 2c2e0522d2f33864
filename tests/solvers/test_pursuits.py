"""Matching pursuit and splicing: heuristics that local search is compared with."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

RNG = np.random.default_rng(3)
X = RNG.standard_normal((60, 30))
W = np.zeros(30)
W[[2, 11, 20]] = 2.0, -1.5, 1.0
Y = X @ W + 0.1 * RNG.standard_normal(60) + 3.0
SOLVERS = [so.OrthogonalMatchingPursuit(), so.Splicing(), so.Splicing(most=1)]


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
def test_a_clear_support_is_found_and_refitted(solver, storage):
    problem = so.Problem(so.LeastSquares(storage(X), Y, intercept=True), constraint=so.Cardinality(3))
    solution = so.solve(problem, solver)
    assert solution.status is so.Status.CONVERGED
    assert solution.support.tolist() == [2, 11, 20]
    exact = np.linalg.lstsq(np.column_stack([X[:, solution.support], np.ones(60)]), Y, rcond=None)[0]
    np.testing.assert_allclose(solution.w[solution.support], exact[:3], atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
@pytest.mark.parametrize("k", [0, 1, 30])
def test_no_one_and_all_features(solver, k):
    solution = so.solve(so.Problem(so.LeastSquares(X, Y), so.Ridged(so.Zero(), 0.1), so.Cardinality(k)), solver)
    assert solution.support.size == k
    assert solution.certificate.violation == 0.0


def test_matching_pursuit_is_that_of_scikit_learn():
    from sklearn.linear_model import orthogonal_mp

    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    theirs = orthogonal_mp(standard, Y - Y.mean(), n_nonzero_coefs=8)
    problem = so.Problem(so.LeastSquares(standard, Y - Y.mean()), constraint=so.Cardinality(8))
    np.testing.assert_allclose(so.solve(problem, so.OrthogonalMatchingPursuit()).w, theirs, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_more_than_the_rank_and_columns_that_are_the_same_are_no_trouble(solver):
    twice = np.column_stack([X[:5], X[:5, :3], np.zeros(5)])
    solution = so.solve(so.Problem(so.LeastSquares(twice, Y[:5]), constraint=so.Cardinality(20)), solver)
    assert np.isfinite(solution.w).all()
    assert solution.certificate.objective <= 1e-10 * np.mean(Y[:5] ** 2)


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
@pytest.mark.parametrize("loss", [so.Logistic, so.Huber])
def test_other_losses_are_taken_too(solver, loss):
    target = np.where(np.mean(Y) < Y, 1.0, -1.0) if loss is so.Logistic else Y
    problem = so.Problem(loss(X, target, intercept=True), so.Ridged(so.Zero(), 0.01), so.Cardinality(3))
    solution = so.solve(problem, solver)
    assert solution.support.tolist() == [2, 11, 20]
    assert solution.certificate.stationarity <= 1e-6


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_a_start_is_never_made_worse(solver):
    problem = so.Problem(so.LeastSquares(X, Y, intercept=True), constraint=so.Cardinality(4))
    w0 = np.zeros(30)
    w0[[0, 1, 2, 3]] = 1.0
    assert so.solve(problem, solver, w0).certificate.objective <= problem.objective(w0)
