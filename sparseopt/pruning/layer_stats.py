"""What scores may look at: the samples, and for each layer its inputs, slopes and second moments."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy

from sparseopt.pruning.clock import Clock
from sparseopt.pruning.curvature import metrics
from sparseopt.pruning.networks import Layer, Link, Network
from sparseopt.pruning.objectives import Objective

# Rows that are looked at together: products of inputs and slopes are formed for so many at a time.
ROWS = 4096


@dataclass(frozen=True, eq=False)
class Samples:
    """Data of a pruning run.

    Attributes
    ----------
    X : array of shape (samples, inputs)
    labels : Objective, optional
        Loss on the labels, where they are known.
    seed : int
        Of whatever a score draws.
    clock : Clock
        That of the run, for scores that take long.
    """

    X: np.ndarray
    labels: Objective | None = None
    seed: int = 0
    clock: Clock = field(default_factory=Clock)
    known: dict = field(default_factory=dict, init=False, repr=False)

    def metrics(self, network) -> list[np.ndarray]:
        """How errors in the outputs of each layer hurt; that of the network last asked about is kept."""
        if self.known.get("network") is not network:
            self.known["network"], self.known["metrics"] = network, metrics(network, self.X)
        return self.known["metrics"]

    def grams(self, inputs) -> dict | None:
        """Where the Gram of inputs is kept which are the samples themselves, for `Reconstruction.of`; None for others."""
        return self.known.setdefault("grams", {}) if inputs is self.X else None

    def stats(self, network) -> list[LayerStats]:
        """What scores may look at, for each layer; nothing is computed before it is asked for."""
        once = _Passes(network, self)
        return [LayerStats(i, layer, once) for i, layer in enumerate(network.layers())]


@dataclass(frozen=True, eq=False)
class _Passes:
    """Passes through the network, made once for all layers."""

    network: Network
    samples: Samples

    @cached_property
    def inputs(self):
        return list(self.network.inputs(self.samples.X))

    @cached_property
    def slopes(self):
        """Slopes of each sample's loss on its label."""
        labels = self.samples.labels
        if labels is None:
            return None
        _, seeds = labels.value_and_seeds(self.network.outputs(self.samples.X))
        return self.network.slopes(self.samples.X, seeds * len(seeds))

    @cached_property
    def own_slopes(self):
        """Slopes of each sample's loss on a label drawn from what the network says."""
        outputs = self.network.outputs(self.samples.X)
        rng = np.random.default_rng(self.samples.seed)
        match self.network.link:
            case Link.SOFTMAX:
                seeds = scipy.special.softmax(outputs, axis=1)
                drawn = np.argmax(seeds.cumsum(axis=1) > rng.random((len(seeds), 1)), axis=1)
                seeds[np.arange(len(seeds)), drawn] -= 1
            case Link.LOGISTIC:
                seeds = scipy.special.expit(outputs)
                seeds -= rng.random(seeds.shape) < seeds
            case _:
                seeds = 2.0 * rng.integers(0, 2, outputs.shape) - 1.0
        return self.network.slopes(self.samples.X, seeds.astype(outputs.dtype, copy=False))


@dataclass(frozen=True, eq=False, repr=False)
class LayerStats:
    """One layer as a score sees it; what costs a pass through the network is computed when first asked for.

    Rows are samples times places; see `Network`.
    """

    position: int
    layer: Layer
    passes: _Passes

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.layer.name

    @property
    def weight(self) -> np.ndarray:
        """Of shape (inputs, outputs); zero where it was pruned before."""
        return self.layer.weight

    @property
    def y(self):
        """Loss on the labels, None without labels."""
        return self.passes.samples.labels

    @property
    def inputs(self) -> np.ndarray:
        """Inputs of the layer, of shape (rows, inputs)."""
        return self.passes.inputs[self.position]

    @cached_property
    def outputs(self) -> np.ndarray:
        """Outputs of the layer before any activation, of shape (rows, outputs)."""
        return self.layer(self.inputs)

    @property
    def slopes(self) -> np.ndarray | None:
        """Slope of each sample's own loss in the outputs, of shape (rows, outputs); None without labels."""
        return None if self.passes.slopes is None else self.passes.slopes[self.position]

    @property
    def own_slopes(self) -> np.ndarray:
        """The same with labels drawn from what the network says, which needs none: the Fisher information."""
        return self.passes.own_slopes[self.position]

    @cached_property
    def gram_diagonal(self) -> np.ndarray:
        """Mean square of each input, of shape (inputs,)."""
        return np.einsum("ij,ij->j", self.inputs, self.inputs, dtype=np.float64) / len(self.inputs)

    @cached_property
    def gradient(self) -> np.ndarray:
        """Slope of the mean loss in the weight, of shape (inputs, outputs)."""
        return self.inputs.T @ self.slopes / len(self.passes.samples.X)

    @cached_property
    def empirical_fisher(self) -> np.ndarray:
        """Mean square of the samples' slopes in the weight, with their labels; of shape (inputs, outputs)."""
        return self._mean_square(self.slopes)

    @cached_property
    def fisher(self) -> np.ndarray:
        """Diagonal of the Fisher information, which is that of the Gauss-Newton Hessian; needs no labels."""
        return self._mean_square(self.own_slopes)

    def of_samples(self, count) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and slopes of the first samples, of shape (samples, places, inputs or outputs)."""
        samples = len(self.passes.samples.X)
        count, places = min(count, samples), len(self.inputs) // samples
        rows, slopes = slice(count * places), np.asarray(self.slopes)
        return self.inputs[rows].reshape(count, places, -1), slopes[rows].reshape(count, places, -1)

    def rng(self, seed=0) -> np.random.Generator:
        """A generator of its own for each layer, the same in each call."""
        return np.random.default_rng([self.passes.samples.seed, seed, self.position])

    def _mean_square(self, slopes):
        samples = len(self.passes.samples.X)
        places = len(slopes) // samples
        total = np.zeros(self.weight.shape)
        step = max(ROWS // places, 1)
        for start in range(0, samples, step):
            rows = slice(start * places, (start + step) * places)
            inputs, outputs = self.inputs[rows], slopes[rows]
            if places == 1:
                total += (inputs**2).T @ outputs**2
                continue
            for a, d in zip(
                inputs.reshape(-1, places, inputs.shape[1]), outputs.reshape(-1, places, outputs.shape[1]), strict=True
            ):
                total += (a.T @ d) ** 2
        return total / samples
