"""Which neurons of a hidden layer are worth keeping: scores, and the best group for the layer that reads them.

A hidden neuron j with activation o_j is one row of the weight of the layer after its own. Removing it takes
that row away, and the column of its own layer with it, so that both matrices become smaller. A channel of a convolution
is a neuron with several rows, one for each place that the next layer reads it at.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy

from sparseopt.inputs import is_whole
from sparseopt.pruning.block_selection import BlockSelection
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.layer_stats import LayerStats
from sparseopt.pruning.methods import Structure, StructuredMethod, check_damping
from sparseopt.pruning.reconstruction import Reconstruction
from sparseopt.pruning.row_selection import Choice, RowSelection


@dataclass(frozen=True, eq=False)
class HiddenLayer:
    """What is known of the neurons of a hidden layer.

    Attributes
    ----------
    own, following : LayerStats
        The layer that the neurons are outputs of, and the one that reads them.
    targets : array of shape (samples, outputs)
        What the following layer is to give.
    sensitivity : array of shape (outputs,)
        Mean square of the slope of the network's outputs at each output of the following layer.
    width : int, default=1
        Inputs of the following layer for each neuron: more than one for a channel of a convolution.
    """

    own: LayerStats
    following: LayerStats
    targets: np.ndarray
    sensitivity: np.ndarray
    width: int = 1

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.following.weight.shape[0] // self.width

    @property
    def activations(self) -> np.ndarray:
        """Of shape (rows, neurons * width): for layers that are fully connected one row a sample, one column a neuron."""
        return self.following.inputs

    @property
    def by_neuron(self) -> np.ndarray:
        """Activations of shape (rows, neurons, width)."""
        return self.activations.reshape(len(self.activations), self.size, self.width)

    def regression(self, damping) -> Reconstruction:
        """The following layer as least squares on the neurons."""
        return Reconstruction.of(self.activations, self.targets, self.following.layer, damping)


class NeuronMethod(StructuredMethod):
    """A way to choose neurons; subclasses are frozen dataclasses of its knobs.

    As a method of `prune`, neurons of all hidden layers compete; `prune_neurons` has more options.
    """

    structure: ClassVar[Structure] = Structure.NEURON
    needs_labels: ClassVar[bool] = False

    def prune(self, model, X, y, *, sparsity, validation, random_state, clock, progress):
        """Return what `prune_neurons` does."""
        from sparseopt.pruning.neurons import prune_neurons  # noqa: PLC0415, which needs this module

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
