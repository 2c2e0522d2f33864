"""What all estimators share: data in, a solution out, and linear predictions from it."""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from sparseopt.constraints import Constraint
from sparseopt.path import alpha_max
from sparseopt.penalties import L1, Nonnegative, Zero
from sparseopt.problem import Problem
from sparseopt.solution import Status
from sparseopt.solve import solve
from sparseopt.solvers.base import Solver

# The part of alpha_max that leaves a handful of columns.
_USUAL_PART = 0.1


class LinearModel(BaseEstimator, metaclass=ABCMeta):
    """A linear model with a penalty. A subclass brings the loss, and the way to a solution."""

    fit_intercept: bool
    tol: float
    max_iter: int
    solver: Solver | None

    @abstractmethod
    def _solved(self, loss, y):
        """The solution for a loss; y are the targets as they were given, for those that draw folds."""

    def _finish(self, solution):
        """Set the attributes that every fitted model has, and warn where a limit came first."""
        names = getattr(self, "feature_names_in_", None)
        self.solution_ = replace(solution, feature_names=None if names is None else tuple(map(str, names)))
        self.certificate_ = solution.certificate
        # an answer that needs no step has been looked at once
        self.n_iter_ = max(solution.iterations, 1)
        if solution.status not in (Status.CONVERGED, Status.STALLED):
            message = f"{type(self).__name__}: {solution.status.value} {solution.certificate.summary}."
            warnings.warn(message, ConvergenceWarning, stacklevel=3)
        return self

    def _fitted_values(self, X):
        """Outputs for each row of X."""
        check_is_fitted(self)
        refuse_masked(X=X)
        X = validate_data(self, X, accept_sparse=("csr", "csc"), dtype=(np.float64, np.float32), reset=False)
        return safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class StatedModel(LinearModel):
    """A model whose parameters state its problem."""

    @abstractmethod
    def _problem(self, loss) -> Problem:
        """The problem with this loss that the parameters state."""

    def _solved(self, loss, y):
        return solve(self._problem(loss), self.solver, tol=self.tol, max_iter=self.max_iter)


def as_maker(given, name, example):
    """A function of the user's that makes a loss or a penalty, or an error that says what it is to be."""
    if not callable(given):
        raise TypeError(f"{name} must be a class or a function, for example {example}, got {given!r:.60}.")
    return given


def refuse_masked(**values):
    """Refuse masked arrays with missing values: scikit-learn takes what is under the mask for data."""
    for name, array in values.items():
        if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
            raise ValueError(f"{name} is a masked array with missing values; fill or drop them first.")


def signed(penalty, positive):
    """The penalty, perhaps for nonnegative coefficients only."""
    return Nonnegative(penalty) if positive else penalty


def stated(loss, penalty, constraint: Constraint | None):
    """The problem; without penalty and constraint, the lasso at a tenth of `alpha_max`."""
    if penalty is None:
        penalty = L1(_USUAL_PART * alpha_max(loss)) if constraint is None else Zero()
    return Problem(loss, penalty, constraint)
