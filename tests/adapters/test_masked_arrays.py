"""Missing values under a mask are refused by every estimator, in fitting and in prediction."""

import numpy as np
import pytest

from sparseopt.adapters.sklearn import FeatureSelector, Lasso, SparseLogisticRegression

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 5))
Y = np.where(X[:, 0] + 0.5 * RNG.standard_normal(40) > 0, 1, 0)
MISSING = np.ma.array(X, mask=np.eye(40, 5))


@pytest.mark.parametrize("estimator", [Lasso(0.01), SparseLogisticRegression(), FeatureSelector()], ids=repr)
def test_a_masked_array_with_missing_values_is_refused(estimator):
    """scikit-learn drops the mask, and what is under it would be fitted."""
    with pytest.raises(ValueError, match="X is a masked array with missing values"):
        estimator.fit(MISSING, Y)
    with pytest.raises(ValueError, match="y is a masked array with missing values"):
        estimator.fit(X, np.ma.array(Y, mask=np.arange(40) == 3))
    estimator.fit(np.ma.array(X), np.ma.array(Y))
    if hasattr(estimator, "predict"):
        with pytest.raises(ValueError, match="X is a masked array with missing values"):
            estimator.predict(MISSING)
