"""Logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparseopt._jit import exp
from sparseopt.losses.samples import SampleLoss, prepare


def as_labels(loss):
    """The two kinds of labels as -1 and 1 in the loss, in place."""
    labels = np.unique(loss.y)
    if not (np.all(np.isin(labels, (-1, 1))) or np.all(np.isin(labels, (0, 1)))):
        shown = ", ".join(f"{label:g}" for label in labels[:4])
        raise ValueError(
            f"y must be binary, in {{-1, 1}} or {{0, 1}}, got the values {shown}...; encode the classes first."
        )
    object.__setattr__(loss, "y", np.where(loss.y > 0, 1, -1).astype(loss.dtype))


@dataclass(frozen=True, eq=False)
class Logistic(SampleLoss):
    """Weighted mean of log(1 + exp(-y_i z_i)) with y_i in {-1, 1} and z_i = x_i w + b + offset_i.

    Parameters are those of `LeastSquares`; y may also be 0/1 or boolean.
    """

    def __post_init__(self):
        prepare(self, self.X, self.y)
        as_labels(self)
        counted = self.y[np.broadcast_to(self.sample_weight.values, self.y.size) > 0]
        if self.intercept and np.all(counted == counted[0]):
            raise ValueError(
                "y has one class only where it has weight, so that the intercept would be infinite; "
                "give both classes or intercept=False."
            )

    def value(self, y, z):
        margin = y * z
        return np.log1p(exp(-abs(margin))) + (abs(margin) - margin) / 2

    def slope(self, y, z):
        one = y * y  # in the type of the data: y is -1 or 1
        return -y / (one + exp(y * z))

    def value_and_slope(self, y, z):
        margin = y * z
        e = np.exp(-np.abs(margin))
        values = np.log1p(e) - np.minimum(margin, 0.0)
        return values, -y * (np.where(margin > 0.0, e, 1.0) / (1.0 + e))

    def curvature(self, y, z):
        e = exp(-abs(z))
        return e / ((1 + e) * (1 + e))

    def smoothness(self):
        return 0.25
