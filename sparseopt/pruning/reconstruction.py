"""One layer as a least squares problem: which weights give the wanted outputs from the inputs at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Moments of the samples of one layer, whose outputs are to be the targets T.

        minimise over W, b   |A W + b - T|^2 / (2 n) + damping/2 |W - W0|^2

    with W0 the layer's weight now. A bias is profiled out by centring; a layer that has none gets none.
    The damping makes dead inputs and fewer samples than inputs harmless: what the data do not say,
    the weight as it is says. For one output, in terms of `gram` H and a column b of `cross`, this is

        minimise over w   w'H w / 2 - b'w.
    """

    gram: np.ndarray
    cross: np.ndarray
    damping: float
    input_mean: np.ndarray
    target_mean: np.ndarray

    @classmethod
    def of(cls, inputs, targets, layer, damping) -> Reconstruction:
        """Moments of inputs and targets; the damping is relative to the mean of the Gram's diagonal."""
        input_mean, target_mean = (
            np.zeros(Z.shape[1]) if layer.bias is None else Z.mean(axis=0, dtype=np.float64) for Z in (inputs, targets)
        )
        p = inputs.shape[1]
        gram, cross = np.zeros((p, p)), np.zeros((p, targets.shape[1]))
        # In pieces: the samples in double precision may be too many for the memory.
        for start in range(0, len(inputs), 8192):
            rows = slice(start, start + 8192)
            A = inputs[rows] - input_mean
            gram += A.T @ A
            cross += A.T @ (targets[rows] - target_mean)
        gram /= len(inputs)
        cross /= len(inputs)
        scale = gram.trace() / p or 1.0
        gram[np.diag_indices(p)] += damping * scale
        return cls(gram, cross + damping * scale * layer.weight, damping * scale, input_mean, target_mean)

    @property
    def alive(self) -> np.ndarray:
        """Which inputs vary at all, as booleans."""
        variance = self.gram.diagonal() - self.damping
        return variance > 1e-12 * variance.max(initial=0.0)

    def refit(self, kept) -> np.ndarray:
        """Best weights on a support, of shape (inputs, outputs) like the support."""
        weight = np.zeros(kept.shape)
        for output in np.flatnonzero(kept.any(axis=0)):
            support = np.flatnonzero(kept[:, output])
            weight[support, output] = solve(self.gram[np.ix_(support, support)], self.cross[support, output])
        return weight

    def fitted(self, layer, weight):
        """Return the layer with this weight, in the layer's precision, and the bias that goes best with it."""
        weight = weight.astype(layer.weight.dtype)
        if layer.bias is None:
            return replace(layer, weight=weight)
        bias = self.target_mean - self.input_mean @ weight
        return replace(layer, weight=weight, bias=bias.astype(layer.bias.dtype))


def solve(gram, cross) -> np.ndarray:
    """Solution of a damped, hence positive definite system."""
    try:
        return scipy.linalg.cho_solve(scipy.linalg.cho_factor(gram, lower=True), cross)
    except scipy.linalg.LinAlgError:
        raise ValueError("the layer's inputs are too nearly dependent for this damping; raise it.") from None
