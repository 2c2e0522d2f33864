"""Which neurons of a hidden layer are worth keeping: scores, and the best group for the layer that reads them.

A hidden neuron j with activation o_j is one row of the weight of the layer after its own. Removing it takes
that row away, and the column of its own layer with it, so that both matrices become smaller.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import scipy

from sparseopt.certificate import Certificate
from sparseopt.constraints import RowCardinality
from sparseopt.losses import LeastSquares
from sparseopt.problem import Problem
from sparseopt.pruning.networks import Layer
from sparseopt.pruning.reconstruction import Reconstruction, solve
from sparseopt.pruning.structure import Structure
from sparseopt.solve import solve as solve_problem
from sparseopt.solvers.branch_and_bound import BranchAndBound
from sparseopt.solvers.local_search import LocalSearch


@dataclass(frozen=True, eq=False)
class HiddenLayer:
    """What is known of the neurons of a hidden layer.

    Attributes
    ----------
    own, following : Layer
        The layer that the neurons are outputs of, of weight (inputs, neurons), and the one that reads them, of
        weight (neurons, outputs).
    activations : array of shape (samples, neurons)
    targets : array of shape (samples, outputs)
        What the following layer is to give.
    sensitivity : array of shape (outputs,)
        Mean square of the slope of the network's outputs at each output of the following layer.
    slopes : array of shape (samples, outputs), optional
        Slope of the loss of each sample at the outputs of the following layer, where there are labels.
    """

    own: Layer
    following: Layer
    activations: np.ndarray
    targets: np.ndarray
    sensitivity: np.ndarray
    slopes: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.following.weight.shape[0]

    def regression(self, damping) -> Reconstruction:
        """The following layer as least squares on the neurons."""
        return Reconstruction.of(self.activations, self.targets, self.following, damping)


@dataclass(frozen=True, eq=False)
class Choice:
    """Kept neurons as booleans, and what is proven of them, if anything."""

    kept: np.ndarray
    certificate: Certificate | None = None


class NeuronMethod(ABC):
    """A way to choose neurons; subclasses are frozen dataclasses of its knobs."""

    structure: ClassVar[Structure] = Structure.NEURON
    needs_labels: ClassVar[bool] = False

    @abstractmethod
    def scores(self, hidden: HiddenLayer) -> np.ndarray:
        """Worth of each neuron, of shape (neurons,): where layers compete, the lowest go first."""

    @abstractmethod
    def choose(self, hidden: HiddenLayer, count: int) -> Choice:
        """Keep this many of the neurons."""


class NeuronScore(NeuronMethod):
    """A method that keeps the neurons of the highest scores; of equal ones the first goes."""

    def choose(self, hidden, count):
        kept = np.zeros(hidden.size, bool)
        kept[np.argsort(self.scores(hidden), kind="stable")[hidden.size - count :]] = True
        return Choice(kept)


@dataclass(frozen=True, kw_only=True)
class RandomNeurons(NeuronScore):
    """Any neurons, the baseline that every score must beat."""

    seed: int = 0

    def scores(self, hidden):
        """Uniform numbers, others in each layer."""
        key = [self.seed, *hidden.own.name.encode()]
        return np.random.default_rng(key).random(hidden.size)


@dataclass(frozen=True, kw_only=True)
class Contribution(NeuronScore):
    """Mean of |o dL/do|, the loss that goes with a neuron, to first order (Molchanov et al., 2017). Needs labels."""

    needs_labels: ClassVar[bool] = True

    def scores(self, hidden):
        """Mean over the samples of |activation * slope of the loss|."""
        slopes = hidden.slopes @ hidden.following.weight.T
        return np.mean(np.abs(hidden.activations * slopes), axis=0, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class ActivationSparsity(NeuronScore):
    """Part of the samples on which a neuron is not zero (average percentage of zeros: Hu et al., 2016)."""

    def scores(self, hidden):
        """Part of the samples with a nonzero activation."""
        return np.mean(hidden.activations != 0, axis=0)


@dataclass(frozen=True, kw_only=True)
class ActivationVariance(NeuronScore):
    """Variance of the activation: what hardly varies is nearly a constant, which a bias replaces."""

    def scores(self, hidden):
        """Variance over the samples."""
        return np.var(hidden.activations, axis=0, dtype=np.float64)


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
        return np.array([self._entropy(activation) for activation in hidden.activations.T])

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
        """Euclidean norm of each row of the following weight."""
        return np.linalg.norm(hidden.following.weight.astype(np.float64), axis=1)


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
        Random exchanges after which the search descends again.
    proof_time : float, default=0
        Seconds for a branch and bound in each layer, which proves the choice best or replaces it.

    References
    ----------
    Meng, Ibrahim, Behdin et al., "OSSCAR: one-shot structured pruning in vision and language models" (2024).
    """

    damping: float = 0.01
    kicks: int = 4
    proof_time: float = 0.0

    def __post_init__(self):
        if not 0 < self.damping < np.inf:
            raise ValueError(f"damping is {self.damping}; give a positive number, 0.01 by default.")
        if not self.proof_time >= 0:
            raise ValueError(f"proof_time is {self.proof_time}; give seconds, 0 for no proof.")

    def scores(self, hidden):
        """Loss at which each neuron is eliminated, the later the higher."""
        rows = RowSelection.of(hidden, self.damping)
        order, losses = rows.elimination
        scores = np.empty(order.size)
        # The lower convex hull of the accumulated losses: sorting its slopes shares a budget best.
        scores[order] = scipy.optimize.isotonic_regression(losses).x
        return scores

    def choose(self, hidden, count):
        """Eliminate, exchange and, if asked, prove."""
        return RowSelection.of(hidden, self.damping).best(count, self.kicks, self.proof_time)


@dataclass(frozen=True, eq=False)
class RowSelection:
    """Subset selection over rows of W: tr(W'HW)/2 - tr(B'W), with a Gram matrix H and the cross moments B."""

    gram: np.ndarray
    cross: np.ndarray

    @classmethod
    def of(cls, hidden, damping) -> RowSelection:
        """The selection among the neurons of a hidden layer."""
        regression = hidden.regression(damping)
        return cls(regression.gram, regression.cross * np.sqrt(hidden.sensitivity))

    @cached_property
    def elimination(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows from the first to go to the last, and the loss of each as it goes."""
        p = len(self.gram)
        inverse = solve(self.gram, np.eye(p))
        W = inverse @ self.cross
        left, order, losses = np.ones(p, bool), np.empty(p, np.intp), np.empty(p)
        for step in range(p):
            # of a row that goes: |w_j|^2 / (2 [H^-1]_jj), the others refitted
            costs = np.full(p, np.inf)
            costs[left] = np.einsum("ij,ij->i", W[left], W[left]) / inverse.diagonal()[left] / 2
            j = int(np.argmin(costs))
            order[step], losses[step], left[j] = j, costs[j], False
            column = inverse[:, j] / inverse[j, j]
            W = W - np.outer(column, W[j])
            inverse = inverse - np.outer(column, inverse[j])
        return order, losses

    def problem(self, count) -> Problem:
        """The same as least squares on as many samples as rows, whose value is the loss that all rows would not have."""
        p = len(self.gram)
        factor = scipy.linalg.cholesky(self.gram, lower=True)
        targets = scipy.linalg.solve_triangular(factor, self.cross, lower=True)
        if targets.shape[1] > p:
            # Only the inner products of the targets' rows matter: as many responses as rows will do.
            U, size, _ = np.linalg.svd(targets, full_matrices=False)
            targets = U * size
        targets = targets[:, 0] if targets.shape[1] == 1 else targets
        return Problem(LeastSquares(np.sqrt(p) * factor.T, np.sqrt(p) * targets), constraint=RowCardinality(count))

    def best(self, count, kicks, proof_time) -> Choice:
        """The best rows that are found, with their certificate."""
        p = len(self.gram)
        if count == p:
            return Choice(np.ones(p, bool))
        problem = self.problem(count)
        start = np.zeros(problem.shape)
        survivors = self.elimination[0][p - count :]
        start[survivors] = 1.0
        found = solve_problem(problem, LocalSearch(kicks=kicks), start)
        exact = BranchAndBound()
        if proof_time and exact.rejects(problem) is None:
            found = solve_problem(problem, exact, found.w, time_limit=proof_time)
        kept = found.w.reshape(p, -1).any(axis=1)
        # Rows that are worth nothing do not enter a solution; they are kept all the same, the count being given.
        spare = [j for j in self.elimination[0][::-1] if not kept[j]]
        kept[spare[: count - int(kept.sum())]] = True
        return Choice(kept, found.certificate)
