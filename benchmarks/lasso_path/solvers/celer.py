"""celer's path, each point from the one before."""

from celer import celer_path

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a duality gap relative to |y|**2 / n."""

    name = "celer"
    requirements = ["pip::celer"]
    is_compiled = True

    def fit(self, problem, tolerance):
        return celer_path(problem.X, problem.y, "lasso", alphas=problem.alphas, tol=tolerance, max_iter=1000)[1].T
