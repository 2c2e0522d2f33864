"""scikit-learn's least angle regression: the whole path, exactly (Efron et al., 2004)."""

import numpy as np
from scipy import sparse
from sklearn.linear_model import lars_path

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """It has no tolerance; points between its bends are interpolated."""

    name = "scikit-learn LARS"
    requirements = ["pip::scikit-learn"]
    is_compiled = True
    tolerances = (1.0,)

    def rejects(self, problem):
        return "dense data only" if sparse.issparse(problem.X) else None

    def fit(self, problem, tolerance):
        bends, _, w = lars_path(problem.X, problem.y, method="lasso", alpha_min=problem.alpha, max_iter=100_000)
        after = np.clip(np.searchsorted(-bends, -problem.alphas), 1, bends.size - 1)
        part = np.clip((bends[after - 1] - problem.alphas) / (bends[after - 1] - bends[after]), 0.0, 1.0)
        return ((1 - part) * w[:, after - 1] + part * w[:, after]).T
