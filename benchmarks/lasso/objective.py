"""The lasso, |X w - y|**2 / (2 n) + alpha |w|_1."""

import numpy as np

from benchmarks.bounds import lasso_gap
from benchmarks.grammar import GradedObjective


class Objective(GradedObjective):
    """The lasso to a common relative duality gap."""

    name = "Lasso"
    of_classes = False

    def as_target(self, y):
        return y - y.mean()

    def largest_alpha(self):
        return float(np.abs(self.X.T @ self.y).max() / self.y.size)

    def grade(self, w, alpha):
        return lasso_gap(self.X, self.y, w, alpha)
