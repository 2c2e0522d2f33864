"""skglm's working sets with Anderson acceleration (Bertrand and Massias, 2021)."""

from skglm.datafits import Quadratic
from skglm.penalties import L1
from skglm.solvers import AndersonCD

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """Called without the estimator, whose checks would add to its time; tol as a part of the slope at zero."""

    name = "skglm"
    requirements = ["pip::skglm"]

    def fit(self, problem, tolerance):
        solver = AndersonCD(
            max_iter=1000, tol=problem.alpha_max * tolerance, fit_intercept=False, ws_strategy="subdiff"
        )
        return solver.solve(problem.X, problem.y, Quadratic(), L1(problem.alpha))[0]
