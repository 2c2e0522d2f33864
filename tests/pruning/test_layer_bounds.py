"""Lower bounds of a layer's error: below brute force, and equal to it where there is time."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparseopt.pruning import AlternatingDirections, LayerwiseL0, NumpyMLP, certify_layer, prune
from sparseopt.pruning.networks import Layer


def least(inputs, target, count, has_bias):
    """Least mean squared error of any weights with so many nonzeros."""
    if has_bias:
        inputs, target = inputs - inputs.mean(axis=0), target - target.mean()
    best = np.mean(target**2)
    for support in itertools.combinations(range(inputs.shape[1]), count):
        A = inputs[:, list(support)]
        best = min(best, np.mean((A @ np.linalg.lstsq(A, target, rcond=None)[0] - target) ** 2))
    return best


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([0.0, 60.0]))
def test_no_support_beats_a_bound_and_with_time_the_best_meets_it(seed, has_bias, seconds):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((40, 6)) @ rng.standard_normal((6, 6)) + has_bias
    layer = Layer("layer", rng.standard_normal((6, 3)), rng.standard_normal(3) if has_bias else None)
    targets = layer(inputs) + rng.standard_normal((40, 3))
    kept = rng.random((6, 3)) < 0.5
    pruned = Layer("layer", np.where(kept, layer.weight, 0), layer.bias)
    bound = certify_layer(pruned, kept, inputs, targets, seconds=seconds)
    best = np.array([least(inputs, targets[:, j], int(kept[:, j].sum()), has_bias) for j in range(3)])
    assert (bound.lower_outputs <= best * (1 + 1e-9)).all()
    assert (best <= bound.outputs * (1 + 1e-9)).all()
    assert bound.outputs == pytest.approx(np.mean((pruned(inputs) - targets) ** 2, axis=0))
    if seconds:
        assert bound.lower_outputs == pytest.approx(best, rel=1e-5, abs=1e-6 * bound.energy)


def test_dependent_and_dead_inputs_still_have_bounds():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((50, 5))
    inputs = np.hstack([inputs, inputs[:, :1], np.zeros((50, 1))])
    layer = Layer("layer", rng.standard_normal((7, 2)))
    kept = np.zeros((7, 2), bool)
    kept[1, 0] = True
    pruned = Layer("layer", np.where(kept, layer.weight, 0))
    bound = certify_layer(pruned, kept, inputs, layer(inputs))
    assert (bound.lower_outputs >= 0).all()
    assert (bound.lower_outputs <= bound.outputs).all()
    # An output without weights has one error only; of single weights the best is known, whatever depends on what.
    assert bound.gaps[1] == pytest.approx(0, abs=1e-8)
    best = min(least(inputs[:, [j]], layer(inputs)[:, 0], 1, has_bias=False) for j in range(6))
    assert bound.lower_outputs[0] == pytest.approx(best)


@pytest.mark.parametrize(
    "method",
    [AlternatingDirections(bound_seconds=60.0, threads=1), LayerwiseL0(coupling=0, bound_seconds=60.0)],
    ids=lambda method: type(method).__name__,
)
def test_a_pruned_model_carries_the_bounds_of_its_layers(method):
    rng = np.random.default_rng(0)
    network = NumpyMLP([rng.standard_normal((12, 8)), rng.standard_normal((8, 3))])
    X = rng.standard_normal((300, 12))
    result = prune(network, X, sparsity=0.7, method=method)
    assert list(result.certificates) == ["weights_0", "weights_1"]
    for bound in result.certificates.values():
        assert bound.lower <= bound.value
        assert bound.gap <= 0.05
    assert "gap" in repr(bound)


def test_without_seconds_there_are_no_certificates():
    rng = np.random.default_rng(0)
    result = prune(
        [rng.standard_normal((6, 2))], rng.standard_normal((50, 6)), sparsity=0.5, method=AlternatingDirections()
    )
    assert result.certificates == {}


def test_a_bound_of_the_layer_holds_however_the_weights_are_spread():
    rng = np.random.default_rng(1)
    inputs, layer = rng.standard_normal((50, 5)), Layer("layer", rng.standard_normal((5, 3)))
    kept = np.zeros((5, 3), bool)
    kept[:2] = True
    bound = certify_layer(Layer("layer", np.where(kept, layer.weight, 0)), kept, inputs, layer(inputs))
    tables = [[least(inputs, layer(inputs)[:, j], count, False) for count in range(6)] for j in range(3)]
    splits = (split for split in itertools.product(range(6), repeat=3) if sum(split) == 6)
    best = min(sum(table[count] for table, count in zip(tables, split, strict=True)) for split in splits)
    assert 0.5 * best < bound.lower_layer <= best
