"""copt's accelerated proximal gradient descent (Beck and Teboulle, 2009)."""

import copt
import copt.penalty

from benchmarks.peers.fista import GradientSolver


class CoptFista(GradientSolver):
    """With its line search, or with the best constant step; `tol` as a part of the slope at zero."""

    name = "copt FISTA"
    requirements = ["pip::copt"]
    parameters = {"step": ["backtracking", "constant"]}
    parameter_template = "{step} step"

    def fit(self, problem, tolerance):
        term = self.smooth(problem)

        def function(w, return_gradient=True):
            return term.value_and_slope(w) if return_gradient else term.value(w)

        return copt.minimize_proximal_gradient(
            function, self.start(problem), copt.penalty.L1Norm(problem.alpha).prox,
            tol=problem.alpha_max * tolerance, max_iter=100_000,
            step=self.step if self.step == "backtracking" else lambda _: self.length, accelerated=True,
        ).x  # fmt: skip
