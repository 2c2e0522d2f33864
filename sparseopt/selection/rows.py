"""Rows of a loss on samples: the same loss under other weights, labels, and the error of each row.

A row is left out by giving it the weight zero, so that all the parts of the data share one X.
The weights are normalised anew, and an intercept is that of the rows that have a weight.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy

from sparseopt.losses import LeastSquares, Logistic, Multinomial, MultiResponse, OutputsLoss, SampleLoss, SquaredHinge
from sparseopt.problem import Problem


def check_rows(problem, verb):
    """Refuse what is no problem, or has no rows to leave out."""
    if not isinstance(problem, Problem):
        raise TypeError(
            f"problem must be a Problem, got {type(problem).__name__}; for example Problem(LeastSquares(X, y))."
        )
    if not isinstance(problem.loss, LeastSquares | SampleLoss | OutputsLoss):
        raise TypeError(
            f"{verb} leaves rows out, and {type(problem.loss).__name__} is no mean over rows; give a loss on samples."
        )


def row_weights(loss):
    """Weight of each row, in float64; they sum to one up to rounding."""
    return np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), len(loss.y))


def on_rows(loss, multiples, part):
    """The loss with the weight of each row multiplied, which leaves out rows with zero; X is shared."""
    weights = row_weights(loss) * multiples
    if not np.any(weights > 0.0):
        raise ValueError(f"{part} has no row with a positive weight; give fewer folds, or other weights.")
    labels = row_labels(loss)
    if loss.intercept and labels is not None:
        missing = np.setdiff1d(labels, labels[weights > 0.0])
        if missing.size:
            raise ValueError(
                f"{part} has no row of the class {missing[0]}, so that the intercept would be infinite; "
                "give fewer folds, or intercept=False."
            )
    return replace(loss, sample_weight=weights)


def row_labels(loss):
    """The class of each row, where the targets are classes; None elsewhere."""
    match loss:
        case Logistic() | SquaredHinge():
            return loss.y
        case Multinomial():
            return loss.y if np.ndim(loss.y) == 1 else None
    return None


def row_errors(loss, z):
    """The loss of each row with the fitted values z, in float64; half the squared residual for least squares."""
    match loss:
        case LeastSquares():
            return (loss.y.astype(np.float64) - z) ** 2 / 2
        case MultiResponse():
            return np.sum((loss.y.astype(np.float64) - z) ** 2, axis=1) / 2
        case Multinomial():
            return scipy.special.logsumexp(z, axis=1) - np.sum(loss.targets * z, axis=1)
    return loss.value(loss.y.astype(np.float64), z)


def dealt(loss, hands, rng):
    """A random number below `hands` for each row; each number has its share of the rows and of each class."""
    order = rng.permutation(len(loss.y))
    labels = row_labels(loss)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    hand = np.empty(order.size, dtype=np.intp)
    hand[order] = np.arange(order.size) % hands
    return hand
