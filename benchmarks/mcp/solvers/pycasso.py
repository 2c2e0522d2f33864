"""pycasso, at once or along a path of 20 alphas."""

import numpy as np

from benchmarks.grammar import TunedSolver
from benchmarks.peers.pycasso_paths import TOLERANCES, path, reason_against


class Solver(TunedSolver):
    """`prec` is its tolerance."""

    name = "pycasso"
    requirements = ["pip::pycasso"]
    parameters = {"points": [1, 20]}
    parameter_template = "{points} alphas"
    tolerances = TOLERANCES

    def rejects(self, problem):
        return reason_against(problem)

    def fit(self, problem, tolerance):
        first = problem.alpha_max if self.points > 1 else problem.alpha
        alphas = np.geomspace(first, problem.alpha, self.points)
        return path(problem.X, problem.y, alphas, tolerance, penalty="mcp", gamma=problem.gamma)[-1]
