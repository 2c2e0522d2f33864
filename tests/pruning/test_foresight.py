"""Features that fit noise are exchanged: sums and lassos beside oracles, exchanges beside all supports, what it is good for."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from sparseopt.kernels.lasso_grams import follow_lassos
from sparseopt.losses import LeastSquares
from sparseopt.penalties import L1
from sparseopt.problem import Problem
from sparseopt.pruning.best_subset import BestSubset
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.features import FeatureData
from sparseopt.pruning.foresight import Products, foreseeing, judged_lasso, mean_of_halves, nearest
from sparseopt.solve import solve


def moments(X, y):
    X, y = X - X.mean(axis=0), y - y.mean()
    return X.T @ X / len(X), X.T @ y / len(X)


def made(seed, n=40, p=7, noise=2.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ rng.standard_normal((p, p)) + rng.standard_normal(p)
    return X, X @ rng.standard_normal(p) + noise * rng.standard_normal(n) + 3.0


def test_sums_without_some_samples_are_those_of_the_others():
    X, y = made(0)
    held = np.arange(9)
    others = Products.of(X, y).without(Products.of(X[held], y[held]))
    for ours, wanted in zip(others.centred(), moments(X[9:], y[9:]), strict=True):
        assert np.allclose(ours, wanted, rtol=1e-12, atol=1e-12 * np.abs(X).max() ** 2)


@pytest.mark.parametrize("as_given", [np.asarray, sparse.csc_array])
def test_held_out_errors_are_those_of_predictions(as_given):
    X, y = made(1)
    W = np.random.default_rng(2).standard_normal((3, 7))
    held, trained = Products.of(as_given(X[:9]), y[:9]), Products.of(as_given(X[9:]), y[9:])
    for w, error in zip(W, held.errors(W, trained), strict=True):
        intercept = y[9:].mean() - X[9:].mean(axis=0) @ w
        assert error == pytest.approx(np.sum((intercept + X[:9] @ w - y[:9]) ** 2), rel=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_lassos_of_falling_strength_are_those_of_the_solver(seed):
    X, y = made(seed)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    gram, cross = moments(X, y)
    strengths = np.abs(cross).max() * np.array([0.5, 0.1, 0.01])
    W, slope = np.empty((3, 7)), np.empty(7)
    follow_lassos(gram, cross, strengths, slope, W, 10_000, 1e-10)
    for strength, w in zip(strengths, W, strict=True):
        assert np.allclose(w, solve(Problem(LeastSquares(X, y - y.mean()), L1(strength)), tol=1e-12).w, atol=1e-5)
    assert np.allclose(slope, cross - gram @ W[-1], atol=1e-9)


def test_the_lasso_of_reference_foresees_best_of_its_strengths():
    """By hand: each strength by each fold, with the library's own solver."""
    X, y = made(3, n=60, noise=6.0)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), y - y.mean()
    found = judged_lasso(X, y, Products.of(X, y), np.random.default_rng(5))
    strengths = np.abs(moments(X, y)[1]).max() * np.geomspace(1.0, 1e-3, 25)[1:]
    errors = np.zeros(24)
    for rows in np.array_split(np.random.default_rng(5).permutation(60), 5):
        A, b = np.delete(X, rows, axis=0), np.delete(y, rows)
        centre, mean = A.mean(axis=0), b.mean()
        for i, strength in enumerate(strengths):
            w = solve(Problem(LeastSquares(A - centre, b - mean), L1(strength)), tol=1e-10).w
            errors[i] += np.sum((y[rows] - mean - (X[rows] - centre) @ w) ** 2)
    best = solve(Problem(LeastSquares(X, y), L1(strengths[np.argmin(errors)])), tol=1e-10).w
    assert np.allclose(found, best, atol=2e-3 * np.abs(best).max())


def test_the_mean_of_halves_is_that_of_the_best_fits_on_them():
    X, y = made(4, n=50)
    X, y = X - X.mean(axis=0), y - y.mean()
    found = mean_of_halves(X, y, Products.of(X, y), 2, 0.0, np.random.default_rng(6))
    rng, fits = np.random.default_rng(6), []
    for _ in range(10):
        inside = np.zeros(50, bool)
        inside[rng.permutation(50)[:25]] = True
        for rows in (inside, ~inside):
            gram, cross = moments(X[rows], y[rows])
            tried = []
            for support in map(list, itertools.combinations(range(7), 2)):
                w = np.zeros(7)
                w[support] = np.linalg.solve(gram[np.ix_(support, support)], cross[support])
                tried.append(w)
            fits.append(max(tried, key=lambda w, cross=cross: w @ cross))
    assert np.allclose(found, np.mean(fits, axis=0), rtol=1e-5, atol=1e-7)


def test_the_choice_is_that_of_the_seed():
    X, y, *_ = noisy(0, 15)
    kept = [BestSubset().select(FeatureData(X, y, False, seed=seed), 15, Clock()).kept for seed in (1, 1)]
    assert np.array_equal(*kept)


@pytest.mark.parametrize("seed", range(5))
def test_exchanges_end_where_no_single_one_brings_the_refit_nearer(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 7)) @ rng.standard_normal((7, 7))
    y = X @ rng.standard_normal(7) + 5 * rng.standard_normal(40)
    gram, cross = moments(X, y)
    m = np.linalg.solve(gram + 0.3 * np.eye(7), cross)

    def distance(support):
        support = list(support)
        w = np.zeros(7)
        w[support] = np.linalg.solve(gram[np.ix_(support, support)], cross[support])
        return (w - m) @ gram @ (w - m)

    found = nearest(gram, cross, gram @ m, np.arange(3))
    least = distance(found)
    assert least <= distance(range(3))
    for support in itertools.combinations(range(7), 3):
        if len(set(support) & set(found.tolist())) == 2:
            assert least <= distance(support) * (1 + 1e-6)


def noisy(seed, k, n=150, p=60):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n + 2000, p))
    y = X[:, :3] @ [1.0, -1.0, 1.0] + 2 * rng.standard_normal(n + 2000)
    return X[:n], y[:n], X[n:], y[n:], k


def held_out(method, X, y, X_test, y_test, k):
    kept = method.select(FeatureData(X, y, False), k, Clock()).kept
    assert kept.sum() == k
    w, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(X)), X[:, kept]]), y)
    return float(np.mean((w[0] + X_test[:, kept] @ w[1:] - y_test) ** 2)), kept


def test_features_beyond_those_that_matter_do_not_fit_the_noise():
    """Three of sixty matter and fifteen are asked for: with the best fit twelve follow the noise."""
    errors = []
    for seed in range(8):
        case = noisy(seed, 15)
        (plain, _), (ours, kept) = held_out(BestSubset(ridges=1e-3), *case), held_out(BestSubset(), *case)
        assert kept[:3].all()
        errors.append((plain, ours))
    plain, ours = np.array(errors).T
    assert np.all(ours < plain)
    # An error is 4 from the noise, and what fitting fifteen coefficients adds is more than halved.
    assert np.mean(ours - 4) < 0.6 * np.mean(plain - 4)


def test_features_that_matter_stay():
    for seed in range(8):
        assert np.flatnonzero(held_out(BestSubset(), *noisy(seed, 3))[1]).tolist() == [0, 1, 2]


def test_where_time_is_up_or_nothing_varies_the_support_stays():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 6)), rng.standard_normal(30)
    X, y = X - X.mean(axis=0), y - y.mean()
    support = np.array([1, 4])
    assert foreseeing(X, y, support, 0.1, 0, Clock(limit=-1.0)).tolist() == [1, 4]
    assert foreseeing(X, np.zeros(30), support, 0.1, 0, Clock()).tolist() == [1, 4]
    assert BestSubset().select(FeatureData(np.ones((30, 4)), y, False), 2, Clock()).kept.sum() == 2


def test_what_is_asked_for_is_not_exchanged():
    """A ridge of one's own, or a proof, is about the best fit."""
    X, y, *_, k = noisy(0, 10)
    ridge = BestSubset(ridges=0.01).select(FeatureData(X, y, False), k, Clock())
    explained = {}
    for name, kept in (("ridge", ridge.kept), ("ours", BestSubset().select(FeatureData(X, y, False), k, Clock()).kept)):
        columns = X[:, kept] - X[:, kept].mean(axis=0)
        explained[name] = np.linalg.lstsq(columns, y - y.mean())[1][0]
    assert explained["ridge"] < explained["ours"]
