"""Best subset selection, layer by layer: eliminate weights, share the budget, exchange, refit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from sparseopt.kernels.pruning import eliminate, exchange, gather
from sparseopt.pruning.methods import Method, check_damping
from sparseopt.pruning.reconstruction import Reconstruction, solve

# Rank-one terms are gathered and subtracted by one matrix product: 64 balances the two costs.
BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class LayerwiseL0(Method):
    """Best subset selection, layer by layer: few weights that give the layer's old outputs on given samples.

    Each output neuron is a least squares problem with at most k nonzeros, and all neurons of a layer share
    one Gram matrix. Weights are eliminated one by one, each time the one whose loss, after the others have
    adjusted, is least. The losses, times the slope of the network's outputs at the neuron, decide how many
    weights each neuron keeps. Then, from the first layer to the last and with the inputs that the pruned
    layers before really give, weights are exchanged as long as one exchange helps, and refitted.
    No labels and no gradient steps.

    Parameters
    ----------
    damping : float, default=0.01
        Weight of the old weights in the least squares, relative to the mean square of the inputs.
        Raise it when there are few samples.
    exchanges : int, default=100
        Most exchanges in one neuron.

    References
    ----------
    Hassibi and Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon" (1992).
    Frantar and Alistarh, "Optimal Brain Compression" (2022).
    """

    damping: float = 0.01
    exchanges: int = 100

    def __post_init__(self):
        check_damping(self.damping)
        if self.exchanges < 0:
            raise ValueError(f"exchanges is {self.exchanges}; give the most per neuron, 0 for none.")

    def scores(self, network, samples):
        """Loss at which each weight is eliminated, times the sensitivity of its neuron."""
        return [
            self._layer_scores(layer, inputs) * sensitivity
            for layer, inputs, sensitivity in zip(
                network.layers(), network.inputs(samples.X), network.sensitivities(samples.X), strict=True
            )
        ]

    def _layer_scores(self, layer, inputs):
        regression = Reconstruction.of(inputs, layer(inputs), layer, self.damping)
        alive = np.flatnonzero(regression.alive)
        scores = np.zeros(layer.weight.shape)
        inverse = solve(regression.gram[np.ix_(alive, alive)], np.eye(alive.size))
        for output in range(scores.shape[1]):
            order, losses = elimination(inverse, layer.weight[alive, output].astype(np.float64))
            # The lower convex hull of the accumulated losses: sorting its slopes shares the budget best.
            scores[alive[order], output] = scipy.optimize.isotonic_regression(losses).x
        return scores

    def fit(self, layer, kept, inputs, targets):
        """Exchange weights within each neuron and refit."""
        regression = Reconstruction.of(inputs, targets, layer, self.damping)
        # Dead inputs have nothing to offer, though the damping would take them back for their old weights.
        cross = regression.cross * regression.alive[:, None]
        kept = kept.copy()
        for output in np.flatnonzero(kept.any(axis=0)):
            support = np.flatnonzero(kept[:, output])
            kept[:, output] = False
            kept[best_exchanges(regression.gram, cross[:, output], support, self.exchanges), output] = True
        return regression.fitted(layer, regression.refit(kept)), kept


def elimination(inverse, w):
    """Eliminate all weights, each time the cheapest: their order, and the loss of each.

    Parameters
    ----------
    inverse : array of shape (p, p)
        Inverse of the Gram matrix, untouched.
    w : array of shape (p,)
        Least squares weights on all inputs.
    """
    order, losses = np.empty(w.size, np.int64), np.empty(w.size)
    active, w = np.arange(w.size), w.copy()
    spare, other = np.empty((2, inverse.size))
    for start in range(0, order.size, BLOCK):
        block = slice(start, start + BLOCK)
        pending = np.empty((order[block].size, active.size))
        removed = order[block]
        eliminate(inverse, w, inverse.diagonal().copy(), pending, removed, losses[block])
        left = np.delete(np.arange(active.size), removed)
        order[block] = active[removed]
        if left.size == 0:  # BLAS takes no empty matrix
            break
        active, w, pending = active[left], w[left], np.take(pending, left, axis=1)
        remaining = spare[: left.size**2].reshape(left.size, left.size)
        gather(inverse, left, remaining)
        # The upper triangle of rows is the lower one of columns, which is how BLAS counts.
        inverse = scipy.linalg.blas.dsyrk(-1.0, pending.T, beta=1.0, c=remaining.T, lower=True, overwrite_c=True).T
        spare, other = other, spare
    return order, losses / 2


def best_exchanges(gram, cross, support, limit) -> np.ndarray:
    """Improve a support, exchanging one weight at a time for the best other one, up to `limit` times."""
    inverse = solve(gram[np.ix_(support, support)], np.eye(support.size))
    rows = inverse @ gram[support]
    w = inverse @ cross[support]
    slope = cross - w @ gram[support]
    square = gram.diagonal() - np.einsum("ij,ij->j", rows, gram[support])
    square[support] = np.inf
    support = support.copy()
    # A gain below this is lost in rounding.
    tolerance = 1e-9 * abs(w @ cross[support])
    # A call of the kernel is kept short, for the sake of Ctrl-C.
    chunk = 1 + 10**7 // rows.size
    while limit > 0:
        done = exchange(gram, inverse, rows, w, slope, square, support, tolerance, min(chunk, limit))
        limit = limit - done if done == chunk else 0
    return support
