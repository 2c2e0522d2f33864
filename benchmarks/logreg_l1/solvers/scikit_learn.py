"""scikit-learn: liblinear (Yuan et al., 2012), SAGA (Defazio et al., 2014), and newton-cd of its next version."""

import sklearn
from sklearn.linear_model import LogisticRegression

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a change of the coefficients, or liblinear's own."""

    name = "scikit-learn"
    requirements = ["pip::scikit-learn"]
    parameters = {"method": ["liblinear", "saga", "newton-cd"]}
    parameter_template = "{method}"

    @property
    def is_extra(self):
        return self.method == "saga"

    def rejects(self, problem):
        (known,) = LogisticRegression._parameter_constraints["solver"]  # noqa: SLF001 (it says so nowhere else)
        return None if self.method in known.options else f"scikit-learn {sklearn.__version__} has no {self.method}"

    def fit(self, problem, tolerance):
        model = LogisticRegression(
            C=1 / (problem.alpha * problem.y.size), l1_ratio=1.0, solver=self.method, fit_intercept=False,
            tol=tolerance, max_iter=100_000,
        )  # fmt: skip
        return model.fit(problem.X, problem.y).coef_.ravel()
