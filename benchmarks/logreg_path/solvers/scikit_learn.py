"""scikit-learn: liblinear (Yuan et al., 2012), which has no warm start, and SAGA (Defazio et al., 2014), which has."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a change of the coefficients, or liblinear's own."""

    name = "scikit-learn"
    requirements = ["pip::scikit-learn"]
    is_compiled = True
    parameters = {"method": ["liblinear", "saga"]}
    parameter_template = "{method}"

    @property
    def is_extra(self):
        return self.method == "saga"

    def fit(self, problem, tolerance):
        model = LogisticRegression(
            l1_ratio=1.0, solver=self.method, fit_intercept=False, warm_start=self.method == "saga", tol=tolerance,
            max_iter=100_000,
        )  # fmt: skip
        X, y = problem.X, problem.y
        # warm starts change the coefficients in place
        return np.stack([model.set_params(C=1 / (a * y.size)).fit(X, y).coef_.ravel().copy() for a in problem.alphas])
