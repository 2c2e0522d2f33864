"""Designs with the mean of each column taken off, and back."""

from __future__ import annotations

import numpy as np

from sparseopt.designs.csc import CSC, CenteredCSC
from sparseopt.designs.dense import CenteredDense, Dense


def centered(design, weights):
    """The same design with the weighted mean of each column taken off; X is not copied."""
    rows = np.broadcast_to(np.asarray(weights, dtype=design.dtype), design.shape[0]).astype(np.float64)
    means = _means(design, rows)
    match design:
        case Dense(values):
            # A second pass on what is left removes the rounding of a large mean.
            rest = CenteredDense(values, means.astype(values.dtype))
            return CenteredDense(values, rest.means + (rest.rmatvec(rows)).astype(values.dtype))
        case CSC(data, indices, indptr, n_rows):
            return CenteredCSC(data, indices, indptr, n_rows, means.astype(data.dtype))
    return design


def uncentered(design):
    """The same design with its columns as lent; X is not copied."""
    if type(design) is Dense:
        return design
    match design:
        case CenteredDense(values):
            return Dense(values)
        case CenteredCSC(data, indices, indptr, n_rows):
            return CSC(data, indices, indptr, n_rows)
    return design


def _means(design, rows):
    return np.asarray(design.rmatvec(rows), dtype=np.float64)
