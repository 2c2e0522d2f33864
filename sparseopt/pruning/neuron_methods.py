"""Scores of the neurons of a hidden layer: which are worth keeping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy

from sparseopt.inputs import is_whole
from sparseopt.pruning.neurons import NeuronMethod
from sparseopt.pruning.row_selection import Choice


class NeuronScore(NeuronMethod):
    """A method that keeps the neurons of the highest scores; of equal ones the first goes."""

    def choose(self, hidden, count, clock):
        kept = np.zeros(hidden.size, bool)
        kept[np.argsort(self.scores(hidden), kind="stable")[hidden.size - count :]] = True
        return Choice(kept)


@dataclass(frozen=True, kw_only=True)
class RandomNeurons(NeuronScore):
    """Any neurons, the baseline that every score must beat.

    Parameters
    ----------
    seed : int, default=0
        Beside the `random_state` of the run.
    """

    seed: int = 0

    def __post_init__(self):
        if not (is_whole(self.seed) and self.seed >= 0):
            raise ValueError(f"seed is {self.seed!r}; give a whole number from 0.")

    def scores(self, hidden):
        """Uniform numbers, others in each layer."""
        return hidden.own.rng(self.seed).random(hidden.size)


@dataclass(frozen=True, kw_only=True)
class Contribution(NeuronScore):
    """Mean of |o dL/do|, the loss that goes with a neuron, to first order (Molchanov et al., 2017). Needs labels."""

    needs_labels: ClassVar[bool] = True

    def scores(self, hidden):
        """Mean over the samples of |activation * slope of the loss|, summed over the places of a channel."""
        slopes = hidden.following.slopes @ hidden.following.weight.T
        samples = len(hidden.following.passes.samples.X)
        products = (hidden.activations * slopes).reshape(samples, -1, hidden.size, hidden.width)
        return np.mean(np.abs(products.sum(axis=(1, 3), dtype=np.float64)), axis=0)


@dataclass(frozen=True, kw_only=True)
class ActivationSparsity(NeuronScore):
    """Part of the samples on which a neuron is not zero (average percentage of zeros: Hu et al., 2016)."""

    def scores(self, hidden):
        """Part of the samples with a nonzero activation."""
        return np.mean(hidden.by_neuron != 0, axis=(0, 2))


@dataclass(frozen=True, kw_only=True)
class ActivationVariance(NeuronScore):
    """Variance of the activation: what hardly varies is nearly a constant, which a bias replaces."""

    def scores(self, hidden):
        """Variance over the samples."""
        return np.var(hidden.by_neuron, axis=(0, 2), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class ActivationEntropy(NeuronScore):
    """Entropy of the activation over bins (Luo and Wu, 2017): a neuron that says the same of all samples says nothing.

    Parameters
    ----------
    bins : int, default=2
        Of equal width, from the least to the largest activation; 2 asks whether the neuron is above zero.
    """

    bins: int = 2

    def __post_init__(self):
        if self.bins < 2:
            raise ValueError(f"bins is {self.bins}; give 2 or more.")

    def scores(self, hidden):
        """Entropy in nats."""
        return np.array([self._entropy(hidden.by_neuron[:, j].ravel()) for j in range(hidden.size)])

    def _entropy(self, activation):
        if self.bins == 2:
            counts = np.bincount(activation > 0, minlength=2)
        else:
            counts, _ = np.histogram(activation, self.bins)
        return float(scipy.stats.entropy(counts))


@dataclass(frozen=True, kw_only=True)
class OutgoingNorm(NeuronScore):
    """Norm of the weights that read a neuron: small ones make little of it (Li et al., 2017)."""

    def scores(self, hidden):
        """Euclidean norm of each row, or block of rows, of the following weight."""
        return np.linalg.norm(hidden.following.weight.astype(np.float64).reshape(hidden.size, -1), axis=1)


@dataclass(frozen=True, kw_only=True)
class IncomingNorm(NeuronScore):
    """Norm of a neuron's own weights (Li et al., 2017)."""

    def scores(self, hidden):
        """Euclidean norm of each column of the own weight."""
        return np.linalg.norm(hidden.own.weight.astype(np.float64), axis=0)
