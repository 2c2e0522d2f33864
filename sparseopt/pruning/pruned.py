"""The verb of this floor: prune a model, and what came of it."""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import dataclass

import numpy as np

from sparseopt.adapters import adapt
from sparseopt.mask import Mask
from sparseopt.pruning.methods import LayerwiseL0, Method, Scope
from sparseopt.pruning.networks import as_data


@dataclass(frozen=True)
class LayerReport:
    """What became of one layer. The error is relative: 0 as before, 1 as bad as a constant."""

    name: str
    kept: int
    total: int
    error: float
    method: Method


@dataclass(frozen=True, eq=False, repr=False)
class Pruned:
    """A pruned model, the mask of its kept weights, and a report on each layer."""

    model: object
    mask: Mask
    layers: tuple[LayerReport, ...]
    method: Method
    seconds: float

    def __repr__(self) -> str:
        worst = max(self.layers, key=lambda layer: layer.error)
        return (
            f"Pruned({type(self.model).__name__}, {self.mask.kept} of {self.mask.total} weights kept, "
            f"largest error {worst.error:.2g} in {worst.name}, {self.seconds:.1f} s)"
        )


def prune(model, X, y=None, *, sparsity, method=None, scope=Scope.NETWORK, progress=False) -> Pruned:
    """Return a model with few nonzero weights that behaves as the given one does on samples X.

    Parameters
    ----------
    model : NumpyMLP, list of matrices, scikit-learn model or Network
        A fitted linear model or MLP of scikit-learn; matrices have shape (inputs, outputs) and ReLU
        between them, and give a NumpyMLP. The model is untouched.
    X : array of shape (samples, inputs)
        A few thousand samples such as the model will meet. Their labels are not needed.
    y : array of shape (samples,), optional
        Accepted so that `prune(model, X, y, ...)` reads like `fit`; not used, since what is kept is
        what the model does, right or wrong.
    sparsity : float
        Part of the weights to be zero, at least 0 and below 1. Biases are not counted.
    method : Method, default=LayerwiseL0()
    scope : Scope or its name, default=Scope.NETWORK
        "network": all weights compete, so that layers and neurons with much to spare give most;
        "layer" and "neuron": each gives the same part.
    progress : bool, default=False
        Write a line to the standard error for each step.

    Returns
    -------
    Pruned
        `.model` of the kind given, `.mask`, `.layers` (kept weights and error of each), `.seconds`.
    """
    start = time.perf_counter()
    method, scope = method or LayerwiseL0(), Scope(scope)
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity is {sparsity}; give the part of weights to be zero, at least 0 and below 1.")
    network, X = adapt(model), as_data(X)
    if y is not None and len(y) != len(X):
        raise ValueError(f"X has {len(X)} samples, y {len(y)}; give one target per sample.")

    def tell(text):
        if progress:
            sys.stderr.write(f"{time.perf_counter() - start:6.1f} s  {text}\n")

    scores = method.scores(network, X)
    if not all(np.isfinite(score).all() for score in scores):
        raise ValueError(f"the scores of {method!r} are not finite; raise its damping.")
    tell(f"{sum(score.size for score in scores)} weights scored")
    layers, kept, reports = list(network.layers()), {}, []
    pruned = network
    supports = scope.keep(scores, sparsity)
    for i, (layer, dense_inputs) in enumerate(zip(network.layers(), network.inputs(X), strict=True)):
        # What the layer will really meet: the outputs of the layers before it as they are now.
        inputs = next(itertools.islice(pruned.inputs(X), i, None))
        targets = layer(dense_inputs)
        layers[i], support = method.fit(layer, supports[i], inputs, targets)
        pruned = network.with_layers(layers)
        kept[layer.name] = layer.own(support)
        error = relative_error(layers[i](inputs), targets)
        reports.append(LayerReport(layer.name, int(support.sum()), support.size, error, method))
        tell(f"{layer.name}: {reports[-1].kept} of {support.size} weights kept, error {error:.2g}")
    return Pruned(pruned.model(), Mask(kept), tuple(reports), method, time.perf_counter() - start)


def relative_error(outputs, targets) -> float:
    """Sum of squared errors, relative to that of the targets' means."""
    error = float(np.sum((outputs - targets) ** 2, dtype=np.float64))
    scale = float(np.sum((targets - targets.mean(axis=0)) ** 2, dtype=np.float64))
    return error / scale if scale else (np.inf if error else 0.0)
