"""Ours: what `solve` chooses by itself, and each method by name."""

import sparseopt as so

from benchmarks.ours import OurSolver


class Solver(OurSolver):
    """`tol` is the relative duality gap."""

    parameters = {"method": ["default", "WorkingSet", "BlockDescent", "FISTA"]}
    needs = ("GroupLasso",)

    def build(self, problem):
        penalty = so.GroupLasso(problem.alpha, problem.group_size, [1.0])
        return so.Problem(so.LeastSquares(problem.X, problem.y), penalty)
