"""skglm's working sets with Anderson acceleration, by either of its two orders of features."""

from skglm.datafits import Quadratic
from skglm.penalties import MCPenalty
from skglm.solvers import AndersonCD

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """tol as a part of the slope at zero."""

    name = "skglm"
    requirements = ["pip::skglm"]
    parameters = {"order": ["subdiff", "fixpoint"]}
    parameter_template = "{order}"

    def fit(self, problem, tolerance):
        solver = AndersonCD(
            max_iter=1000, tol=problem.alpha_max * tolerance, fit_intercept=False, ws_strategy=self.order
        )
        return solver.solve(problem.X, problem.y, Quadratic(), MCPenalty(problem.alpha, problem.gamma))[0]
