"""skglm's block coordinate descent with working sets and Anderson acceleration."""

import numpy as np
from skglm.datafits import QuadraticGroup
from skglm.penalties import WeightedGroupL2
from skglm.solvers import GroupBCD
from skglm.utils.data import grp_converter

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """tol as a part of the slope at zero."""

    name = "skglm"
    requirements = ["pip::skglm"]

    def fit(self, problem, tolerance):
        p = problem.X.shape[1]
        members, starts = grp_converter(problem.group_size, p)
        penalty = WeightedGroupL2(problem.alpha, np.ones(p // problem.group_size), starts, members)
        solver = GroupBCD(max_iter=1000, max_epochs=10_000, tol=problem.alpha_max * tolerance, fit_intercept=False)
        return solver.solve(problem.X, problem.y, QuadraticGroup(starts, members), penalty)[0]
