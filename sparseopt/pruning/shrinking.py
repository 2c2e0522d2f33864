"""A pruned network made really smaller: neurons that no longer matter leave, and the outputs stay.

A neuron of which the next layer reads nothing is dropped. One that reads nothing itself is a constant,
the activation of its bias, and moves into the biases of the next layer. Each may make others so.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparseopt.adapters import adapt


def shrink(model, mask=None):
    """Return a smaller dense model with the outputs of the masked one, but for rounding.

    Inputs and outputs stay as many as they are. A constant neuron of a network without biases stays,
    unless its constant is zero; a layer keeps at least one neuron.

    Parameters
    ----------
    model : NumpyMLP, list of matrices, model of scikit-learn, or nn.Sequential of linear layers and activations
        Untouched. Dropout between the layers is as in evaluation: nothing.
    mask : Mask, optional
        Applied first; the zeros that the model has, unless said.

    Returns
    -------
    of the same kind
        For an MLP of scikit-learn `hidden_layer_sizes` is the new one, and training begins without momentum.
    """
    network = adapt(model if mask is None else mask.apply(model))
    functions = network.chain()
    layers = list(network.layers())
    shapes = None
    while shapes != (shapes := [layer.weight.shape for layer in layers]):
        for i, function in enumerate(functions[1:-1]):
            layers[i], layers[i + 1] = _without_constants(layers[i], layers[i + 1], function)
        for i in reversed(range(len(layers) - 1)):
            layers[i], layers[i + 1] = _without_unread(layers[i], layers[i + 1])
    return network.with_layers(layers).model()


def _without_constants(layer, following, function):
    """Layer and the one after it, in whose bias the constant neurons of the first are."""
    silent = ~layer.weight.any(axis=0)
    bias = np.zeros(silent.size, layer.weight.dtype) if layer.bias is None else layer.bias
    constants = function(bias[silent][np.newaxis])[0].astype(np.float64)
    if following.bias is None:
        silent[silent] = constants == 0
        constants = constants[constants == 0]
    gone = _all_but_one(silent)
    constants = constants[gone[silent]]
    if following.bias is not None:
        following = replace(
            following, bias=(following.bias + constants @ following.weight[gone]).astype(following.bias.dtype)
        )
    return _without(layer, following, gone)


def _without_unread(layer, following):
    """Layer and the one after it, without the neurons that the second does not read."""
    return _without(layer, following, _all_but_one(~following.weight.any(axis=1)))


def _all_but_one(gone):
    """Which neurons go, if one must stay."""
    if gone.all():
        gone = gone.copy()
        gone[0] = False
    return gone


def _without(layer, following, gone):
    kept = np.flatnonzero(~gone)
    bias = None if layer.bias is None else layer.bias[kept]
    return _sized(layer, layer.weight[:, kept], bias), _sized(following, following.weight[kept], following.bias)


def _sized(layer, weight, bias):
    own_shape = None if layer.own_shape is None else weight.shape[::-1]
    return replace(layer, weight=weight, bias=bias, own_shape=own_shape)
