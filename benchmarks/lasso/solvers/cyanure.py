"""cyanure: accelerated incremental methods, and its FISTA (Mairal, 2019)."""

import numpy as np
from cyanure.estimators import Regression

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a relative duality gap."""

    name = "cyanure"
    requirements = ["pip::cyanure"]
    parameters = {"method": ["auto", "FISTA"]}
    parameter_template = "{method}"
    is_extra = True

    def fit(self, problem, tolerance):
        X = problem.X if isinstance(problem.X, np.ndarray) else problem.X.tocsr()
        model = Regression(
            penalty="l1", lambda_1=problem.alpha, fit_intercept=False, solver=self.method.lower(), tol=tolerance,
            max_iter=100_000, duality_gap_interval=10, verbose=False, n_threads=1,
        )  # fmt: skip
        model.fit(X, problem.y)
        return np.ravel(model.get_weights())
