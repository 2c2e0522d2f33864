"""Normal features, each correlated with the one before, and k coefficients of one far apart."""

import numpy as np
from benchopt import BaseDataset

from benchmarks.data import correlated, price_of_size, standardized


class Dataset(BaseDataset):
    """The settings on which exact solvers are compared; l2 is given per sample."""

    name = "Simulated"
    parameters = {
        "n_samples, n_features, k, rho, snr, l2": [
            (500, 1000, 10, 0.1, 5.0, 0.01),
            (500, 1000, 10, 0.7, 5.0, 0.03),
            (500, 5000, 10, 0.1, 5.0, 0.02),
            (500, 5000, 10, 0.7, 5.0, 0.03),
            (500, 10_000, 10, 0.1, 5.0, 0.02),
            (500, 50_000, 10, 0.1, 5.0, 0.05),
            (200, 100, 5, 0.1, 5.0, 0.01),
            (2000, 300, 10, 0.5, 1.0, 0.001),
        ],
        "seed": [0, 1, 2],
    }
    test_parameters = {"n_samples, n_features, k, rho, snr, l2": [(60, 80, 3, 0.1, 5.0, 0.01)]}

    @property
    def group(self):
        """Cells of one group are one row of the table."""
        return f"{self.n_samples} x {self.n_features}, k {self.k}, rho {self.rho}"

    def get_data(self):
        rng = np.random.default_rng(self.seed)
        n, p, k = self.n_samples, self.n_features, self.k
        X, truth = correlated(n, p, self.rho, rng), np.arange(k) * (p // k)
        variance = np.sum(self.rho ** np.abs(np.subtract.outer(truth, truth)))
        y = X[:, truth].sum(axis=1) + np.sqrt(variance / self.snr) * rng.standard_normal(n)
        return priced(standardized(X), y - y.mean(), k, self.l2 * n)


def priced(X, y, k, l2):
    """The data with a price at which k features are optimal as far as a local search knows, and a bound beyond them."""
    from sparseopt import Cardinality, LeastSquares, LocalSearch, Problem, Ridged, Zero, solve

    n, values, found = len(y), {0: float(y @ y) / 2}, None
    for size in range(1, k + 3):
        problem = Problem(LeastSquares(X, y), Ridged(Zero(), 2.0 * l2 / n), Cardinality(size))
        solution = solve(problem, LocalSearch(kicks=20))
        values[size] = n * solution.certificate.objective
        found = solution if size == k else found
    return {
        "X": X, "y": y, "k": k, "l2": l2, "l0": price_of_size(values, k),
        "M": 1.5 * float(np.abs(found.w).max()), "start": found.support,
    }  # fmt: skip
