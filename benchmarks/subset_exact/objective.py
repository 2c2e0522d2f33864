"""Least squares with a price for each feature, a ridge and a bound: sum of squares / 2 + l0 |w|_0 + l2 |w|**2, |w_j| <= M.

The price lies in the middle of the range in which k features are optimal, so that the problem with at most k
features has the same optimum. Each solver runs once for each gap and is graded by the objective at its w.
"""

import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    """The objective at w, over that of the first support, which the best local search found."""

    name = "Best subset, exact"
    url = "https://github.com/sparseopt/sparseopt"
    min_benchopt_version = "1.7"
    sampling_strategy = "run_once"
    test_dataset_name = "Simulated"

    def set_data(self, X, y, k, l0, l2, M, start):
        self.X, self.y, self.k, self.l0, self.l2, self.M, self.start = X, y, k, l0, l2, M, start
        self.reference = self.value(self.refitted(start))

    def get_objective(self):
        return {
            "X": self.X, "y": self.y, "k": self.k, "l0": self.l0, "l2": self.l2, "M": self.M, "start": self.start,
        }  # fmt: skip

    def get_one_result(self):
        return {"w": np.zeros(self.X.shape[1])}

    def refitted(self, support):
        """The ridge fit on a support."""
        w, X = np.zeros(self.X.shape[1]), self.X[:, support]
        w[support] = np.linalg.solve(X.T @ X + 2.0 * self.l2 * np.eye(len(support)), X.T @ self.y)
        return w

    def value(self, w):
        rest = self.y - self.X @ w
        return float(rest @ rest / 2 + self.l0 * np.count_nonzero(w) + self.l2 * (w @ w))

    def evaluate_result(self, w, gap=np.nan, nodes=-1):
        value = self.value(self.refitted(np.flatnonzero(w)))
        return {
            "value": value / self.reference - 1.0,
            "gap": gap,
            "nodes": nodes,
            "support_size": int(np.count_nonzero(w)),
        }
