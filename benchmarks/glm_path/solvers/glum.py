"""glum: iteratively reweighted coordinate descent on the whole Hessian; each point from the one before."""

import numpy as np
from glum import GeneralizedLinearRegressor

from benchmarks.grammar import TunedSolver, decades


class Solver(TunedSolver):
    """`gradient_tol` as a part of the slope at zero."""

    name = "glum"
    requirements = ["pip::glum"]
    tolerances = decades(1, 12)

    def rejects(self, problem):
        return None if problem.model == "Poisson" else "Poisson alone of these models"

    def fit(self, problem, tolerance):
        model = GeneralizedLinearRegressor(
            family="poisson", l1_ratio=1.0, fit_intercept=False, warm_start=True, max_iter=1000,
            gradient_tol=problem.alpha_max * tolerance,
        )  # fmt: skip
        return np.stack([model.set_params(alpha=alpha).fit(problem.X, problem.y).coef_ for alpha in problem.alphas])
