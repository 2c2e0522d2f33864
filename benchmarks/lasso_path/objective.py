"""A path of 100 lassos, |X w - y|**2 / (2 n) + alpha |w|_1, alpha from alpha_max down, evenly in the logarithm."""

import numpy as np

from benchmarks.bounds import lasso_gap
from benchmarks.grammar import PathObjective


class Objective(PathObjective):
    """A path of 100 lassos to a common relative duality gap at the worst of its points."""

    name = "Lasso path"
    parameters = {"alpha_max_over": [100]}
    targets = (1e-6, 1e-3, 1e-2)

    def as_target(self, y):
        return y - y.mean()

    def largest_alpha(self):
        return float(np.abs(self.X.T @ self.y).max() / self.y.size)

    def grade(self, w, alpha):
        return lasso_gap(self.X, self.y, w, alpha)
