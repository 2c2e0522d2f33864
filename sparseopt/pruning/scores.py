"""Scores: what each weight is worth, by its size, its slope, its curvature or its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy

from sparseopt.inputs import is_whole
from sparseopt.pruning.layer_stats import LayerStats
from sparseopt.pruning.methods import Score, check_damping
from sparseopt.pruning.reconstruction import inverted

# Entries of a matrix of slopes that is formed at a time: 32 MB.
ENTRIES = 1 << 22


@dataclass(frozen=True)
class Magnitude(Score):
    """|w|, the baseline of all pruning (Han et al., 2015).

    Parameters
    ----------
    order : {"largest", "smallest"}, default="largest"
        Which weights stay; the smallest are there to show how much the largest matter.
    """

    order: str = "largest"

    def __post_init__(self):
        if self.order not in {"largest", "smallest"}:
            raise ValueError(f"order is {self.order!r}; give largest or smallest, or the score Random.")

    def __call__(self, stats: LayerStats) -> np.ndarray:
        size = np.abs(stats.weight)
        return size if self.order == "largest" else -size


@dataclass(frozen=True)
class Random(Score):
    """A number drawn for each weight: what any other score must beat.

    Parameters
    ----------
    seed : int, default=0
        Beside the `random_state` of the run.
    """

    seed: int = 0

    def __post_init__(self):
        if not (is_whole(self.seed) and self.seed >= 0):
            raise ValueError(f"seed is {self.seed!r}; give a whole number from 0.")

    def __call__(self, stats: LayerStats) -> np.ndarray:
        return stats.rng(self.seed).random(stats.weight.shape)


@dataclass(frozen=True)
class GradientMagnitude(Score):
    """|dL/dw|: how much the mean loss changes with the weight. Needs labels."""

    needs_labels: ClassVar[bool] = True

    def __call__(self, stats: LayerStats) -> np.ndarray:
        return np.abs(stats.gradient)


@dataclass(frozen=True)
class FirstOrder(Score):
    """|w dL/dw|: change of the loss without the weight, to first order (Molchanov et al., 2017). Needs labels."""

    needs_labels: ClassVar[bool] = True

    def __call__(self, stats: LayerStats) -> np.ndarray:
        return np.abs(stats.weight * stats.gradient)


@dataclass(frozen=True)
class OptimalBrainDamage(Score):
    """w^2 h / 2: change of the loss to second order, with h the diagonal of the Gauss-Newton Hessian.

    The diagonal is the mean square of slopes with labels drawn from the network's own predictions; no labels.

    References
    ----------
    LeCun, Denker and Solla, "Optimal Brain Damage" (1989).
    """

    def __call__(self, stats: LayerStats) -> np.ndarray:
        return 0.5 * stats.weight.astype(np.float64) ** 2 * stats.fisher


@dataclass(frozen=True)
class EmpiricalFisher(Score):
    """w^2 f / 2 with f the mean square of the samples' slopes, with their labels (Theis et al., 2018)."""

    needs_labels: ClassVar[bool] = True

    def __call__(self, stats: LayerStats) -> np.ndarray:
        return 0.5 * stats.weight.astype(np.float64) ** 2 * stats.empirical_fisher


@dataclass(frozen=True)
class Wanda(Score):
    """|w| times the root mean square of its input (Sun et al., 2023), made to compare within a neuron."""

    def __call__(self, stats: LayerStats) -> np.ndarray:
        return np.abs(stats.weight) * np.sqrt(stats.gram_diagonal)[:, None]


@dataclass(frozen=True)
class OptimalBrainSurgeon(Score):
    """w^2 / (2 h), h a diagonal entry of the inverse Hessian: the loss without the weight once the others have adjusted.

    The Hessian of a layer is taken as the Kronecker product of its inputs' Gram matrix and the second moments of the
    slopes at its outputs (Martens and Grosse, 2015), whose inverse is that of the two. It needs no labels.
    `Scored(OptimalBrainSurgeon(), refit=True)` adjusts the other weights too.

    Parameters
    ----------
    damping : float, default=0.01
        Added to the diagonal of both matrices, relative to its mean.

    References
    ----------
    Hassibi and Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon" (1992).
    """

    damping: float = 0.01

    def __post_init__(self):
        check_damping(self.damping)

    def __call__(self, stats: LayerStats) -> np.ndarray:
        inputs, outputs = (_inverse_diagonal(Z, self.damping) for Z in (stats.inputs, stats.own_slopes))
        return 0.5 * stats.weight.astype(np.float64) ** 2 / inputs[:, None] / outputs


@dataclass(frozen=True)
class WoodFisher(Score):
    """w^2 / (2 h), h a diagonal entry of the inverse empirical Fisher matrix of the layer. Needs labels.

    The matrix comes from the slopes of some samples, and Woodbury's identity inverts it in their number.

    Parameters
    ----------
    samples : int, default=1000
        Slopes that are used, of the samples first in line.
    damping : float, default=1.0
        Added to the diagonal, relative to its mean: the matrix has far fewer samples than weights.

    References
    ----------
    Singh and Alistarh, "WoodFisher: efficient second-order approximation for neural network compression" (2020).
    """

    needs_labels: ClassVar[bool] = True
    samples: int = 1000
    damping: float = 1.0

    def __post_init__(self):
        check_damping(self.damping)
        if not (is_whole(self.samples) and self.samples >= 1):
            raise ValueError(f"samples is {self.samples!r}; give a whole number from 1.")

    def __call__(self, stats: LayerStats) -> np.ndarray:
        inputs, slopes = stats.of_samples(self.samples)
        n, places, _ = inputs.shape
        # The slope in the weight is the sum over places of input times slope; so is each product of two of them.
        A, D = inputs.reshape(n * places, -1), slopes.reshape(n * places, -1)
        products = ((A @ A.T) * (D @ D.T)).reshape(n, places, n, places).sum(axis=(1, 3)).astype(np.float64)
        ridge = self.damping * products.trace() / (n * stats.weight.size) or 1.0
        kernel = products / (n * ridge)
        kernel[np.diag_indices(n)] += 1.0
        root = scipy.linalg.cholesky(kernel, lower=True)
        inverse = np.empty(stats.weight.shape)
        # Few inputs at a time: n slopes in all weights are a large matrix.
        step = max(ENTRIES // (n * stats.weight.shape[1]), 1)
        for start in range(0, len(inverse), step):
            part = np.einsum("npi,npo->nio", inputs[:, :, start : start + step], slopes).reshape(n, -1)
            half = scipy.linalg.solve_triangular(root, part.astype(np.float64), lower=True)
            diagonal = (1 - np.einsum("ij,ij->j", half, half) / (n * ridge)) / ridge
            inverse[start : start + step] = diagonal.reshape(-1, stats.weight.shape[1])
        # Positive but for rounding: no entry is less than one over the largest eigenvalue.
        least = 1 / (ridge + products.trace() / n)
        return 0.5 * stats.weight.astype(np.float64) ** 2 / np.maximum(inverse, least)


def _inverse_diagonal(Z, damping):
    gram = (Z.T @ Z).astype(np.float64) / len(Z)
    gram[np.diag_indices_from(gram)] += damping * (gram.trace() / len(gram) or 1.0)
    return inverted(gram).diagonal()
