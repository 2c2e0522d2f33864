"""Dense normal features, each correlated with the one before, and ten true groups."""

import numpy as np

from benchmarks.data import correlated, group_signal, noisy
from benchmarks.grammar import LevelledDataset


class Dataset(LevelledDataset):
    """An autoregressive design with groups of neighbours: wide or tall."""

    name = "Correlated"
    parameters = {
        "n_samples, n_features, group_size, levels": [
            (1000, 5000, 10, (10, 100)),
            (1000, 5000, 3, (10,)),
            (10_000, 500, 10, (100,)),
        ]
    }
    parameter_template = "{n_samples} x {n_features}, groups of {group_size}"
    test_parameters = {"n_samples, n_features, group_size, levels": [(60, 120, 4, (10,))]}

    def get_data(self):
        rng = np.random.default_rng(0)
        size = self.group_size
        X = correlated(self.n_samples, self.n_features - self.n_features % size, 0.5, rng)
        return {"X": X, "y": noisy(group_signal(X, size, 10, rng), rng), "group_size": size}
