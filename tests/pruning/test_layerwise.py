"""Oracles of the layer's subset selection: brute force and numpy's least squares."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparseopt.pruning import LayerwiseL0, Magnitude, NumpyMLP, prune
from sparseopt.pruning.layerwise import BLOCK, best_exchanges, elimination
from sparseopt.pruning.networks import Layer
from sparseopt.pruning.reconstruction import Reconstruction


def problem(p, seed, n=60):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ rng.standard_normal((p, p))
    gram = X.T @ X / n
    return gram, gram @ rng.standard_normal(p)


def loss(gram, cross, support):
    """Least value of w'Hw/2 - b'w over weights on the support."""
    support = list(support)
    return -cross[support] @ np.linalg.solve(gram[np.ix_(support, support)], cross[support]) / 2


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_each_eliminated_weight_is_the_cheapest_and_its_loss_exact(seed, p):
    gram, cross = problem(p, seed)
    order, losses = elimination(np.linalg.inv(gram), np.linalg.solve(gram, cross))
    left = list(range(p))
    for q, cost in zip(order, losses, strict=True):
        costs = [loss(gram, cross, set(left) - {j}) - loss(gram, cross, left) if len(left) > 1 else None for j in left]
        if len(left) == 1:
            costs = [-loss(gram, cross, left)]
        assert cost == pytest.approx(min(costs), rel=1e-6, abs=1e-9)
        assert costs[left.index(q)] == pytest.approx(min(costs), rel=1e-6, abs=1e-9)
        left.remove(q)


def test_elimination_in_blocks_is_elimination_one_by_one():
    p = 2 * BLOCK + 7
    gram, cross = problem(p, 0, n=500)
    order, losses = elimination(np.linalg.inv(gram), np.linalg.solve(gram, cross))
    assert sorted(order) == list(range(p))
    removed = np.cumsum(losses)
    for kept in (p - 1, p - BLOCK - 1, BLOCK, 3, 1):
        support = order[p - kept :]
        expected = loss(gram, cross, support) - loss(gram, cross, range(p))
        assert removed[p - kept - 1] == pytest.approx(expected, rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 9), st.data())
def test_after_the_exchanges_no_exchange_helps(seed, p, data):
    gram, cross = problem(p, seed)
    start = np.array(data.draw(st.sets(st.integers(0, p - 1), min_size=1, max_size=p).map(sorted)))
    lent = start.copy()
    support = best_exchanges(gram, cross, start, 100)
    found = loss(gram, cross, support)
    assert len(set(support)) == len(start)
    assert found <= loss(gram, cross, start) + 1e-9
    for out, into in itertools.product(support, set(range(p)) - set(support)):
        assert loss(gram, cross, (set(support) - {out}) | {into}) >= found - 1e-6 * abs(found)
    assert np.array_equal(start, lent)


@pytest.mark.parametrize("seed", range(8))
def test_each_exchange_is_the_best_of_all(seed):
    """Also where features are passed over, since they promise too little."""
    gram, cross = problem(12, seed)
    start = np.arange(4)
    support = best_exchanges(gram, cross, start, 1)
    best = min(loss(gram, cross, (set(start) - {out}) | {into}) for out, into in itertools.product(start, range(4, 12)))
    assert loss(gram, cross, support) == pytest.approx(min(best, loss(gram, cross, start)), rel=1e-9)


def test_elimination_and_exchanges_find_the_best_subset_or_nearly():
    """The best of all subsets by brute force in 40 problems of 10 inputs: equal in four of five, never far."""
    excess = []
    for seed, k in itertools.product(range(10), (2, 4, 6, 8)):
        gram, cross = problem(10, seed)
        order, _ = elimination(np.linalg.inv(gram), np.linalg.solve(gram, cross))
        support = best_exchanges(gram, cross, np.sort(order[10 - k :]), 100)
        best = min(loss(gram, cross, subset) for subset in itertools.combinations(range(10), k))
        full = loss(gram, cross, range(10))
        excess.append((loss(gram, cross, support) - best) / -full)
    assert np.mean(np.array(excess) < 1e-9) >= 0.8
    assert max(excess) < 0.1


def test_exchanges_of_many_weights_stay_exact():
    """A hundred rank-one updates lose nothing: the result is where one more call stops at once."""
    gram, cross = problem(150, 3, n=400)
    support = best_exchanges(gram, cross, np.arange(75), 1000)
    assert np.array_equal(best_exchanges(gram, cross, support, 1000), support)
    assert loss(gram, cross, support) < loss(gram, cross, range(75))


@pytest.mark.parametrize("has_bias", [True, False])
def test_the_refit_is_that_of_numpy(has_bias):
    """Damped least squares by lstsq: the damping is extra rows, the bias a column of ones without any."""
    rng = np.random.default_rng(4)
    inputs, targets = rng.standard_normal((9000, 6)) + 1, rng.standard_normal((9000, 3)) - 2
    layer = Layer("w", rng.standard_normal((6, 3)), rng.standard_normal(3) if has_bias else None)
    regression = Reconstruction.of(inputs, targets, layer, 0.1)
    kept = rng.random((6, 3)) < 0.6
    kept[:, 2] = False
    fitted = regression.fitted(layer, regression.refit(kept))
    ones = np.ones((9000, int(has_bias)))
    for output in range(3):
        support = np.flatnonzero(kept[:, output])
        rows = np.hstack([inputs[:, support], ones])
        damped = np.sqrt(9000 * regression.damping) * np.eye(rows.shape[1])[: support.size]
        wanted = np.concatenate([targets[:, output], np.diag(damped) * layer.weight[support, output]])
        expected = np.linalg.lstsq(np.vstack([rows, damped]), wanted)[0]
        np.testing.assert_allclose(fitted.weight[support, output], expected[: support.size], atol=1e-10)
        assert not np.delete(fitted.weight[:, output], support).any()
        if has_bias:
            assert fitted.bias[output] == pytest.approx(expected[-1], abs=1e-10)


def test_without_correlation_magnitude_is_right():
    """Uncorrelated inputs of equal size, in one layer: the largest weights are the best subset."""
    rng = np.random.default_rng(5)
    X = np.linalg.qr(rng.standard_normal((50, 12)))[0]
    network = NumpyMLP([rng.standard_normal((12, 4))])
    ours, plain = (prune(network, X, sparsity=0.7, method=m) for m in (LayerwiseL0(damping=1e-6), Magnitude()))
    assert ours.mask == plain.mask
