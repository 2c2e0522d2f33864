"""Adapter of sparseopt for a suite of hard and malformed L1 least-squares problems.

The suite asks for ``solve(X, y, lam, ...) -> coef`` or ``(coef, intercept)``. A run that does
not reach the tolerance warns, as the suite expects of a solver without a status.
"""

import warnings

import numpy as np
from sparseopt import L1, LeastSquares, Nonnegative, Problem, Status, solve


def fit(
    X,
    y,
    lam,
    *,
    fit_intercept=False,
    positive=False,
    sample_weight=None,
    tol=1e-10,
    max_iter=None,
    time_limit=np.inf,
):
    """Coefficients (and intercept) of the lasso with penalty lam."""
    # the library takes several responses; this interface returns the coefficients of one
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        raise ValueError("this suite is about one response; give y of shape (n,).")
    penalty = Nonnegative(L1(lam)) if positive else L1(lam)
    problem = Problem(LeastSquares(X, y, sample_weight=sample_weight, intercept=fit_intercept), penalty)
    solution = solve(problem, tol=tol, max_iter=max_iter or 100_000, time_limit=time_limit)
    if solution.status not in (Status.CONVERGED, Status.STALLED):
        warnings.warn(f"not converged: {solution}", RuntimeWarning, stacklevel=2)
    return (solution.w, solution.intercept) if fit_intercept else solution.w
