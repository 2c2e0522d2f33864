"""A layer's moments: streamed or at once, damped as much as needed, and refitted exactly."""

import numpy as np
import pytest

from sparseopt.pruning.networks import Layer
from sparseopt.pruning.reconstruction import SMALL, Reconstruction, inverted, solve
from sparseopt.pruning.supports import eliminated, refit


def layer_of(rng, p=9, outputs=4, bias=True):
    return Layer("layer", rng.standard_normal((p, outputs)), rng.standard_normal(outputs) if bias else None)


@pytest.mark.parametrize("bias", [True, False])
def test_moments_of_a_stream_are_those_of_its_samples(bias):
    """Far from zero, where moments about zero would lose the digits."""
    rng = np.random.default_rng(0)
    layer = layer_of(rng, bias=bias)
    inputs = rng.standard_normal((200, 9)) + 1e4 * bias
    targets = rng.standard_normal((200, 4))
    found = Reconstruction.streamed(((inputs[i : i + 7], targets[i : i + 7]) for i in range(0, 200, 7)), layer, 0.1)
    centred = inputs - inputs.mean(axis=0) * bias, targets - targets.mean(axis=0) * bias
    gram = centred[0].T @ centred[0] / 200
    damping = 0.1 * gram.trace() / 9
    assert found.gram == pytest.approx(gram + damping * np.eye(9), rel=1e-9, abs=1e-9)
    assert found.cross == pytest.approx(centred[0].T @ centred[1] / 200 + damping * layer.weight, rel=1e-7, abs=1e-9)
    weight = rng.standard_normal((9, 4))
    errors = np.mean((centred[0] @ weight - centred[1]) ** 2, axis=0)
    errors += damping * np.sum((weight - layer.weight) ** 2, axis=0)
    assert found.losses(weight) == pytest.approx(errors / 2)


def test_no_samples_and_wrong_shapes_are_refused():
    layer = layer_of(np.random.default_rng(0))
    with pytest.raises(ValueError, match="no samples"):
        Reconstruction.streamed([], layer, 0.1)
    with pytest.raises(ValueError, match="9 inputs and 4 outputs"):
        Reconstruction.of(np.ones((5, 8)), np.ones((5, 4)), layer, 0.1)
    with pytest.raises(ValueError, match="NaN"):
        Reconstruction.of(np.full((5, 9), np.nan), np.ones((5, 4)), layer, 0.1)


def test_damping_grows_until_the_gram_can_be_factorised():
    """Two equal inputs, and a damping that is lost in rounding."""
    inputs = np.ones((30, 2)) * np.arange(30.0)[:, None]
    layer = Layer("layer", np.ones((2, 1)))
    found = Reconstruction.of(inputs, layer(inputs), layer, 1e-40)
    # It remains far below what the samples say.
    assert found.damping <= 1e-8 * found.gram[0, 0]
    # Solved as exactly as a condition of 1e10 lets.
    assert found.refit(np.ones((2, 1), bool)).sum() == pytest.approx(2, rel=1e-4)


def test_fewer_samples_than_inputs_leave_the_weights_alone_where_nothing_is_said():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((5, 40))
    layer = layer_of(rng, 40, 3, bias=False)
    found = Reconstruction.of(inputs, layer(inputs), layer, 0.01)
    assert found.refit(np.ones((40, 3), bool)) == pytest.approx(layer.weight)


@pytest.mark.parametrize("size", [1, 3, 7, SMALL, SMALL + 9])
def test_refit_is_least_squares_on_the_support(size):
    rng = np.random.default_rng(size)
    p, outputs = 100, 5
    inputs = rng.standard_normal((300, p)) @ rng.standard_normal((p, p))
    layer = layer_of(rng, p, outputs)
    targets = rng.standard_normal((300, outputs))
    kept = np.zeros((p, outputs), bool)
    for output in range(outputs):
        kept[rng.permutation(p)[:size], output] = True
    kept[:, 2] = False
    found = Reconstruction.of(inputs, targets, layer, 0.01)
    weight = found.refit(kept)
    assert np.array_equal(weight != 0, kept)
    slopes = found.cross - found.gram @ weight
    assert np.abs(slopes[kept]).max() <= 1e-8 * np.abs(found.cross).max()


def test_elimination_lets_the_layers_cheapest_weights_go_and_threads_do_not_matter():
    """With orthogonal inputs a weight costs its square, whatever else goes."""
    rng = np.random.default_rng(0)
    gram, cross = np.eye(40), rng.standard_normal((300, 40))
    support = rng.random(cross.shape) < 0.5
    kept = support.sum() // 10 * 9
    found = eliminated(gram, cross, support, kept, 1)
    sizes = np.sort(np.abs(cross[support]))
    assert np.array_equal(found, support & (np.abs(cross) >= sizes[support.sum() - kept]))
    assert np.array_equal(found, eliminated(gram, cross, support, kept, 3))
    assert np.array_equal(refit(gram, cross, found, 3), np.where(found, cross, 0))


def test_inverses_and_solutions_are_those_of_numpy_and_dependent_inputs_are_told():
    rng = np.random.default_rng(4)
    for p in (1, 2, 30):
        A = rng.standard_normal((2 * p, p))
        gram, cross = A.T @ A + np.eye(p), rng.standard_normal((p, 3))
        lent = gram.copy()
        assert inverted(gram) == pytest.approx(np.linalg.inv(gram), rel=1e-9, abs=1e-12)
        assert np.array_equal(inverted(gram), inverted(gram).T)
        assert solve(gram, cross) == pytest.approx(np.linalg.solve(gram, cross), rel=1e-9, abs=1e-12)
        assert solve(gram, cross[:, 0]).shape == (p,)
        assert np.array_equal(gram, lent)
    assert inverted(np.zeros((0, 0))).shape == (0, 0)
    assert solve(np.zeros((0, 0)), np.zeros((0, 2))).shape == (0, 2)
    for broken in (np.ones((3, 3)) - np.eye(3), np.full((3, 3), np.nan)):
        for call in (inverted, lambda gram: solve(gram, np.ones(3))):
            with pytest.raises(ValueError, match="too nearly dependent"):
                call(broken)
