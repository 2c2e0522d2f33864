"""Best subset selection, layer by layer: eliminate weights, share the budget, exchange, refit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

from sparseopt.kernels.pruning import eliminate, exchange, gather
from sparseopt.pruning.layer_bounds import LayerBound, bound_within, check_bound_seconds
from sparseopt.pruning.methods import Method, check_damping
from sparseopt.pruning.networks import Link
from sparseopt.pruning.reconstruction import Reconstruction, inverted, solve

# Rank-one terms are gathered and subtracted by one matrix product: 64 balances the two costs.
BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class LayerwiseL0(Method):
    """Best subset selection, layer by layer: few weights that give the layer's old outputs on given samples.

    Each output neuron is a least squares problem with at most k nonzeros, and all neurons of a layer share
    one Gram matrix. Weights are eliminated one by one, each time the one whose loss, after the others have
    adjusted, is least. The losses, times the curvature of the network's loss at the neuron, decide how many
    weights each neuron keeps (of a linear model of classes, where that diverges less, the losses alone). Then, from the first layer to the last and with the inputs that the pruned
    layers before really give, weights are exchanged as long as one exchange helps, and refitted; neuron
    by neuron, so that each makes good what the others of its layer get wrong, as far as the network's
    second order says that it can (see `sparseopt.pruning.curvature`). No labels and no gradient steps.

    Parameters
    ----------
    damping : float, default=0.01
        Weight of the old weights in the least squares, relative to the mean square of the inputs.
        Raise it when there are few samples.
    exchanges : int, default=100
        Most exchanges in one neuron and sweep.
    coupling : float, default=0.9
        Part of the metric between neurons that counts, in [0, 1): at 0 each neuron is on its own. Below 1,
        because the second order holds near the old outputs only.
    sweeps : int, default=8
        Passes over the neurons of a layer in which they look at each other's errors, after a first one that fits each on its
        own. Where training follows each stage of a schedule, one sweep and no exchanges take a fraction of the time, and
        training makes good most of the rest.
    bound_seconds : float, default=0
        Seconds for each layer in which to bound what any weights could reach with as many in each output, by itself;
        `Pruned.certificates` then holds a `LayerBound` for each layer. Outputs that make good each other's errors
        are further from it than those without coupling, on purpose.

    References
    ----------
    Hassibi and Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon" (1992).
    Frantar and Alistarh, "Optimal Brain Compression" (2022).
    Martens and Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature" (2015).
    """

    damping: float = 0.01
    exchanges: int = 100
    coupling: float = 0.9
    sweeps: int = 8
    bound_seconds: float = 0.0

    def __post_init__(self):
        check_damping(self.damping)
        check_bound_seconds(self.bound_seconds)
        if self.exchanges < 0:
            raise ValueError(f"exchanges is {self.exchanges}; give the most per neuron, 0 for none.")
        if not 0 <= self.coupling < 1:
            raise ValueError(f"coupling is {self.coupling}; give a part from 0, below 1.")
        if self.sweeps < 0:
            raise ValueError(f"sweeps is {self.sweeps}; give how many follow the first, 0 for none.")

    def scores(self, network, samples):
        """Loss at which each weight is eliminated, times the curvature of the network's loss at its neuron."""
        return [
            self._layer_scores(layer, inputs, samples) * metric.diagonal()
            for layer, inputs, metric in zip(
                network.layers(), network.inputs(samples.X), self.metrics(network, samples), strict=True
            )
        ]

    def rival_scores(self, network, samples, scores):
        """Of a linear model of classes the same without the curvature.

        Where a class lies far from the others its probabilities are certain, and the second order says that it needs no
        weights at all: true of every small change, and wrong of that one.
        """
        if network.link is not Link.SOFTMAX or len(scores) > 1:
            return None
        ((layer, inputs), (metric,)) = (
            (network.layers()[0], next(network.inputs(samples.X))),
            self.metrics(network, samples),
        )
        if (curvature := metric.diagonal()).min() > np.finfo(float).tiny:
            return [scores[0] / curvature]
        return [self._layer_scores(layer, inputs, samples)]

    def _layer_scores(self, layer, inputs, samples):
        regression = Reconstruction.of(inputs, layer(inputs), layer, self.damping, samples.grams(inputs))
        return elimination_scores(replace(regression, clock=samples.clock), layer.weight)

    def metrics(self, network, samples):
        """How errors in the outputs of each layer hurt."""
        return samples.metrics(network)

    def fit(self, layer, kept, inputs, targets):
        """Exchange weights within each neuron and refit, each neuron on its own."""
        return self.fit_with(None, layer, kept, inputs, targets)

    def fit_with(self, metric, layer, kept, inputs, targets):
        """Exchange weights within each neuron and refit, with a look at the errors of the others."""
        return self.fit_moments(metric, layer, kept, self.moments(layer, inputs, targets))

    def moments(self, layer, inputs, targets, grams=None):
        """The layer's least squares problem."""
        return Reconstruction.of(inputs, targets, layer, self.damping, grams)

    def fit_moments(self, metric, layer, kept, moments):
        """The same, given the least squares problem."""
        # Dead inputs have nothing to offer, though the damping would take them back for their old weights.
        cross = moments.cross * moments.alive[:, None]
        weight, kept = np.zeros(kept.shape), kept.copy()
        ratios = np.eye(kept.shape[1]) if metric is None else coupling_ratios(metric, self.coupling)
        sweeps = self.sweeps if np.any(ratios != np.eye(len(ratios))) else 0
        # Where others follow, the first sweep only fits: what it would exchange, the others' errors would change again.
        clock = moments.clock
        selection_sweep(moments.gram, cross, weight, kept, None, 0 if sweeps else self.exchanges, clock)
        # What the clock leaves no time to fit keeps its old weights.
        late = kept.any(axis=0) & ~weight.any(axis=0) if clock.expired else np.zeros(kept.shape[1], bool)
        weight[:, late] = np.where(kept, layer.weight, 0)[:, late]
        for _ in range(sweeps):
            if clock.expired:
                break
            selection_sweep(moments.gram, cross, weight, kept, ratios, self.exchanges, clock)
        return moments.fitted(layer, weight), kept

    def certificate(self, layer, kept, inputs, targets) -> LayerBound | None:
        """Lower bounds of the squared errors, where seconds are given for them."""
        return bound_within(self.bound_seconds, layer, kept, inputs, targets)


def coupling_ratios(metric, coupling) -> np.ndarray:
    """What the error of each neuron (row) asks of each other (column): M_sr / M_rr off the diagonal, tempered."""
    diagonal = metric.diagonal()
    matters = diagonal > 1e-12 * diagonal.max(initial=0.0)
    ratios = np.zeros(metric.shape)
    np.divide(coupling * metric, diagonal, out=ratios, where=matters[:, None] & matters)
    np.fill_diagonal(ratios, 1.0)
    return ratios


def selection_sweep(gram, cross, weight, kept, ratios, exchanges, clock=None) -> None:
    """Choose and fit the weights of one neuron after the other, the others fixed; changes `weight` and `kept`.

    With R = B - HW the slopes of all neurons, those of neuron r by its own weights are R M_r, so that it is
    the least squares problem with cross products H w_r + R M_r / M_rr. Without `ratios` each is on its own. When a clock's
    time is up the neurons that are left stay as they are.
    """
    slopes = cross.copy() if ratios is None else cross - gram @ weight
    for output in np.flatnonzero(kept.any(axis=0)):
        if clock is not None and clock.expired:
            return
        support = np.flatnonzero(kept[:, output])
        wanted = cross[:, output]
        if ratios is not None:
            wanted = cross[:, output] - slopes[:, output] + slopes @ ratios[:, output]
        support = best_exchanges(gram, wanted, support, exchanges)
        kept[:, output], weight[:, output] = False, 0.0
        kept[support, output] = True
        weight[support, output] = solve(gram[np.ix_(support, support)], wanted[support])
        slopes[:, output] = cross[:, output] - weight[support, output] @ gram[support]


def elimination_scores(regression, weight) -> np.ndarray:
    """Loss at which each weight of a layer goes, made to grow with the order in which they go.

    Weights that are zero and dead inputs have a score of zero. When the time of the run is up, a weight of the outputs that
    are left has the loss without it if the others do not adjust, which is an upper bound.
    """
    scores = np.zeros(weight.shape)
    alive = np.flatnonzero(regression.alive)
    is_dense, clock = weight[alive].all(), regression.clock
    if is_dense and not clock.expired:
        inverse = inverted(regression.gram[np.ix_(alive, alive)])
    for output in range(scores.shape[1]):
        if clock.expired:
            late, energy = np.s_[output:], regression.gram.diagonal() * regression.alive
            scores[:, late] = np.square(weight[:, late], dtype=np.float64) * energy[:, None] / 2
            break
        left = alive
        if not is_dense:
            left = alive[weight[alive, output] != 0]
            if left.size == 0:
                continue
            inverse = inverted(regression.gram[np.ix_(left, left)])
        order, losses = elimination(inverse, weight[left, output].astype(np.float64))
        # The lower convex hull of the accumulated losses: sorting its slopes shares the budget best.
        scores[left[order], output] = scipy.optimize.isotonic_regression(losses).x
    return scores


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
    if limit == 0:
        return support
    beside, wanted = gram[support], cross[support]
    inverse = inverted(beside[:, support])
    rows = inverse @ beside
    w = inverse @ wanted
    slope = cross - w @ beside
    square = gram.diagonal() - np.einsum("ij,ij->j", rows, beside)
    square[support] = np.inf
    support, promising = support.copy(), np.empty(len(gram), np.int64)
    # A gain below this is lost in rounding.
    tolerance = 1e-9 * abs(w @ wanted)
    # A call of the kernel is kept short, for the sake of Ctrl-C.
    chunk = 1 + 10**7 // rows.size
    while limit > 0:
        done = exchange(gram, inverse, rows, w, slope, square, support, promising, tolerance, min(chunk, limit))
        limit = limit - done if done == chunk else 0
    return support
