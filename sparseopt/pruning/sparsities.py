"""One model at many sparsities, its weights scored once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from sparseopt.models import adapt
from sparseopt.pruning.data import as_data
from sparseopt.pruning.layer_stats import Samples
from sparseopt.pruning.loop import prune
from sparseopt.pruning.methods import Method
from sparseopt.pruning.options import as_labels, as_method, as_seed
from sparseopt.pruning.scopes import Scope


def prune_path(
    model,
    X,
    y=None,
    *,
    sparsities,
    method=None,
    scope=Scope.NETWORK,
    refit=None,
    validation=None,
    layers=None,
    progress=False,
    random_state=0,
) -> list:
    """Return what `prune` does at each of several sparsities, in one shot, from one pass of scores.

    An elimination tells in one pass what all sparsities keep, so that only the fits are made for each.

    Parameters
    ----------
    model, X, y, method, scope, refit, validation, layers, progress, random_state
        As in `prune`; the method scores single weights.
    sparsities : sequence of float
        Parts of the weights to be zero, each at least 0 and below 1.

    Returns
    -------
    list of Pruned
        One for each sparsity, in their order.
    """
    if isinstance(sparsities, str) or not isinstance(sparsities, Iterable):
        raise TypeError(f"sparsities is {sparsities!r}; give several numbers, or one to `prune`.")
    sparsities = list(sparsities)
    if not sparsities:
        raise ValueError("sparsities is empty; give at least one.")
    method = as_method(method)
    if not isinstance(method, Method):
        raise TypeError(f"{method!r} prunes whole neurons or features; give a method or a score of single weights.")
    method = method.at(1.0, 1.0)
    network = adapt(model)
    data = as_data(X, network.feature_names)
    labels = as_labels(network, data, y)
    if method.needs_labels and labels is None:
        raise ValueError(f"{method!r} looks at the loss and needs y; give it, or a method without labels.")
    random_state = as_seed(random_state)
    samples = Samples(data, labels, random_state)
    metrics = method.metrics(network, samples) if method.refits else itertools.repeat(None)
    found = list(itertools.islice(metrics, len(network.layers())))
    known = _Known(method, method.scores(network, samples), found, samples)
    runs = [
        prune(
            model, data, y, sparsity=sparsity, method=known, scope=scope, refit=refit, validation=validation,
            layers=layers, progress=progress, random_state=random_state,
        )
        for sparsity in sparsities
    ]  # fmt: skip
    return [
        replace(run, method=method, layers=tuple(replace(layer, method=method) for layer in run.layers)) for run in runs
    ]


@dataclass(frozen=True, eq=False)
class _Known(Method):
    """A method whose scores and metrics are known."""

    method: Method
    found: list[np.ndarray]
    found_metrics: list
    samples: Samples
    shared: dict = field(default_factory=dict)

    @property
    def refits(self) -> bool:
        return self.method.refits

    @property
    def temperature(self) -> float:
        return self.method.temperature

    def scores(self, network, samples):
        return self.found

    def metrics(self, network, samples):
        return self.found_metrics

    def rival_scores(self, network, samples, scores):
        return self.method.rival_scores(network, samples, scores)

    def fit(self, layer, kept, inputs, targets):
        return self.method.fit(layer, kept, inputs, targets)

    def fit_with(self, metric, layer, kept, inputs, targets):
        # Nothing is pruned before a layer that sees the samples themselves: its problem is the same at all sparsities.
        if inputs is not self.samples.X:
            return self.method.fit_with(metric, layer, kept, inputs, targets)
        if layer.name not in self.shared:
            self.shared[layer.name] = self.method.moments(layer, inputs, targets, self.samples.grams(inputs))
        moments = self.shared[layer.name]
        if moments is None:
            return self.method.fit_with(metric, layer, kept, inputs, targets)
        return self.method.fit_moments(metric, layer, kept, moments)

    def fit_network(self, before, network, kept, samples, choose, objective, clock):
        return self.method.fit_network(before, network, kept, samples, choose, objective, clock)

    def certificate(self, layer, kept, inputs, targets):
        return self.method.certificate(layer, kept, inputs, targets)
