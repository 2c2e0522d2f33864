"""Oracles of the second order of a network: numerical Hessians, and the cost of errors that it foretells."""

import numpy as np
import pytest
from scipy.special import expit, logsumexp, softmax

from sparseopt.pruning import LayerwiseL0, NumpyMLP, prune
from sparseopt.pruning.curvature import PASSES, metrics, seeds
from sparseopt.pruning.layerwise import coupling_ratios, selection_sweep
from sparseopt.pruning.networks import Link


def curvature(link, z):
    match link:
        case Link.SOFTMAX:
            p = softmax(z)
            return np.diag(p) - np.outer(p, p)
        case Link.LOGISTIC:
            return np.diag(expit(z) * (1 - expit(z)))
    return np.eye(z.size)


@pytest.mark.parametrize("link", Link)
def test_seeds_add_up_to_the_curvature_of_the_loss(link):
    outputs = np.random.default_rng(0).standard_normal((5, 4)) * 3
    found = list(seeds(link, outputs))
    for i, z in enumerate(outputs):
        np.testing.assert_allclose(sum(np.outer(seed[i], seed[i]) for seed in found), curvature(link, z), atol=1e-12)


@pytest.mark.parametrize("link", Link)
def test_of_many_outputs_the_seeds_are_right_on_average(link):
    """Signs of 16 x 4000 draws: each entry is within six standard errors, of at most 1/sqrt(64000) each."""
    z = np.random.default_rng(1).standard_normal(PASSES + 4)
    outputs = np.tile(z, (4000, 1))
    mean = sum(seed.T @ seed for seed in seeds(link, outputs)) / len(outputs)
    np.testing.assert_allclose(mean, curvature(link, z), atol=6 / np.sqrt(64000))


def test_the_metric_foretells_the_loss_of_small_errors():
    """Random errors e of a layer's outputs, added through its bias: e'Me / 2 to second order, where inputs are one."""
    rng = np.random.default_rng(2)
    weights = [rng.standard_normal(shape) for shape in ((3, 5), (5, 4), (4, 3))]
    biases = [rng.standard_normal(size) for size in (5, 4, 3)]
    network = NumpyMLP(weights, biases, "tanh", "softmax")
    X = rng.standard_normal((200, 3))
    p = softmax(network.outputs(X), axis=1)
    for i, metric in enumerate(metrics(network, X)):
        error = 1e-3 * rng.standard_normal(len(metric))
        moved = [bias + error if j == i else bias for j, bias in enumerate(biases)]
        outputs = NumpyMLP(weights, moved, "tanh", "softmax").outputs(X)
        log_p = outputs - logsumexp(outputs, axis=1, keepdims=True)
        divergence = np.mean(np.sum(p * (np.log(p) - log_p), axis=1))
        assert divergence == pytest.approx(error @ metric @ error / 2, rel=0.02)


def coupled_objective(gram, cross, weight, metric):
    return np.trace(metric @ (weight.T @ gram @ weight / 2 - weight.T @ cross))


def test_sweeps_lower_the_coupled_objective_and_end_where_no_neuron_can_do_better():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((80, 12)) @ rng.standard_normal((12, 12))
    gram = X.T @ X / 80
    cross = gram @ rng.standard_normal((12, 5))
    root = rng.standard_normal((5, 2))
    metric = root @ root.T + 0.1 * np.eye(5)
    tempered = 0.9 * metric + 0.1 * np.diag(metric.diagonal())
    ratios = coupling_ratios(metric, 0.9)
    np.testing.assert_allclose(ratios * metric.diagonal(), tempered)
    weight, kept = np.zeros((12, 5)), rng.random((12, 5)) < 0.4
    counts = kept.sum(axis=0)
    selection_sweep(gram, cross, weight, kept, None, 100)
    before = [coupled_objective(gram, cross, weight, tempered)]
    for _ in range(200):
        selection_sweep(gram, cross, weight, kept, ratios, 100)
        before.append(coupled_objective(gram, cross, weight, tempered))
    assert all(np.diff(before) <= 1e-9 * abs(before[0]))
    assert before[-1] < before[0] - 1e-3 * abs(before[0])
    assert np.array_equal(kept.sum(axis=0), counts)
    assert not weight[~kept].any()
    # The slopes vanish on the support: all weights together are the least squares solution.
    slopes = (cross - gram @ weight) @ tempered
    np.testing.assert_allclose(slopes[kept], 0, atol=1e-6 * np.abs(cross).max())


def test_neurons_that_look_at_each_other_change_the_outputs_less():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((400, 20)) @ rng.standard_normal((20, 20))
    network = NumpyMLP([rng.standard_normal((20, 16)), rng.standard_normal((16, 2))])
    wanted = network.predict(X)
    alone, coupled = (
        np.sum((prune(network, X, sparsity=0.7, method=LayerwiseL0(coupling=c)).model.predict(X) - wanted) ** 2)
        for c in (0, 0.9)
    )
    assert coupled < alone


@pytest.mark.parametrize("knobs", [{"coupling": 1.0}, {"coupling": -0.1}, {"sweeps": -1}])
def test_wrong_knobs_are_told(knobs):
    with pytest.raises(ValueError, match="give"):
        LayerwiseL0(**knobs)
