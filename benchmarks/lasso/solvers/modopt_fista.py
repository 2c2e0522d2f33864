"""ModOpt's FISTA."""

from benchmarks.peers.modopt_fista import ModoptFista
from benchmarks.peers.smooth import MeanSquare


class Solver(ModoptFista):
    """On the lasso."""

    def smooth(self, problem):
        return MeanSquare(problem.X, problem.y)
