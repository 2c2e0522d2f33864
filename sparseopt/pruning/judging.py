"""Validation data, and what a network is worth on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt.pruning.networks import as_data
from sparseopt.pruning.objectives import Distillation
from sparseopt.pruning.options import as_labels, as_validation, checked_outputs

# Samples on which the quality is measured where no validation data are given.
JUDGED = 5000


@dataclass(frozen=True, eq=False)
class Judge:
    """Validation data and what is measured on them."""

    X: np.ndarray
    objective: object
    dense_quality: float

    @classmethod
    def of(cls, network, X, outputs, labels, validation, seed) -> Judge:
        """On the validation data, or where there are none on some of X."""
        if validation is not None:
            X, y = as_validation(validation)
            X = as_data(X)
            labels, outputs = as_labels(network, X, y), checked_outputs(network, X)
        elif len(X) > JUDGED:
            rows = np.random.default_rng(seed).permutation(len(X))[:JUDGED]
            X, outputs, labels = X[rows], outputs[rows], None if labels is None else labels[rows]
        objective = Distillation.of_outputs(network.link, outputs) if labels is None else labels
        return cls(X, objective, objective.quality(outputs))

    def measured(self, network):
        """Quality and loss of a network."""
        outputs = network.outputs(self.X)
        return self.objective.quality(outputs), self.objective.value_and_seeds(outputs)[0]
