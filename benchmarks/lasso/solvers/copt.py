"""copt's accelerated proximal gradient descent."""

import copt
import copt.penalty
import numpy as np
from benchopt import BaseSolver
from scipy.sparse.linalg import svds


class Solver(BaseSolver):
    """With its line search, or with the best constant step, whose computation is not on the clock."""

    name = "copt FISTA"
    sampling_strategy = "tolerance"
    requirements = ["pip::copt"]
    parameters = {"step": ["backtracking", "constant"]}
    parameter_template = "{step} step"

    def set_objective(self, X, y, alpha):
        self.X, self.y, self.alpha = X, y, alpha
        self.scale = np.abs(X.T @ y).max() / y.size
        self.length = y.size / svds(X, k=1, return_singular_vectors=False)[0] ** 2

    def warm_up(self):
        self.run(1.0)

    def run(self, tolerance):
        X, y = self.X, self.y

        def half_mean_square(w, return_gradient=True):
            residual = X @ w - y
            value = residual @ residual / (2 * y.size)
            return (value, X.T @ residual / y.size) if return_gradient else value

        prox = copt.penalty.L1Norm(self.alpha).prox
        found = copt.minimize_proximal_gradient(
            half_mean_square, np.zeros(X.shape[1]), prox, tol=self.scale * min(tolerance, 1.0), max_iter=100_000,
            step=self.step if self.step == "backtracking" else lambda _: self.length, accelerated=True,
        )  # fmt: skip
        self.w = found.x

    def get_result(self):
        return {"w": self.w}
