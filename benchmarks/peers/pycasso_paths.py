"""pycasso: pathwise coordinate optimisation with active sets (Ge et al., 2019)."""

import numpy as np
import pycasso
from scipy import sparse

from benchmarks.grammar import decades

# `prec` is its tolerance
TOLERANCES = decades(6, 18)


def reason_against(problem):
    """Why it cannot take the problem, or None."""
    return "dense data only" if sparse.issparse(problem.X) else None


def path(X, y, alphas, tolerance, family="gaussian", penalty="l1", gamma=3.0):
    """Coefficients for each alpha, shape (alphas, p), without intercept."""
    solver = pycasso.Solver(
        X, y, lambdas=np.asarray(alphas), family=family, penalty=penalty, gamma=gamma, useintercept=False,
        standardize=False, prec=tolerance, max_ite=100_000,
    )  # fmt: skip
    solver.train()
    return np.asarray(solver.coef()["beta"])
