"""Features that fit noise are exchanged: draws beside quadrature, exchanges beside all supports, and what it is good for."""

import itertools

import numpy as np
import pytest

from sparseopt.pruning.best_subset import BestSubset
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.features import FeatureData
from sparseopt.pruning.foresight import foreseeing, nearest, posterior


def moments(X, y):
    X, y = X - X.mean(axis=0), y - y.mean()
    return X.T @ X / len(X), X.T @ y / len(X), y @ y / len(X)


def quadrature(gram, cross, square, n):
    """Posterior mean of one coefficient: the noise integrated out by hand, both scales over a grid of logarithms."""
    grid = np.linspace(-14, 14, 561)
    root = np.exp(grid)
    # A half Cauchy root, over its logarithm.
    prior = root / (1 + root**2)
    size = np.multiply.outer(root, root) ** 2
    mean = cross / (gram + 1 / (n * size))
    weight = np.multiply.outer(prior, prior) / np.sqrt(1 + n * gram * size) * (square - cross * mean) ** (-n / 2)
    return float(np.sum(weight * mean) / np.sum(weight))


@pytest.mark.parametrize("slope", [0.0, 0.3, 2.0])
def test_the_posterior_mean_of_one_coefficient_is_its_integral(slope):
    rng = np.random.default_rng(int(10 * slope))
    x = rng.standard_normal((20, 1))
    gram, cross, square = moments(x, slope * x[:, 0] + rng.standard_normal(20))
    draws = np.concatenate([posterior(gram, cross, square, 20, seed, Clock()) for seed in range(20)])[:, 0]
    # Draws follow each other: those of different seeds do not.
    noise = draws.reshape(20, -1).mean(axis=1).std(ddof=1) / np.sqrt(20)
    assert abs(draws.mean() - quadrature(gram[0, 0], cross[0], square, 20)) < 4 * noise


def test_draws_are_those_of_the_seed():
    rng = np.random.default_rng(0)
    data = moments(rng.standard_normal((30, 5)), rng.standard_normal(30))
    first = posterior(*data, 30, 0, Clock())
    assert np.array_equal(first, posterior(*data, 30, 0, Clock()))
    assert not np.array_equal(first, posterior(*data, 30, 1, Clock()))


@pytest.mark.parametrize("seed", range(5))
def test_exchanges_end_where_no_single_one_brings_the_refit_nearer(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 7)) @ rng.standard_normal((7, 7))
    y = X @ rng.standard_normal(7) + 5 * rng.standard_normal(40)
    gram, cross, _ = moments(X, y)
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
    assert foreseeing(X, y, support, 0, Clock(limit=-1.0)).tolist() == [1, 4]
    assert foreseeing(X, np.zeros(30), support, 0, Clock()).tolist() == [1, 4]
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
