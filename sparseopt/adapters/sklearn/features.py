"""A selector of features for pipelines of scikit-learn, by any method that `prune_features` takes."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sparseopt.adapters.sklearn.linear import refuse_masked
from sparseopt.pruning.best_subset import BestSubset
from sparseopt.pruning.features import FeatureData, FeatureMethod, feature_count
from sparseopt.pruning.options import as_clock

# Samples of a class on average below which whole numbers look like measurements.
_FEW = 5


class FeatureSelector(SelectorMixin, BaseEstimator):
    """Keep some features; in a pipeline the choice is part of what is cross-validated.

    Parameters
    ----------
    method : FeatureMethod, default BestSubset()
    n_features_to_select : int, optional
        Without it and without `sparsity` half of the features, rounded up.
    sparsity : float, optional
        Part of the features that go.
    estimator : estimator, optional
        What the features are for: it says whether y is classes, and methods may ask it. Without it y is classes where
        it does not hold floats; whole numbers of which most are rare are a doubtful case, of which a warning tells.
    random_state : int, default 0
        Seed of methods that draw.
    time_limit : float, default inf
        Seconds, beyond which a method does without what takes long.

    Attributes
    ----------
    scores_ : array of shape (n_features,)
        Worth of each feature by the method.
    certificate_ : Certificate or None
        What is proven of the choice.
    method_ : FeatureMethod
    n_features_in_ : int
    feature_names_in_ : array of str
        Where X was a data frame.
    """

    def __init__(
        self,
        method=None,
        *,
        n_features_to_select=None,
        sparsity=None,
        estimator=None,
        random_state=0,
        time_limit=np.inf,
    ):
        self.method = method
        self.n_features_to_select = n_features_to_select
        self.sparsity = sparsity
        self.estimator = estimator
        self.random_state = random_state
        self.time_limit = time_limit

    def fit(self, X, y):
        """Choose the features.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        self
        """
        clock = as_clock(self.time_limit)
        method = BestSubset() if self.method is None else self.method
        if not isinstance(method, FeatureMethod):
            raise TypeError(f"{method!r} does not choose features; give a FeatureMethod such as BestSubset().")
        refuse_masked(X=X, y=y)
        X, y = validate_data(self, X, y, accept_sparse="csc", dtype=np.float64, multi_output=True, ensure_min_samples=2)
        if self.n_features_to_select is None and self.sparsity is None:
            count = -(-X.shape[1] // 2)
        else:
            count = feature_count(X.shape[1], self.n_features_to_select, self.sparsity)
        is_classes = _looks_like_classes(y) if self.estimator is None else is_classifier(self.estimator)
        found = method.select(FeatureData(X, y, is_classes, self.estimator, self.random_state), count, clock)
        self._kept, self.scores_ = found.kept, found.scores
        self.certificate_, self.method_ = found.certificate, method
        return self

    def _get_support_mask(self):
        check_is_fitted(self)
        return self._kept

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags


def _looks_like_classes(y):
    if y.dtype.kind in "iu" and len(y) < _FEW * np.unique(y).size:
        warnings.warn(
            f"y has {np.unique(y).size} different whole numbers for {len(y)} samples, which are taken for classes; give "
            "floats if they are numbers, or estimator=.",
            UserWarning,
            stacklevel=3,
        )
    return y.dtype.kind != "f"
