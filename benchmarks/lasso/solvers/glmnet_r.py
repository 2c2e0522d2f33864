"""R's glmnet, at once or along a path of 20 alphas."""

from benchmarks.grammar import towards
from benchmarks.peers.glmnet_r import GlmnetSolver


class Solver(GlmnetSolver):
    """The newest core; its Fortran one is python-glmnet."""

    parameters = {"points": [1, 20]}
    parameter_template = "{points} alphas"

    def fit(self, problem, tolerance):
        return self.found(problem, towards(problem, self.points), tolerance, "gaussian")[-1]
