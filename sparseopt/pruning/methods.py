"""How to prune: methods say which weights are worth keeping, and what the kept ones become."""

from __future__ import annotations

import enum
import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sparseopt.pruning.layer_stats import LayerStats
from sparseopt.pruning.reconstruction import Reconstruction

if TYPE_CHECKING:
    from collections.abc import Iterable


class Structure(enum.Enum):
    """What goes as a whole."""

    WEIGHT = "weight"
    NEURON = "neuron"
    FEATURE = "feature"


class Method(ABC):
    """A way of pruning single weights; subclasses are frozen dataclasses of its knobs."""

    structure: ClassVar[Structure] = Structure.WEIGHT

    @property
    def needs_labels(self) -> bool:
        """Whether `scores` looks at labels."""
        return False

    @property
    def refits(self) -> bool:
        """Whether `fit` looks at inputs and targets; where not, these are None."""
        return True

    @property
    def temperature(self) -> float:
        """Of the divergence that `fit_network` is given: see `Distillation`."""
        return 1.0

    def at(self, sparsity, last) -> Method:
        """The method of the step to this sparsity of a run that ends at another: here the same of all."""
        return self

    @abstractmethod
    def scores(self, network, samples) -> list[np.ndarray]:
        """Worth of each weight, shaped as the weight of each layer: the lowest go first.

        What is zero already is pruned already; its score does not matter.
        """

    def rival_scores(self, network, samples, scores):
        """Other scores that may be the better ones, as `scores`, or None: the fit that diverges less is taken."""
        return None

    @abstractmethod
    def fit(self, layer, kept, inputs, targets):
        """Return the pruned layer and the support it has.

        `inputs` come from the layers before, already pruned; `targets` are what the layer put out
        in the model as it was.
        """

    def metrics(self, network, samples) -> Iterable:
        """How errors in the outputs of each layer hurt, for methods that want to know: see `fit_with`."""
        return itertools.repeat(None)

    def fit_with(self, metric, layer, kept, inputs, targets):
        """`fit`, by a method that knows the metric of the layer's errors; here without it."""
        return self.fit(layer, kept, inputs, targets)

    def moments(self, layer, inputs, targets, grams=None) -> Reconstruction | None:
        """All that `fit_with` looks at of inputs and targets, where that can serve several fits; None where it cannot.

        `grams` is where the Gram of the same inputs is kept from one call to the next: see `Reconstruction.of`.
        """
        return None

    def fit_moments(self, metric, layer, kept, moments):
        """`fit_with`, given the moments."""
        raise NotImplementedError(f"{type(self).__name__} gives no moments of inputs and targets.")

    def fit_network(self, before, network, kept, samples, choose, objective, clock):
        """Return the network pruned as a whole, and its supports, for methods that look at all layers at once.

        Parameters
        ----------
        before : Network
            As it was before this step.
        network : Network
            After the fits layer by layer.
        kept : list of boolean arrays
            Its supports.
        samples : Samples
        choose : callable
            Supports of the same sparsity, scope and pattern by other scores.
        objective : Objective
            Divergence from what the model said before it was pruned, at the method's temperature.
        clock : Clock
        """
        return network, kept

    def certificate(self, layer, kept, inputs, targets):
        """What is proven of the fitted layer, a value with `lower` and `value`; None for nothing."""
        return None


class StructuredMethod(ABC):
    """A way of pruning whole features or neurons, which make the model itself smaller."""

    structure: ClassVar[Structure]

    @abstractmethod
    def prune(self, model, X, y, *, sparsity, validation, random_state, clock, progress):
        """Return the `Pruned`; what `prune` was given, checked for nothing but `sparsity`."""


class Score(ABC):
    """Worth of each weight of a layer by a formula; subclasses are frozen dataclasses of its knobs."""

    needs_labels: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, stats: LayerStats) -> np.ndarray:
        """Worth of each weight, of its shape: the lowest go first."""


@dataclass(frozen=True)
class Scored(Method):
    """Prune by a score.

    Parameters
    ----------
    score : Score
    refit : bool, default=False
        Fit the kept weights to the layer's old outputs by least squares.
    damping : float, default=0.01
        Weight of the old weights in the refit, relative to the mean square of the inputs.
    """

    score: Score
    refit: bool = False
    damping: float = 0.01

    def __post_init__(self):
        check_damping(self.damping)

    @property
    def needs_labels(self) -> bool:
        """Whether the score does."""
        return self.score.needs_labels

    @property
    def refits(self) -> bool:
        """Whether there is a refit."""
        return self.refit

    def scores(self, network, samples):
        """Score of each layer."""
        return [self.score(stats) for stats in samples.stats(network)]

    def fit(self, layer, kept, inputs, targets):
        """Keep or refit the weights on the support."""
        if not self.refit:
            return masked(layer, kept), kept
        return refitted(layer, kept, inputs, targets, self.damping), kept


def masked(layer, kept):
    """The layer with zeros where its weights are not kept."""
    return replace(layer, weight=np.where(kept, layer.weight, 0).astype(layer.weight.dtype))


def refitted(layer, kept, inputs, targets, damping=0.01):
    """The layer with the kept weights that give the targets best, by damped least squares."""
    regression = Reconstruction.of(inputs, targets, layer, damping)
    return regression.fitted(layer, regression.refit(kept))


def check_damping(damping):
    """Raise where the damping is none."""
    if not 0 < damping < np.inf:
        raise ValueError(f"damping is {damping}; give a positive number, 0.01 by default.")
