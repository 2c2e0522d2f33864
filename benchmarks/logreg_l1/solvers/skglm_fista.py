"""skglm's FISTA."""

from skglm.datafits import Logistic
from skglm.penalties import L1
from skglm.solvers import FISTA

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """tol as a part of the slope at zero."""

    name = "skglm FISTA"
    requirements = ["pip::skglm"]
    is_extra = True

    def fit(self, problem, tolerance):
        solver = FISTA(max_iter=100_000, tol=problem.alpha_max * tolerance)
        return solver.solve(problem.X, problem.y, Logistic(), L1(problem.alpha))[0]
