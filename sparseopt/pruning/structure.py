"""What a pruning method takes away: single weights, whole neurons, or features of the data."""

from __future__ import annotations

import enum


class Structure(enum.Enum):
    """What goes or stays as one."""

    WEIGHT = "weight"
    NEURON = "neuron"
    FEATURE = "feature"
