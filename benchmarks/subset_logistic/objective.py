"""Logistic regression with a price for each feature and a ridge: sum log(1 + exp(-y z)) + l0 |w|_0 + l2 |w|**2.

The price lies in the middle of the range in which k features are optimal, so that the problem with at most k
features has the same optimum. Each solver runs once for each gap and is graded by the objective after a refit of its
support; heuristics have no gap.
"""

import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    """The objective at the refitted support, over that of the best local search, less one."""

    name = "Best subset, logistic"
    url = "https://github.com/sparseopt/sparseopt"
    min_benchopt_version = "1.7"
    sampling_strategy = "run_once"
    test_dataset_name = "Simulated"

    def set_data(self, X, y, k, l0, l2, M, start):
        self.X, self.y, self.k, self.l0, self.l2, self.M, self.start = X, y, k, l0, l2, M, start
        self.reference = self.value(start)

    def get_objective(self):
        return {
            "X": self.X, "y": self.y, "k": self.k, "l0": self.l0, "l2": self.l2, "M": self.M, "start": self.start,
        }  # fmt: skip

    def get_one_result(self):
        return {"w": np.zeros(self.X.shape[1])}

    def value(self, support):
        """The objective of the ridge fit on a support, by Newton's method."""
        X, y, w = self.X[:, support], self.y, np.zeros(len(support))
        for _ in range(50):
            q = 1.0 / (1.0 + np.exp(y * (X @ w)))
            hessian = (X * (q * (1.0 - q))[:, None]).T @ X + 2.0 * self.l2 * np.eye(len(support))
            step = np.linalg.solve(hessian, X.T @ (y * q) - 2.0 * self.l2 * w)
            w += step
            if np.all(np.abs(step) <= 1e-12 * (1.0 + np.abs(w))):
                break
        return float(np.logaddexp(0.0, -y * (X @ w)).sum() + self.l0 * len(support) + self.l2 * (w @ w))

    def evaluate_result(self, w, gap=np.nan, nodes=-1):
        value = self.value(np.flatnonzero(w))
        return {
            "value": value / self.reference - 1.0,
            "gap": gap,
            "nodes": nodes,
            "support_size": int(np.count_nonzero(w)),
        }
