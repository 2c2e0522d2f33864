"""celer: working sets by dual extrapolation (Massias et al., 2018)."""

from benchopt import BaseSolver
from celer import Lasso


class Solver(BaseSolver):
    """`tol` is a duality gap relative to |y|**2 / n."""

    name = "celer"
    sampling_strategy = "tolerance"
    requirements = ["pip::celer"]

    def set_objective(self, X, y, alpha):
        self.X, self.y, self.alpha = X, y, alpha

    def run(self, tolerance):
        self.w = (
            Lasso(self.alpha, fit_intercept=False, tol=min(tolerance, 1.0), max_iter=1000).fit(self.X, self.y).coef_
        )

    def get_result(self):
        return {"w": self.w}
