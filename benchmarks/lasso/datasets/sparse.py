"""Sparse normal features at random places, and a few true coefficients."""

import numpy as np
from benchopt import BaseDataset
from scipy import sparse


class Dataset(BaseDataset):
    """A wide CSC matrix, about ten entries a column."""

    name = "Sparse"
    parameters = {"n_samples, n_features": [(10_000, 50_000)], "density": [1e-3], "seed": [0]}
    parameter_template = "{n_samples} x {n_features}"
    test_parameters = {"n_samples, n_features": [(100, 60)], "density": [0.2]}

    def get_data(self):
        n, p = self.n_samples, self.n_features
        rng = np.random.default_rng(self.seed)
        entries = int(n * p * self.density)
        places = rng.integers(0, n, entries), rng.integers(0, p, entries)
        # the old matrix class: some of the solvers do not take sparse arrays
        X = sparse.csc_matrix((rng.standard_normal(entries), places), shape=(n, p))
        X.sum_duplicates()
        w = np.zeros(p)
        w[rng.choice(p, min(200, p // 10), replace=False)] = 1.0
        w *= rng.choice([-1.0, 1.0], p)
        signal = X @ w
        noise = rng.standard_normal(n)
        return {"X": X, "y": signal + noise * np.linalg.norm(signal) / np.linalg.norm(noise) / np.sqrt(5)}
