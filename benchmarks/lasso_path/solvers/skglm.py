"""skglm's path, each point from the one before."""

from skglm import Lasso

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """tol as a part of the smallest alpha."""

    name = "skglm"
    requirements = ["pip::skglm"]

    def fit(self, problem, tolerance):
        model = Lasso(fit_intercept=False, tol=tolerance * problem.alpha, max_iter=1000, ws_strategy="subdiff")
        return model.path(problem.X, problem.y, problem.alphas)[1].T
