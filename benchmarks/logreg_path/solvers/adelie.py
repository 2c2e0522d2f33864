"""adelie's path."""

import adelie

from benchmarks.grammar import TunedSolver
from benchmarks.peers.adelie_paths import TOLERANCES, path


class Solver(TunedSolver):
    """`tol` is a change of the objective."""

    name = "adelie"
    requirements = ["pip::adelie"]
    tolerances = TOLERANCES

    def fit(self, problem, tolerance):
        return path(problem.X, adelie.glm.binomial((problem.y + 1) / 2), problem.alphas, tolerance)
