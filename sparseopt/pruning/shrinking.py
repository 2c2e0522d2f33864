"""A pruned network made really smaller: neurons that no longer matter leave, and the outputs stay.

A neuron of which the next layer reads nothing is dropped. One that reads nothing itself is a constant,
the activation of its bias, and moves into the biases of the next layer. Each may make others so.
A channel of a convolution is a neuron that the next layer reads at several places.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparseopt.models import adapt
from sparseopt.pruning.connections import resized


def shrink(model, mask=None):
    """Return a smaller dense model with the outputs of the masked one, but for rounding.

    Inputs and outputs stay as many as they are. A constant neuron of a network without biases stays,
    unless its constant is zero; so does a constant channel that a convolution reads beside zeros at its padded edge.
    A layer keeps at least one neuron.

    Parameters
    ----------
    model : NumpyMLP, list of matrices, model of scikit-learn, or nn.Sequential
        Untouched. In an nn.Sequential, linear layers and convolutions without groups become smaller, with activations,
        batch normalisation and pooling between them; dropout and running means are as in evaluation.
    mask : Mask, optional
        Applied first; the zeros that the model has, unless said.

    Returns
    -------
    of the same kind
        For an MLP of scikit-learn `hidden_layer_sizes` is the new one, and training begins without momentum.
    """
    network = adapt(model if mask is None else mask.apply(model))
    connections, layers = network.connections(), list(network.layers())
    sizes = [layer.weight.shape[1] for layer in layers[:-1]]
    kept = [np.arange(size) for size in sizes]
    shapes = None
    while shapes != (shapes := [layer.weight.shape for layer in layers]):
        for i, connection in enumerate(connections):
            layers[i + 1], gone = _without_constants(layers[i], layers[i + 1], connection, kept[i], sizes[i])
            layers[i : i + 2], kept[i] = _without(layers[i : i + 2], connection, kept[i], gone)
        for i, connection in reversed(list(enumerate(connections))):
            gone = ~layers[i + 1].weight.reshape(kept[i].size, -1).any(axis=1)
            layers[i : i + 2], kept[i] = _without(layers[i : i + 2], connection, kept[i], gone)
    return network.smaller(layers, {i: np.isin(np.arange(size), kept[i]) for i, size in enumerate(sizes)})


def _without_constants(layer, following, connection, kept, size):
    """The following layer, in whose bias the constant neurons of the first are, and which of these may go."""
    silent = ~layer.weight.any(axis=0)
    values = np.zeros(size)
    values[kept] = 0.0 if layer.bias is None else layer.bias
    constants = connection.constants(values)[kept]
    # A constant that is none at the padded edge of an image stays, and so does one that no bias can take.
    known = ~np.isnan(constants).any(axis=1)
    gone = silent & known & ((following.bias is not None) | ~constants.any(axis=1))
    gone = _all_but_one(gone)
    if following.bias is None or not gone.any():
        return following, gone
    added = constants[gone].ravel() @ following.weight[connection.inputs(gone)]
    return replace(following, bias=(following.bias + added).astype(following.bias.dtype)), gone


def _all_but_one(gone):
    """Which neurons go, if one must stay."""
    if gone.all():
        gone = gone.copy()
        gone[0] = False
    return gone


def _without(pair, connection, kept, gone):
    """Both layers without the neurons between them that go, and the places of those that are left."""
    left = ~_all_but_one(gone)
    layer, following = pair
    everything = slice(None)
    return [resized(layer, everything, left), resized(following, connection.inputs(left), everything)], kept[left]
