"""Dense normal features, each correlated with the one before, and a few true coefficients."""

import numpy as np
from benchopt import BaseDataset


class Dataset(BaseDataset):
    """An autoregressive design: wide or tall."""

    name = "Correlated"
    parameters = {"n_samples, n_features": [(1000, 5000), (20_000, 500)], "rho": [0.5], "seed": [0]}
    parameter_template = "{n_samples} x {n_features}"
    test_parameters = {"n_samples, n_features": [(50, 30)]}

    def get_data(self):
        n, p = self.n_samples, self.n_features
        rng = np.random.default_rng(self.seed)
        X = np.empty((n, p), order="F")
        X[:, 0] = rng.standard_normal(n)
        for j in range(1, p):
            X[:, j] = self.rho * X[:, j - 1] + np.sqrt(1 - self.rho**2) * rng.standard_normal(n)
        w = np.zeros(p)
        w[rng.choice(p, min(50, p // 10), replace=False)] = 1.0
        w *= rng.choice([-1.0, 1.0], p)
        signal = X @ w
        noise = rng.standard_normal(n)
        # a signal with five times the variance of the noise
        return {"X": X, "y": signal + noise * np.linalg.norm(signal) / np.linalg.norm(noise) / np.sqrt(5)}
