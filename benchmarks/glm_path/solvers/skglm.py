"""skglm: prox-Newton, working sets or FISTA, whichever takes the model; each point from the one before."""

import numpy as np
from skglm.datafits import Cox, Huber, Poisson, Quadratic, QuadraticMultiTask
from skglm.penalties import L1, L2_1, SLOPE
from skglm.solvers import FISTA, AndersonCD, MultiTaskBCD, ProxNewton

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """tol as a part of the slope at zero."""

    name = "skglm"
    requirements = ["pip::skglm"]

    def rejects(self, problem):
        return "it has no multinomial loss" if "multinomial" in problem.model else None

    def fit(self, problem, tolerance):
        tol = problem.alpha_max * tolerance
        newton = ProxNewton(tol=tol, max_iter=1000, fit_intercept=False)
        descent = AndersonCD(tol=tol, max_iter=1000, fit_intercept=False)
        blocks = MultiTaskBCD(tol=tol, max_iter=1000, fit_intercept=False)
        solver, datafit, penalty = {
            "Poisson": (newton, Poisson(), L1),
            "Cox": (newton, Cox(), L1),
            "Huber": (descent, Huber(problem.delta), L1),
            "multi-response": (blocks, QuadraticMultiTask(), L2_1),
            # its sorted norm has a prox alone
            "SLOPE": (FISTA(tol=tol, max_iter=100_000, opt_strategy="fixpoint"), Quadratic(), None),
        }[problem.model]
        X, y, w, found = problem.X, problem.y, None, []
        for alpha in problem.alphas:
            term = SLOPE(alpha * problem.sequence) if penalty is None else penalty(alpha)
            image = None if w is None else np.asfortranarray(X @ w)
            w = solver.solve(X, y, datafit, term, None if w is None else w.copy(order="F"), image)[0]
            found.append(w)
        return np.stack(found)
