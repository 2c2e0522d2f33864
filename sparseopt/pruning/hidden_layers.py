"""Hidden layers as the choice of their neurons sees them.

A hidden neuron j with activation o_j is one row of the weight of the layer after its own. Removing it takes
that row away, and the column of its own layer with it, so that both matrices become smaller. A channel of a convolution
is a neuron with several rows, one for each place that the next layer reads it at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.pruning.layer_stats import LayerStats
from sparseopt.pruning.reconstruction import Reconstruction


@dataclass(frozen=True, eq=False)
class HiddenLayer:
    """What is known of the neurons of a hidden layer.

    Attributes
    ----------
    own, following : LayerStats
        The layer that the neurons are outputs of, and the one that reads them.
    targets : array of shape (samples, outputs)
        What the following layer is to give.
    sensitivity : array of shape (outputs,)
        Mean square of the slope of the network's outputs at each output of the following layer.
    width : int, default=1
        Inputs of the following layer for each neuron: more than one for a channel of a convolution.
    """

    own: LayerStats
    following: LayerStats
    targets: np.ndarray
    sensitivity: np.ndarray
    width: int = 1

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.following.weight.shape[0] // self.width

    @property
    def activations(self) -> np.ndarray:
        """Of shape (rows, neurons * width): for layers that are fully connected one row a sample, one column a neuron."""
        return self.following.inputs

    @property
    def by_neuron(self) -> np.ndarray:
        """Activations of shape (rows, neurons, width)."""
        return self.activations.reshape(len(self.activations), self.size, self.width)

    def regression(self, damping) -> Reconstruction:
        """The following layer as least squares on the neurons."""
        return Reconstruction.of(self.activations, self.targets, self.following.layer, damping)
