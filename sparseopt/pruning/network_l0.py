"""Best subset selection over a whole network: weights that come in anywhere, and the cheapest that leave anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sparseopt.inputs import is_whole
from sparseopt.pruning.curvature import seeds
from sparseopt.pruning.joint_refit import JointRefit
from sparseopt.pruning.layerwise import LayerwiseL0, elimination
from sparseopt.pruning.methods import Method
from sparseopt.pruning.reconstruction import inverted, solve
from sparseopt.pruning.training import gradients

# Samples whose slopes in all kept weights are laid out at once.
ROWS = 512


@dataclass(frozen=True, kw_only=True)
class NetworkL0(Method):
    """Few weights of a network that say what it said before: a local search over all layers, without labels.

    It begins with best subsets layer by layer. In each round weights come in where the divergence from what the network
    said falls most, and as many leave again: eliminated one by one, each time the one whose loss, after
    all others of all layers have adjusted, is least. All kept weights are fitted jointly, with the
    guests and without them, and the round stands if the divergence is less than it was; if not, the next one is half as large.

    Parameters
    ----------
    start : LayerwiseL0, default=LayerwiseL0()
    rounds : int, default=10
    part : float, default=0.3
        Weights that come in, over those that are kept, in the first round.
    iterations : int, default=20
        Of each `JointRefit`.
    temperature : float, default=2
        Of the divergence that is fitted and that judges, see `Distillation`: above 1, samples of which the network is sure
        have their say.
    exact : int, default=2500
        Most weights to eliminate on one Gram matrix of the whole network, whose rows are as many; beyond that, each
        neuron eliminates its own.

    References
    ----------
    Hassibi and Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon" (1992).
    Evci et al., "Rigging the lottery: making all tickets winners" (2020).
    """

    start: LayerwiseL0 = field(default_factory=LayerwiseL0)
    rounds: int = 10
    part: float = 0.3
    iterations: int = 20
    temperature: float = 2.0
    exact: int = 2500

    def __post_init__(self):
        if not isinstance(self.start, LayerwiseL0):
            raise TypeError(f"start is {self.start!r}; give LayerwiseL0().")
        if not (is_whole(self.rounds) and self.rounds >= 0):
            raise ValueError(f"rounds is {self.rounds!r}; give a whole number from 0.")
        if not 0 < self.part < np.inf:
            raise ValueError(f"part is {self.part}; give a positive number.")
        if not (is_whole(self.exact) and self.exact >= 0):
            raise ValueError(f"exact is {self.exact!r}; give a whole number from 0.")
        JointRefit(iterations=self.iterations, temperature=self.temperature)

    def scores(self, network, samples):
        """Losses of the elimination layer by layer."""
        return self.start.scores(network, samples)

    def rival_scores(self, network, samples, scores):
        """Those of the start."""
        return self.start.rival_scores(network, samples, scores)

    def metrics(self, network, samples):
        """How errors in the outputs of each layer hurt."""
        return self.start.metrics(network, samples)

    def fit(self, layer, kept, inputs, targets):
        """Layer by layer, each neuron on its own."""
        return self.start.fit(layer, kept, inputs, targets)

    def fit_with(self, metric, layer, kept, inputs, targets):
        """Layer by layer."""
        return self.start.fit_with(metric, layer, kept, inputs, targets)

    def moments(self, layer, inputs, targets, grams=None):
        """The layer's least squares problem."""
        return self.start.moments(layer, inputs, targets, grams)

    def fit_moments(self, metric, layer, kept, moments):
        """Layer by layer, given the least squares problem."""
        return self.start.fit_moments(metric, layer, kept, moments)

    def fit_network(self, before, network, kept, samples, choose, objective, clock):
        """Rounds of guests and eliminations."""
        X, refit = samples.X, JointRefit(iterations=self.iterations)
        # A layer that keeps all its weights has no part in it, nor have weights that were pruned before.
        is_open = [(layer.weight != 0) & (not keep.all()) for layer, keep in zip(before.layers(), kept, strict=True)]
        network = refit.fit(network, kept, X, objective, clock=clock)
        loss, slopes = objective.value_and_seeds(network.outputs(X))
        guests = round(
            self.part * sum(int(keep.sum()) for keep, place in zip(kept, is_open, strict=True) if place.any())
        )
        for _ in range(self.rounds):
            if guests == 0 or clock.expired:
                break
            more = _with_guests(network, kept, is_open, samples, slopes, guests)
            larger = refit.fit(network, more, X, objective, clock=clock)
            trial, support = self._eliminated(larger, more, is_open, samples, choose)
            trial = refit.fit(trial, support, X, objective, clock=clock)
            new_loss, new_slopes = objective.value_and_seeds(trial.outputs(X))
            if new_loss < loss:
                network, kept, loss, slopes = trial, support, new_loss, new_slopes
            else:
                guests //= 2
        return network, kept

    def _eliminated(self, network, kept, is_open, samples, choose):
        """Without as many weights as there are too many, and with those that are left as the second order has them."""
        places = [np.flatnonzero(keep & place) for keep, place in zip(kept, is_open, strict=True)]
        size = sum(place.size for place in places)
        if size > self.exact:
            support = choose(self.start.scores(network, samples))
            support = [new & old for new, old in zip(support, kept, strict=True)]
            return _masked(network, support), support
        hessian = joint_hessian(network, places, samples.X)
        hessian[np.diag_indices(size)] += self.start.damping * hessian.trace() / size or 1.0
        w = np.concatenate([layer.weight.ravel()[at] for layer, at in zip(network.layers(), places, strict=True)])
        order, _ = elimination(inverted(hessian), w.astype(np.float64))
        rank = np.empty(size)
        rank[order] = np.arange(1.0, size + 1)
        support = choose(_spread(rank, places, kept))
        stays = np.concatenate([keep.ravel()[at] for keep, at in zip(support, places, strict=True)])
        S, R = np.flatnonzero(stays), np.flatnonzero(~stays)
        w[S] += solve(hessian[np.ix_(S, S)], hessian[np.ix_(S, R)] @ w[R])
        layers = [
            replace(layer, weight=np.where(place, new, layer.weight).astype(layer.weight.dtype))
            for layer, new, place in zip(network.layers(), _spread(w, places, kept), is_open, strict=True)
        ]
        return _masked(network.with_layers(layers), support), support


def joint_hessian(network, places, X, passes=2) -> np.ndarray:
    """Gauss-Newton Hessian in some weights of all layers, given as flat positions in each; a sample of it, by signs."""
    at = [np.unravel_index(place, layer.weight.shape) for place, layer in zip(places, network.layers(), strict=True)]
    size = sum(place.size for place in places)
    hessian = np.zeros((size, size))
    for start in range(0, len(X), ROWS):
        batch = X[start : start + ROWS]
        inputs = list(network.inputs(batch))
        for seed in seeds(network.link, network.outputs(batch), passes):
            slopes = network.slopes(batch, seed)
            rows = [
                (A[:, i] * D[:, j]).reshape(len(batch), -1, i.size).sum(axis=1)
                for A, D, (i, j) in zip(inputs, slopes, at, strict=True)
                if i.size
            ]
            J = np.concatenate(rows, axis=1)
            hessian += J.T @ J
    return hessian / len(X)


def _with_guests(network, kept, is_open, samples, slopes, guests):
    """The supports with the weights whose coming lowers the loss most: by g^2 / curvature, each by itself."""
    fisher = [stats.fisher for stats in samples.stats(network)]
    ridge = 0.1 * sum(f.sum() for f in fisher) / sum(f.size for f in fisher) or 1.0
    found = gradients(network, samples.X, slopes)
    gains = np.concatenate(
        [
            np.where(place & ~keep, weight**2 / (f + ridge), -1.0).ravel()
            for (weight, _), f, keep, place in zip(found, fisher, kept, is_open, strict=True)
        ]
    )
    best = np.argsort(-gains, kind="stable")[:guests]
    more = np.concatenate([keep.ravel() for keep in kept])
    more[best[gains[best] > 0]] = True
    parts = np.split(more, np.cumsum([keep.size for keep in kept])[:-1])
    return [part.reshape(keep.shape) for part, keep in zip(parts, kept, strict=True)]


def _spread(values, places, kept):
    """Values at flat positions of each layer, zero elsewhere."""
    found, end = [], 0
    for place, keep in zip(places, kept, strict=True):
        begin, end = end, end + place.size
        array = np.zeros(keep.size)
        array[place] = values[begin:end]
        found.append(array.reshape(keep.shape))
    return found


def _masked(network, kept):
    return network.with_layers(
        [
            replace(layer, weight=np.where(keep, layer.weight, 0).astype(layer.weight.dtype))
            for layer, keep in zip(network.layers(), kept, strict=True)
        ]
    )
