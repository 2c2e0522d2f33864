"""pyproximal's FISTA."""

from benchmarks.peers.pyproximal_fista import PyproximalFista
from benchmarks.peers.smooth import MeanLogistic


class Solver(PyproximalFista):
    """On logistic regression."""

    def smooth(self, problem):
        return MeanLogistic(problem.X, problem.y)
