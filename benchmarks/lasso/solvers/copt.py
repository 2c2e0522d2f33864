"""copt's accelerated proximal gradient descent."""

import copt
import copt.penalty
import numpy as np
from scipy.sparse.linalg import svds

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """With its line search, or with the best constant step, whose computation is not on the clock."""

    name = "copt FISTA"
    requirements = ["pip::copt"]
    parameters = {"step": ["backtracking", "constant"]}
    parameter_template = "{step} step"
    is_extra = True

    def warm_up(self):
        X, y = self.problem.X, self.problem.y
        self.length = y.size / svds(X, k=1, return_singular_vectors=False)[0] ** 2
        self.run(self.tolerances[0])

    def fit(self, problem, tolerance):
        X, y = problem.X, problem.y

        def half_mean_square(w, return_gradient=True):
            residual = X @ w - y
            value = residual @ residual / (2 * y.size)
            return (value, X.T @ residual / y.size) if return_gradient else value

        prox = copt.penalty.L1Norm(problem.alpha).prox
        return copt.minimize_proximal_gradient(
            half_mean_square, np.zeros(X.shape[1]), prox, tol=problem.alpha_max * tolerance, max_iter=100_000,
            step=self.step if self.step == "backtracking" else lambda _: self.length, accelerated=True,
        ).x  # fmt: skip
