"""l0bnb (Hazimeh, Mazumder and Saab, 2022), given the best support as its start: without it, it finds none."""

import numpy as np

if not hasattr(np, "Inf"):
    np.Inf = np.inf  # noqa: NPY201 (which l0bnb 1.0.0 asks for)

from l0bnb import BNBTree

from benchmarks.subset_exact.exact import LIMIT, NO_RIDGE, ExactSolver


class Solver(ExactSolver):
    """The price and the bound."""

    name = "l0bnb"
    requirements = ["pip::l0bnb"]

    def rejects(self, problem):
        return NO_RIDGE if problem.l2 == 0.0 else None

    def prove(self, problem, gap):
        start = np.zeros(problem.X.shape[1])
        start[problem.start] = 1.0
        tree = BNBTree(problem.X, problem.y, rel_tol=1e-4)
        options = {"gap_tol": gap, "time_limit": LIMIT, "warm_start": start}
        found = tree.solve(l0=problem.l0, l2=problem.l2, m=problem.M, **options)
        w = np.zeros(problem.X.shape[1])
        w[found.support if hasattr(found, "support") else np.flatnonzero(found.beta)] = 1.0
        return w, found.gap, tree.number_of_nodes
