"""Logistic regression, mean log(1 + exp(-y X w)) + alpha |w|_1, with y in {-1, 1}."""

import numpy as np

from benchmarks.bounds import logistic_gap
from benchmarks.data import two_classes
from benchmarks.grammar import GradedObjective


class Objective(GradedObjective):
    """Logistic regression with an L1 penalty to a common relative duality gap."""

    name = "L1 logistic regression"
    of_classes = True
    parameters = {"alpha_max_over": [10, 30]}

    def as_target(self, y):
        return two_classes(y)

    def largest_alpha(self):
        return float(np.abs(self.X.T @ self.y).max() / (2 * self.y.size))

    def grade(self, w, alpha):
        return logistic_gap(self.X, self.y, w, alpha)
