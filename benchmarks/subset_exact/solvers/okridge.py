"""OKRidge (Liu, Rosen, Zhong and Rudin, 2023), at most k features."""

import contextlib
import io

import numpy as np
from okridge.tree import BNBTree

from benchmarks.subset_exact.exact import LIMIT, NO_RIDGE, ExactSolver


class Solver(ExactSolver):
    """Its solver crashes where there are more features than samples."""

    name = "okridge"
    requirements = ["pip::okridge"]

    def rejects(self, problem):
        n, p = problem.X.shape
        if problem.l2 == 0.0:
            return NO_RIDGE
        return "it crashes where there are more features than samples" if p > n else None

    def warm_up(self):
        """It compiles nothing."""

    def prove(self, problem, gap):
        squares = float(problem.y @ problem.y)
        with contextlib.redirect_stdout(io.StringIO()):
            tree = BNBTree(X=np.ascontiguousarray(problem.X), y=problem.y, lambda2=2.0 * problem.l2, max_memory_GB=4)
            value, w, _, bound, _ = tree.solve(k=problem.k, gap_tol=gap, time_limit=LIMIT)
        return w, (value - bound) / (value + squares), tree.number_of_nodes
