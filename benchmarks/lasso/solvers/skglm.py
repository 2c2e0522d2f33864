"""skglm's working sets with Anderson acceleration (Bertrand and Massias, 2021)."""

import numpy as np
from benchopt import BaseSolver
from skglm.datafits import Quadratic
from skglm.penalties import L1
from skglm.solvers import AndersonCD


class Solver(BaseSolver):
    """Called without the estimator, whose checks would add to its time; tol as a part of the slope at zero."""

    name = "skglm"
    sampling_strategy = "tolerance"
    requirements = ["pip::skglm"]

    def set_objective(self, X, y, alpha):
        self.X, self.y, self.alpha = X, y, alpha
        self.scale = np.abs(X.T @ y).max() / y.size

    def warm_up(self):
        self.run(1.0)

    def run(self, tolerance):
        solver = AndersonCD(
            max_iter=1000, tol=self.scale * min(tolerance, 1.0), fit_intercept=False, ws_strategy="subdiff"
        )
        self.w = solver.solve(self.X, self.y, Quadratic(), L1(self.alpha))[0]

    def get_result(self):
        return {"w": self.w}
