"""The group lasso, |X w - y|**2 / (2 n) + alpha sum_g |w_g|, groups of neighbours of one size."""

import numpy as np

from benchmarks.bounds import least_squares_gap, over
from benchmarks.grammar import GradedObjective


class Objective(GradedObjective):
    """The group lasso to a common relative duality gap."""

    name = "Group lasso"
    parameters = {"alpha_max_over": [10, 100]}

    def as_target(self, y):
        return y - y.mean()

    def norms(self, v):
        """Euclidean norm of each group."""
        return np.linalg.norm(np.reshape(v, (-1, self.rest["group_size"])), axis=1)

    def largest_alpha(self):
        return float(self.norms(self.X.T @ self.y).max() / self.y.size)

    def grade(self, w, alpha):
        residual = self.y - self.X @ w
        largest = self.norms(self.X.T @ residual).max() / self.y.size
        return least_squares_gap(self.y, residual, alpha * self.norms(w).sum(), over(alpha, largest))
