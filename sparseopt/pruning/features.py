"""Pruning of features: a model of few columns, whatever kind of model it is."""

from __future__ import annotations

import numbers
import sys
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from sparseopt.certificate import Certificate
from sparseopt.mask import Mask
from sparseopt.models import door_of
from sparseopt.pruning.methods import Structure, StructuredMethod
from sparseopt.pruning.options import as_clock
from sparseopt.pruning.pruned import Pruned, Step


@dataclass(frozen=True, eq=False)
class FeatureData:
    """What a method chooses features by.

    Attributes
    ----------
    X : array or CSC matrix of shape (samples, features)
    y : array of shape (samples,) or (samples, outputs)
    is_classes : bool
        Whether y is classes; otherwise it is numbers.
    estimator : estimator of scikit-learn, optional
        Unfitted, for methods that ask it.
    seed : int
    """

    X: Any
    y: np.ndarray
    is_classes: bool
    estimator: object = None
    seed: int = 0

    @property
    def size(self) -> int:
        """Number of features."""
        return self.X.shape[1]

    def column(self, j) -> np.ndarray:
        """One feature, dense."""
        return self.X[:, [j]].toarray()[:, 0] if sparse.issparse(self.X) else self.X[:, j]

    @property
    def targets(self) -> np.ndarray:
        """Numbers that stand for y, of shape (samples, columns): one for two classes, an indicator for each of more."""
        if not self.is_classes:
            return np.stack([np.asarray(output, dtype=np.float64) for output in self.outputs], axis=1)
        return np.concatenate([_indicators(output) for output in self.outputs], axis=1)

    @property
    def outputs(self) -> list[np.ndarray]:
        """y, one output after another."""
        return list(np.reshape(self.y, (len(self.y), -1)).T)


def _indicators(y):
    classes, codes = np.unique(y, return_inverse=True)
    indicators = np.eye(len(classes))[codes.ravel()]
    return indicators[:, 1:] if len(classes) == 2 else indicators


@dataclass(frozen=True, eq=False)
class Selection:
    """Kept features as booleans, the worth of each, and what is proven of them, if anything."""

    kept: np.ndarray
    scores: np.ndarray
    certificate: Certificate | None = None

    @classmethod
    def highest(cls, scores, count) -> Selection:
        """Keep the features of the highest scores, of equal ones the first."""
        scores = np.asarray(scores, dtype=np.float64)
        kept = np.zeros(scores.size, bool)
        kept[np.argsort(-scores, kind="stable")[:count]] = True
        return cls(kept, scores)


class FeatureMethod(StructuredMethod):
    """A way to choose features; subclasses are frozen dataclasses of its knobs."""

    structure: ClassVar[Structure] = Structure.FEATURE

    @abstractmethod
    def select(self, data: FeatureData, count: int, clock) -> Selection:
        """Keep this many features; the clock says how much time is left."""

    def prune(self, model, X, y, *, sparsity, validation, random_state, clock, progress):
        """Return what `prune_features` does."""
        return prune_features(
            model, X, y, sparsity=sparsity, method=self, validation=validation, random_state=random_state,
            time_limit=clock.limit, progress=progress,
        )  # fmt: skip


def prune_features(
    estimator,
    X,
    y,
    *,
    sparsity=None,
    keep=None,
    method=None,
    validation=None,
    random_state=0,
    time_limit=np.inf,
    progress=False,
) -> Pruned:
    """Return an estimator fitted on few of the features.

    Parameters
    ----------
    estimator : estimator of scikit-learn
        Any classifier or regressor, fitted or not; what is fitted is a clone.
    X : array, sparse matrix or data frame of shape (samples, features)
    y : array of shape (samples,) or (samples, outputs)
    sparsity : float, optional
        Part of the features to go, at least 0 and below 1. Give this or `keep`.
    keep : int, optional
        Number of features to keep.
    method : FeatureMethod, default=BestSubset()
    validation : (X, y), optional
        Samples on which the quality is measured; by default X itself, on which it is flattering.
    random_state : int, default=0
        Seed of methods that draw.
    time_limit : float, default=inf
        Seconds. Proofs get no more than what is left, and `RecursiveElimination` ends with the fit that it is at.
    progress : bool, default=False
        Write a line to the standard error at the end.

    Returns
    -------
    Pruned
        `.model` is a pipeline that takes all features, of a `FeatureSelector` and the estimator; `.mask` has one array
        "features" of shape (features,), which also fits a linear model; `.certificates` has "features" where the
        method proves something. `.quality` is the estimator's score.
    """
    clock = as_clock(time_limit)
    if validation is not None and not (isinstance(validation, tuple) and len(validation) == 2):
        raise ValueError("validation is no pair; give (X, y), since features are judged by the targets.")
    model = door_of(estimator).feature_pipeline(
        estimator, X, y, method=method, n_features_to_select=keep, sparsity=sparsity, random_state=random_state,
        time_limit=time_limit,
    )  # fmt: skip
    selector = model[0]
    kept = selector.get_support()
    X, y = (X, y) if validation is None else validation
    quality = float(model.score(X, y))
    step = Step(1 - kept.mean(), int(kept.sum()), kept.size, quality, np.nan, clock.seconds)
    if progress:
        sys.stderr.write(f"{clock.seconds:6.1f} s  {step.kept} of {step.total} features kept, quality {quality:.4g}\n")
    certificates = {} if selector.certificate_ is None else {"features": selector.certificate_}
    return Pruned(
        model, Mask({"features": kept}), (), selector.method_, clock.seconds, (step,), quality,
        certificates=certificates,
    )  # fmt: skip


def feature_count(size, keep, sparsity) -> int:
    """How many of the features stay."""
    if (sparsity is None) == (keep is None):
        raise ValueError("how many features are to stay? give their number or a sparsity: one of the two.")
    if sparsity is not None:
        if not isinstance(sparsity, numbers.Real):
            raise TypeError(f"sparsity is {sparsity!r}; give the part of features to go, at least 0 and below 1.")
        if not 0 <= float(sparsity) < 1:
            raise ValueError(f"sparsity is {sparsity}; give the part of features to go, at least 0 and below 1.")
        # Rounded down with a little mercy: (1 - 0.9) * 10 is 0.9999999999999998.
        return max(int((1 - float(sparsity)) * size + 1e-9), 1)
    is_number = isinstance(keep, numbers.Real) and not isinstance(keep, bool | np.bool_)
    if not (is_number and float(keep).is_integer() and 1 <= float(keep) <= size):
        raise ValueError(f"{keep!r} features are to stay; give a whole number from 1 to {size}.")
    return int(keep)
