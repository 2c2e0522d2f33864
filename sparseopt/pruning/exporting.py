"""A pruned network with sparse matrices: the kept weights alone, with their places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from sparseopt.kernels.sparse_layers import sparse_layer
from sparseopt.models import adapt
from sparseopt.pruning.data import as_data
from sparseopt.pruning.networks import Link
from sparseopt.pruning.sparse_files import read, write

# Bytes of the widest layer's values for the samples that go through all layers together: they should stay in the
# cache, and be many, since each call costs as much as a few thousand products.
BLOCK = 2**19
# Up to so many samples, one after the other is faster than all at once.
FEW = 4


@dataclass(frozen=True, eq=False, repr=False)
class SparseNetwork:
    """Network whose weights are SciPy's compressed sparse rows; it predicts, and needs its old library no more.

    Attributes
    ----------
    weights : tuple of csr_array of shape (outputs, inputs)
        A row for each neuron, the transpose of what `NumpyMLP` holds.
    biases : tuple of arrays of shape (outputs,), or None for a layer without
    functions : tuple of callables
        What is applied to X, between the layers, and to the outputs of the last.
    link : Link
    """

    weights: tuple[sparse.csr_array, ...]
    biases: tuple[np.ndarray | None, ...]
    functions: tuple[Callable, ...]
    link: Link
    read: np.ndarray = field(init=False)
    first: sparse.csr_array = field(init=False)
    parts: tuple[tuple[np.ndarray, ...], ...] = field(init=False)

    def __post_init__(self):
        # Inputs that no weight reads need not be laid out anew, which costs as much as the first product.
        object.__setattr__(self, "read", np.unique(self.weights[0].indices))
        object.__setattr__(self, "first", self.weights[0][:, self.read])
        pairs = zip(self.weights, self.biases, strict=True)
        object.__setattr__(self, "parts", tuple(_compressed(weight, bias) for weight, bias in pairs))

    @classmethod
    def of(cls, model, mask=None) -> SparseNetwork:
        """Return the sparse network of a pruned model, or of a model and a mask that is applied first.

        Parameters
        ----------
        model : NumpyMLP, list of matrices, model of scikit-learn, or nn.Sequential of linear layers and activations
        mask : Mask, optional
        """
        network = adapt(model if mask is None else mask.apply(model))
        functions, layers = network.chain(), network.layers()
        biases = tuple(None if layer.bias is None else np.array(layer.bias) for layer in layers)
        return cls(tuple(sparse.csr_array(layer.weight.T) for layer in layers), biases, functions, network.link)

    def outputs(self, X) -> np.ndarray:
        """Outputs of the last layer, of shape (samples, outputs)."""
        return self.unchecked(as_data(X))

    def unchecked(self, X) -> np.ndarray:
        """Outputs on an array of floats that are known to be finite."""
        X = self.functions[0](X)
        inputs = self.weights[0].shape[1]
        if X.ndim != 2 or X.shape[1] != inputs:
            raise ValueError(f"X has shape {X.shape}; give one row per sample and {inputs} columns.")
        # X is not converted to double, nor the weights: single precision stays single.
        X = X.astype(self.weights[0].dtype, copy=False)
        return self.functions[-1](self._few(X) if len(X) <= FEW else self._many(X))

    def _few(self, values):
        """Outputs of the last layer, sample by sample."""
        for part, function in zip(self.parts, (*self.functions[1:-1], None), strict=True):
            inputs, values = np.ascontiguousarray(values), np.empty((len(values), part[-1].size), values.dtype)
            sparse_layer(*part, inputs, values)
            if function is not None:
                values = function(values)
        return values

    def _many(self, X):
        """Outputs of the last layer, block by block."""
        inputs = X.shape[1]
        outputs = np.empty((len(X), self.weights[-1].shape[0]), X.dtype)
        weights, width = (self.first, *self.weights[1:]), max(inputs, *(weight.shape[0] for weight in self.weights))
        block = min(max(BLOCK // (width * X.itemsize), 16), len(X))
        if block * X.itemsize % 1024 == 0:
            block -= 8  # rows that begin at multiples of a power of two push each other out of the cache
        for start in range(0, len(X), block):
            # Samples are the last axis inside: a sparse matrix is fastest on contiguous rows of many samples.
            values = X[start : start + block].T
            values = np.ascontiguousarray(values if self.read.size == inputs else values[self.read])
            for weight, bias, function in zip(weights, self.biases, (*self.functions[1:-1], None), strict=True):
                values = weight @ values
                if bias is not None:
                    values += bias[:, np.newaxis]
                if function is not None:
                    values = function(values)
            outputs[start : start + block] = values.T
        return outputs

    def predict(self, X) -> np.ndarray:
        """Predictions: outputs, or probabilities by the link, of shape (samples, outputs)."""
        return self.link.predictions(self.outputs(X))

    def save(self, path, *, bits=None, bias_bits=None) -> None:
        """Write the network to exactly this path, as an npz file without pickles.

        With a number of bits, from 2 to 16, each weight is rounded as `quantised` does and takes one byte, or two
        above 8 bits; so does each bias with a number of `bias_bits`. Activations must be those of `NumpyMLP`.
        """
        write(self, path, bits, bias_bits)

    @classmethod
    def load(cls, path) -> SparseNetwork:
        """Read what `save` wrote."""
        return read(cls, path)

    @property
    def kept(self) -> int:
        """Number of weights, biases not counted."""
        return sum(weight.nnz for weight in self.weights)

    @property
    def nbytes(self) -> int:
        """Memory of the weights, their places, and the biases."""
        arrays = [array for weight in self.weights for array in (weight.data, weight.indices, weight.indptr)]
        return sum(array.nbytes for array in (*arrays, *self.biases) if array is not None)

    def __repr__(self) -> str:
        sizes = [self.weights[0].shape[1], *(weight.shape[0] for weight in self.weights)]
        return f"SparseNetwork({'-'.join(map(str, sizes))}, {self.kept} weights, {self.nbytes} bytes)"


def _compressed(weight, bias):
    """Arrays of a layer as the kernel takes them."""
    # Unsigned places need no test for negative ones.
    places = weight.indices.view(f"u{weight.indices.itemsize}")
    bias = np.zeros(weight.shape[0]) if bias is None else bias
    return weight.data, places, weight.indptr.astype(np.uint64), bias.astype(weight.dtype, copy=False)
