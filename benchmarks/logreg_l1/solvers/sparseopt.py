"""Ours: what `solve` chooses by itself, and each method by name."""

from sparseopt import L1, Logistic, Problem

from benchmarks.ours import OurSolver


class Solver(OurSolver):
    """`tol` is the relative duality gap."""

    parameters = {"method": ["default", "WorkingSet", "ProxNewton", "CoordinateDescent", "FISTA"]}

    def build(self, problem):
        return Problem(Logistic(problem.X, problem.y), L1(problem.alpha))
