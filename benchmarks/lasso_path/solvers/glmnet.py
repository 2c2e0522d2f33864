"""python-glmnet's path: glmnet's Fortran core (Friedman et al., 2010)."""

from glmnet import ElasticNet

from benchmarks.grammar import TunedSolver, decades


class Solver(TunedSolver):
    """`tol` is a change of the objective, relative to that at zero."""

    name = "python-glmnet"
    requirements = ["pip::python-glmnet"]
    is_compiled = True
    tolerances = decades(6, 18)

    def fit(self, problem, tolerance):
        model = ElasticNet(
            alpha=1.0, lambda_path=problem.alphas, standardize=False, fit_intercept=False, n_splits=0, tol=tolerance,
            max_iter=1_000_000,
        )  # fmt: skip
        return model.fit(problem.X, problem.y).coef_path_.T
