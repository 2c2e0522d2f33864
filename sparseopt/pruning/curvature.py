"""How errors in the outputs of a layer hurt, one by one and together, by the network's own second order.

Let the outputs z of a layer, for one sample, be wrong by e. To second order the loss from what the network said before
grows by e'J'LJe / 2, with J the slopes of the network's outputs in z and L the curvature of the loss in the outputs:
the Gauss-Newton Hessian. Its mean over samples is the layer's *metric* M. Where it is taken as independent of the
layer's inputs, an error E of the weights costs

    trace(M E'HE) / 2,    H the Gram matrix of the inputs

(Martens and Grosse, 2015). M has at most as large a rank as the network has outputs, so a wide layer can be wrong in many
directions for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy

from sparseopt.pruning.networks import Link

if TYPE_CHECKING:
    from collections.abc import Iterator


# Samples that are enough for means of products of so few numbers.
SAMPLES = 5000
# Passes backward at most. With as many outputs or fewer there is one for each, and nothing is left to chance.
PASSES = 16


def seeds(link, outputs, passes=PASSES) -> Iterator[np.ndarray]:
    """Seeds whose outer products add up to the curvature of the loss in the outputs: a root R of it, L = RR'.

    One column of R after the other, or where these are many, on average: R times random signs. No labels are needed.
    """
    size = outputs.shape[1]
    if size <= passes:
        signs = iter(np.eye(size))
    else:
        rng = np.random.default_rng(0)
        signs = ((2.0 * rng.integers(0, 2, outputs.shape) - 1.0) / np.sqrt(passes) for _ in range(passes))
    match link:
        case Link.SOFTMAX:
            # diag(p) - pp' = RR' with R = diag(sqrt p) - p sqrt(p)'
            p = scipy.special.softmax(outputs, axis=1)
            root = np.sqrt(p)
            found = (root * sign - p * np.sum(root * sign, axis=1, keepdims=True) for sign in signs)
        case Link.LOGISTIC:
            p = scipy.special.expit(outputs)
            root = np.sqrt(p * (1 - p))
            found = (root * sign for sign in signs)
        case _:
            found = (np.broadcast_to(sign, outputs.shape) for sign in signs)
    for seed in found:
        yield seed.astype(outputs.dtype, copy=False)


def metrics(network, X) -> list[np.ndarray]:
    """Metric of each layer, of shape (outputs, outputs): the mean over samples, summed over places.

    Parameters
    ----------
    network : Network
    X : array of shape (samples, inputs)
        Of many samples only some, evenly spread, are looked at.
    """
    X = X[:: -(-len(X) // SAMPLES)]
    found = [np.zeros((layer.weight.shape[1],) * 2) for layer in network.layers()]
    for seed in seeds(network.link, network.outputs(X)):
        for i, slopes in enumerate(network.slopes(X, seed)):
            found[i] += slopes.T @ slopes
    return [metric / len(X) for metric in found]
