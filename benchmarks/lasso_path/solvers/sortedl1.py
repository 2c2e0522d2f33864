"""sortedl1's path with a constant sequence, which is the lasso."""

import numpy as np

from benchmarks.grammar import TunedSolver
from benchmarks.peers.slope_paths import path


class Solver(TunedSolver):
    """`tol` is a relative duality gap."""

    name = "sortedl1"
    requirements = ["pip::sortedl1"]
    is_compiled = True

    def fit(self, problem, tolerance):
        return path(problem.X, problem.y, np.ones(problem.X.shape[1]), problem.alphas, tolerance)[:, :, 0]
