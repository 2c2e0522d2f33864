"""The search over a whole network: exact pieces, and less divergence than layer by layer with the same refit."""

import numpy as np
import pytest

from sparseopt.pruning import (
    Distillation,
    Exponential,
    JointRefit,
    LayerwiseL0,
    Link,
    NetworkL0,
    NofM,
    NumpyMLP,
    prune,
)
from sparseopt.pruning.network_l0 import joint_hessian


def test_the_joint_hessian_foretells_the_divergence(small, samples):
    """A small move of some weights: m'Hm / 2 to second order, in all layers at once."""
    rng = np.random.default_rng(3)
    many = np.tile(samples, (4, 1))
    places = [np.sort(rng.choice(weight.size, 7, replace=False)) for weight in small.weights]
    hessian = joint_hessian(small, places, many, passes=3)
    move = 1e-3 * rng.standard_normal(21)
    weights = [weight.copy() for weight in small.weights]
    for weight, at, part in zip(weights, places, np.split(move, 3), strict=True):
        weight.ravel()[at] += part
    moved = NumpyMLP(weights, small.biases, "tanh", Link.SOFTMAX)
    divergence = Distillation.of(small, many).value_and_seeds(moved.outputs(many))[0]
    assert move @ hessian @ move / 2 == pytest.approx(divergence, rel=0.02)


@pytest.mark.parametrize("exact", [2500, 0])
def test_the_search_diverges_less_than_layer_by_layer(small, samples, exact):
    objective = Distillation.of(small, samples)
    layerwise = prune(small, samples, sparsity=0.8, method=LayerwiseL0(), refit=JointRefit(iterations=300))
    searched = prune(small, samples, sparsity=0.8, method=NetworkL0(exact=exact, iterations=50))
    assert searched.mask.kept == layerwise.mask.kept
    assert all(not w[~m].any() for w, m in zip(searched.model.weights, searched.mask.values(), strict=True))
    losses = [objective.value_and_seeds(run.model.outputs(samples))[0] for run in (searched, layerwise)]
    assert losses[0] < losses[1]


def test_the_same_search_gives_the_same_bytes(small, samples):
    first, second = (prune(small, samples, sparsity=0.8, method=NetworkL0(rounds=3)) for _ in range(2))
    assert first.mask == second.mask
    assert [w.tobytes() for w in first.model.weights] == [w.tobytes() for w in second.model.weights]


def test_scopes_patterns_layers_and_stages_hold(small, samples):
    method = NetworkL0(rounds=2, iterations=5)
    by_layer = prune(small, samples, sparsity=0.5, method=method, scope="layer")
    assert [count.kept for count in by_layer.mask.counts.values()] == [54, 27, 9]
    pattern = prune(small, samples, pattern=NofM(1, 3), method=method)
    assert all((mask.reshape(-1, 3, mask.shape[1]).sum(axis=1) == 1).all() for mask in pattern.mask.values())
    stages = prune(small, samples, sparsity=0.8, method=method, schedule=Exponential(3))
    assert stages.mask.kept == 36
    some = prune(small, samples, sparsity=0.5, method=method, layers=["weights_1"])
    assert some.mask.kept == 27
    assert all(np.count_nonzero(some.model.weights[i]) == small.weights[i].size for i in (0, 2))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_divergence_at_the_temperature_falls_round_by_round(small, samples, temperature):
    objective = Distillation.of(small, samples, temperature)
    losses = [
        objective.value_and_seeds(prune(small, samples, sparsity=0.8, method=method).model.outputs(samples))[0]
        for method in (
            LayerwiseL0(),
            NetworkL0(rounds=0, temperature=temperature),
            NetworkL0(rounds=3, temperature=temperature),
        )
    ]
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("knobs", [{"rounds": -1}, {"part": 0}, {"exact": -1}, {"iterations": 0}, {"temperature": 0.0}])
def test_wrong_knobs_are_told(knobs):
    with pytest.raises(ValueError, match="give a"):
        NetworkL0(**knobs)
