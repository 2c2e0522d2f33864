"""adelie: exact block steps in each group's eigenbasis, at once or along a path of 20 alphas."""

import adelie
import numpy as np

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
        groups = np.arange(0, problem.X.shape[1], problem.group_size)
        glm, alphas = adelie.glm.gaussian(problem.y), towards(problem, self.points)
        return path(problem.X, glm, alphas, tolerance, groups, np.ones(groups.size))[-1]
