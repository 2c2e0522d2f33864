"""sortedl1 with a constant sequence, which is L1: hybrid coordinate descent, and FISTA."""

import numpy as np
from sortedl1 import Slope

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a relative duality gap."""

    name = "sortedl1"
    requirements = ["pip::sortedl1"]
    parameters = {"method": ["hybrid", "FISTA"]}
    parameter_template = "{method}"

    @property
    def is_extra(self):
        return self.method == "FISTA"

    def fit(self, problem, tolerance):
        model = Slope(
            lam=np.ones(problem.X.shape[1]), alpha=problem.alpha, fit_intercept=False, tol=tolerance,
            max_iter=1_000_000, loss="logistic", solver=self.method.lower(),
        )  # fmt: skip
        return model.fit(problem.X, problem.y).coef_.ravel()
