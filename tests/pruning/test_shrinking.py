"""A shrunk model is smaller and puts out the same."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.neural_network import MLPClassifier

from sparseopt.mask import Mask
from sparseopt.pruning import Activation, Magnitude, Network, NumpyMLP, prune, shrink

SIZES = (5, 4, 3, 2)
SHAPES = tuple(itertools.pairwise(SIZES))
RNG = np.random.default_rng(0)
SAMPLES = RNG.standard_normal((50, 5))
# Many zeros: whole rows and columns are dropped often.
KEPT = st.tuples(*(hnp.arrays(bool, shape, elements=st.sampled_from([False, False, True])) for shape in SHAPES))


def network(activation=Activation.RELU, *, biases=True, dtype=np.float64):
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    return NumpyMLP(
        weights, [rng.standard_normal(size).astype(dtype) for size in SIZES[1:]] if biases else None, activation
    )


@given(KEPT, st.sampled_from(Activation), st.booleans())
def test_the_shrunk_model_puts_out_what_the_masked_one_does(kept, activation, biases):
    model = network(activation, biases=biases)
    mask = Mask({f"weights_{i}": array for i, array in enumerate(kept)})
    small, masked = shrink(model, mask), mask.apply(model)
    # Sums of a few terms of order one, in another order.
    np.testing.assert_allclose(small.predict(SAMPLES), masked.predict(SAMPLES), rtol=1e-12, atol=1e-12)
    assert all(a.size <= b.size for a, b in zip(small.weights, masked.weights, strict=True))
    for before, after in zip(small.weights, small.weights[1:], strict=False):
        unread, constant = ~after.any(axis=1), ~before.any(axis=0)
        if before.shape[1] > 1:
            assert not unread.any()
            assert not (constant.any() and (biases or activation is not Activation.LOGISTIC))


def test_a_chain_of_constants_goes_whole():
    """What makes a neuron constant makes the ones that read it alone constant too."""
    weights = [np.zeros((2, 3)), np.ones((3, 2)), np.eye(2)]
    weights[0][0, 0] = 1
    weights[1][:, 1] = [0, 1, 1]
    small = shrink(NumpyMLP(weights, [np.array([0.0, 1.0, 2.0]), np.zeros(2), np.zeros(2)]))
    assert [weight.shape for weight in small.weights] == [(2, 1), (1, 1), (1, 2)]
    assert small.biases[1].tolist() == [3.0]
    assert small.biases[2].tolist() == [0.0, 3.0]


def test_single_precision_stays_and_so_do_the_outputs():
    model = network(dtype=np.float32)
    pruned = prune(model, SAMPLES, sparsity=0.8, method=Magnitude()).model
    small = shrink(pruned)
    assert {array.dtype for array in (*small.weights, *small.biases)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(small.predict(SAMPLES), pruned.predict(SAMPLES), atol=1e-6)


def test_a_perceptron_of_scikit_learn_shrinks_and_trains_on():
    labels = (SAMPLES[:, 0] > 0).astype(int)
    model = MLPClassifier((8, 6), max_iter=300, tol=0.01, random_state=0).fit(SAMPLES, labels)
    mask = prune(model, SAMPLES, sparsity=0.9).mask
    small, masked = shrink(model, mask), mask.apply(model)
    assert sum(small.hidden_layer_sizes) < 14
    np.testing.assert_allclose(small.predict_proba(SAMPLES), masked.predict_proba(SAMPLES), atol=1e-12)
    assert model.hidden_layer_sizes == (8, 6)
    small.partial_fit(SAMPLES, labels)
    assert small.coefs_[0].shape == (5, small.hidden_layer_sizes[0])


def test_a_dense_model_stays_as_it_is():
    model = network()
    assert all(map(np.array_equal, shrink(model).weights, model.weights))


def test_a_model_that_is_no_chain_is_refused():
    class Other(Network):
        link = outputs = slopes = with_layers = model = inputs = layers = None

    with pytest.raises(TypeError, match="Other is not known to be a chain"):
        shrink(Other())


def test_a_sequential_shrinks_through_dropout_and_any_activation():
    torch = pytest.importorskip("torch")
    from torch import nn

    torch.manual_seed(0)
    for activation in (nn.GELU(), nn.Sigmoid(), nn.ReLU(inplace=True), nn.ELU()):
        model = nn.Sequential(
            nn.Flatten(),
            nn.Sequential(nn.Linear(20, 16), activation, nn.Dropout(0.5)),
            *(nn.Linear(16, 12, bias=False), nn.Tanh(), nn.Linear(12, 3), nn.LogSoftmax(1)),
        )
        X = torch.randn(40, 4, 5)
        mask = prune(model, X, sparsity=0.9, method=Magnitude()).mask
        small, masked = shrink(model, mask).eval(), mask.apply(model).eval()
        assert torch.allclose(small(X), masked(X), atol=1e-6)
        assert small[1][0].out_features == len(small[1][0].weight) < 16
        assert repr(small[1][0]).startswith(f"Linear(in_features=20, out_features={small[1][0].out_features}")
        assert model[1][0].out_features == 16


def test_a_module_that_is_no_chain_says_what_is_in_the_way():
    pytest.importorskip("torch")
    from torch import nn

    from sparseopt.adapters.torch import TorchNetwork

    class Own(nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)

    for module, name in (
        (Own(nn.Linear(3, 3)), "what Own does between its layers is not known"),
        (nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 3)), "'1' (LayerNorm)"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, groups=2), nn.ReLU(), nn.Conv2d(2, 1, 3)), "'0' has 2 groups"),
        (TorchNetwork(nn.Sequential(*(nn.Linear(3, 3) for _ in range(3))), only=["0", "2"]), "'1' (Linear)"),
    ):
        with pytest.raises(TypeError) as raised:
            shrink(module)
        assert name in str(raised.value)
