"""Dense normal features, each correlated with the one before, and a few true coefficients."""

import numpy as np

from benchmarks.data import correlated, noisy, signal
from benchmarks.grammar import LevelledDataset


class Dataset(LevelledDataset):
    """An autoregressive design: wide, ill conditioned, tall, or twenty times as large."""

    name = "Correlated"
    parameters = {
        "n_samples, n_features, rho, levels": [
            (1000, 5000, 0.5, (10, 30, 100)),
            (1000, 5000, 0.95, (10, 30)),
            (1000, 5000, 0.99, (10, 30)),
            (20_000, 500, 0.5, (100,)),
            (5000, 20_000, 0.99, (10,)),
        ]
    }
    parameter_template = "{n_samples} x {n_features}, rho {rho}"
    test_parameters = {"n_samples, n_features, rho, levels": [(50, 100, 0.5, (10,))]}

    def get_data(self):
        rng = np.random.default_rng(0)
        X = correlated(self.n_samples, self.n_features, self.rho, rng)
        return {"X": X, "y": noisy(signal(X, 50, rng), rng)}
