"""Normal features, each correlated with the one before, k of them with an effect on the odds."""

import numpy as np
from benchopt import BaseDataset

from benchmarks.data import correlated, price_of_size, standardized


class Dataset(BaseDataset):
    """`strength` is the standard deviation of the true log odds; l2 is given per sample."""

    name = "Simulated"
    parameters = {
        "n_samples, n_features, k, rho, strength, l2": [
            (500, 1000, 5, 0.1, 3.0, 0.01),
            (500, 1000, 10, 0.1, 5.0, 0.01),
            (500, 1000, 10, 0.1, 5.0, 0.015),
        ],
        "seed": [1, 2, 3],
    }
    test_parameters = {"n_samples, n_features, k, rho, strength, l2": [(80, 60, 3, 0.1, 3.0, 0.02)]}

    @property
    def group(self):
        """Cells of one group are one row of the table."""
        return f"{self.n_samples} x {self.n_features}, k {self.k}, l2 {self.l2}"

    def get_data(self):
        rng = np.random.default_rng(self.seed)
        n, p, k = self.n_samples, self.n_features, self.k
        X = standardized(correlated(n, p, self.rho, rng))
        z = X[:, np.arange(k) * (p // k)].sum(axis=1)
        y = np.where(rng.random(n) < 1.0 / (1.0 + np.exp(-self.strength * z / z.std())), 1.0, -1.0)
        return priced(X, y, k, self.l2 * n)


def priced(X, y, k, l2):
    """The data with a price at which k features are optimal as far as a local search knows, and a bound beyond them."""
    from sparseopt import Cardinality, LocalSearch, Logistic, Problem, Ridged, Zero, solve

    n, values, found = len(y), {}, None
    for size in range(k + 3):
        problem = Problem(Logistic(X, y), Ridged(Zero(), 2.0 * l2 / n), Cardinality(size))
        solution = solve(problem, LocalSearch(kicks=10))
        values[size] = n * solution.certificate.objective
        found = solution if size == k else found
    return {
        "X": X, "y": y, "k": k, "l2": l2, "l0": price_of_size(values, k),
        "M": 1.5 * float(np.abs(found.w).max()), "start": found.support,
    }  # fmt: skip
