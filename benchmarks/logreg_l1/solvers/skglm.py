"""skglm's prox-Newton, and its working sets with Anderson acceleration."""

from skglm.datafits import Logistic
from skglm.penalties import L1
from skglm.solvers import AndersonCD, ProxNewton

from benchmarks.grammar import TunedSolver, decades

METHODS = {"ProxNewton": ProxNewton, "AndersonCD": AndersonCD}


class Solver(TunedSolver):
    """tol as a part of the slope at zero."""

    name = "skglm"
    requirements = ["pip::skglm"]
    parameters = {"method": list(METHODS)}
    parameter_template = "{method}"
    tolerances = decades(1, 12)

    @property
    def is_extra(self):
        return self.method == "AndersonCD"

    def fit(self, problem, tolerance):
        solver = METHODS[self.method](tol=problem.alpha_max * tolerance, max_iter=1000, fit_intercept=False)
        return solver.solve(problem.X, problem.y, Logistic(), L1(problem.alpha))[0]
