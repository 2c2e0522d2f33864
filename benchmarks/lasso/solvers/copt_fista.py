"""copt's FISTA."""

from benchmarks.peers.copt_fista import CoptFista
from benchmarks.peers.smooth import MeanSquare


class Solver(CoptFista):
    """On the lasso."""

    def smooth(self, problem):
        return MeanSquare(problem.X, problem.y)
