"""Weights as whole numbers of a few bits, one scale for each neuron, and what that costs.

For the kept weights w of one neuron, codes c in -m ... m with m = 2^(bits - 1) - 1 and a scale s,

    minimise over c, s   |s c - w|^2,     c = round(w / s) for the best c at a given s.

Zero is a code, so a pruned weight stays zero. The largest |w| / m is the scale that clips nothing; a smaller
one may lose less, since a finer step for all can be worth more than the largest weights.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass, replace

import numpy as np

from sparseopt.models import adapt
from sparseopt.pruning.data import as_data
from sparseopt.pruning.pruned import relative_error


@dataclass(frozen=True)
class LayerCodes:
    """One quantised layer: its weight is codes * scales, in the model's own layout but transposed.

    Attributes
    ----------
    codes : int8 or int16 array of shape (inputs, outputs)
    scales : array of shape (outputs,)
    error : float
        Squared error of the weights, relative to their squares.
    bias_codes : int8 or int16 array of shape (outputs,), or None
        Of the bias, where it was quantised.
    bias_scale : float
        One for all biases of the layer, which are codes times it.
    bias_error : float
        Squared error of the biases, relative to their squares; 0 where they stay as they are.
    """

    name: str
    codes: np.ndarray
    scales: np.ndarray
    error: float
    bias_codes: np.ndarray | None = None
    bias_scale: float = 1.0
    bias_error: float = 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Quantised:
    """A model with quantised weights, their codes, and the error.

    Attributes
    ----------
    model : of the kind given
        Its weights are the products of codes and scales, so that it runs as before.
    layers : tuple of LayerCodes
    bits : int
    output_error : float
        Squared error of the outputs on X, relative to their spread; NaN without X.
    bias_bits : int or None
        None where biases are as they were.
    """

    model: object
    layers: tuple[LayerCodes, ...]
    bits: int
    output_error: float
    bias_bits: int | None = None

    def __repr__(self) -> str:
        worst = max(self.layers, key=lambda layer: layer.error)
        biases = "" if self.bias_bits is None else f", {self.bias_bits} for biases"
        return (
            f"Quantised({type(self.model).__name__}, {self.bits} bits{biases}, largest error of the weights "
            f"{worst.error:.2g} in {worst.name}, error of the outputs {self.output_error:.2g})"
        )


def quantised(model, mask=None, X=None, *, bits=8, bias_bits=None) -> Quantised:
    """Return a model whose weights are whole numbers of a few bits, times one scale for each output neuron.

    Biases stay as they are, unless asked. The rounding is symmetric: zero stays zero, so that a pruned model keeps its mask.

    Parameters
    ----------
    model : model that `prune` takes
        Untouched.
    mask : Mask, optional
        Applied first.
    X : array of shape (samples, inputs), optional
        Samples on which the error of the outputs is measured; without them it is NaN.
    bits : int, default=8
        From 2 to 16.
    bias_bits : int, optional
        From 2 to 16: each bias is a whole number times one scale for the layer. Biases are few, and an error in one
        shifts all samples alike: 16 cost little, 8 more.

    Returns
    -------
    Quantised
        `.model` of the kind given, `.layers` (codes, scales and error of each), `.output_error`.

    References
    ----------
    Nagel et al., "A white paper on neural network quantization" (2021).
    """
    network = adapt(model if mask is None else mask.apply(model))
    layers, codes = [], []
    for layer in network.layers():
        rounded, of_layer = _rounded(layer, bits, bias_bits)
        layers.append(rounded)
        codes.append(of_layer)
    found = network.with_layers(layers)
    error = np.nan
    if X is not None:
        X = as_data(X, network.feature_names)
        error = relative_error(found.outputs(X), network.outputs(X))
    return Quantised(found.model(), tuple(codes), int(bits), error, None if bias_bits is None else int(bias_bits))


def _rounded(layer, bits, bias_bits):
    """The layer with quantised numbers, and their codes."""
    numbers, scales = codes_and_scales(layer.weight, bits)
    weight = numbers * scales
    rounded, error = replace(layer, weight=weight.astype(layer.weight.dtype)), _lost(weight, layer.weight)
    if bias_bits is None or layer.bias is None:
        return rounded, LayerCodes(layer.name, numbers, scales, error)
    bias_codes, (scale,) = codes_and_scales(layer.bias[:, np.newaxis], bias_bits)
    bias = (bias_codes * scale)[:, 0]
    of_layer = LayerCodes(layer.name, numbers, scales, error, bias_codes[:, 0], float(scale), _lost(bias, layer.bias))
    return replace(rounded, bias=bias.astype(layer.bias.dtype)), of_layer


def _lost(rounded, exact):
    """Squared error relative to the squares."""
    squares = float(np.sum(np.square(exact, dtype=np.float64)))
    return float(np.sum((rounded - exact) ** 2)) / squares if squares else 0.0


def codes_and_scales(weight, bits):
    """Codes of shape (inputs, outputs), and scales of shape (outputs,), with the least squared error of those tried."""
    if not isinstance(bits, numbers.Real):
        raise TypeError(f"bits is {bits!r}; give a whole number from 2 to 16.")
    if not (2 <= bits <= 16 and bits == int(bits)):
        raise ValueError(f"bits is {bits}; give a whole number from 2 to 16.")
    weight, most = weight.astype(np.float64), 2 ** (int(bits) - 1) - 1
    largest = np.abs(weight).max(axis=0)
    best_scales = np.where(largest > 0, largest / most, 1.0)
    best_codes = np.clip(np.rint(weight / best_scales), -most, most)
    best_error = np.sum((best_codes * best_scales - weight) ** 2, axis=0)
    # Less than half the range clips more than it gains, but for a few bits.
    for shrink in np.linspace(0.98, 0.3, 35):
        scales = np.where(largest > 0, shrink * largest / most, 1.0)
        codes = np.clip(np.rint(weight / scales), -most, most)
        # The best scale for these codes is a projection.
        squares = np.sum(codes**2, axis=0)
        scales = np.where(squares > 0, np.sum(codes * weight, axis=0) / np.where(squares > 0, squares, 1), scales)
        error = np.sum((codes * scales - weight) ** 2, axis=0)
        better = error < best_error
        best_codes[:, better], best_scales[better], best_error[better] = codes[:, better], scales[better], error[better]
    return best_codes.astype(np.int8 if bits <= 8 else np.int16), best_scales
