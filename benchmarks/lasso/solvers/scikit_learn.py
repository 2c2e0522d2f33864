"""scikit-learn's coordinate descent, on X or on its Gram matrix."""

from sklearn.linear_model import Lasso

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a duality gap relative to |y|**2."""

    name = "scikit-learn"
    requirements = ["pip::scikit-learn"]
    parameters = {"gram": [False, True]}

    def rejects(self, problem):
        return "a Gram matrix larger than X" if self.gram and problem.X.shape[1] > problem.X.shape[0] else None

    def fit(self, problem, tolerance):
        model = Lasso(problem.alpha, fit_intercept=False, precompute=self.gram, tol=tolerance, max_iter=1_000_000)
        return model.fit(problem.X, problem.y).coef_
