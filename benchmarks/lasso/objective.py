"""The lasso, and how the coefficients of every solver are graded: by their relative duality gap.

    P(w) = |X w - y|**2 / (2 n) + alpha |w|_1,    D(v) = (|y|**2 - |y - v|**2) / (2 n)

with v the multiple of the residual y - X w that is feasible, |X'v|_inf <= n alpha, and best.
"""

import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    """Lasso at a part of alpha_max, the least alpha whose solution is zero."""

    name = "Lasso"
    url = "https://github.com/sparseopt/sparseopt"
    min_benchopt_version = "1.7"
    sampling_strategy = "tolerance"
    parameters = {"alpha_max_over": [10, 30, 100]}
    test_dataset_name = "Diabetes"

    def set_data(self, X, y):
        self.X, self.y = X, y
        self.alpha = float(np.abs(X.T @ y).max() / y.size) / self.alpha_max_over

    def get_objective(self):
        return {"X": self.X, "y": self.y, "alpha": self.alpha}

    def get_one_result(self):
        return {"w": np.zeros(self.X.shape[1])}

    def evaluate_result(self, w):
        w = np.asarray(w, dtype=np.float64)
        objective, lower_bound = bounds(self.X, self.y, self.alpha, w)
        return {
            "value": objective,
            "relative_gap": (objective - lower_bound) / objective,
            "support_size": int(np.count_nonzero(w)),
        }


def bounds(X, y, alpha, w):
    """P(w), and the largest D(v) over the multiples v of the residual."""
    n = y.size
    residual = y - X @ w
    objective = residual @ residual / (2 * n) + alpha * np.abs(w).sum()
    correlation = np.abs(X.T @ residual).max() / n
    limit = alpha / correlation if correlation > 0 else 1.0
    square = residual @ residual
    scale = np.clip(residual @ y / square, -limit, limit) if square > 0 else 0.0
    rest = y - scale * residual
    return objective, (y @ y - rest @ rest) / (2 * n)
