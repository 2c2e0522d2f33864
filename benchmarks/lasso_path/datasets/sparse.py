"""Sparse normal features at random places, and a few true coefficients."""

import numpy as np

from benchmarks.data import noisy, signal, sparse_normal
from benchmarks.grammar import LevelledDataset


class Dataset(LevelledDataset):
    """A wide CSC matrix with about ten entries a column."""

    name = "Sparse"
    parameters = {"n_samples, n_features, density": [(10_000, 50_000, 1e-3)]}
    parameter_template = "{n_samples} x {n_features}"
    test_parameters = {"n_samples, n_features, density": [(100, 60, 0.2)]}
    levels = (10,)

    def get_data(self):
        rng = np.random.default_rng(0)
        X = sparse_normal(self.n_samples, self.n_features, self.density, rng)
        return {"X": X, "y": noisy(signal(X, 200, rng), rng)}
