"""pycasso's path of counts and of classes."""

import numpy as np

from benchmarks.grammar import TunedSolver
from benchmarks.peers.pycasso_paths import TOLERANCES, path


class Solver(TunedSolver):
    """`prec` is its tolerance."""

    name = "pycasso"
    requirements = ["pip::pycasso"]
    tolerances = TOLERANCES

    def rejects(self, problem):
        return None if problem.model in {"Poisson", "multinomial"} else f"it has no {problem.model}"

    def fit(self, problem, tolerance):
        family = {"Poisson": "poisson", "multinomial": "multinomial"}[problem.model]
        found = path(problem.X, problem.y, problem.alphas, tolerance, family)
        return found if problem.model == "Poisson" else np.stack([w.T if w.shape[0] < w.shape[1] else w for w in found])
