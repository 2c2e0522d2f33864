"""The likeliest ridge against the likelihood itself, from the covariance of the targets."""

import numpy as np
import pytest
from scipy import sparse

from sparseopt.pruning import evidence
from sparseopt.pruning.evidence import likeliest_ridge


def data(n, p, noise, outputs=1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    Y = X @ rng.standard_normal((p, outputs)) / np.sqrt(p) + noise * rng.standard_normal((n, outputs))
    Y -= Y.mean(axis=0)
    return X, Y[:, 0] if outputs == 1 else Y


def brute_force(X, Y):
    n, Y = len(X), Y.reshape(len(X), -1)
    likelihoods = []
    for ridge in evidence._GRID:
        covariance = np.eye(n) + X @ X.T / (n * ridge)
        noise = np.sum(Y * np.linalg.solve(covariance, Y), axis=0)
        likelihoods.append(-(n - 1) * np.log(noise).sum() - Y.shape[1] * np.linalg.slogdet(covariance)[1])
    return evidence._GRID[int(np.argmax(likelihoods))]


@pytest.mark.parametrize(("n", "p"), [(80, 10), (60, 100), (50, 7)])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("noise", [0.01, 1.0, 3.0])
def test_it_is_where_the_likelihood_is_highest(n, p, outputs, noise):
    X, Y = data(n, p, noise, outputs)
    assert likeliest_ridge(X, Y) == pytest.approx(brute_force(X, Y), rel=1e-12)
    assert likeliest_ridge(sparse.csc_array(X), Y) == pytest.approx(likeliest_ridge(X, Y), rel=1e-12)


def test_columns_that_depend_on_each_other_or_are_zero_do_no_harm():
    X, y = data(60, 8, 1.0)
    wide = np.column_stack([X, X[:, 0], np.zeros(60)])
    assert likeliest_ridge(wide, y) == pytest.approx(brute_force(wide, y), rel=1e-12)


def test_of_many_samples_some_say_what_all_would(monkeypatch):
    X, y = data(1200, 400, 1.0)
    whole = likeliest_ridge(X, y)
    monkeypatch.setattr(evidence, "_ROWS", 300)
    # The relative error of a variance from some hundred numbers is about sqrt(2 / 300), and there are two of them.
    assert abs(np.log(likeliest_ridge(X, y) / whole)) < 0.5
