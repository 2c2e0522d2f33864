"""sortedl1: SLOPE by hybrid coordinate descent (Larsson et al., 2023); with a constant sequence, L1."""

import numpy as np
from sortedl1 import Slope

# so many changes of a path would else end it
ENDLESS = 1_000_000


def path(X, y, sequence, alphas, tolerance, loss="quadratic"):
    """Coefficients for each alpha, shape (alphas, p, responses), without intercept."""
    model = Slope(lam=sequence, fit_intercept=False, tol=tolerance, max_iter=ENDLESS, loss=loss)
    found = model.path(X, y, alphas=np.asarray(alphas), tol_dev_change=0.0, tol_dev_ratio=1.0, max_clusters=ENDLESS)
    return np.moveaxis(np.asarray(found.coefs), -1, 0)
