"""Weights as whole numbers of a few bits, one scale for each neuron, and what that costs.

For the kept weights w of one neuron, codes c in -m ... m with m = 2^(bits - 1) - 1 and a scale s,

    minimise over c, s   |s c - w|^2,     c = round(w / s) for the best c at a given s.

Zero is a code, so a pruned weight stays zero. The largest |w| / m is the scale that clips nothing; a smaller
one may lose less, since a finer step for all can be worth more than the largest weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparseopt.adapters import adapt
from sparseopt.pruning.networks import as_data
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
    """

    name: str
    codes: np.ndarray
    scales: np.ndarray
    error: float


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
    """

    model: object
    layers: tuple[LayerCodes, ...]
    bits: int
    output_error: float

    def __repr__(self) -> str:
        worst = max(self.layers, key=lambda layer: layer.error)
        return (
            f"Quantised({type(self.model).__name__}, {self.bits} bits, largest error of the weights "
            f"{worst.error:.2g} in {worst.name}, error of the outputs {self.output_error:.2g})"
        )


def quantised(model, mask=None, X=None, *, bits=8) -> Quantised:
    """Return a model whose weights are whole numbers of a few bits, times one scale for each output neuron.

    Biases stay as they are. The rounding is symmetric: zero stays zero, so that a pruned model keeps its mask.

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
        numbers, scales = codes_and_scales(layer.weight, bits)
        weight = numbers * scales
        squares = float(np.sum(np.square(layer.weight, dtype=np.float64)))
        error = float(np.sum((weight - layer.weight) ** 2)) / squares if squares else 0.0
        codes.append(LayerCodes(layer.name, numbers, scales, error))
        layers.append(replace(layer, weight=weight.astype(layer.weight.dtype)))
    rounded = network.with_layers(layers)
    error = np.nan
    if X is not None:
        X = as_data(X)
        error = relative_error(rounded.outputs(X), network.outputs(X))
    return Quantised(rounded.model(), tuple(codes), int(bits), error)


def codes_and_scales(weight, bits):
    """Codes of shape (inputs, outputs), and scales of shape (outputs,), with the least squared error of those tried."""
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
