"""adelie: coordinate descent with strong rules, as glmnet's (Yang and Hastie, 2024)."""

import adelie
import numpy as np
from scipy import sparse

from benchmarks.grammar import decades

# `tol` is a change of the objective
TOLERANCES = decades(7, 20)


def path(X, glm, alphas, tolerance, groups=None, penalty=None):
    """Coefficients for each alpha, shape (alphas, p), without intercept; a GLM of many responses has p k of them."""
    matrix = adelie.matrix.sparse if sparse.issparse(X) else adelie.matrix.dense
    state = adelie.grpnet(
        matrix(X, method="naive"), glm, groups=groups, penalty=penalty, lmda_path=np.asarray(alphas), intercept=False,
        tol=tolerance, irls_tol=tolerance, early_exit=False, progress_bar=False,
    )  # fmt: skip
    return state.betas.toarray()
