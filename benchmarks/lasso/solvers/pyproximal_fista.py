"""pyproximal's FISTA."""

from benchmarks.peers.pyproximal_fista import PyproximalFista
from benchmarks.peers.smooth import MeanSquare


class Solver(PyproximalFista):
    """On the lasso."""

    def smooth(self, problem):
        return MeanSquare(problem.X, problem.y)
