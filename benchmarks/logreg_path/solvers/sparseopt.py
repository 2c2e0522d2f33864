"""Ours: `path`."""

from sparseopt import L1, Logistic, Problem

from benchmarks.ours import OurPath


class Solver(OurPath):
    """`tol` is the relative duality gap of each point."""

    parameters = {"method": ["default", "CoordinateDescent"]}

    def build(self, problem):
        return Problem(Logistic(problem.X, problem.y), L1(problem.alphas[0]))

    def penalty(self, problem, alpha):
        return L1(alpha)
