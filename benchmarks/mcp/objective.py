"""Least squares with the minimax concave penalty (Zhang, 2010), which has no duality gap.

The measure is the largest distance of a slope -x_j'(X w - y) / n to the subgradients of the penalty
at w_j, as a part of alpha: zero at the stationary points. Which of those is better, the column
"above the best" shows.
"""

import numpy as np

from benchmarks.grammar import GradedObjective

GAMMA = 3.0


class Objective(GradedObjective):
    """Least squares with MCP to a common distance to stationarity, relative to alpha."""

    name = "MCP"
    measure = "stationarity"
    parameters = {"alpha_max_over": [10, 30]}

    def as_target(self, y):
        return y - y.mean()

    def largest_alpha(self):
        return float(np.abs(self.X.T @ self.y).max() / self.y.size)

    def get_objective(self):
        return {"X": self.X, "y": self.y, "alpha": self.alpha, "alpha_max": self.alpha_max, "gamma": GAMMA}

    def grade(self, w, alpha):
        size, n = np.abs(w), self.y.size
        residual = self.X @ w - self.y
        reach = np.minimum(size, GAMMA * alpha)
        value = residual @ residual / (2 * n) + np.sum(alpha * reach - reach**2 / (2 * GAMMA))
        slope = self.X.T @ residual / n
        bent = np.abs(slope + np.sign(w) * np.maximum(alpha - size / GAMMA, 0.0))
        distance = np.where(w == 0, np.maximum(np.abs(slope) - alpha, 0.0), bent)
        return float(value), float(distance.max() / alpha)
