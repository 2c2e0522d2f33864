"""celer: working sets by dual extrapolation (Massias et al., 2018)."""

from celer import Lasso

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a duality gap relative to |y|**2 / n."""

    name = "celer"
    requirements = ["pip::celer"]

    def fit(self, problem, tolerance):
        model = Lasso(problem.alpha, fit_intercept=False, tol=tolerance, max_iter=1000)
        return model.fit(problem.X, problem.y).coef_
