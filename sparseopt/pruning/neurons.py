"""Pruning of whole neurons and channels: the network that comes out has smaller matrices.

The verb, what every choice of neurons is, and the best group for the layer that reads them.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import scipy

from sparseopt.inputs import is_whole
from sparseopt.mask import Mask
from sparseopt.models import adapt
from sparseopt.pruning.block_selection import BlockSelection
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.connections import resized
from sparseopt.pruning.data import as_data
from sparseopt.pruning.hidden_layers import HiddenLayer
from sparseopt.pruning.judging import JUDGED
from sparseopt.pruning.layer_stats import Samples
from sparseopt.pruning.methods import Structure, StructuredMethod, check_damping, masked
from sparseopt.pruning.objectives import Distillation
from sparseopt.pruning.options import as_clock, as_labels, as_seed, as_validation
from sparseopt.pruning.pruned import LayerReport, Pruned, Step, relative_error
from sparseopt.pruning.reconstruction import Reconstruction, solve
from sparseopt.pruning.row_selection import Choice, RowSelection
from sparseopt.pruning.scopes import Scope


class NeuronMethod(StructuredMethod):
    """A way to choose neurons; subclasses are frozen dataclasses of its knobs.

    As a method of `prune`, neurons of all hidden layers compete; `prune_neurons` has more options.
    """

    structure: ClassVar[Structure] = Structure.NEURON
    needs_labels: ClassVar[bool] = False

    def prune(self, model, X, y, *, sparsity, validation, random_state, clock, progress):
        """Return what `prune_neurons` does."""
        return prune_neurons(
            model, X, y, sparsity=sparsity, method=self, validation=validation, random_state=random_state,
            time_limit=clock.limit, progress=progress,
        )  # fmt: skip

    @abstractmethod
    def scores(self, hidden: HiddenLayer) -> np.ndarray:
        """Worth of each neuron, of shape (neurons,): where layers compete, the lowest go first."""

    @abstractmethod
    def choose(self, hidden: HiddenLayer, count: int, clock: Clock) -> Choice:
        """Keep this many of the neurons; the clock says how much time is left."""


@dataclass(frozen=True, kw_only=True)
class GroupSelection(NeuronMethod):
    """The neurons from which the following layer, refitted, gives its old outputs best.

    With the activations A, the outputs T of the following layer and the weights s of its outputs, the slopes of the
    network there, these k neurons are the support of

        minimise over W   |(A W - T) diag(s)|^2 / (2 n)   subject to   at most k nonzero rows of W,

    a subset selection with several responses and one Gram matrix. Neurons are eliminated one by one, each time the one
    whose loss is least after the others have adjusted; then whole rows are exchanged until no exchange helps. Neither
    labels nor gradient steps are needed.

    Parameters
    ----------
    damping : float, default=0.01
        Weight of the old weights, relative to the mean square of the activations. Raise it when there are few samples.
    kicks : int, default=4
        Random exchanges of a few neurons from which the search descends again.
    proof_time : float, default=0
        Seconds for a branch and bound in each layer, which proves the choice best or replaces it. Of channels of
        convolutions, each several rows of W, nothing is proven.

    References
    ----------
    Meng, Ibrahim, Behdin et al., "OSSCAR: one-shot structured pruning in vision and language models" (2024).
    """

    damping: float = 0.01
    kicks: int = 4
    proof_time: float = 0.0

    def __post_init__(self):
        check_damping(self.damping)
        if not self.proof_time >= 0:
            raise ValueError(f"proof_time is {self.proof_time}; give seconds, 0 for no proof.")

    def _rows(self, hidden):
        regression = hidden.regression(self.damping)
        cross = regression.cross * np.sqrt(hidden.sensitivity)
        if hidden.width > 1:
            return BlockSelection(regression.gram, cross, hidden.width)
        return RowSelection(regression.gram, cross)

    def scores(self, hidden):
        """Loss at which each neuron is eliminated, the later the higher."""
        rows = self._rows(hidden)
        order, losses = rows.elimination
        scores = np.empty(order.size)
        # The lower convex hull of the accumulated losses: sorting its slopes shares a budget best.
        scores[order] = scipy.optimize.isotonic_regression(losses).x
        return scores

    def choose(self, hidden, count, clock):
        """Eliminate, exchange and, if asked, prove."""
        return self._rows(hidden).best(count, self.kicks, min(self.proof_time, max(clock.limit - clock.seconds, 0.0)))


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
    validation=None,
    random_state=0,
    time_limit=np.inf,
    progress=False,
) -> Pruned:
    """Return a network with fewer neurons that behaves as the given one does on samples X.

    From the first hidden layer to the last, neurons are chosen on the activations that the network pruned so far
    gives, and the layer that reads them is fitted again to its old outputs by least squares.

    Parameters
    ----------
    model : NumpyMLP, list of matrices, MLP of scikit-learn, nn.Sequential, or Network whose layers form a chain
        Untouched. The neurons of a convolution (Conv1d, Conv2d) are its channels; they go with their entries of the batch
        normalisation, pooling and activations that follow, and with what the next layer reads of them.
    X : array of shape (samples, inputs)
        A few thousand samples such as the model will meet; of images for convolutions a few hundred, since each has
        many places.
    y : array of shape (samples,) or (samples, outputs), optional
        Labels, for a method that needs them.
    sparsity : float, optional
        Part of the hidden neurons to go, at least 0 and below 1. Give this or `keep`.
    keep : int, or mapping of str to int, optional
        Neurons to keep in each hidden layer, or in each that is named: a layer is named for its own weight.
    method : NeuronMethod, default=GroupSelection()
    scope : Scope or its name, default=Scope.NETWORK
        "network": neurons of all hidden layers compete by their scores; "layer": each gives the same part. A layer
        keeps one neuron at least.
    layers : sequence of str, optional
        Hidden layers that may be pruned; all by default.
    refit : bool, default=True
        Fit the weights that read the kept neurons, and the bias, to the layer's old outputs. Without it the
        rest of the network stays as it is.
    damping : float, default=0.01
        Weight of the old weights in the refit, relative to the mean square of the activations.
    smaller : bool, default=True
        Take rows and columns out of the matrices; otherwise set them to zero.
    validation : (X, y) or X, optional
        Samples on which the quality is measured; by default up to 5000 of X, with y where it is given.
    random_state : int, default=0
        Seed of random scores.
    time_limit : float, default=inf
        Seconds. Proofs get no more than what is left.
    progress : bool, default=False
        Write a line to the standard error for each layer.

    Returns
    -------
    Pruned
        `.model` of the kind given, with smaller matrices; `.mask`, the weights of the given model that are left;
        `.layers`, one report for each hidden layer, named for its own weight: neurons kept, and the error of the layer
        that reads them; `.certificates` of the choices, where the method proves any. `kept_neurons` reads the mask.
    """
    clock, random_state = as_clock(time_limit), as_seed(random_state)
    method, scope = method or GroupSelection(), Scope(scope)
    network = adapt(model)
    X = as_data(X, network.feature_names)
    labels = as_labels(network, X, y)
    _check(method, scope, labels)
    chain, widths = _chain(network)
    samples = Samples(X, labels, random_state)
    sensitivities = network.sensitivities(X)
    hidden_of = partial(_hidden, network, samples, widths, sensitivities)
    counts = _counts(hidden_of(network), _places(chain, layers), method, scope, sparsity, keep)
    now, pruned, reports, certificates = list(chain), network, [], {}
    kept = {i: np.ones(layer.weight.shape[1], bool) for i, layer in enumerate(chain[:-1])}
    for i, count in counts.items():
        hidden = hidden_of(pruned)[i]
        choice = method.choose(hidden, count, clock)
        kept[i] = choice.kept
        now[i], now[i + 1] = _cut(hidden, choice.kept, damping if refit else None)
        pruned = network.with_layers(now)
        seen = np.where(np.repeat(choice.kept, hidden.width), hidden.activations, 0)
        error = relative_error(now[i + 1](seen), hidden.targets)
        reports.append(LayerReport(chain[i].name, count, choice.kept.size, error, method))
        if choice.certificate is not None:
            certificates[chain[i].name] = choice.certificate
        if progress:
            told = f"{reports[-1].name}: {count} of {choice.kept.size} neurons kept, error {error:.2g}"
            sys.stderr.write(f"{clock.seconds:6.1f} s  {told}\n")
    arrays = {layer.name: layer.own(alive) for layer, alive in zip(chain, _alive(chain, kept, widths), strict=True)}
    found = _smaller(network, now, kept, widths) if smaller else pruned.model()
    step, dense_quality = _judged(network, pruned, samples, validation, reports, clock)
    return Pruned(
        found, Mask(arrays), tuple(reports), method, clock.seconds, (step,), step.quality, dense_quality,
        certificates=certificates,
    )  # fmt: skip


def kept_neurons(mask, name) -> np.ndarray:
    """Places of the neurons that a mask leaves in the layer of this name, of shape (kept,).

    The mask is one that pruning of neurons gave, of weights of shape (inputs, neurons). Modules of torch have it the other
    way round: there `np.flatnonzero(mask[name].any(axis=(1, ...)))` are the channels that are left.
    """
    return np.flatnonzero(mask[name].any(axis=0))


def _check(method, scope, labels):
    if not isinstance(method, NeuronMethod):
        raise TypeError(f"{method!r} does not choose neurons; give a NeuronMethod such as GroupSelection().")
    if scope is Scope.NEURON:
        raise ValueError("scope is 'neuron', but whole neurons go; give 'network' or 'layer'.")
    if method.needs_labels and labels is None:
        raise ValueError(f"{method!r} looks at the loss and needs y; give it, or a method without labels.")


def _hidden(dense, samples, widths, sensitivities, network):
    """What is known of each hidden layer of a network, whose outputs are to be those of the dense one."""
    stats, chain = samples.stats(network), dense.layers()
    inputs = dense.inputs(samples.X)
    next(inputs)
    return [
        HiddenLayer(stats[i], stats[i + 1], chain[i + 1](next(inputs)), sensitivities[i + 1], width)
        for i, width in enumerate(widths)
    ]


def _judged(network, pruned, samples, validation, reports, clock):
    """The one step of the trace, and the quality before it."""
    X, labels = samples.X[:JUDGED], None if samples.labels is None else samples.labels[:JUDGED]
    if validation is not None:
        X, y = as_validation(validation)
        X = as_data(X, network.feature_names)
        labels = as_labels(network, X, y)
    objective = Distillation.of(network, X) if labels is None else labels
    outputs = pruned.outputs(X)
    kept, total = sum(report.kept for report in reports), sum(report.total for report in reports)
    quality, (loss, _) = objective.quality(outputs), objective.value_and_seeds(outputs)
    step = Step(1 - kept / total if total else 0.0, kept, total, quality, loss, clock.seconds)
    return step, objective.quality(network.outputs(X))


def _chain(network):
    """Layers of the network, and the inputs of each that a neuron before it is, once it is clear that each reads that one."""
    widths = [connection.width for connection in network.connections()]
    if not widths:
        raise ValueError(
            "the model has one layer and no hidden neurons; prune its weights or the features of its data."
        )
    return network.layers(), widths


def _places(chain, names):
    hidden = {layer.name: i for i, layer in enumerate(chain[:-1])}
    for name in names or ():
        if name not in hidden:
            raise ValueError(f"layers names {name!r}; the hidden layers are {', '.join(map(repr, hidden))}.")
    return sorted(hidden.values() if names is None else (hidden[name] for name in names))


def _counts(dense, places, method, scope, sparsity, keep) -> dict[int, int]:
    """How many neurons each hidden layer keeps."""
    if (sparsity is None) == (keep is None):
        raise ValueError(
            "how many neurons are to stay? give sparsity, a part of them, or keep, a number: one of the two."
        )
    sizes = {i: dense[i].size for i in places}
    if keep is not None:
        return _given(keep, {dense[i].own.name: i for i in places}, sizes)
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity is {sparsity}; give the part of neurons to go, at least 0 and below 1.")
    # Within a layer only the number counts.
    scores = [method.scores(dense[i]) if scope is Scope.NETWORK else np.zeros(sizes[i]) for i in places]
    if not all(np.isfinite(score).all() for score in scores):
        raise ValueError(f"the scores of {method!r} are not finite; look for extreme weights, or raise its damping.")
    return {i: int(keep.sum()) for i, keep in zip(places, scope.keep(scores, sparsity), strict=True)}


def _given(keep, places, sizes):
    if not isinstance(keep, Mapping):
        keep = dict.fromkeys(places, keep)
    counts = {}
    for name, count in keep.items():
        if name not in places:
            raise ValueError(f"keep names {name!r}; the hidden layers are {', '.join(map(repr, places))}.")
        size = sizes[places[name]]
        if not (is_whole(count) and 1 <= count <= size):
            raise ValueError(f"keep is {count!r} for {name!r}; give a number of its neurons from 1 to {size}.")
        counts[places[name]] = int(count)
    return dict(sorted(counts.items()))


def _cut(hidden, kept, damping):
    """The two layers around some neurons without those that are not kept: zeros, and perhaps a refit."""
    own, following = hidden.own.layer, hidden.following.layer
    bias = None if own.bias is None else np.where(kept, own.bias, 0).astype(own.bias.dtype)
    own = replace(masked(own, kept), bias=bias)
    read = np.repeat(kept, hidden.width)
    if damping is None:
        return own, masked(following, read[:, None])
    regression = Reconstruction.of(hidden.activations, hidden.targets, following, damping)
    fitted = np.zeros(following.weight.shape)
    fitted[read] = solve(regression.gram[np.ix_(read, read)], regression.cross[read])
    return own, regression.fitted(following, fitted)


def _ends(chain, kept, widths):
    """Kept inputs and outputs of each layer."""
    for i, layer in enumerate(chain):
        inputs, outputs = (np.ones(size, bool) for size in layer.weight.shape)
        yield np.repeat(kept[i - 1], widths[i - 1]) if i else inputs, kept.get(i, outputs)


def _alive(chain, kept, widths):
    """Weights of each layer whose two neurons are both kept."""
    return [inputs[:, None] & outputs for inputs, outputs in _ends(chain, kept, widths)]


def _smaller(network, layers, kept, widths):
    """A model whose matrices have the kept rows and columns only."""
    ends = _ends(layers, kept, widths)
    return network.smaller([resized(layer, *end) for layer, end in zip(layers, ends, strict=True)], kept)
