"""At most k features of least squares: the residual after a refit, as a part of the squares of y.

A heuristic has no tolerance, so that there is no common level to reach: each runs once with its own options,
and its support is judged. What a support is above the best of all that ran, in parts of the squares
of y, is its excess; the means over the cells of a grid are the table.
"""

import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    """The residual of the k features that a heuristic chooses, refitted by least squares for all alike."""

    name = "Best subset, heuristics"
    url = "https://github.com/sparseopt/sparseopt"
    min_benchopt_version = "1.7"
    sampling_strategy = "run_once"
    test_dataset_name = "Simulated"

    def set_data(self, X, y, k, truth=None):
        self.X, self.y, self.k, self.truth = X, y, k, truth

    def get_objective(self):
        return {"X": self.X, "y": self.y, "k": self.k}

    def get_one_result(self):
        return {"w": np.zeros(self.X.shape[1])}

    def evaluate_result(self, w):
        support = np.flatnonzero(w)
        if support.size > self.k:
            # the largest k of more; those that were asked for k and gave more have no better claim
            support = np.sort(np.argsort(-np.abs(w))[: self.k])
        rest = self.y - self.X[:, support] @ np.linalg.lstsq(self.X[:, support], self.y, rcond=None)[0]
        graded = {"value": float(rest @ rest / (self.y @ self.y)), "support_size": int(support.size)}
        if self.truth is not None:
            hits = np.intersect1d(support, self.truth).size
            graded["F1"] = 2.0 * hits / max(support.size + len(self.truth), 1)
        return graded
