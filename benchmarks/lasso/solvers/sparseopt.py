"""Ours: what `solve` chooses by itself, and each method by name."""

from sparseopt import L1, LeastSquares, Problem

from benchmarks.ours import OurSolver


class Solver(OurSolver):
    """`tol` is the relative duality gap."""

    parameters = {"method": ["default", "WorkingSet", "CoordinateDescent", "FISTA", "ISTA"]}

    def build(self, problem):
        return Problem(LeastSquares(problem.X, problem.y), L1(problem.alpha))
