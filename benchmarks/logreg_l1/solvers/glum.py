"""glum: iteratively reweighted coordinate descent on the whole Hessian (Quantco, 2020)."""

from glum import GeneralizedLinearRegressor

from benchmarks.grammar import TunedSolver, decades


class Solver(TunedSolver):
    """`gradient_tol` as a part of the slope at zero."""

    name = "glum"
    requirements = ["pip::glum"]
    tolerances = decades(1, 12)
    is_extra = True

    def fit(self, problem, tolerance):
        model = GeneralizedLinearRegressor(
            family="binomial", l1_ratio=1.0, alpha=problem.alpha, fit_intercept=False,
            gradient_tol=problem.alpha_max * tolerance, max_iter=1000,
        )  # fmt: skip
        return model.fit(problem.X, (problem.y + 1) / 2).coef_
