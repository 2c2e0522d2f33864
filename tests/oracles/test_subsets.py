"""Sparse problems that are not convex, against the best of all supports."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparseopt as so
from sparseopt.solvers.working.newton import minimise_on


def drawn(seed, n=30, p=9):
    """A small regression with correlated columns."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, p)) + 0.5 * random.standard_normal((n, 1))
    w = np.zeros(p)
    w[random.choice(p, 3, replace=False)] = random.choice([-1.0, 1.0], 3) * random.uniform(0.5, 2.0, 3)
    return X, X @ w + 0.3 * random.standard_normal(n)


def best_subset(loss, k):
    """Least value of the loss over all supports of k columns."""
    p = loss.n_features
    return min(
        loss.evaluate(minimise_on(loss, np.array(columns), np.zeros(p))) for columns in combinations(range(p), k)
    )


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@given(seed=st.integers(0, 2**32 - 1))
def test_hard_thresholding_ends_where_no_step_gains(refit, k, seed):
    """Never above its start, never below the best subset, and stationary (Beck and Eldar, 2013)."""
    X, y = drawn(seed)
    loss = so.LeastSquares(X, y)
    problem = so.Problem(loss, constraint=so.Cardinality(k))
    w0 = np.zeros(9)
    w0[:k] = 1.0
    ours = so.solve(problem, so.HardThresholding(refit=refit), w0, tol=1e-9)
    assert ours.support.size <= k
    assert ours.status is so.Status.CONVERGED
    assert ours.certificate.objective <= problem.objective(w0)
    lipschitz = np.linalg.eigvalsh(X.T @ X / 30)[-1]
    slope = loss.gradient(ours.w)
    assert np.abs(slope[ours.support]).max(initial=0.0) <= 1e-7 * np.abs(loss.gradient(np.zeros(9))).max()
    if ours.support.size == k:
        outside = np.delete(np.abs(slope), ours.support).max()
        assert outside <= lipschitz * np.abs(ours.w[ours.support]).min() * (1 + 1e-6)


@pytest.mark.parametrize("k", [1, 3])
def test_hard_thresholding_is_never_better_than_the_best_subset(k):
    for seed in range(5):
        X, y = drawn(seed)
        loss = so.LeastSquares(X, y, intercept=True)
        best = best_subset(loss, k)
        ours = so.solve(so.Problem(loss, constraint=so.Cardinality(k)))
        assert ours.certificate.objective >= best * (1 - 1e-12)
        assert ours.certificate.lower_bound <= best


def test_a_clear_support_is_found_and_refitted():
    X, w = np.random.default_rng(0).standard_normal((60, 12)), np.zeros(12)
    w[[2, 5, 11]] = 3.0, -2.0, 1.0
    loss = so.LeastSquares(X, X @ w + 0.01 * np.random.default_rng(0).standard_normal(60), intercept=True)
    ours = so.solve(so.Problem(loss, constraint=so.Cardinality(3)))
    assert ours.support.tolist() == [2, 5, 11]
    assert ours.certificate.objective == pytest.approx(best_subset(loss, 3), rel=1e-10)


@pytest.mark.parametrize("loss", [so.Logistic, so.Huber])
def test_other_losses_have_subsets_too(loss):
    X, y = drawn(3)
    loss = loss(X, np.sign(y) if loss is so.Logistic else y, intercept=True)
    ours = so.solve(so.Problem(loss, so.Ridged(so.Zero(), 0.01), so.Cardinality(2)))
    assert ours.support.size <= 2
    assert ours.certificate.stationarity <= 1e-6 * np.abs(loss.gradient(np.zeros(9))).max()


@pytest.mark.parametrize("penalty", [so.L0(0.02), so.MCP(0.1), so.SCAD(0.1), so.Ridged(so.L0(0.02), 0.1)], ids=repr)
def test_coordinate_descent_ends_where_no_coordinate_gains(penalty):
    """By search along each coordinate, on a grid and at zero."""
    for seed in range(3):
        X, y = drawn(seed)
        problem = so.Problem(so.LeastSquares(X, y), penalty)
        ours = so.solve(problem, tol=1e-10)
        assert ours.certificate.objective <= problem.objective(np.zeros(9))
        for j in range(9):
            for x in np.append(np.linspace(-4, 4, 401), 0.0):
                w = ours.w.copy()
                w[j] = x
                assert problem.objective(w) >= ours.certificate.objective - 1e-9


@pytest.mark.parametrize("k", [0, 9])
def test_no_and_all_columns_are_subsets(k):
    X, y = drawn(0)
    ours = so.solve(so.Problem(so.LeastSquares(X, y, intercept=True), constraint=so.Cardinality(k)))
    assert ours.support.size == k
    if k:
        design = np.column_stack([X, np.ones(30)])
        np.testing.assert_allclose(ours.w, np.linalg.lstsq(design, y, rcond=None)[0][:-1], atol=1e-8)
