"""scikit-learn: liblinear's coordinate descent (Yuan et al., 2012), and SAGA (Defazio et al., 2014)."""

from sklearn.linear_model import LogisticRegression

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a change of the coefficients, or liblinear's own."""

    name = "scikit-learn"
    requirements = ["pip::scikit-learn"]
    parameters = {"method": ["liblinear", "saga"]}
    parameter_template = "{method}"

    @property
    def is_extra(self):
        return self.method == "saga"

    def fit(self, problem, tolerance):
        model = LogisticRegression(
            C=1 / (problem.alpha * problem.y.size), l1_ratio=1.0, solver=self.method, fit_intercept=False,
            tol=tolerance, max_iter=100_000,
        )  # fmt: skip
        return model.fit(problem.X, problem.y).coef_.ravel()
