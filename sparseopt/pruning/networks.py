"""What pruning must know of a model: four methods, and a network of plain matrices that has them."""

from __future__ import annotations

import enum
import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import scipy

from sparseopt.models import adapt
from sparseopt.pruning.connections import Connection
from sparseopt.pruning.data import as_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


@dataclass(frozen=True, eq=False)
class Layer:
    """One linear map of a model: outputs = inputs @ weight + bias, with a weight of shape (inputs, outputs).

    A model whose own array is the transpose, perhaps in more or fewer dimensions (the `coef_` of a linear
    model, the kernel of a convolution), says so by the shape of that array. Where each input has a unit of its own,
    as the columns of data have (`own_units`), what is pruned may not depend on the units.
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray | None = None
    own_shape: tuple[int, ...] | None = None
    own_units: bool = False

    def own(self, array):
        """Lay out an array of the weight's shape as the model does."""
        return array if self.own_shape is None else array.T.reshape(self.own_shape)

    def with_own(self, array) -> Layer:
        """Return this layer with another weight, given in the model's layout."""
        if self.own_shape is not None:
            array = array.reshape(self.weight.shape[::-1]).T
        return replace(self, weight=array)

    def __call__(self, inputs):
        """Outputs, before any activation."""
        outputs = inputs @ self.weight
        return outputs if self.bias is None else outputs + self.bias


class Link(enum.Enum):
    """What turns the outputs of the last layer into predictions, and thereby what loss fits them."""

    IDENTITY = "identity"  # squared error
    LOGISTIC = "logistic"  # each output is the log odds of its label
    SOFTMAX = "softmax"  # outputs are log probabilities of classes, but for a constant

    def predictions(self, outputs):
        """Outputs, or the probabilities that they stand for."""
        match self:
            case Link.LOGISTIC:
                return scipy.special.expit(outputs)
            case Link.SOFTMAX:
                return scipy.special.softmax(outputs, axis=1)
        return outputs


class Network(ABC):
    """A model as `prune` sees it: an adapter implements the abstract methods and nothing more.

    Layers stand in an order in which the inputs of each depend on those before it only.
    A layer that is applied at several places of a sample, as a convolution is, has one row of inputs
    and outputs for each place: rows = samples * places, sample by sample.
    """

    @property
    @abstractmethod
    def link(self) -> Link:
        """What the outputs mean."""

    @abstractmethod
    def layers(self) -> tuple[Layer, ...]:
        """Linear maps of the model."""

    @abstractmethod
    def inputs(self, X) -> Iterator[np.ndarray]:
        """Inputs of each layer on data X, of shape (rows, inputs): lazily, in the order of `layers`."""

    @abstractmethod
    def outputs(self, X) -> np.ndarray:
        """Outputs of the model before its link, of shape (samples, outputs)."""

    @abstractmethod
    def slopes(self, X, seeds) -> list[np.ndarray]:
        """Slope of sum(seeds * outputs(X)) in the outputs of each layer, of shape (rows, outputs of the layer).

        `seeds` has the shape of `outputs(X)`; with the slopes of a loss in them, these are the loss's.
        """

    @abstractmethod
    def with_layers(self, layers: Sequence[Layer]) -> Network:
        """Return the same network with these layers: cheap, nothing is copied or checked."""

    @abstractmethod
    def model(self):
        """Return a new model, of the kind that was given, with the layers of this network."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Weights of the model that are in none of the layers, by name; none unless an adapter says so."""
        return ()

    def chain(self) -> tuple[Callable, ...]:
        """Functions between the layers: what is applied to X, after each layer but the last, and after the last.

        Only for a network in which each layer takes the outputs of the one before it and nothing else, through
        a function of each neuron alone; others raise TypeError.
        """
        raise TypeError(
            f"{type(self).__name__} is not known to be a chain of layers with activations between; "
            "give a NumpyMLP, a model of scikit-learn, or an nn.Sequential of linear layers and activations."
        )

    def connections(self) -> tuple[Connection, ...]:
        """How each layer but the last is read by the next one, and by no other; where that is not known, TypeError."""
        return tuple(Connection.elementwise(function) for function in self.chain()[1:-1])

    def smaller(self, layers: Sequence[Layer], kept: Mapping[int, np.ndarray]):
        """Return a new model, of the kind that was given, whose layers have fewer neurons.

        Parameters
        ----------
        layers : sequence of Layer
            Already without the inputs and outputs that go.
        kept : mapping of int to boolean array
            For the place of a layer which of its neurons are left; all unless said.
        """
        return self.replace(layers)

    def reading(self, model) -> Network:
        """Return this network for another model of the kind that `model()` returns, read in the same way."""
        return adapt(model)

    def native(self) -> Callable:
        """Return the function that a user of the model calls on samples: what is timed, without our checks."""
        return self.outputs

    def replace(self, layers: Sequence[Layer]):
        """Return a new model, of the kind that was given, with these layers; the old one is untouched."""
        return self.with_layers(layers).model()

    @property
    def classes(self) -> np.ndarray | None:
        """Labels that the outputs stand for, two for one logistic output; None where labels are 0, 1 ..."""
        return None

    @property
    def feature_names(self) -> Sequence[str] | None:
        """Names of the columns that the model was fitted on, in their order; None where it knows none."""
        return None

    @property
    def labels_refused(self) -> str | None:
        """Why labels say nothing of the outputs, where the model predicts something else by them; None where they do."""
        return None

    def sensitivities(self, X) -> list[np.ndarray]:
        """How much each output of each layer matters: the mean over samples of the model's squared slope there.

        One random combination of signs per sample: the expectation over the signs is the sum of the squared
        slopes of all outputs, so that one backward pass does for all of them.
        """
        signs = np.random.default_rng(0).integers(0, 2, self.outputs(X).shape)
        # Summed over the places of a sample: an error of a convolution counts wherever it is made.
        return [np.sum(slope**2, axis=0) / len(signs) for slope in self.slopes(X, 2.0 * signs - 1.0)]


class Activation(enum.Enum):
    """Nonlinear map between layers, by the names that scikit-learn uses."""

    IDENTITY = "identity"
    LOGISTIC = "logistic"
    RELU = "relu"
    TANH = "tanh"

    def value(self, z):
        """Activation at z."""
        match self:
            case Activation.LOGISTIC:
                # The hyperbolic tangent does not overflow, exp(-z) does.
                return 0.5 + 0.5 * np.tanh(0.5 * z)
            case Activation.RELU:
                return np.maximum(z, 0)
            case Activation.TANH:
                return np.tanh(z)
        return z

    def slope(self, value):
        """Derivative where the activation has this value."""
        match self:
            case Activation.LOGISTIC:
                return value * (1 - value)
            case Activation.RELU:
                return (value > 0).astype(value.dtype)
            case Activation.TANH:
                return 1 - value * value
        return np.ones_like(value)


@dataclass(frozen=True, eq=False, repr=False)
class NumpyMLP(Network):
    """Network of plain matrices: inputs @ weights[0] + biases[0], activation, and so on; the last layer is linear.

    Parameters
    ----------
    weights : sequence of arrays of shape (inputs, outputs)
        As scikit-learn's `coefs_`; copied, float32 stays float32.
    biases : sequence of arrays of shape (outputs,), optional
        A network without biases is given none by `prune`.
    activation : Activation or its name, default=Activation.RELU
    link : Link or its name, default=Link.IDENTITY
        What the outputs mean: "softmax" for a classifier with one output per class.
    """

    weights: Sequence[np.ndarray]
    biases: Sequence[np.ndarray] | None = None
    activation: Activation = Activation.RELU
    link: Link = Link.IDENTITY

    def __post_init__(self):
        object.__setattr__(self, "activation", Activation(self.activation))
        object.__setattr__(self, "link", Link(self.link))
        weights = tuple(_parameters(f"weights[{i}]", weight, 2) for i, weight in enumerate(self.weights))
        if not weights:
            raise ValueError("the network has no weights; give at least one matrix.")
        for i, (before, after) in enumerate(itertools.pairwise(weights)):
            if before.shape[1] != after.shape[0]:
                raise ValueError(
                    f"weights[{i}] has {before.shape[1]} outputs, weights[{i + 1}] {after.shape[0]} inputs; "
                    "matrices have shape (inputs, outputs), so these must agree."
                )
        object.__setattr__(self, "weights", weights)
        if self.biases is None:
            return
        biases = tuple(_parameters(f"biases[{i}]", bias, 1) for i, bias in enumerate(self.biases))
        if [bias.size for bias in biases] != [weight.shape[1] for weight in weights]:
            raise ValueError(
                f"biases have sizes {[bias.size for bias in biases]}, the layers "
                f"{[weight.shape[1] for weight in weights]} outputs; give one bias for each output of each layer."
            )
        object.__setattr__(self, "biases", biases)

    def outputs(self, X) -> np.ndarray:
        """Outputs of the last layer, of shape (samples, outputs)."""
        *_, last = self.inputs(X)
        return self.layers()[-1](last)

    def predict(self, X) -> np.ndarray:
        """Predictions: outputs, or probabilities by the link, of shape (samples, outputs)."""
        return self.link.predictions(self.outputs(X))

    def layers(self) -> tuple[Layer, ...]:
        """Layers named weights_0, weights_1 ..."""
        biases = (None,) * len(self.weights) if self.biases is None else self.biases
        pairs = enumerate(zip(self.weights, biases, strict=True))
        return tuple(Layer(f"weights_{i}", weight, bias) for i, (weight, bias) in pairs)

    def inputs(self, X) -> Iterator[np.ndarray]:
        """Inputs of each layer on X."""
        X = as_data(X)
        if X.ndim != 2 or X.shape[1] != self.weights[0].shape[0]:
            raise ValueError(f"X has shape {X.shape}; give one row per sample and {self.weights[0].shape[0]} columns.")
        for layer in self.layers():
            yield finite(layer.name, X)
            X = self.activation.value(layer(X))

    def slopes(self, X, seeds) -> list[np.ndarray]:
        """Slopes at the outputs of each layer, by one pass backward."""
        inputs, slope = list(self.inputs(X)), seeds
        found = [slope]
        for weight, value in zip(self.weights[:0:-1], inputs[:0:-1], strict=True):
            slope = (slope @ weight.T) * self.activation.slope(value)
            found.append(slope)
        return found[::-1]

    def chain(self):
        """The activation between the layers, nothing before and after."""
        return identity, *(self.activation.value for _ in self.weights[1:]), identity

    def native(self):
        """The products and activations."""
        return dense_chain(self)

    def with_layers(self, layers) -> NumpyMLP:
        """Return a network with these layers, the same activation and link."""
        network = object.__new__(NumpyMLP)
        biases = None if self.biases is None else tuple(layer.bias for layer in layers)
        weights = tuple(layer.weight for layer in layers)
        values = {"weights": weights, "biases": biases, "activation": self.activation, "link": self.link}
        for name, value in values.items():
            object.__setattr__(network, name, value)
        return network

    def model(self) -> NumpyMLP:
        """Return a network with arrays of its own."""
        return NumpyMLP(self.weights, self.biases, self.activation, self.link)

    def __repr__(self) -> str:
        sizes = [self.weights[0].shape[0], *(weight.shape[1] for weight in self.weights)]
        return f"NumpyMLP({'-'.join(map(str, sizes))}, {self.activation.name.lower()})"


def dense_chain(network) -> Callable:
    """Outputs of a chain of layers as a function of samples, without a check."""
    steps = tuple(zip(network.layers(), network.chain()[1:], strict=True))

    def outputs(X):
        for layer, function in steps:
            X = function(layer(X))
        return X

    return outputs


def identity(array):
    """The array itself: no function between two layers."""
    return array


def finite(name, inputs):
    """Inputs of the layer of this name, once they are known to be numbers."""
    if not np.isfinite(inputs).all():
        raise ValueError(
            f"the inputs of layer {name!r} hold NaN or infinity, X does not: they overflow in the layers before it; "
            "scale X, or give a network that works on it."
        )
    return inputs


def _parameters(name, array, dimensions):
    # not np.array at once, of whose copy a tensor of torch warns
    array = np.array(np.asarray(array))
    if array.ndim != dimensions or array.size == 0 or array.dtype.kind not in "biuf":
        raise ValueError(f"{name} has shape {array.shape} of {array.dtype}; give {dimensions}-d numbers, not empty.")
    array = array if array.dtype == np.float32 else array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity; give a network that works.")
    array.setflags(write=False)
    return array
