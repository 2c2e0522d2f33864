"""Scores: what each weight is worth, by its size, its slope, its curvature or its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparseopt.pruning.layer_stats import LayerStats
from sparseopt.pruning.methods import Score


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
