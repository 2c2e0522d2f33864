"""Which inputs of a layer each neuron of the one before it is, and layers with fewer of both.

A neuron of a fully connected layer is one input of the next. A channel of a convolution is several: the places under
the kernel of the next convolution, or all places of the image where it is flattened. They stand together, so that
input j * width + place belongs to neuron j.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Connection:
    """What lies between a layer and the one that reads it.

    Attributes
    ----------
    width : int
        Inputs of the second layer for each neuron of the first.
    constants : callable
        Inputs of the second layer, of shape (neurons, width), where each neuron of the first always gives the same value,
        of shape (neurons,). NaN where the input differs from place to place all the same, as at a padded edge.
    """

    width: int
    constants: Callable

    @classmethod
    def elementwise(cls, function) -> Connection:
        """A function of each neuron alone, and nothing else, between two fully connected layers."""
        return cls(1, lambda values: function(values[np.newaxis]).T)

    def inputs(self, neurons) -> np.ndarray:
        """What is said of neurons, said of the inputs of the second layer."""
        return np.repeat(neurons, self.width, axis=0)


def resized(layer, inputs, outputs):
    """The layer with some of its inputs and outputs, which booleans or places choose."""
    weight = layer.weight[inputs][:, outputs]
    bias = None if layer.bias is None else layer.bias[outputs]
    own_shape = layer.own_shape
    if own_shape is not None:
        kernel = own_shape[2:]
        own_shape = (weight.shape[1], weight.shape[0] // int(np.prod(kernel)), *kernel)
    return replace(layer, weight=weight, bias=bias, own_shape=own_shape)
