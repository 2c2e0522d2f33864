"""One method while weights are many, and another for the steps that leave few."""

from __future__ import annotations

from dataclasses import dataclass, field

from sparseopt.pruning.layerwise import LayerwiseL0
from sparseopt.pruning.methods import Method, Score, Scored
from sparseopt.pruning.scores import Magnitude


@dataclass(frozen=True, kw_only=True)
class Relay(Method):
    """A cheap method in the first steps of a schedule, and a careful one in those that leave few weights.

    While most weights are there hardly one that goes is missed, and training makes good what is; the work of best subsets,
    which grows with the cube of what a neuron keeps, is largest just then. Where few are left they cost little and
    gain most. A step belongs to the method of the sparsity that it goes to; along a path all belong to the second.

    Parameters
    ----------
    first : Method or Score, default=Magnitude()
    then : Method or Score, default=LayerwiseL0()
    sparsity : float, default=0.9
        From which on the second prunes.
    """

    first: Method | Score = field(default_factory=Magnitude)
    then: Method | Score = field(default_factory=LayerwiseL0)
    sparsity: float = 0.9

    def __post_init__(self):
        for name in ("first", "then"):
            part = getattr(self, name)
            if not isinstance(part, (Method, Score)) or isinstance(part, Relay):
                raise TypeError(f"{name} is {part!r}; give a method or a score of single weights.")
        if not 0 <= self.sparsity < 1:
            raise ValueError(f"sparsity is {self.sparsity}; give that of the second method, at least 0 and below 1.")

    @property
    def needs_labels(self) -> bool:
        """Whether one of them does."""
        return self.first.needs_labels or self.then.needs_labels

    def at(self, sparsity):
        """The one whose step it is."""
        part = self.first if sparsity < self.sparsity else self.then
        return Scored(part) if isinstance(part, Score) else part

    def scores(self, network, samples):
        """Those of the second."""
        return self.at(self.sparsity).scores(network, samples)

    def fit(self, layer, kept, inputs, targets):
        """That of the second."""
        return self.at(self.sparsity).fit(layer, kept, inputs, targets)
