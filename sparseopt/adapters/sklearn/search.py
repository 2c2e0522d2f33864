"""Estimators that choose the strength of their penalty by cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv

from sparseopt.adapters.sklearn.classifiers import Classifier
from sparseopt.adapters.sklearn.linear import LinearModel, as_maker
from sparseopt.adapters.sklearn.regressors import Regressor
from sparseopt.losses import LeastSquares, Logistic
from sparseopt.path import alpha_grid
from sparseopt.penalties import L1
from sparseopt.problem import Problem
from sparseopt.selection import cross_validate


class ChosenModel(LinearModel):
    """A model that compares strengths of its penalty on folds, which share X, and takes one of them."""

    penalty: Callable
    alphas: object
    eps: float
    cv: object
    one_standard_error: bool
    n_jobs: int | None

    def _solved(self, loss, y):
        penalty = as_maker(self.penalty, "penalty", "MCP, without its strength")
        if isinstance(self.alphas, Integral):
            grid = alpha_grid(loss, self.alphas, self.eps, penalty(1.0))
        else:
            grid = np.sort(np.asarray(self.alphas, dtype=np.float64).ravel())[::-1]
        folds = check_cv(self.cv, y, classifier=is_classifier(self)).split(y, y)
        found = cross_validate(
            Problem(loss),
            [penalty(float(alpha)) for alpha in grid],
            folds,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
            threads=None if self.n_jobs == -1 else self.n_jobs or 1,
        )
        chosen = found.one_standard_error if self.one_standard_error else found.best
        self.alphas_, self.alpha_, self.cross_validation_ = grid, float(grid[chosen]), found
        return found.path[chosen]


class SparseRegressorCV(ChosenModel, Regressor):
    """Linear regression with the strength of the penalty chosen by cross-validation.

    Parameters
    ----------
    loss : callable, default LeastSquares
        As in `SparseRegressor`. The error on held-out rows is the mean of this loss.
    penalty : callable, default L1
        ``penalty(alpha)`` is a penalty; a class such as `MCP`, or a function.
    alphas : int or array, default 100
        How many strengths to compare, from `alpha_max` down; or these strengths.
    eps : float, default 1e-3
        The smallest strength over the largest, where `alphas` is a number.
    cv : int, splitter or iterable, optional
        Folds, as in scikit-learn; five where nothing is given.
    one_standard_error : bool, default False
        Take the strongest penalty within one standard error of the best, not the best.
    n_jobs : int, optional
        Folds at a time, in threads that share X: one by default, as in scikit-learn; -1 for one a core.
    fit_intercept, tol, max_iter, solver
        As in `SparseRegressor`.

    Attributes
    ----------
    alpha_ : float
        The strength that was chosen.
    alphas_ : array of shape (n_alphas,)
        The strengths that were compared, from the largest.
    cross_validation_ : CrossValidation
        Errors, their means and standard errors, and the solutions on all data.
    coef_, intercept_, n_iter_, solution_, certificate_, n_features_in_, feature_names_in_
        As in `SparseRegressor`, of the chosen strength on all data.
    """

    def __init__(
        self,
        loss=LeastSquares,
        penalty=L1,
        *,
        alphas=100,
        eps=1e-3,
        cv=None,
        one_standard_error=False,
        fit_intercept=True,
        tol=1e-6,
        max_iter=10_000,
        solver=None,
        n_jobs=None,
    ):
        self.loss = loss
        self.penalty = penalty
        self.alphas = alphas
        self.eps = eps
        self.cv = cv
        self.one_standard_error = one_standard_error
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver
        self.n_jobs = n_jobs

    def _loss(self, X, y, sample_weight):
        return as_maker(self.loss, "loss", "Huber")(X, y, sample_weight, self.fit_intercept)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = self.loss is LeastSquares
        return tags


class SparseClassifierCV(ChosenModel, Classifier):
    """Linear classification with the strength of the penalty chosen by cross-validation.

    Parameters
    ----------
    loss : callable, default Logistic
        As in `SparseClassifier`. The error on held-out rows is the mean of this loss, half the deviance.
    penalty, alphas, eps, cv, one_standard_error, n_jobs
        As in `SparseRegressorCV`; folds have their share of every class.
    class_weight : dict or "balanced", optional
    fit_intercept, tol, max_iter, solver
        As in `SparseClassifier`, and so are the attributes, beside those of `SparseRegressorCV`.
    """

    def __init__(
        self,
        loss=Logistic,
        penalty=L1,
        *,
        alphas=100,
        eps=1e-3,
        cv=None,
        one_standard_error=False,
        class_weight=None,
        fit_intercept=True,
        tol=1e-6,
        max_iter=10_000,
        solver=None,
        n_jobs=None,
    ):
        self.loss = loss
        self.penalty = penalty
        self.alphas = alphas
        self.eps = eps
        self.cv = cv
        self.one_standard_error = one_standard_error
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver
        self.n_jobs = n_jobs

    def _binary_loss(self):
        return self.loss
