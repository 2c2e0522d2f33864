"""python-glmnet: glmnet's Fortran core (Friedman et al., 2010)."""

import numpy as np
from glmnet import ElasticNet

from benchmarks.grammar import TunedSolver, decades


class Solver(TunedSolver):
    """`tol` is a change of the objective, relative to that at zero."""

    name = "python-glmnet"
    requirements = ["pip::python-glmnet"]
    tolerances = decades(8, 18)

    def fit(self, problem, tolerance):
        # one alpha alone is taken for the number of alphas
        model = ElasticNet(
            alpha=1.0, lambda_path=np.array([problem.alpha * (1 + 1e-7), problem.alpha]), standardize=False,
            fit_intercept=False, n_splits=0, tol=tolerance, max_iter=1_000_000,
        )  # fmt: skip
        return model.fit(problem.X, problem.y).coef_path_[:, -1]
