"""pycasso's path."""

from benchmarks.grammar import TunedSolver
from benchmarks.peers.pycasso_paths import TOLERANCES, path, reason_against


class Solver(TunedSolver):
    """`prec` is its tolerance."""

    name = "pycasso"
    requirements = ["pip::pycasso"]
    is_compiled = True
    tolerances = TOLERANCES

    def rejects(self, problem):
        return reason_against(problem)

    def fit(self, problem, tolerance):
        return path(problem.X, problem.y, problem.alphas, tolerance)
