"""adelie, at once or along a path of 20 alphas."""

import adelie

from benchmarks.grammar import TunedSolver, towards
from benchmarks.peers.adelie_paths import TOLERANCES, path


class Solver(TunedSolver):
    """`tol` is a change of the objective."""

    name = "adelie"
    requirements = ["pip::adelie"]
    parameters = {"points": [1, 20]}
    parameter_template = "{points} alphas"
    tolerances = TOLERANCES

    def fit(self, problem, tolerance):
        glm = adelie.glm.binomial((problem.y + 1) / 2)
        return path(problem.X, glm, towards(problem, self.points), tolerance)[-1]
