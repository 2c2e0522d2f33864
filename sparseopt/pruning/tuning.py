"""How sparse? Sparsities or thresholds compared on samples that the pruning did not see."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sparseopt.inputs import is_whole
from sparseopt.models import adapt
from sparseopt.pruning.data import as_data, as_target_array
from sparseopt.pruning.loop import prune
from sparseopt.pruning.objectives import Distillation
from sparseopt.pruning.options import as_labels, as_seed
from sparseopt.pruning.pruned import Pruned
from sparseopt.pruning.schedules import OneShot
from sparseopt.pruning.scopes import Scope


@dataclass(frozen=True, eq=False)
class PruningCrossValidation:
    """What `prune_cv` found.

    Attributes
    ----------
    name : {"sparsity", "threshold"}
    candidates : array of shape (candidates,)
        Sparsities or thresholds, from the least.
    qualities : array of shape (folds, candidates)
        Accuracy or R2 on the samples that each fold held out; without labels, against the dense model's outputs.
    dense_qualities : array of shape (folds,)
        The same of the model before pruning.
    sparsities : array of shape (folds, candidates)
        Part of the weights that was zero.
    chosen : int
        Index of the candidate that was taken.
    pruned : Pruned
        The model pruned so, on all samples.
    """

    name: str
    candidates: np.ndarray
    qualities: np.ndarray = field(repr=False)
    dense_qualities: np.ndarray = field(repr=False)
    sparsities: np.ndarray = field(repr=False)
    chosen: int
    pruned: Pruned

    @property
    def mean(self) -> np.ndarray:
        """Mean quality of each candidate."""
        return self.qualities.mean(axis=0)

    @property
    def standard_error(self) -> np.ndarray:
        """Standard error of the mean, from the spread between folds."""
        return self.qualities.std(axis=0, ddof=1) / np.sqrt(len(self.qualities))

    @property
    def best(self) -> int:
        """Index of the candidate of the highest mean quality; of equal ones the sparsest."""
        return len(self.mean) - 1 - int(np.argmax(self.mean[::-1]))

    @property
    def one_standard_error(self) -> int:
        """Index of the sparsest candidate within one standard error of the best (Breiman et al., 1984)."""
        return _simplest(self.mean, self.standard_error)

    @property
    def model(self):
        """The pruned model."""
        return self.pruned.model

    def __repr__(self) -> str:
        return (
            f"PruningCrossValidation({len(self.qualities)} folds, {self.name} {self.candidates[self.chosen]:g} of "
            f"{len(self.candidates)}: quality {self.mean[self.chosen]:.4g}, dense {self.dense_qualities.mean():.4g})"
        )


def prune_cv(
    model,
    X,
    y=None,
    *,
    sparsities=None,
    thresholds=None,
    folds=5,
    choose="one_standard_error",
    train: Callable | None = None,
    method=None,
    scope=Scope.NETWORK,
    schedule=OneShot(),  # noqa: B008, a frozen value
    refit=None,
    layers=None,
    progress=False,
    random_state=0,
) -> PruningCrossValidation:
    """Prune at each of several sparsities (or thresholds) on parts of the samples, judge on the rest, choose.

    Parameters
    ----------
    model : as `prune` takes it
        The fitted model. It may have seen all the samples; to be strict, give `train`.
    X : array of shape (samples, inputs)
    y : array of shape (samples,), optional
        Without it the quality is the agreement with the model before.
    sparsities, thresholds : sequence of float
        Candidates; give one of the two. By default sparsities from .5 to .98.
    folds : int, default=5
        At least 2; classes are dealt evenly.
    choose : {"one_standard_error", "best"}, default="one_standard_error"
        The sparsest candidate whose mean quality is within one standard error of the best, or the best.
    train : callable (X, y) -> model, optional
        Fits the model anew on the samples of each fold, such as `lambda X, y: clone(model).fit(X, y)`.
    method, scope, schedule, refit, layers, random_state
        As in `prune`.
    progress : bool, default=False
        Write a line to the standard error for each fold.

    Returns
    -------
    PruningCrossValidation
        `.model`, `.pruned`, `.candidates`, `.qualities`, `.chosen`.

    References
    ----------
    Stone, "Cross-validatory choice and assessment of statistical predictions" (1974).
    """
    name, candidates = _candidates(sparsities, thresholds)
    if choose not in {"one_standard_error", "best"}:
        raise ValueError(f"choose is {choose!r}; give one_standard_error or best.")
    network = adapt(model)
    X = as_data(X, network.feature_names)
    y = None if y is None else as_target_array(y)
    as_labels(network, X, y)
    if not (is_whole(folds) and 2 <= folds <= len(X)):
        raise ValueError(f"folds is {folds!r}; give a whole number from 2 to the number of samples, {len(X)}.")
    fold = _dealt(len(X), y, folds, as_seed(random_state))

    def pruned(lent, rows, candidate):
        return prune(
            lent, X[rows], None if y is None else y[rows], method=method, scope=scope, schedule=schedule, refit=refit,
            layers=layers, random_state=random_state, **{name: candidate},
        )  # fmt: skip

    qualities, zeros, dense = np.empty((folds, len(candidates))), np.empty((folds, len(candidates))), np.empty(folds)
    for i in range(folds):
        inside, outside = fold != i, fold == i
        lent = model if train is None else train(X[inside], None if y is None else y[inside])
        network = adapt(lent)
        labels = None if y is None else as_labels(network, X[outside], y[outside])
        judge = labels or Distillation.of(network, X[outside])
        dense[i] = judge.quality(network.outputs(X[outside]))
        for j, candidate in enumerate(candidates):
            found = pruned(lent, inside, candidate)
            qualities[i, j] = judge.quality(adapt(found.model).outputs(X[outside]))
            zeros[i, j] = 1 - found.mask.density
        if progress:
            sys.stderr.write(f"fold {i + 1} of {folds}: quality {qualities[i].min():.4g} to {qualities[i].max():.4g}\n")
    mean, error = qualities.mean(axis=0), qualities.std(axis=0, ddof=1) / np.sqrt(folds)
    chosen = _simplest(mean, error if choose == "one_standard_error" else np.zeros(len(mean)))
    result = pruned(model, np.ones(len(X), bool), candidates[chosen])
    return PruningCrossValidation(name, candidates, qualities, dense, zeros, chosen, result)


def _simplest(mean, error):
    best = len(mean) - 1 - int(np.argmax(mean[::-1]))
    return int(np.flatnonzero(mean >= mean[best] - error[best])[-1])


def _candidates(sparsities, thresholds):
    if sparsities is not None and thresholds is not None:
        raise ValueError("sparsities and thresholds given; give one of the two.")
    if thresholds is not None:
        name, values = "threshold", np.unique(np.asarray(thresholds, float))
    else:
        values = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98) if sparsities is None else sparsities
        name, values = "sparsity", np.unique(np.asarray(values, float))
    if values.size == 0:
        raise ValueError(f"there is no {name} to compare; give at least one.")
    return name, values


def _dealt(samples, y, folds, seed):
    """The fold of each sample: dealt in a random order, one class (or range of targets) after the other."""
    order = np.random.default_rng(seed).permutation(samples)
    if y is not None and y.ndim == 1:
        order = order[np.argsort(y[order], kind="stable")]
    fold = np.empty(samples, np.int64)
    fold[order] = np.arange(samples) % folds
    return fold
