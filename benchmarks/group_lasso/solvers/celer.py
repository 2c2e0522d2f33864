"""celer's group lasso: working sets by dual extrapolation."""

from celer import GroupLasso

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a duality gap relative to |y|**2 / n."""

    name = "celer"
    requirements = ["pip::celer"]

    def fit(self, problem, tolerance):
        model = GroupLasso(
            groups=problem.group_size, alpha=problem.alpha, fit_intercept=False, tol=tolerance, max_iter=1000
        )
        return model.fit(problem.X, problem.y).coef_
