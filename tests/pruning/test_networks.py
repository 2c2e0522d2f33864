import copy
import pickle

import numpy as np
import pytest

from sparseopt.mask import Mask
from sparseopt.pruning import Activation, Layer, NumpyMLP


def test_a_network_is_matrices_with_relu_between():
    network = NumpyMLP([np.array([[1, -1]]), np.array([[1.0], [2.0]])], [np.array([0.0, 0.5]), np.array([1.0])])
    assert network.predict([[3.0], [-1.0]]).tolist() == [[4.0], [4.0]]
    assert [inputs.tolist() for inputs in network.inputs([[3]])] == [[[3.0]], [[3.0, 0.0]]]
    assert repr(network) == "NumpyMLP(1-2-1, relu)"


def test_a_network_holds_copies():
    lent = np.ones((2, 3))
    network = NumpyMLP([lent])
    lent[:] = 0
    assert network.weights[0].all()
    with pytest.raises(ValueError, match="read-only"):
        network.weights[0][0] = 5


def test_single_precision_stays():
    network = NumpyMLP([np.ones((2, 3), np.float32)], [np.ones(3, np.float32)])
    assert network.predict(np.ones((4, 2), np.float32)).dtype == np.float32


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_networks_copy(twin):
    network = NumpyMLP([np.eye(3), np.ones((3, 1))], activation=Activation.TANH)
    assert np.array_equal(twin(network).predict(np.eye(3)), network.predict(np.eye(3)))


def test_masks_apply_to_networks():
    network = NumpyMLP([np.ones((2, 2)), np.ones((2, 1))], [np.ones(2), np.ones(1)])
    mask = Mask({"weights_0": np.eye(2, dtype=bool)})
    masked = mask.apply(network)
    assert masked.weights[0].tolist() == [[1, 0], [0, 1]]
    assert masked.weights[1].all()
    assert masked.biases[0].all()
    assert network.weights[0].all()
    assert mask.undo(masked, network).weights[0].all()


def test_a_layer_may_be_laid_out_as_the_model_likes():
    """As the kernel of a convolution: (outputs, channels, height, width)."""
    kernel = np.arange(24.0).reshape(2, 3, 2, 2)
    layer = Layer("conv", kernel.reshape(2, -1).T, None, kernel.shape)
    assert np.array_equal(layer.own(layer.weight), kernel)
    assert np.array_equal(layer.with_own(kernel + 1).weight, layer.weight + 1)


def test_a_network_that_overflows_says_where():
    network = NumpyMLP([np.full((2, 3), 1e200), np.full((3, 2), 1e200), np.eye(2)])
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="inputs of layer 'weights_2' hold NaN"):
        network.outputs([[1.0, 1.0]])


def test_activations_have_the_slopes_of_their_values():
    z, h = np.array([-800.0, -1.5, -0.3, 0.4, 2.0, 800.0]), 1e-6
    for activation in Activation:
        value = activation.value(z)
        slope = (activation.value(z + h) - activation.value(z - h)) / (2 * h)
        np.testing.assert_allclose(activation.slope(value), slope, atol=1e-7)


@pytest.mark.parametrize(
    ("weights", "biases", "message"),
    [
        ([], None, "at least one matrix"),
        ([np.ones(3)], None, "2-d"),
        ([np.ones((2, 0))], None, "not empty"),
        ([np.ones((2, 3)), np.ones((2, 1))], None, "must agree"),
        ([np.full((2, 3), np.nan)], None, "NaN"),
        ([np.array([["a"]])], None, "numbers"),
        ([np.ones((2, 3))], [np.ones(2)], "one bias for each output"),
        ([np.ones((2, 3))], [np.ones(3), np.ones(3)], "one bias for each output"),
    ],
)
def test_weights_that_make_no_network_are_refused(weights, biases, message):
    with pytest.raises(ValueError, match=message):
        NumpyMLP(weights, biases)
