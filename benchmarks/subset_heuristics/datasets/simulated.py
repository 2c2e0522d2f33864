"""Normal features, each correlated with the one before, and k coefficients of one, far apart or side by side."""

import numpy as np
from benchopt import BaseDataset

from benchmarks.data import standardized


class Dataset(BaseDataset):
    """The grids of correlation and signal to noise on which heuristics are compared (Hastie et al., 2020)."""

    name = "Simulated"
    parameters = {
        "n_samples, n_features, k": [(100, 1000, 10), (500, 2000, 20)],
        "rho": [0.35, 0.7, 0.9],
        "snr": [0.5, 1.0, 2.0, 6.0],
        "seed": [0, 1],
    }
    test_parameters = {
        "n_samples, n_features, k": [(50, 100, 5)],
        "rho": [0.35],
        "snr": [2.0],
        "seed": [0],
    }

    @property
    def group(self):
        """Cells of one group are one row of the table."""
        return f"{self.n_samples} x {self.n_features}, k {self.k}"

    def get_data(self):
        # one draw for all of X, then the noise: the instances do not depend on how columns are made
        rng = np.random.default_rng(1000 * self.seed + 7)
        n, p, k = self.n_samples, self.n_features, self.k
        X = rng.standard_normal((n, p))
        for j in range(1, p):
            X[:, j] = self.rho * X[:, j - 1] + np.sqrt(1.0 - self.rho**2) * X[:, j]
        truth = np.arange(k) * (p // k) if self.seed % 2 == 0 else np.arange(k)
        variance = np.sum(self.rho ** np.abs(np.subtract.outer(truth, truth)))
        y = X[:, truth].sum(axis=1) + np.sqrt(variance / self.snr) * rng.standard_normal(n)
        return {"X": standardized(X), "y": y - y.mean(), "k": k, "truth": truth}
