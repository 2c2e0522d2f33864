"""celer's prox-Newton, and its working sets by dual extrapolation."""

from celer import LogisticRegression

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a duality gap relative to that at zero."""

    name = "celer"
    requirements = ["pip::celer"]
    parameters = {"method": ["celer-pn", "celer"]}
    parameter_template = "{method}"

    @property
    def is_extra(self):
        return self.method == "celer"

    def fit(self, problem, tolerance):
        strength = 1 / (problem.alpha * problem.y.size)
        model = LogisticRegression(C=strength, tol=tolerance, max_iter=1000, solver=self.method)
        return model.fit(problem.X, problem.y).coef_.ravel()
