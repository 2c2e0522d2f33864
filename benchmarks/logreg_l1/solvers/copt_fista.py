"""copt's FISTA."""

from benchmarks.peers.copt_fista import CoptFista
from benchmarks.peers.smooth import MeanLogistic


class Solver(CoptFista):
    """On logistic regression."""

    def smooth(self, problem):
        return MeanLogistic(problem.X, problem.y)
