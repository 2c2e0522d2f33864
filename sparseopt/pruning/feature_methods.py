"""Which features are worth keeping: information scores, recursive elimination and the lasso."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt.inputs import LARGEST, SMALLEST
from sparseopt.losses import LeastSquares
from sparseopt.path import alpha_grid
from sparseopt.penalties import L1, GroupLasso
from sparseopt.problem import Problem
from sparseopt.pruning.features import FeatureMethod, Selection
from sparseopt.solve import solve

# Columns of a sparse matrix that are made dense together.
_TOGETHER = 64


class FeatureScore(FeatureMethod):
    """A method that keeps the features of the highest scores; of equal ones the first."""

    @abstractmethod
    def scores(self, data) -> np.ndarray:
        """Worth of each feature, of shape (features,)."""

    def select(self, data, count, clock):
        return Selection.highest(self.scores(data), count)


@dataclass(frozen=True, kw_only=True)
class InformationGain(FeatureScore):
    """Entropy of y that goes when the bin of a feature is known (Quinlan, 1986).

    Parameters
    ----------
    bins : int, default=10
        Bins of about equally many samples, for a feature of more values than that, and for targets that are numbers.
        Few samples fill many bins by chance, which looks like information.
    """

    bins: int = 10

    def __post_init__(self):
        if self.bins < 2:
            raise ValueError(f"bins is {self.bins}; give 2 or more.")

    def scores(self, data):
        """H(y) + H(x) - H(x, y) in nats, each with the frequencies of the samples."""
        # Several outputs together: a bin for each combination of theirs.
        codes = [
            np.unique(output, return_inverse=True)[1].ravel() if data.is_classes else self._binned(output)
            for output in data.outputs
        ]
        labels = np.unique(np.stack(codes), axis=1, return_inverse=True)[1].ravel()
        return np.array([self._gain(data.column(j), labels) for j in range(data.size)])

    def _gain(self, column, labels):
        bins = self._binned(column)
        both = bins * (labels.max() + 1) + labels
        return max(_entropy(labels) + _entropy(bins) - _entropy(both), 0.0)

    def _binned(self, values):
        distinct, codes = np.unique(values, return_inverse=True)
        if distinct.size <= self.bins:
            return codes
        edges = np.unique(np.quantile(values, np.arange(1, self.bins) / self.bins))
        return np.searchsorted(edges, values, side="right")


def _entropy(codes):
    part = np.bincount(codes) / codes.size
    part = part[part > 0]
    return -float(np.sum(part * np.log(part)))


@dataclass(frozen=True, kw_only=True)
class MutualInformation(FeatureScore):
    """Mutual information of a feature and y, by distances to nearest neighbours (Kraskov et al., 2004; Ross, 2014).

    The estimate of scikit-learn; of several outputs the sum. A sparse matrix of whole numbers, such as counts of words, is
    taken by its values, without neighbours.

    Parameters
    ----------
    neighbours : int, default=3
    """

    neighbours: int = 3

    def scores(self, data):
        """Information in nats."""
        from sklearn.feature_selection import mutual_info_classif, mutual_info_regression  # noqa: PLC0415, scikit-learn is optional

        options = {"n_neighbors": self.neighbours, "random_state": data.seed}
        estimate = mutual_info_classif if data.is_classes else mutual_info_regression

        def information(y):
            if not sparse.issparse(data.X) or np.array_equal(data.X.data, np.round(data.X.data)):
                return estimate(data.X, y, **options)
            # The estimate would take each number of a sparse matrix for a class.
            parts = (data.X[:, j : j + _TOGETHER].toarray() for j in range(0, data.size, _TOGETHER))
            return np.concatenate([estimate(part, y, **options) for part in parts])

        return np.sum([information(output) for output in data.outputs], axis=0)


@dataclass(frozen=True, kw_only=True)
class RecursiveElimination(FeatureMethod):
    """Fit the estimator, drop the features of the least weight, and again (Guyon et al., 2002).

    The weight is the estimator's `feature_importances_`, or the sum of the squares of its `coef_` over the outputs:
    columns of very different units should be scaled first. When a time limit comes, the weights of the last fit decide.

    Parameters
    ----------
    step : int or float, default=1
        Features that go at a time; a number below 1 is a part of all.
    """

    step: int | float = 1

    def __post_init__(self):
        if not self.step > 0:
            raise ValueError(f"step is {self.step}; give a number of features, or a part of them below 1.")

    def select(self, data, count, clock):
        """Eliminate; the score of a feature is the round in which it went, the later the higher."""
        from sklearn.base import clone  # noqa: PLC0415, scikit-learn is optional

        if data.estimator is None:
            raise ValueError("recursive elimination asks an estimator which features it uses; give one.")
        step = max(int(self.step * data.size), 1) if self.step < 1 else int(self.step)
        left, scores, rounds = np.arange(data.size), np.zeros(data.size), 0
        while left.size > count:
            fitted = clone(data.estimator).fit(data.X[:, left], data.y)
            # When the time is up, all that are to go at once.
            going = left.size - count if clock.expired else min(step, left.size - count)
            gone = left[np.argsort(_weights(fitted), kind="stable")[:going]]
            left, rounds = np.setdiff1d(left, gone), rounds + 1
            scores[gone] = rounds
        scores[left] = rounds + 1
        return Selection.highest(scores, count)


def _weights(fitted):
    if hasattr(fitted, "feature_importances_"):
        return np.asarray(fitted.feature_importances_)
    if hasattr(fitted, "coef_"):
        coef = fitted.coef_
        coef = np.atleast_2d(coef.toarray() if sparse.issparse(coef) else np.asarray(coef))
        # as parts of the largest: squares of very large or little ones would all be infinite or zero
        return np.sum((coef / (np.abs(coef).max(initial=0.0) or 1.0)) ** 2, axis=0)
    raise TypeError(
        f"{type(fitted).__name__} has neither coef_ nor feature_importances_, so that it cannot say which features it "
        "uses; take another method, such as BestSubset()."
    )


@dataclass(frozen=True, kw_only=True)
class LassoFeatures(FeatureMethod):
    """The features that enter the path of the lasso first (Tibshirani, 1996), all of the same variance.

    Of several outputs or classes, the group lasso on the coefficients of a feature; classes are fitted as indicators.

    Parameters
    ----------
    points : int, default=100
        Strengths of the path at most.
    """

    points: int = 100

    def select(self, data, count, clock):
        """Follow the path until enough features are in; the score is the strength at which each entered."""
        X, y = standardised(data)
        loss = LeastSquares(X, y)
        outputs = y.shape[1] if y.ndim == 2 else 1

        def penalty(alpha):
            return L1(alpha) if outputs == 1 else GroupLasso(alpha, outputs)

        w, scores = None, np.zeros(data.size)
        # Nothing is in at the first strength.
        for alpha in alpha_grid(loss, self.points, ratio=1e-4, penalty=penalty(1.0))[1:]:
            w = solve(Problem(loss, penalty(alpha)), w0=w).w
            size = np.sqrt(np.sum(w.reshape(data.size, -1) ** 2, axis=1))
            # Of those that enter together, the largest first; the next strength is further down than that.
            entered = (scores == 0) & (size > 0)
            scores[entered] = alpha * (1 + 1e-3 * size[entered] / size.max(initial=1e-300))
            if np.count_nonzero(scores) >= count or clock.expired:
                break
        return Selection.highest(scores, count)


def standardised(data):
    """Columns of unit variance, centred where they are dense, and centred targets of shape (n,) or (n, outputs).

    A column whose variation is rounding beside its own size is zero, whatever the sizes of the others.
    """
    y = data.targets - data.targets.mean(axis=0)
    largest = np.abs(y).max(initial=0.0)
    if largest > LARGEST[np.float64] or 0 < largest < SMALLEST[np.float64]:
        raise ValueError(f"y varies by {largest:.3g}, whose square is out of the range of numbers; rescale it.")
    y = y[:, 0] if y.shape[1] == 1 else y
    if sparse.issparse(data.X):
        # Centring would fill the zeros; a column's mean is small where it is mostly zero.
        X = data.X @ sparse.diags_array(_inverse(abs(data.X).max(axis=0).toarray().ravel(), 0.0))
        mean = np.asarray(X.mean(axis=0)).ravel()
        size = np.sqrt(np.maximum(np.asarray(X.multiply(X).mean(axis=0)).ravel() - mean**2, 0.0))
        # half of the digits, since squares are subtracted
        return sparse.csc_matrix(X @ sparse.diags_array(_inverse(size, 1e-7))), y
    X = (data.X - data.X.mean(axis=0)) * _inverse(np.abs(data.X).max(axis=0), 0.0)
    X *= _inverse(np.sqrt(np.einsum("ij,ij->j", X, X) / len(X)), 1e-10)
    return X, y


def _inverse(size, least):
    return np.divide(1.0, size, out=np.zeros(size.size), where=size > least)
