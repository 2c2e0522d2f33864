"""Ours: what `solve` chooses by itself, and each method by name."""

from sparseopt import MCP, LeastSquares, Problem

from benchmarks.ours import OurSolver


class Solver(OurSolver):
    """`tol` is the largest residual, relative to the slope at zero."""

    parameters = {"method": ["default", "WorkingSet", "CoordinateDescent", "FISTA"]}

    def build(self, problem):
        return Problem(LeastSquares(problem.X, problem.y), MCP(problem.alpha, problem.gamma))
