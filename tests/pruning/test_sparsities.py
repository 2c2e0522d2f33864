"""A path of sparsities is what single runs are, from one pass of scores."""

import numpy as np
import pytest

from sparseopt.pruning import FirstOrder, JointRefit, LayerwiseL0, Magnitude, NumpyMLP, prune, prune_path

SPARSITIES = (0.9, 0.3, 0.7)


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(shape) for shape in ((12, 9), (9, 6), (6, 3))]
    return NumpyMLP(weights, [rng.standard_normal(size) for size in (9, 6, 3)], link="softmax")


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(2)
    return rng.standard_normal((300, 12)) @ rng.standard_normal((12, 12))


@pytest.mark.parametrize("method", [LayerwiseL0(), Magnitude(), FirstOrder()], ids=repr)
def test_a_path_is_its_single_runs(small, samples, method):
    y = np.arange(300) % 3
    path = prune_path(small, samples, y, sparsities=SPARSITIES, method=method)
    for sparsity, found in zip(SPARSITIES, path, strict=True):
        alone = prune(small, samples, y, sparsity=sparsity, method=method)
        assert found.mask == alone.mask
        assert [w.tobytes() for w in found.model.weights] == [w.tobytes() for w in alone.model.weights]
        assert found.method == alone.method
        assert [layer.method for layer in found.layers] == [layer.method for layer in alone.layers]


def test_a_path_scores_once(small, samples):
    calls = []

    class Counting(LayerwiseL0):
        def scores(self, network, samples):
            calls.append(1)
            return super().scores(network, samples)

    path = prune_path(small, samples, sparsities=SPARSITIES, method=Counting(), refit=JointRefit(iterations=2))
    assert len(calls) == 1
    assert [run.mask.kept for run in path] == [18, 126, 54]


def test_the_first_layers_problem_is_set_up_once(small, samples):
    """Nothing is pruned before it, so that it is the same at all sparsities; those of the others are not."""
    calls = []

    class Counting(LayerwiseL0):
        def moments(self, layer, inputs, targets, grams=None):
            calls.append(layer.name)
            return super().moments(layer, inputs, targets, grams)

    prune_path(small, samples, sparsities=SPARSITIES, method=Counting())
    assert sorted(calls) == ["weights_0", *3 * ["weights_1"], *3 * ["weights_2"]]


def test_wrong_paths_are_told(small, samples):
    with pytest.raises(ValueError, match="empty"):
        prune_path(small, samples, sparsities=[])
    with pytest.raises(ValueError, match="below 1"):
        prune_path(small, samples, sparsities=[0.5, 1])
    with pytest.raises(ValueError, match="needs y"):
        prune_path(small, samples, sparsities=[0.5], method=FirstOrder())
