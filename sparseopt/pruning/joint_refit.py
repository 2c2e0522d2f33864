"""All kept weights of all layers fitted at once, by a quasi-Newton method on all samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

from sparseopt.inputs import is_whole
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.objectives import check_temperature
from sparseopt.pruning.training import Training, gradients

# Iterations in which the samples held out may see no gain before the search for the best number ends.
PATIENCE = 15


@dataclass(frozen=True, kw_only=True)
class JointRefit(Training):
    """Fit to what the model said before: limited-memory BFGS on the kept weights and biases of all layers.

    A few thousand samples without labels do, where a fit to as many labels would forget what the model knows
    of others. There is no step length to choose.

    Parameters
    ----------
    iterations : int, default=60
        In each step of a schedule.
    distil : float, default=1
        Weight of the divergence from the model's outputs before, in [0, 1]; the labels have the rest.
    temperature : float, default=2
        Of that divergence, see `Distillation`. A network that has converged is sure of nearly all samples, and at 1 the few
        of which it is not decide all weights: above 1 each has its say. For stages of a network that was not trained to
        the end, 1 can be better.
    pull : float, default=1e-4
        Weight of half the squared distance from the weights at the start, which keeps few samples from
        moving them far.
    held_out : float, default=0
        Part of the samples on which the number of iterations is chosen, up to `iterations`, by a first fit to the
        others; then all are fitted. Where the kept weights are many for the samples and the network had converged,
        the best is soon behind, and it may be no iteration at all. 0.2 is a usual part.

    References
    ----------
    Liu and Nocedal, "On the limited memory BFGS method for large scale optimization" (1989).
    Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015).
    """

    iterations: int = 60
    distil: float = 1.0
    temperature: float = 2.0
    pull: float = 1e-4
    held_out: float = 0.0

    def __post_init__(self):
        if not (is_whole(self.iterations) and self.iterations >= 1):
            raise ValueError(f"iterations is {self.iterations!r}; give a whole number from 1.")
        if not 0 <= self.distil <= 1:
            raise ValueError(f"distil is {self.distil}; give a number from 0 to 1.")
        check_temperature(self.temperature)
        if not 0 <= self.pull < np.inf:
            raise ValueError(f"pull is {self.pull}; give a number from 0.")
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out is {self.held_out}; give a part of the samples from 0, below 1.")

    def fit(self, network, kept, X, objective, *, rng=None, clock=None):
        """Minimise, up to the number of iterations."""
        clock, iterations = clock or Clock(), self.iterations
        count = int(self.held_out * len(X))
        if count:
            order = (rng or np.random.default_rng(0)).permutation(len(X))
            iterations = self._best_iterations(network, kept, X, objective, order[:count], order[count:], clock)
        return self._fitted(network, kept, X, objective, iterations, clock)

    def _best_iterations(self, network, kept, X, objective, held, others, clock):
        """Iterations after which a fit to the other samples is nearest to the objective on those held out."""
        target, inputs = objective[held], X[held]
        losses = [target.value_and_seeds(network.outputs(inputs))[0]]

        def look(trial):
            losses.append(target.value_and_seeds(trial.outputs(inputs))[0])
            return len(losses) - 1 - int(np.argmin(losses)) >= PATIENCE

        self._fitted(network, kept, X[others], objective[others], self.iterations, clock, look)
        return int(np.argmin(losses))

    def _fitted(self, network, kept, X, objective, iterations, clock, look=None):
        """The network after so many iterations, or where the clock or `look` at the network on the way ends them."""
        free = _FreeParameters(network, kept)
        start = free.values()

        def value_and_slope(values):
            trial = free.network_with(values)
            loss, seeds = objective.value_and_seeds(trial.outputs(X))
            move = values - start
            slope = free.flat(gradients(trial, X, seeds)) + self.pull * move
            return loss + 0.5 * self.pull * float(move @ move), slope

        def look_on_the_way(values):
            if clock.expired or (look and look(free.network_with(values))):
                raise StopIteration

        if start.size == 0 or iterations == 0 or clock.expired:
            return free.network_with(start)
        # A tolerance of zero: single precision ends the search where it can do no more.
        found = scipy.optimize.minimize(
            value_and_slope, start, jac=True, method="L-BFGS-B", callback=look_on_the_way,
            options={"maxiter": iterations, "ftol": 0.0, "gtol": 0.0},
        )  # fmt: skip
        return free.network_with(found.x)


class _FreeParameters:
    """Kept weights and biases of a network as one vector."""

    def __init__(self, network, kept):
        self.network, self.layers = network, network.layers()
        self.places = [np.flatnonzero(keep) for keep in kept]

    def values(self):
        """The vector of the network as it is."""
        return self.flat([(layer.weight, layer.bias) for layer in self.layers])

    def flat(self, pairs):
        """The vector of pairs of a weight and a bias."""
        parts = [np.empty(0)]
        for (weight, bias), places in zip(pairs, self.places, strict=True):
            parts.append(np.ravel(weight)[places])
            if bias is not None:
                parts.append(np.ravel(bias))
        return np.concatenate(parts).astype(np.float64)

    def network_with(self, values):
        """The network with these values, zero elsewhere."""
        layers, end = [], 0
        for layer, places in zip(self.layers, self.places, strict=True):
            weight, bias = np.zeros(layer.weight.shape, layer.weight.dtype), layer.bias
            begin, end = end, end + places.size
            weight.reshape(-1)[places] = values[begin:end]
            if bias is not None:
                begin, end = end, end + bias.size
                bias = values[begin:end].reshape(bias.shape).astype(bias.dtype)
            layers.append(replace(layer, weight=weight, bias=bias))
        return self.network.with_layers(layers)
