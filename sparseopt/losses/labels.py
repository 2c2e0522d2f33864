"""Labels of classes as they are given, and the probabilities that they stand for."""

from __future__ import annotations

import numpy as np

from sparseopt.inputs import as_responses


def read_labels(y, n_samples):
    """Classes, what was given as an array, and the probability of each class for each sample."""
    if y is None:
        raise ValueError("y is None; one label for each sample is required.")
    labels = np.asarray(y)
    if labels.ndim == 2:
        P = as_responses(labels, n_samples, np.dtype(np.float64))
        wrong = np.flatnonzero((P < 0.0).any(axis=1) | (np.abs(P.sum(axis=1) - 1.0) > 1e-6))
        if wrong.size:
            raise ValueError(
                f"y: row {wrong[0]} is {P[wrong[0]]}, no probabilities that sum to one; pass labels, or such rows."
            )
        if P.shape[1] < 2:
            raise ValueError("y has one class only; at least two are required.")
        return np.arange(P.shape[1]), labels, P / P.sum(axis=1, keepdims=True)
    if labels.ndim != 1:
        raise ValueError(f"y must hold one label a sample, or one row of probabilities; got shape {labels.shape}.")
    if labels.size != n_samples:
        raise ValueError(f"y has {labels.size} entries for {n_samples} samples; their lengths must match.")
    if labels.dtype.kind == "c" or (labels.dtype.kind == "f" and not np.all(labels == np.floor(labels))):
        raise ValueError(
            "y holds numbers that are not whole, or NaN; labels name classes: pass whole numbers or strings."
        )
    classes, index = np.unique(labels, return_inverse=True)
    if classes.size < 2:
        raise ValueError("y has one class only; at least two are required.")
    return classes, labels, np.eye(classes.size)[index]
