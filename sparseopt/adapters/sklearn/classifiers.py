"""Sparse linear classification as estimators of scikit-learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from sparseopt.adapters.sklearn.linear import LinearModel, StatedModel, as_maker, refuse_masked, stated
from sparseopt.adapters.sklearn.regressors import subset
from sparseopt.inputs import as_weights
from sparseopt.losses import Logistic, Multinomial
from sparseopt.penalties import elastic_net
from sparseopt.problem import Problem


def _knows_probabilities(model):
    if model._binary_loss() is not Logistic:  # noqa: SLF001 (asked by scikit-learn, outside of the class)
        raise AttributeError(f"{type(model).__name__} has probabilities with loss=Logistic only.")
    return True


class Classifier(ClassifierMixin, LinearModel):
    """A linear classifier: logistic for two classes and multinomial for more, or two classes of another loss."""

    class_weight: dict | str | None

    @abstractmethod
    def _binary_loss(self) -> Callable:
        """The loss for two classes, which are -1 and 1."""

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Labels of any kind that sorts.
        sample_weight : array of shape (n_samples,), optional
            Nonnegative; only their ratios matter.

        Returns
        -------
        self
        """
        refuse_masked(X=X, y=y)
        X, y = validate_data(self, X, y, accept_sparse="csc", dtype=(np.float64, np.float32), order="F")
        check_classification_targets(y)
        weights = np.ones(y.size) if sample_weight is None else y.size * as_weights(sample_weight, y.size)
        # classes without any weight are as good as absent
        self.classes_ = np.unique(y[weights > 0.0])
        if self.classes_.size < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least two classes with a positive weight, "
                f"got one class, {self.classes_.tolist()[0]!r}."
            )
        if self.class_weight is not None:
            kept = weights > 0.0
            multiples = compute_class_weight(
                self.class_weight, classes=self.classes_, y=y[kept], sample_weight=weights[kept]
            )
            weights = weights * multiples[self._codes(y)]
        solution = self._solved(self._loss(X, y, weights), y)
        self.coef_ = np.atleast_2d(solution.w.T).copy()
        self.intercept_ = np.atleast_1d(solution.intercept)
        return self._finish(solution)

    def _codes(self, y):
        """Index of the class of each sample; any, where it has no weight."""
        return np.minimum(np.searchsorted(self.classes_, y), self.classes_.size - 1)

    def _loss(self, X, y, weights):
        codes, loss = self._codes(y), as_maker(self._binary_loss(), "loss", "SquaredHinge")
        if self.classes_.size == 2:
            return loss(X, 2.0 * codes - 1.0, weights, self.fit_intercept)
        if loss is not Logistic:
            raise ValueError(
                f"{loss!r} separates two classes, and y has {self.classes_.size}; "
                "use loss=Logistic, or scikit-learn's OneVsRestClassifier around this one."
            )
        return Multinomial(X, codes, weights, self.fit_intercept)

    def decision_function(self, X):
        """Score of each class, shape (n_samples, n_classes); of the second one, shape (n_samples,), where there are two."""
        z = self._fitted_values(X)
        return z.ravel() if z.shape[1] == 1 else z

    def predict(self, X):
        """The likeliest class of each row of X."""
        z = self.decision_function(X)
        return self.classes_[(z > 0).astype(np.intp) if z.ndim == 1 else z.argmax(axis=1)]

    @available_if(_knows_probabilities)
    def predict_proba(self, X):
        """Probability of each class, in the order of `classes_`."""
        z = self.decision_function(X)
        return np.column_stack([expit(-z), expit(z)]) if z.ndim == 1 else softmax(z, axis=1)

    @available_if(_knows_probabilities)
    def predict_log_proba(self, X):
        """Logarithm of the probability of each class."""
        with np.errstate(divide="ignore"):  # of a class that is out of the question
            return np.log(self.predict_proba(X))


class SparseClassifier(StatedModel, Classifier):
    """Linear classification with any penalty and constraint of sparseopt.

    Parameters
    ----------
    loss : callable, default Logistic
        For two classes: ``loss(X, y, sample_weight, fit_intercept)`` with y in {-1, 1} is a `Loss`.
        With `Logistic`, more classes are fitted by `Multinomial`, one column of coefficients a class.
    penalty : Penalty or ProximalTerm, optional
        By default L1 at a tenth of `alpha_max`, or nothing beside a constraint.
    constraint : Constraint, optional
    class_weight : dict or "balanced", optional
        Multiplies the weights of each class, as in scikit-learn.
    fit_intercept, tol, max_iter, solver
        As in `SparseRegressor`.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    coef_ : array of shape (1, n_features) for two classes, (n_classes, n_features) for more
    intercept_ : array of shape (1,) or (n_classes,)
    n_iter_, solution_, certificate_, n_features_in_, feature_names_in_
        As in `SparseRegressor`.
    """

    def __init__(
        self,
        loss=Logistic,
        penalty=None,
        constraint=None,
        *,
        class_weight=None,
        fit_intercept=True,
        tol=1e-8,
        max_iter=10_000,
        solver=None,
    ):
        self.loss = loss
        self.penalty = penalty
        self.constraint = constraint
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver

    def _binary_loss(self):
        return self.loss

    def _problem(self, loss):
        return stated(loss, self.penalty, self.constraint)


class SparseLogisticRegression(StatedModel, Classifier):
    """Logistic regression with an L1 penalty, or an elastic net; multinomial for more than two classes.

    Parameters
    ----------
    alpha : float >= 0, default 0.01
        Strength of the penalty beside the mean of the loss; scikit-learn's C is 1 / (n_samples alpha).
    l1_ratio : float in [0, 1], default 1
        Part of alpha that is the L1 penalty; the rest is a ridge.
    class_weight, fit_intercept, tol, max_iter, solver
        As in `SparseClassifier`, and so are the attributes.
    """

    def __init__(
        self,
        alpha=0.01,
        *,
        l1_ratio=1.0,
        class_weight=None,
        fit_intercept=True,
        tol=1e-8,
        max_iter=10_000,
        solver=None,
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver

    def _binary_loss(self):
        return Logistic

    def _problem(self, loss):
        return Problem(loss, elastic_net(self.alpha, self.l1_ratio))


class L0Classifier(StatedModel, Classifier):
    """Logistic regression with few nonzero coefficients; multinomial for more than two classes.

    Parameters
    ----------
    n_nonzero_coefs : int, optional
        How many coefficients may be used; without it and without alpha a tenth of the features, at least one, for each
        row of `coef_`.
    alpha : float >= 0, optional
        Price of each coefficient that is used, in the units of the loss, its mean over samples.
    ridge : float >= 0, default 1e-3
        Curvature of a ridge. Without one, classes that a few columns separate have no best coefficients.
    class_weight, fit_intercept, tol, max_iter, solver
        As in `SparseClassifier`, and so are the attributes.
    """

    def __init__(
        self,
        n_nonzero_coefs=None,
        *,
        alpha=None,
        ridge=1e-3,
        class_weight=None,
        fit_intercept=True,
        tol=1e-8,
        max_iter=10_000,
        solver=None,
    ):
        self.n_nonzero_coefs = n_nonzero_coefs
        self.alpha = alpha
        self.ridge = ridge
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver

    def _binary_loss(self):
        return Logistic

    def _problem(self, loss):
        return subset(loss, self.n_nonzero_coefs, self.alpha, self.ridge)
