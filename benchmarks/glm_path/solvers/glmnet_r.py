"""R's glmnet along the path of each model that it has."""

from benchmarks.peers.glmnet_r import GlmnetSolver

FAMILIES = {
    "Poisson": ("poisson",),
    "Cox": ("cox",),
    "multinomial": ("multinomial",),
    "grouped multinomial": ("multinomial", "grouped"),
    "multi-response": ("mgaussian",),
}


class Solver(GlmnetSolver):
    """Coordinate descent on one quadratic model after another."""

    def rejects(self, problem):
        return None if problem.model in FAMILIES else f"it has no {problem.model}"

    def fit(self, problem, tolerance):
        return self.found(problem, problem.alphas, tolerance, *FAMILIES[problem.model])
