"""Stop rules: when a run of several steps has done enough."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

from sparseopt.inputs import is_whole
from sparseopt.pruning.pruned import Step


class Stop(ABC):
    """A rule that ends a run; subclasses are frozen dataclasses of its knobs."""

    #: Whether the step that breaks the rule is given back for the best one before it.
    rejects: ClassVar[bool] = False

    @abstractmethod
    def reason(self, steps: Sequence[Step], quality: float) -> str | None:
        """Why the run ends after the last of these steps, None where it goes on; `quality` is the dense model's."""


@dataclass(frozen=True)
class Iterations(Stop):
    """At most so many steps."""

    limit: int

    def __post_init__(self):
        if not (is_whole(self.limit) and self.limit >= 1):
            raise ValueError(f"the limit of iterations is {self.limit!r}; give a whole number from 1.")

    def reason(self, steps, quality):
        return f"{len(steps)} steps are done." if len(steps) >= self.limit else None


@dataclass(frozen=True)
class SparsityReached(Stop):
    """As soon as this part of the weights is zero."""

    sparsity: float

    def __post_init__(self):
        if not (isinstance(self.sparsity, Real) and 0 <= self.sparsity < 1):
            raise ValueError(f"sparsity is {self.sparsity!r}; give a part of the weights, at least 0 and below 1.")

    def reason(self, steps, quality):
        reached = steps[-1].sparsity
        return f"{reached:.1%} of the weights are zero." if reached >= self.sparsity else None


@dataclass(frozen=True)
class QualityLoss(Stop):
    """As soon as the quality on the validation data is more than `limit` below the dense model's.

    The step that costs so much is not kept: what is returned is the best step before it.

    Parameters
    ----------
    limit : float
        In units of the quality: 0.01 is one point of accuracy, or of R2.
    """

    limit: float
    rejects: ClassVar[bool] = True

    def __post_init__(self):
        if not (isinstance(self.limit, Real) and self.limit >= 0):
            raise ValueError(f"the limit of the loss of quality is {self.limit!r}; give a number from 0.")

    def reason(self, steps, quality):
        now = steps[-1].quality
        if now >= quality - self.limit:
            return None
        return f"quality fell to {now:.4g}, more than {self.limit:g} below {quality:.4g}."
