"""Dense normal features, each correlated with the one before, and a few true coefficients."""

import numpy as np

from benchmarks.data import correlated, noisy, signal
from benchmarks.grammar import LevelledDataset


class Dataset(LevelledDataset):
    """An autoregressive design."""

    name = "Correlated"
    parameters = {"n_samples, n_features": [(1000, 5000)]}
    parameter_template = "{n_samples} x {n_features}"
    test_parameters = {"n_samples, n_features": [(50, 100)]}
    levels = (100,)

    def get_data(self):
        rng = np.random.default_rng(0)
        X = correlated(self.n_samples, self.n_features, 0.5, rng)
        return {"X": X, "y": noisy(signal(X, 50, rng), rng)}
