"""Sparse normal features at random places, and ten true groups."""

import numpy as np

from benchmarks.data import group_signal, noisy, sparse_normal
from benchmarks.grammar import LevelledDataset


class Dataset(LevelledDataset):
    """A wide CSC matrix with about ten entries a column, groups of ten neighbours."""

    name = "Sparse"
    parameters = {"n_samples, n_features, density, levels": [(10_000, 20_000, 1e-3, (10,))]}
    parameter_template = "{n_samples} x {n_features}"
    test_parameters = {"n_samples, n_features, density, levels": [(60, 120, 0.2, (10,))]}

    def get_data(self):
        rng = np.random.default_rng(0)
        X = sparse_normal(self.n_samples, self.n_features, self.density, rng)
        return {"X": X, "y": noisy(group_signal(X, 10, 10, rng), rng), "group_size": 10}
