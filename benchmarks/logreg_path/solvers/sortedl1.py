"""sortedl1's path with a constant sequence, which is L1."""

import numpy as np

from benchmarks.grammar import TunedSolver
from benchmarks.peers.slope_paths import path


class Solver(TunedSolver):
    """`tol` is a relative duality gap."""

    name = "sortedl1"
    requirements = ["pip::sortedl1"]
    is_compiled = True

    def fit(self, problem, tolerance):
        constant = np.ones(problem.X.shape[1])
        return path(problem.X, problem.y, constant, problem.alphas, tolerance, "logistic")[:, :, 0]
