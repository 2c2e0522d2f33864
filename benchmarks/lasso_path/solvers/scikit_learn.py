"""scikit-learn's path by coordinate descent, each point from the one before."""

from sklearn.linear_model import lasso_path

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """`tol` is a duality gap relative to |y|**2."""

    name = "scikit-learn"
    requirements = ["pip::scikit-learn"]
    is_compiled = True

    def fit(self, problem, tolerance):
        return lasso_path(problem.X, problem.y, alphas=problem.alphas, tol=tolerance, max_iter=1_000_000)[1].T
