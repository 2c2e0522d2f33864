"""Ours: swaps with a few kicks, which is what `solve` chooses, with many, and the other methods for subsets by name."""

import sparseopt
from sparseopt import Cardinality, LeastSquares, Problem

from benchmarks.ours import OurSolver

METHODS = {
    "default": (),
    # as many as take less than 50 ms on each of the cells
    "kicks": ("LocalSearch", {"kicks": 300}),
    "no kicks": ("LocalSearch", {"kicks": 0}),
    "HardThresholding": ("HardThresholding", {}),
    "OrthogonalMatchingPursuit": ("OrthogonalMatchingPursuit", {}),
    "Splicing": ("Splicing", {}),
}


class Solver(OurSolver):
    """There is no tolerance: a search ends where no move gains."""

    parameters = {"method": list(METHODS)}
    tolerances = (1e-6,)

    @property
    def is_extra(self):
        return self.method not in {"default", "kicks"}

    def rejects(self, problem):
        name = METHODS[self.method]
        return f"sparseopt has no {name[0]} yet" if name and name[0] not in vars(sparseopt) else None

    def method_options(self):
        named = METHODS[self.method]
        return vars(sparseopt)[named[0]](**named[1]) if named else None

    def build(self, problem):
        return Problem(LeastSquares(problem.X, problem.y), constraint=Cardinality(problem.k))
