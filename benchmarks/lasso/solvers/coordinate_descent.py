"""Our coordinate descent."""

from benchopt import BaseSolver
from sparseopt import L1, CoordinateDescent, LeastSquares, Problem, solve


class Solver(BaseSolver):
    """The problem is built on the clock: that is where the data is checked."""

    name = "sparseopt CD"
    sampling_strategy = "tolerance"
    requirements = ["pip::sparseopt"]

    def set_objective(self, X, y, alpha):
        self.X, self.y, self.alpha = X, y, alpha

    def warm_up(self):
        self.run(1.0)

    def run(self, tolerance):
        problem = Problem(LeastSquares(self.X, self.y), L1(self.alpha))
        self.w = solve(problem, CoordinateDescent(), tol=min(tolerance, 1.0), max_iter=1_000_000).w

    def get_result(self):
        return {"w": self.w}
