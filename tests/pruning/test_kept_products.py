"""Products of the samples with themselves are made once in a run, and nothing else changes by that."""

import numpy as np
import pytest

from sparseopt.pruning import Adam, LayerwiseL0, Linear, NumpyMLP, Samples, prune, prune_path
from sparseopt.pruning import reconstruction as module
from sparseopt.pruning.curvature import metrics
from sparseopt.pruning.networks import Layer
from sparseopt.pruning.reconstruction import Reconstruction

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 7)) + 1
WEIGHTS = [RNG.standard_normal((7, 5)), RNG.standard_normal((5, 3))]
NETWORK = NumpyMLP(WEIGHTS, link="softmax")


@pytest.mark.parametrize("has_bias", [True, False])
def test_moments_with_kept_products_are_those_without(has_bias, monkeypatch):
    monkeypatch.setattr(module, "ROWS", 25)
    layer = Layer("w", WEIGHTS[0], np.ones(5) if has_bias else None)
    other = Layer("w", WEIGHTS[0], None if has_bias else np.ones(5))
    grams = {}
    Reconstruction.of(X, layer(X), layer, 0.01, grams)
    Reconstruction.of(X, other(X), other, 0.01, grams)
    for wanted in (layer, other):
        targets = np.cos(wanted(X))
        again, plain = (Reconstruction.of(X, targets, wanted, 0.1, kept) for kept in (grams, None))
        for name in ("gram", "cross", "damping", "input_mean", "target_mean", "energy"):
            assert np.array_equal(getattr(again, name), getattr(plain, name))


def test_only_the_samples_themselves_have_kept_products():
    samples = Samples(X)
    assert samples.grams(X) is samples.grams(X) == {}
    assert samples.grams(X.copy()) is None


def test_metrics_are_those_of_the_network_asked_about():
    samples, other = Samples(X), NumpyMLP([2 * weight for weight in WEIGHTS], link="softmax")
    for network in (NETWORK, NETWORK, other, NETWORK):
        found = samples.metrics(network)
        assert all(map(np.array_equal, found, metrics(network, X)))
    assert samples.metrics(NETWORK) is found


def test_a_run_in_stages_is_the_same_with_and_without(monkeypatch):
    options = {"sparsity": 0.6, "schedule": Linear(3), "refit": Adam(epochs=3), "method": LayerwiseL0(sweeps=1)}
    y = RNG.integers(0, 3, 60)
    kept, path = prune(NETWORK, X, y, **options), prune_path(NETWORK, X, sparsities=[0.3, 0.6])
    monkeypatch.setattr(Samples, "grams", lambda self, inputs: None)
    monkeypatch.setattr(Samples, "metrics", lambda self, network: metrics(network, self.X))
    plain = prune(NETWORK, X, y, **options)
    for found, wanted in [(kept, plain), *zip(path, prune_path(NETWORK, X, sparsities=[0.3, 0.6]), strict=True)]:
        assert found.mask == wanted.mask
        assert all(map(np.array_equal, found.model.weights, wanted.model.weights))
