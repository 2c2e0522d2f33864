"""Pruning of whole neurons: the network that comes out has smaller matrices."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sparseopt.adapters import adapt
from sparseopt.certificate import Certificate
from sparseopt.mask import Mask
from sparseopt.pruning.methods import Scope
from sparseopt.pruning.networks import Link, as_data
from sparseopt.pruning.neuron_methods import GroupSelection, HiddenLayer, NeuronMethod
from sparseopt.pruning.pruned import relative_error
from sparseopt.pruning.reconstruction import Reconstruction, solve


@dataclass(frozen=True)
class HiddenReport:
    """What became of the neurons of a hidden layer.

    Attributes
    ----------
    name : str
        The layer that the neurons are outputs of.
    kept, total : int
    error : float
        Of the layer that reads them, relative: 0 as before, 1 as bad as a constant.
    certificate : Certificate or None
        What is proven of the choice, where the method asks for the best one. The objective is the loss
        that all neurons together would not have; `gap` is zero where no other choice is better.
    """

    name: str
    kept: int
    total: int
    error: float
    certificate: Certificate | None = None


@dataclass(frozen=True, eq=False, repr=False)
class PrunedNeurons:
    """A network with fewer neurons.

    Attributes
    ----------
    model
        Of the kind given, with smaller matrices, or with zeros where that was asked for.
    mask : Mask
        Weights of the given model that are left: the rows and columns of the neurons that went are False.
    neurons : dict of str to array of int
        Neurons that are left, by the name of the layer that they are outputs of.
    layers : tuple of HiddenReport
    method : NeuronMethod
    seconds : float
    """

    model: object
    mask: Mask
    neurons: dict[str, np.ndarray]
    layers: tuple[HiddenReport, ...]
    method: NeuronMethod
    seconds: float

    @property
    def certificates(self) -> dict[str, Certificate]:
        """What is proven, by the name of the layer."""
        return {layer.name: layer.certificate for layer in self.layers if layer.certificate is not None}

    def __repr__(self) -> str:
        kept, total = (sum(getattr(layer, what) for layer in self.layers) for what in ("kept", "total"))
        return (
            f"PrunedNeurons({type(self.model).__name__}, {kept} of {total} neurons and {self.mask.kept} of "
            f"{self.mask.total} weights kept, {self.seconds:.1f} s)"
        )


def prune_neurons(
    model,
    X,
    y=None,
    *,
    sparsity=None,
    keep=None,
    method=None,
    scope=Scope.NETWORK,
    layers=None,
    refit=True,
    damping=0.01,
    smaller=True,
    progress=False,
) -> PrunedNeurons:
    """Return a network with fewer neurons that behaves as the given one does on samples X.

    From the first hidden layer to the last, neurons are chosen on the activations that the network pruned so far
    gives, and the layer that reads them is fitted again to its old outputs by least squares.

    Parameters
    ----------
    model : NumpyMLP, list of matrices, MLP of scikit-learn, or Network whose layers form a chain
        Untouched.
    X : array of shape (samples, inputs)
        A few thousand samples such as the model will meet.
    y : array of shape (samples,) or (samples, outputs), optional
        Labels, for a method that needs them.
    sparsity : float, optional
        Part of the hidden neurons to go, at least 0 and below 1. Give this or `keep`.
    keep : int, or mapping of str to int, optional
        Neurons to keep in each hidden layer, or in each that is named: a layer is named for its own weight.
    method : NeuronMethod, default=GroupSelection()
    scope : Scope or its name, default=Scope.NETWORK
        "network": neurons of all hidden layers compete by their scores, and each layer keeps at least one;
        "layer": each gives the same part.
    layers : sequence of str, optional
        Hidden layers that may be pruned; all by default.
    refit : bool, default=True
        Fit the weights that read the kept neurons, and the bias, to the layer's old outputs. Without it the
        rest of the network stays as it is.
    damping : float, default=0.01
        Weight of the old weights in the refit, relative to the mean square of the activations.
    smaller : bool, default=True
        Take rows and columns out of the matrices; otherwise set them to zero.
    progress : bool, default=False
        Write a line to the standard error for each layer.

    Returns
    -------
    PrunedNeurons
    """
    start = time.perf_counter()
    method, scope = method or GroupSelection(), Scope(scope)
    network, X = adapt(model), as_data(X)
    _check(method, scope, y, X)
    chain = _chain(network, X)
    places = _places(chain, layers)
    seeds = _seeds(network, X, y) if method.needs_labels else None
    counts = _counts(network, chain, places, X, seeds, method, scope, sparsity, keep)
    dense_inputs, sensitivities = list(network.inputs(X)), network.sensitivities(X)
    now, pruned = list(chain), network
    kept = {i: np.ones(chain[i].weight.shape[1], bool) for i in range(len(chain) - 1)}
    reports = []
    for i, count in counts.items():
        hidden = HiddenLayer(
            now[i],
            now[i + 1],
            list(pruned.inputs(X))[i + 1],
            chain[i + 1](dense_inputs[i + 1]),
            sensitivities[i + 1],
            None if seeds is None else pruned.slopes(X, seeds)[i + 1],
        )
        choice = method.choose(hidden, count)
        kept[i] = choice.kept
        now[i], now[i + 1] = _cut(hidden, choice.kept, damping if refit else None)
        pruned = network.with_layers(now)
        error = relative_error(now[i + 1](np.where(choice.kept, hidden.activations, 0)), hidden.targets)
        reports.append(HiddenReport(chain[i].name, count, choice.kept.size, error, choice.certificate))
        if progress:
            report = reports[-1]
            sys.stderr.write(
                f"{time.perf_counter() - start:6.1f} s  {report.name}: {report.kept} of {report.total} neurons kept, "
                f"error {report.error:.2g}\n"
            )
    mask = Mask({layer.name: layer.own(alive) for layer, alive in zip(chain, _alive(chain, kept), strict=True)})
    found = _smaller(network, now, kept) if smaller else pruned.model()
    neurons = {chain[i].name: np.flatnonzero(kept[i]) for i in counts}
    return PrunedNeurons(found, mask, neurons, tuple(reports), method, time.perf_counter() - start)


def _check(method, scope, y, X):
    if not isinstance(method, NeuronMethod):
        raise TypeError(f"{method!r} does not choose neurons; give a NeuronMethod such as GroupSelection().")
    if scope is Scope.NEURON:
        raise ValueError("scope is 'neuron', but whole neurons go; give 'network' or 'layer'.")
    if y is not None and len(y) != len(X):
        raise ValueError(f"X has {len(X)} samples, y {len(y)}; give one target per sample.")
    if method.needs_labels and y is None:
        raise ValueError(f"{method!r} needs the labels of X; give y.")


def _chain(network, X):
    """Layers of the network, once it is clear that each reads the one before it and nothing else."""
    layers = network.layers()
    if len(layers) < 2:
        raise ValueError(
            "the model has one layer and no hidden neurons; prune its weights or the features of its data."
        )
    few = list(network.inputs(X[:2]))
    for before, after, inputs in zip(layers, layers[1:], few[1:], strict=False):
        if before.weight.shape[1] != after.weight.shape[0] or len(inputs) != len(few[0]):
            raise ValueError(
                f"{after.name} does not read the outputs of {before.name} one by one; neurons are pruned in chains of "
                "fully connected layers: prune the weights of this model."
            )
    return layers


def _places(chain, names):
    hidden = {layer.name: i for i, layer in enumerate(chain[:-1])}
    for name in names or ():
        if name not in hidden:
            raise ValueError(f"layers names {name!r}; the hidden layers are {', '.join(map(repr, hidden))}.")
    return sorted(hidden.values() if names is None else (hidden[name] for name in names))


def _counts(network, chain, places, X, seeds, method, scope, sparsity, keep) -> dict[int, int]:
    """How many neurons each hidden layer keeps."""
    if (sparsity is None) == (keep is None):
        raise ValueError(
            "how many neurons are to stay? give sparsity, a part of them, or keep, a number: one of the two."
        )
    sizes = {i: chain[i].weight.shape[1] for i in places}
    if keep is not None:
        return _given(keep, chain, sizes)
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity is {sparsity}; give the part of neurons to go, at least 0 and below 1.")
    # Rounded down with a little mercy: (1 - 0.9) * 10 is 0.9999999999999998.
    if scope is Scope.LAYER:
        return {i: max(int((1 - sparsity) * size + 1e-9), 1) for i, size in sizes.items()}
    inputs, sensitivities = list(network.inputs(X)), network.sensitivities(X)
    slopes = None if seeds is None else network.slopes(X, seeds)
    owners, scores = [], []
    for i in places:
        targets = chain[i + 1](inputs[i + 1])
        slope = None if slopes is None else slopes[i + 1]
        hidden = HiddenLayer(chain[i], chain[i + 1], inputs[i + 1], targets, sensitivities[i + 1], slope)
        scores.append(method.scores(hidden))
        owners.append(np.full(sizes[i], i))
    owners, scores = np.concatenate(owners), np.concatenate(scores)
    if not np.isfinite(scores).all():
        raise ValueError(f"the scores of {method!r} are not finite; look for extreme weights, or raise its damping.")
    total = max(int((1 - sparsity) * scores.size + 1e-9), 1)
    best = owners[np.argsort(scores, kind="stable")[scores.size - total :]]
    return {i: max(int(np.sum(best == i)), 1) for i in places}


def _given(keep, chain, sizes):
    if not isinstance(keep, Mapping):
        keep = {chain[i].name: keep for i in sizes}
    places = {chain[i].name: i for i in sizes}
    counts = {}
    for name, count in keep.items():
        if name not in places:
            raise ValueError(f"keep names {name!r}; the hidden layers are {', '.join(map(repr, places))}.")
        size = sizes[places[name]]
        if int(count) != count or not 1 <= count <= size:
            raise ValueError(f"keep is {count} for {name!r}; give a number of its neurons from 1 to {size}.")
        counts[places[name]] = int(count)
    return dict(sorted(counts.items()))


def _seeds(network, X, y):
    """Slopes of each sample's loss in the outputs of the network."""
    predictions, y = network.outputs(X), np.asarray(y)
    match network.link:
        case Link.SOFTMAX:
            predictions = np.exp(predictions - predictions.max(axis=1, keepdims=True))
            predictions /= predictions.sum(axis=1, keepdims=True)
        case Link.LOGISTIC:
            predictions = 0.5 + 0.5 * np.tanh(0.5 * predictions)
    return predictions - _targets(network.link, y, predictions.shape)


def _targets(link, y, shape):
    if y.shape == shape:
        return y
    if link is Link.IDENTITY:
        if y.size != shape[0] * shape[1]:
            raise ValueError(f"y has shape {y.shape}, the outputs {shape}; give one number for each output.")
        return y.reshape(shape)
    classes, labels = np.unique(y, return_inverse=True)
    count = max(shape[1], 2)
    if len(classes) != count:
        # Not every class is in the samples: labels must then be the places of the outputs themselves.
        if y.dtype.kind not in "biu" or y.min() < 0 or y.max() >= count:
            raise ValueError(f"y has {len(classes)} classes, the network {count}; give samples of all, or indicators.")
        labels = y.astype(np.intp)
    return labels.reshape(-1, 1) if shape[1] == 1 else np.eye(count)[labels.ravel()]


def _cut(hidden, kept, damping):
    """The two layers around some neurons without those that are not kept: zeros, and perhaps a refit."""
    own, following = hidden.own, hidden.following
    own = replace(
        own,
        weight=np.where(kept, own.weight, 0).astype(own.weight.dtype),
        bias=None if own.bias is None else np.where(kept, own.bias, 0).astype(own.bias.dtype),
    )
    weight = np.where(kept[:, None], following.weight, 0).astype(following.weight.dtype)
    if damping is None:
        return own, replace(following, weight=weight)
    regression = Reconstruction.of(hidden.activations, hidden.targets, following, damping)
    fitted = np.zeros(weight.shape)
    fitted[kept] = solve(regression.gram[np.ix_(kept, kept)], regression.cross[kept])
    return own, regression.fitted(following, fitted)


def _alive(chain, kept):
    """Weights of each layer whose two neurons are both kept."""
    for i, layer in enumerate(chain):
        rows, columns = np.ones(layer.weight.shape[0], bool), np.ones(layer.weight.shape[1], bool)
        rows = kept.get(i - 1, rows)
        columns = kept.get(i, columns)
        yield rows[:, None] & columns


def _smaller(network, layers, kept):
    """A model whose matrices have the kept rows and columns only."""
    parts = []
    for i, layer in enumerate(layers):
        weight, bias = layer.weight, layer.bias
        if i in kept:
            weight, bias = weight[:, kept[i]], None if bias is None else bias[kept[i]]
        if i - 1 in kept:
            weight = weight[kept[i - 1]]
        parts.append(replace(layer, weight=weight, bias=bias))
    model = network.replace(parts)
    if hasattr(model, "hidden_layer_sizes"):
        # A perceptron of scikit-learn has its sizes as a parameter, and an optimiser with momenta of the old ones.
        model.hidden_layer_sizes = tuple(part.weight.shape[1] for part in parts[:-1])
        vars(model).pop("_optimizer", None)
    return model
