"""scikit-learn: orthogonal matching pursuit."""

from sklearn.linear_model import orthogonal_mp

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """By the function, without the estimator and its checks."""

    name = "scikit-learn OMP"
    requirements = ["pip::scikit-learn"]
    tolerances = (1e-6,)

    def fit(self, problem, tolerance):
        return orthogonal_mp(problem.X, problem.y, n_nonzero_coefs=problem.k)
