"""One method while weights are many, and another for the steps that leave few."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sparseopt.pruning.layerwise import LayerwiseL0
from sparseopt.pruning.methods import Method, Score, Scored
from sparseopt.pruning.scores import Magnitude


@dataclass(frozen=True, kw_only=True)
class Relay(Method):
    """A cheap method in the first steps of a schedule, and a careful one in those that leave few weights.

    While most weights are there hardly one that goes is missed, and training makes good what is; the work of best subsets,
    which grows with the cube of what a neuron keeps, is largest just then. Where few are left they cost little and
    gain most. One step alone is the second's, and so is a path.

    Parameters
    ----------
    first : Method or Score, default=Magnitude()
    then : Method or Score, default=LayerwiseL0()
    times : float, default=2.5
        The second has the steps after which at most so many times the weights are left that are kept in the end.
    """

    first: Method | Score = field(default_factory=Magnitude)
    then: Method | Score = field(default_factory=LayerwiseL0)
    times: float = 2.5

    def __post_init__(self):
        for name in ("first", "then"):
            part = getattr(self, name)
            if not isinstance(part, (Method, Score)) or isinstance(part, Relay):
                raise TypeError(f"{name} is {part!r}; give a method or a score of single weights.")
        if not 1 <= self.times < np.inf:
            raise ValueError(f"times is {self.times}; give a number from 1.")

    @property
    def needs_labels(self) -> bool:
        """Whether one of them does."""
        return self.first.needs_labels or self.then.needs_labels

    def at(self, sparsity, last):
        """The one whose step it is."""
        # Some room for rounding: the last step is the second's at all sparsities.
        is_early = 1 - sparsity > self.times * (1 - last) * (1 + 1e-9)
        return _as_method(self.first if is_early else self.then)

    def scores(self, network, samples):
        """Those of the second."""
        return _as_method(self.then).scores(network, samples)

    def fit(self, layer, kept, inputs, targets):
        """That of the second."""
        return _as_method(self.then).fit(layer, kept, inputs, targets)


def _as_method(part) -> Method:
    return Scored(part) if isinstance(part, Score) else part
