"""adelie's path of each model that it has."""

import adelie
import numpy as np

from benchmarks.grammar import TunedSolver
from benchmarks.peers.adelie_paths import TOLERANCES, path


class Solver(TunedSolver):
    """`tol` is a change of the objective."""

    name = "adelie"
    requirements = ["pip::adelie"]
    tolerances = TOLERANCES

    def rejects(self, problem):
        if problem.model == "multinomial":
            return "its multinomial loss has whole rows of coefficients as groups"
        return f"it has no {problem.model}" if problem.model in {"Huber", "SLOPE"} else None

    def fit(self, problem, tolerance):
        X, y, alphas, penalty = problem.X, problem.y, problem.alphas, None
        match problem.model:
            case "Poisson":
                glm = adelie.glm.poisson(y)
            case "Cox":
                n = len(y)
                glm = adelie.glm.cox(np.zeros(n), y[:, 0].copy(), y[:, 1].copy(), tie_method="breslow")
            # its losses of several responses are over their number
            case "grouped multinomial":
                Y = (y[:, None] == np.unique(y)).astype(np.float64)
                glm, alphas, penalty = adelie.glm.multinomial(Y), alphas / Y.shape[1], np.ones(X.shape[1])
            case "multi-response":
                glm, alphas = adelie.glm.multigaussian(np.ascontiguousarray(y)), alphas / y.shape[1]
                penalty = np.ones(X.shape[1])
        return path(X, glm, alphas, tolerance, penalty=penalty)
