"""ModOpt's FISTA."""

from benchmarks.peers.modopt_fista import ModoptFista
from benchmarks.peers.smooth import MeanLogistic


class Solver(ModoptFista):
    """On logistic regression."""

    def smooth(self, problem):
        return MeanLogistic(problem.X, problem.y)
