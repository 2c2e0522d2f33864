"""Sparse linear regression as estimators of scikit-learn."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import column_or_1d, validate_data

from sparseopt.adapters.sklearn.linear import LinearModel, StatedModel, as_maker, refuse_masked, signed, stated
from sparseopt.constraints import Cardinality
from sparseopt.losses import LeastSquares
from sparseopt.losses.log_link import LogLink
from sparseopt.penalties import L0, L1, MCP, SCAD, Ridged, Zero, elastic_net
from sparseopt.penalties import GroupLasso as GroupLassoPenalty
from sparseopt.problem import Problem


class Regressor(RegressorMixin, LinearModel):
    """A regression: y is a number, or several, for each sample."""

    @abstractmethod
    def _loss(self, X, y, sample_weight):
        """The loss on the data."""

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array of shape (n_samples,), optional
            Nonnegative; only their ratios matter.

        Returns
        -------
        self
        """
        refuse_masked(X=X, y=y)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csc",
            dtype=(np.float64, np.float32),
            order="F",
            y_numeric=True,
            multi_output=self.__sklearn_tags__().target_tags.multi_output,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        loss = self._loss(X, y, sample_weight)
        solution = self._solved(loss, y)
        self.coef_ = solution.w.T.copy()
        self.intercept_ = solution.intercept
        self._has_log_link = isinstance(loss, LogLink)
        return self._finish(solution)

    def predict(self, X):
        """Expected target of each row of X."""
        z = self._fitted_values(X)
        return np.exp(z) if self._has_log_link else z


class LeastSquaresRegressor(StatedModel, Regressor):
    """A regression by penalised least squares; its subclasses name the penalty."""

    def _loss(self, X, y, sample_weight):
        return LeastSquares(X, y, sample_weight, self.fit_intercept)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class SparseRegressor(StatedModel, Regressor):
    """Linear regression with any loss, penalty and constraint of sparseopt.

    Parameters
    ----------
    loss : callable, default LeastSquares
        ``loss(X, y, sample_weight, fit_intercept)`` is a `Loss`; a class such as `Huber`, or
        ``functools.partial(Huber, delta=2.0)``. Predictions are exp(X w + b) for `Poisson` and `Gamma`.
    penalty : Penalty or ProximalTerm, optional
        By default L1 at a tenth of `alpha_max`, or nothing beside a constraint.
    constraint : Constraint, optional
    fit_intercept : bool, default True
    tol : float, default 1e-8
        The relative duality gap to reach, as in `solve`.
    max_iter : int, default 10_000
        Epochs or iterations; a `ConvergenceWarning` tells where they were too few.
    solver : Solver, optional
        By default the one that `default_solver` chooses.

    Attributes
    ----------
    coef_ : array of shape (n_features,) or (n_outputs, n_features)
    intercept_ : float, or array of shape (n_outputs,)
    n_iter_ : int
    solution_ : Solution
    certificate_ : Certificate
        What is proven of the coefficients.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where X was a data frame.
    """

    def __init__(
        self,
        loss=LeastSquares,
        penalty=None,
        constraint=None,
        *,
        fit_intercept=True,
        tol=1e-8,
        max_iter=10_000,
        solver=None,
    ):
        self.loss = loss
        self.penalty = penalty
        self.constraint = constraint
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver

    def _loss(self, X, y, sample_weight):
        return as_maker(self.loss, "loss", "Huber")(X, y, sample_weight, self.fit_intercept)

    def _problem(self, loss):
        return stated(loss, self.penalty, self.constraint)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = self.loss is LeastSquares
        return tags


class Lasso(LeastSquaresRegressor):
    """Least squares with an L1 penalty (Tibshirani, 1996), in the scale of scikit-learn's Lasso.

    Parameters
    ----------
    alpha : float >= 0, default 1
    fit_intercept, tol, max_iter, solver
        As in `SparseRegressor`, and so are the attributes.
    positive : bool, default False
        Forbid negative coefficients.
    """

    def __init__(self, alpha=1.0, *, fit_intercept=True, positive=False, tol=1e-8, max_iter=10_000, solver=None):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver

    def _problem(self, loss):
        return Problem(loss, signed(L1(self.alpha), self.positive))


class ElasticNet(LeastSquaresRegressor):
    """Least squares with L1 and a ridge (Zou and Hastie, 2005), in the scale of scikit-learn's ElasticNet.

    Parameters
    ----------
    alpha : float >= 0, default 1
    l1_ratio : float in [0, 1], default 0.5
        Part of alpha that is the L1 penalty; the rest is the ridge.
    fit_intercept, positive, tol, max_iter, solver
        As in `Lasso`.
    """

    def __init__(
        self, alpha=1.0, *, l1_ratio=0.5, fit_intercept=True, positive=False, tol=1e-8, max_iter=10_000, solver=None
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver

    def _problem(self, loss):
        return Problem(loss, signed(elastic_net(self.alpha, self.l1_ratio), self.positive))


class MCPRegressor(LeastSquaresRegressor):
    """Least squares with the minimax concave penalty (Zhang, 2010), which leaves large coefficients alone.

    Parameters
    ----------
    alpha : float >= 0, default 1
    gamma : float > 0, default 3
        Where the penalty turns flat, in multiples of alpha.
    fit_intercept, positive, tol, max_iter, solver
        As in `Lasso`.
    """

    def __init__(
        self, alpha=1.0, *, gamma=3.0, fit_intercept=True, positive=False, tol=1e-8, max_iter=10_000, solver=None
    ):
        self.alpha = alpha
        self.gamma = gamma
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver

    def _problem(self, loss):
        return Problem(loss, signed(MCP(self.alpha, self.gamma), self.positive))


class SCADRegressor(LeastSquaresRegressor):
    """Least squares with the smoothly clipped absolute deviation (Fan and Li, 2001).

    Parameters
    ----------
    alpha : float >= 0, default 1
    gamma : float > 2, default 3.7
        Where the penalty turns flat, in multiples of alpha.
    fit_intercept, positive, tol, max_iter, solver
        As in `Lasso`.
    """

    def __init__(
        self, alpha=1.0, *, gamma=3.7, fit_intercept=True, positive=False, tol=1e-8, max_iter=10_000, solver=None
    ):
        self.alpha = alpha
        self.gamma = gamma
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver

    def _problem(self, loss):
        return Problem(loss, signed(SCAD(self.alpha, self.gamma), self.positive))


class GroupLasso(LeastSquaresRegressor):
    """Least squares with a penalty on the norm of each group of columns (Yuan and Lin, 2006).

    Parameters
    ----------
    alpha : float >= 0, default 1
    groups : int, list of index arrays, or array of labels, optional
        As in `sparseopt.GroupLasso`: a size, the columns of each group, or one label a column. By
        default the groups are the columns of y: a column of X is used for all outputs or for none.
    weights : array, optional
        One a group; by default the root of its size.
    fit_intercept, positive, tol, max_iter, solver
        As in `Lasso`.
    """

    def __init__(
        self,
        alpha=1.0,
        *,
        groups=None,
        weights=None,
        fit_intercept=True,
        positive=False,
        tol=1e-8,
        max_iter=10_000,
        solver=None,
    ):
        self.alpha = alpha
        self.groups = groups
        self.weights = weights
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver

    def _problem(self, loss):
        groups, weights = self.groups, self.weights
        if groups is None:
            groups, weights = int(np.prod(loss.shape[1:])), 1.0 if weights is None else weights
        return Problem(loss, GroupLassoPenalty(self.alpha, groups, weights, nonnegative=self.positive))


class L0Regressor(StatedModel, Regressor):
    """Least squares with few nonzero coefficients, whatever their size.

    Parameters
    ----------
    n_nonzero_coefs : int, optional
        How many columns may be used; without it and without alpha a tenth of them, at least one.
    alpha : float >= 0, optional
        Price of each column that is used, in the units of the loss, half the mean square.
    ridge : float >= 0, default 0
        Curvature of a ridge, against noise (L0L2).
    fit_intercept, tol, max_iter, solver
        As in `Lasso`.
    """

    def __init__(
        self, n_nonzero_coefs=None, *, alpha=None, ridge=0.0, fit_intercept=True, tol=1e-8, max_iter=10_000, solver=None
    ):
        self.n_nonzero_coefs = n_nonzero_coefs
        self.alpha = alpha
        self.ridge = ridge
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver

    def _loss(self, X, y, sample_weight):
        return LeastSquares(X, y, sample_weight, self.fit_intercept)

    def _problem(self, loss):
        return subset(loss, self.n_nonzero_coefs, self.alpha, self.ridge)


def subset(loss, k, alpha, ridge):
    """At most k nonzeros, or a price for each, and a ridge; with neither a tenth of the features for each response or class."""
    if k is None and alpha is None:
        p, q = loss.shape if len(loss.shape) == 2 else (loss.n_features, 1)
        k = max(1, p // 10) * q
    penalty = Zero() if alpha is None else L0(alpha)
    return Problem(loss, Ridged(penalty, ridge) if ridge else penalty, None if k is None else Cardinality(k))
