"""Who keeps how many: patterns, and layers that would be emptied."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparseopt.pruning import LayerwiseL0, Magnitude, NofM, NumpyMLP, Scope, prune

RNG = np.random.default_rng(0)


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(0, 3), st.integers(1, 19))
def test_a_pattern_keeps_the_best_n_of_every_m(seed, n, more, inputs):
    pattern = NofM(n, n + more)
    score = np.random.default_rng(seed).random((inputs, 3))
    (kept,) = pattern.keep([score], pattern.sparsity)
    for start in range(0, inputs, pattern.m):
        group, chosen = score[start : start + pattern.m], kept[start : start + pattern.m]
        assert (chosen.sum(axis=0) == -(-n * len(group) // pattern.m)).all()
        assert all(group[keep, o].min() >= group[~keep, o].max(initial=0) for o, keep in enumerate(chosen.T))


@pytest.mark.parametrize("method", [Magnitude(), LayerwiseL0()], ids=repr)
def test_two_of_four_is_kept_by_every_method(method):
    network = NumpyMLP([RNG.standard_normal((16, 8)), RNG.standard_normal((8, 4))])
    pruned = prune(network, RNG.standard_normal((100, 16)), pattern=NofM(2, 4), method=method)
    for array in pruned.mask.values():
        assert (array.reshape(-1, 4, array.shape[1]).sum(axis=1) == 2).all()


@given(st.integers(0, 10**6), st.floats(0, 0.99))
def test_no_layer_is_emptied(seed, sparsity):
    """The first layer has nothing but the least scores; what it keeps comes out of the others' budget."""
    rng = np.random.default_rng(seed)
    scores = [rng.random((4, 3)) - 1, rng.random((3, 5)), rng.random((5, 2))]
    kept = Scope.NETWORK.keep(scores, sparsity)
    assert all(keep.any() for keep in kept)
    assert sum(keep.sum() for keep in kept) == max(int((1 - sparsity) * 37 + 1e-9), 3)
    if kept[0].sum() == 1:
        assert kept[0].flat[np.argmax(scores[0])]


def test_a_threshold_keeps_what_reaches_it_and_one_weight_a_layer():
    network = NumpyMLP([np.array([[3.0, 0.5], [1.0, 2.0]]), np.array([[0.1], [0.2]])])
    pruned = prune(network, np.eye(2), threshold=1.0, method=Magnitude())
    assert pruned.mask["weights_0"].tolist() == [[True, False], [True, True]]
    assert pruned.mask["weights_1"].tolist() == [[False], [True]]


@pytest.mark.parametrize("numbers", [(0, 4), (5, 4), (1.5, 4)])
def test_wrong_patterns_are_told_at_the_door(numbers):
    with pytest.raises(ValueError, match="n <= m"):
        NofM(*numbers)
