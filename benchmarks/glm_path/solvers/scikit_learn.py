"""scikit-learn's multi-task coordinate descent, and SAGA for classes; each point from the one before."""

import numpy as np
from sklearn.linear_model import LogisticRegression, lasso_path

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a duality gap relative to |y|**2; for SAGA a change of the coefficients."""

    name = "scikit-learn"
    requirements = ["pip::scikit-learn"]

    def rejects(self, problem):
        return None if problem.model in {"multi-response", "multinomial"} else f"it has no L1 {problem.model}"

    def fit(self, problem, tolerance):
        X, y, alphas = problem.X, problem.y, problem.alphas
        if problem.model == "multi-response":
            return lasso_path(X, y, alphas=alphas, tol=tolerance, max_iter=1_000_000)[1].transpose(2, 1, 0)
        found = []
        model = LogisticRegression(
            solver="saga", l1_ratio=1.0, fit_intercept=False, warm_start=True, tol=tolerance, max_iter=10_000
        )
        for alpha in alphas:
            model.set_params(C=1 / (alpha * y.size)).fit(X, y)
            found.append(model.coef_.T.copy())
        return np.stack(found)
