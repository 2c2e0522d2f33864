"""skglm's prox-Newton, each point from the one before."""

import numpy as np
from skglm.datafits import Logistic
from skglm.penalties import L1
from skglm.solvers import ProxNewton

from benchmarks.grammar import TunedSolver, decades


class Solver(TunedSolver):
    """tol as a part of the slope at zero."""

    name = "skglm"
    requirements = ["pip::skglm"]
    tolerances = decades(1, 12)

    def fit(self, problem, tolerance):
        solver = ProxNewton(tol=problem.alpha_max * tolerance, max_iter=1000, fit_intercept=False)
        X, y, w, found = problem.X, problem.y, None, []
        for alpha in problem.alphas:
            image = None if w is None else np.asarray(X @ w)
            w = solver.solve(X, y, Logistic(), L1(alpha), None if w is None else w.copy(), image)[0]
            found.append(w)
        return np.stack(found)
