"""Methods for layers of any size: they keep as many weights as asked, fit them, and beat what they are to beat."""

import itertools

import numpy as np
import pytest

from sparseopt.pruning import (
    ActivationMagnitude,
    AlternatingDirections,
    LayerwiseHardThresholding,
    LayerwiseL1,
    NumpyMLP,
    SparseGPT,
    prune,
)
from sparseopt.pruning.alternating import alternating_directions, conjugate_gradients, scale_of
from sparseopt.pruning.layer_methods import largest
from sparseopt.pruning.networks import Layer
from sparseopt.pruning.reconstruction import Reconstruction

METHODS = [
    AlternatingDirections(threads=1),
    AlternatingDirections(threads=1, surplus=0.0, growth=1.3),
    AlternatingDirections(threads=2, rounds=1),
    SparseGPT(threads=1, block=16),
    SparseGPT(threads=1, refit=True),
    ActivationMagnitude(threads=1),
    LayerwiseHardThresholding(threads=1),
    LayerwiseL1(threads=1),
]


def problem(seed=0, p=48, outputs=30, n=400, dead=0):
    """A layer with correlated inputs, and its samples."""
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((n, 8)) @ rng.standard_normal((8, p)) + rng.standard_normal((n, p))
    inputs[:, :dead] = 0
    return inputs, Layer("layer", rng.standard_normal((p, outputs)), rng.standard_normal(outputs))


def support_of(layer, part):
    kept = np.zeros(layer.weight.shape, bool)
    kept.ravel()[: int(part * kept.size)] = True
    return kept


def error(found, layer, inputs):
    targets = layer(inputs)
    return np.sum((found(inputs) - targets) ** 2) / np.sum((targets - targets.mean(axis=0)) ** 2)


@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_layer_keeps_as_many_weights_as_it_may(method, part):
    inputs, layer = problem()
    kept = support_of(layer, part)
    found, support = method.fit(layer, kept, inputs, layer(inputs))
    assert support.sum() == kept.sum()
    assert np.array_equal(found.weight != 0, support)
    assert np.isfinite(found.weight).all()


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_all_methods_beat_the_largest_weights_and_the_dead_stay_dead(method):
    inputs, layer = problem(dead=5)
    kept = largest(np.abs(layer.weight), layer.weight.size // 4)
    found, support = method.fit(layer, kept, inputs, layer(inputs))
    masked = Layer("layer", np.where(kept, layer.weight, 0), layer.bias)
    assert not support[:5].any()
    assert error(found, layer, inputs) < 0.7 * error(masked, layer, inputs)


def test_alternating_directions_are_the_best_of_the_methods():
    inputs, layer = problem(1, p=96, outputs=64)
    kept = support_of(layer, 0.15)
    errors = [error(method.fit(layer, kept, inputs, layer(inputs))[0], layer, inputs) for method in METHODS]
    assert min(errors) == errors[2] <= errors[0] < 0.97 * min(errors[3:])


def test_no_exchange_within_an_output_helps_in_small_layers():
    inputs, layer = problem(2, p=14, outputs=5)
    method = AlternatingDirections(threads=1)
    _, support = method.fit(layer, support_of(layer, 0.2), inputs, layer(inputs))
    moments = Reconstruction.of(inputs, layer(inputs), layer, method.damping)
    losses = moments.losses(moments.refit(support))
    for output in range(5):
        for out, put in itertools.product(np.flatnonzero(support[:, output]), np.flatnonzero(~support[:, output])):
            other = support.copy()
            other[[out, put], output] = False, True
            assert moments.losses(moments.refit(other))[output] >= losses[output] * (1 - 1e-6)


@pytest.mark.parametrize("method", METHODS[:3], ids=repr)
def test_the_kept_weights_are_fitted_to_what_the_layer_put_out(method):
    inputs, layer = problem()
    found, support = method.fit(layer, support_of(layer, 0.3), inputs, layer(inputs))
    moments = Reconstruction.of(inputs, layer(inputs), layer, method.damping)
    slopes = moments.cross - moments.gram @ found.weight
    assert np.abs(slopes[support]).max() < 2e-3 * np.abs(moments.cross).max()


def test_supports_of_separate_inputs_are_the_best_there_are():
    """With a diagonal Gram the best support is that of the largest scaled weights."""
    rng = np.random.default_rng(0)
    gram, dense = np.diag(rng.uniform(0.5, 2, 30)), rng.standard_normal((20, 30))
    moved = np.abs(alternating_directions(gram, dense, 100)) * scale_of(gram)
    assert np.array_equal(largest(moved, 100), largest(np.abs(dense) * scale_of(gram), 100))


def test_conjugate_gradients_refit_all_outputs_at_once():
    inputs, layer = problem(p=60)
    moments = Reconstruction.of(inputs, layer(inputs), layer, 0.01)
    kept = np.random.default_rng(0).random(layer.weight.shape) < 0.5
    kept[:, 3] = False
    dense = layer.weight.T
    found = conjugate_gradients(moments.gram, moments.cross.T, dense, kept.T, dense, tolerance=1e-7)
    # The rule to stop is about the loss.
    exact = moments.losses(moments.refit(kept)).sum()
    assert exact <= moments.losses(found.T).sum() <= exact * (1 + 1e-4)


def test_threads_do_not_change_the_result():
    inputs, layer = problem()
    kept = support_of(layer, 0.2)
    one, two = (
        AlternatingDirections(threads=threads).fit(layer, kept, inputs, layer(inputs))[0].weight for threads in (1, 2)
    )
    assert np.array_equal(one, two)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_networks_of_single_precision_are_pruned(method):
    rng = np.random.default_rng(0)
    sizes = (12, 20, 3)
    weights = [rng.standard_normal(pair).astype(np.float32) for pair in itertools.pairwise(sizes)]
    network = NumpyMLP(weights, [np.zeros(size, np.float32) for size in sizes[1:]])
    X = rng.standard_normal((200, 12)).astype(np.float32)
    result = prune(network, X, sparsity=0.6, method=method, scope="layer")
    assert result.mask.kept == sum(int(0.4 * weight.size) for weight in weights)
    assert all(weight.dtype == np.float32 for weight in result.model.weights)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AlternatingDirections(growth=1.0), "growth is 1.0"),
        (lambda: AlternatingDirections(surplus=-1), "surplus is -1"),
        (lambda: AlternatingDirections(exchanges=-1), "exchanges is -1"),
        (lambda: AlternatingDirections(rounds=-1), "rounds is -1"),
        (lambda: AlternatingDirections(threads=0), "threads is 0"),
        (lambda: AlternatingDirections(bound_seconds=-1), "bound_seconds is -1"),
        (lambda: SparseGPT(damping=0), "damping is 0"),
        (lambda: SparseGPT(block=0), "block is 0"),
        (lambda: LayerwiseHardThresholding(iterations=-1), "iterations is -1"),
        (lambda: LayerwiseL1(iterations=0), "makes no step"),
    ],
)
def test_options_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
