"""skglm's FISTA."""

import numpy as np
from benchopt import BaseSolver
from skglm.datafits import Quadratic
from skglm.penalties import L1
from skglm.solvers import FISTA


class Solver(BaseSolver):
    """tol as a part of the slope at zero."""

    name = "skglm FISTA"
    sampling_strategy = "tolerance"
    requirements = ["pip::skglm"]

    def set_objective(self, X, y, alpha):
        self.X, self.y, self.alpha = X, y, alpha
        self.scale = np.abs(X.T @ y).max() / y.size

    def warm_up(self):
        self.run(1.0)

    def run(self, tolerance):
        solver = FISTA(max_iter=100_000, tol=self.scale * min(tolerance, 1.0))
        self.w = solver.solve(self.X, self.y, Quadratic(), L1(self.alpha))[0]

    def get_result(self):
        return {"w": self.w}
