"""What came of pruning: the model, its mask, and what happened on the way."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparseopt.mask import Mask

# Rows that are taken in double precision together.
ROWS = 8192


class PruningStatus(enum.Enum):
    """Why a run of pruning ended."""

    DONE = "The schedule came to its end."
    STOPPED = "A stop rule ended the run."
    TIME_LIMIT = "The time limit came first; go on with resume=, or raise time_limit."
    INTERRUPTED = "Ctrl-C ended the run; go on with resume=."


@dataclass(frozen=True)
class LayerReport:
    """What became of one layer. The error is relative: 0 as before, 1 as bad as a constant."""

    name: str
    kept: int
    total: int
    error: float
    method: object


@dataclass(frozen=True)
class Step:
    """Where a run stood after one step.

    Attributes
    ----------
    target : float
        Sparsity (or threshold) that the schedule asked for.
    kept, total : int
        Weights.
    quality : float
        Accuracy or R2 on the validation data; without any, on the samples, and without labels against the
        model's own outputs.
    loss : float
        Mean loss on the same data.
    seconds : float
        Since the start of the run.
    accepted : bool
        Whether all stop rules let it pass.
    """

    target: float
    kept: int
    total: int
    quality: float
    loss: float
    seconds: float
    accepted: bool = True

    @property
    def sparsity(self) -> float:
        """Part of the weights that is zero."""
        return 1 - self.kept / self.total


@dataclass(frozen=True, eq=False, repr=False)
class Pruned:
    """A pruned model, the mask of its kept weights, and a report on each layer and step.

    Attributes
    ----------
    model : of the kind given
    mask : Mask
    layers : tuple of LayerReport
    method : Method
    seconds : float
    steps : tuple of Step
        The trace: one for each step of the schedule.
    quality, dense_quality : float
        Quality of the returned model, and of the one before pruning, measured as in `Step`.
    status : PruningStatus
    reason : str
        Why the run ended, in words.
    certificates : mapping of layer name to what the method proves of it
        Empty where nothing is proven.
    notes : tuple of str
        What the reader should know: layers that were left alone, and why.
    """

    model: Any
    mask: Mask
    layers: tuple[LayerReport, ...]
    method: object
    seconds: float
    steps: tuple[Step, ...] = ()
    quality: float = np.nan
    dense_quality: float = np.nan
    status: PruningStatus = PruningStatus.DONE
    reason: str = PruningStatus.DONE.value
    certificates: Mapping = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        parts = [type(self.model).__name__, f"{self.mask.kept} of {self.mask.total} weights kept"]
        if self.layers:
            worst = max(self.layers, key=lambda layer: layer.error)
            parts.append(f"largest error {worst.error:.2g} in {worst.name}")
        if self.status is not PruningStatus.DONE:
            parts.append(self.status.name)
        return f"Pruned({', '.join(parts)}, {self.seconds:.1f} s)"


def relative_error(outputs, targets) -> float:
    """Sum of squared errors, relative to that of the targets' means."""
    precision = np.finfo(targets.dtype).eps
    mean, sums = targets.mean(axis=0, dtype=np.float64), np.zeros(3)
    for start in range(0, len(targets), ROWS):
        # Squares of single precision overflow.
        one, other = (array[start : start + ROWS].astype(np.float64) for array in (outputs, targets))
        sums += [np.sum(np.square(part)) for part in (one - other, other - mean, other)]
    error, scale, square = sums
    # Of targets that are constant there is some rounding left beside the mean.
    rounding = (4 * precision) ** 2 * square
    return float(error / scale) if scale > rounding else (np.inf if error > rounding else 0.0)
