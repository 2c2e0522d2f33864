"""R's glmnet along the path."""

from benchmarks.peers.glmnet_r import GlmnetSolver


class Solver(GlmnetSolver):
    """The newest core; its Fortran one is python-glmnet."""

    def fit(self, problem, tolerance):
        return self.found(problem, problem.alphas, tolerance, "binomial")
