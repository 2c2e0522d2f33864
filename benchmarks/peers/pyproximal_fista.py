"""pyproximal's FISTA with the best constant step."""

import pyproximal
from pyproximal.optimization.primal import ProximalGradient

from benchmarks.grammar import decades
from benchmarks.peers.fista import GradientSolver


class Smooth(pyproximal.ProxOperator):
    """A smooth term as its library wants it."""

    def __init__(self, term):
        super().__init__(None, True)
        self.term = term

    def __call__(self, w):
        return self.term.value(w)

    def grad(self, w):
        return self.term.slope(w)

    def prox(self, w, tau):
        raise NotImplementedError("proximal gradient steps ask for the slope alone")


class PyproximalFista(GradientSolver):
    """`tol` is a change of the objective."""

    name = "pyproximal FISTA"
    requirements = ["pip::pyproximal"]
    tolerances = decades(2, 18)

    def fit(self, problem, tolerance):
        return ProximalGradient(
            Smooth(self.smooth(problem)), pyproximal.L1(sigma=problem.alpha), self.start(problem), tau=self.length,
            niter=100_000, tol=tolerance, acceleration="fista",
        )  # fmt: skip
