"""scikit-survival's Coxnet (Simon et al., 2011)."""

import numpy as np
from sksurv.linear_model import CoxnetSurvivalAnalysis
from sksurv.util import Surv

from benchmarks.grammar import TunedSolver, decades


class Solver(TunedSolver):
    """`tol` is a change of the coefficients."""

    name = "scikit-survival"
    requirements = ["pip::scikit-survival"]
    tolerances = decades(4, 18)

    def rejects(self, problem):
        return None if problem.model == "Cox" else "Cox alone"

    def fit(self, problem, tolerance):
        y = Surv.from_arrays(problem.y[:, 1] > 0, problem.y[:, 0])
        model = CoxnetSurvivalAnalysis(alphas=problem.alphas, l1_ratio=1.0, tol=tolerance, max_iter=1_000_000)
        return np.asarray(model.fit(problem.X, y).coef_).T
