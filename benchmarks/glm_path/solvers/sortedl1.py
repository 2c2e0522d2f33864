"""sortedl1's path of SLOPE, and of L1 as a constant sequence."""

import numpy as np

from benchmarks.grammar import TunedSolver
from benchmarks.peers.slope_paths import path


class Solver(TunedSolver):
    """`tol` is a relative duality gap."""

    name = "sortedl1"
    requirements = ["pip::sortedl1"]

    def rejects(self, problem):
        if "multinomial" in problem.model:
            return "one of its classes has no coefficients, which is another problem"
        return None if problem.model in {"SLOPE", "Poisson"} else f"it has no {problem.model}"

    def fit(self, problem, tolerance):
        constant = np.ones(problem.X.shape[1])
        sequence, loss = (problem.sequence, "quadratic") if problem.model == "SLOPE" else (constant, "poisson")
        return path(problem.X, problem.y, sequence, problem.alphas, tolerance, loss)[:, :, 0]
