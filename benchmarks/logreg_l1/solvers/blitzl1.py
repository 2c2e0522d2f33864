"""BLITZ: working sets with safe subproblems (Johnson and Guestrin, 2015)."""

from benchmarks.grammar import TunedSolver
from benchmarks.peers import blitz


class Solver(TunedSolver):
    """`tol` is a relative duality gap."""

    name = "blitzl1"
    requirements = ["pip::blitzl1"]

    def fit(self, problem, tolerance):
        return blitz.solve("LogRegProblem", problem.X, problem.y, problem.alpha * problem.y.size, tolerance)
