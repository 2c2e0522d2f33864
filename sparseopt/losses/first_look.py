"""The first look at a dense X: what the door checks, what every solver asks for first, and a sketch that screens.

A look at all of X is as slow as memory. While a column is read it is near, so that its square, its mean, its
product with y and its sketch in 16 bits cost hardly more than one of them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from sparseopt.designs import CenteredDense, Dense
from sparseopt.inputs import LARGEST, SMALLEST
from sparseopt.kernels.columns import read_sparse
from sparseopt.kernels.little import read_little
from sparseopt.kernels.sketch import read_columns
from sparseopt.losses.samples import NO_OFFSET, Uniform

# Entries of X from which a sketch saves time, up to which it is made at the door and stays with the loss (a quarter of
# 128 MB), and up to which it may take memory at all (half a gigabyte).
WORTH_A_SKETCH, _KEPT, _TOO_LARGE = 1e5, 2**24, 2**28
# Features up to which there is nothing to screen, as all are taken at once; and where their Gram matrix takes no more than
# so many multiplications: with more of either, plain descent or a working set was sooner done on random designs.
_FEW, _FEW_OF_LITTLE, _PRODUCTS = 100, 200, 2e7
# Mean curvature of a feature, and squares of y, within which products in float32 neither overflow nor vanish.
_LEAST, _MOST = 1e-20, 1e20
# Entries of X up to which calls take longer than what they do: those that stay in the nearest memory.
_LITTLE = 1 << 14
_DOUBLE = np.dtype(np.float64)
# Entries of float64 within which their squares keep their precision.
_SMALL, _LARGE = SMALLEST[np.float64], LARGEST[np.float64]
# Part of the largest slope by which those of a sketch may be off; and by how many units, for a vector of length one:
# the standard deviation of what rounding leaves of a unit, four times, as it has the largest of some thousand slopes.
_FAITHFUL, _ROUNDING = 5e-3, 4.0 / np.sqrt(12.0)


@dataclass(frozen=True, eq=False)
class FirstLook:
    """What is known of the columns x_ij - mean_j once they were read."""

    #: Weighted means of the columns of X, zeros where they stay.
    means: np.ndarray
    #: Sum of squares of each column of X as it is.
    squares: np.ndarray
    #: Slopes of the loss at w = 0, in all features.
    slopes: np.ndarray
    #: The loss there.
    at_zero: float
    #: The columns in integers of 16 bits, each in its own units; None where they or float32 will not do for this data.
    sketch: np.ndarray | None
    units: np.ndarray


def is_worth_a_sketch(design):
    """Whether a sketch of this design saves time, and does not take too much memory."""
    return (
        isinstance(design, Dense | CenteredDense)
        and design.dtype == np.float64
        and WORTH_A_SKETCH <= design.n_entries <= _TOO_LARGE
    )


def is_read_at_once(design):
    """Whether the door makes the sketch: where its memory is little, whoever uses it."""
    return is_worth_a_sketch(design) and design.n_entries <= _KEPT and not has_few_features(*design.shape)


def has_few_features(n, p):
    """Whether there is nothing to screen in n samples of p features: all are taken at once, with their Gram matrix."""
    return p <= _FEW or (p <= _FEW_OF_LITTLE and n * p * p <= _PRODUCTS)


def quick_look(X, y, *, is_centred):
    """What least squares knows of data as a user lends it, by name, from one look; None where that is not enough.

    X has then many features, or is not in canonical form, or has to be seen more closely to be refused in words.
    """
    if type(X) is not np.ndarray or type(y) is not np.ndarray or X.ndim != 2 or y.ndim != 1:
        return None
    (n, p), form = X.shape, X.flags
    if not (
        p > 1
        and n > 1
        and n == y.size
        and n * p <= (_KEPT if has_few_features(n, p) else _LITTLE)
        and X.dtype == _DOUBLE == y.dtype
    ):
        return None
    # a kernel is compiled once more for arrays that cannot be written
    if not (form.behaved and y.flags.carray):
        return None
    if not form.f_contiguous:
        X = np.asfortranarray(X)
    (means, squares, slopes), target = np.empty((3, p)), np.empty(n)
    size, mean, total, least, most, everything = read_little(X, y, is_centred, means, squares, slopes, target)
    is_in_scale = (size == 0.0 or _SMALL < size < _LARGE) and n * _SMALL**2 < least and most < _LARGE**2
    # without its mean, y is rounding
    is_flat = is_centred and total <= n * (4.0 * np.finfo(np.float64).eps * mean) ** 2
    if is_flat or not (is_in_scale and total < np.inf and everything < np.inf):
        return None
    design = CenteredDense(X, means) if is_centred else Dense(X)
    if not is_centred:
        design.__dict__["_squares"] = squares
    slopes.setflags(write=False)
    at_zero = total / (2 * n)
    return {
        "X": design, "sample_weight": _uniform(n), "offset": NO_OFFSET, "target": target, "n_features": p,
        "dtype": _DOUBLE, "little": (X, means, slopes, at_zero) if n * p <= _LITTLE else None, "_value_at_zero": at_zero,
        "_gradient_at_zero": (bytes(8 * p), slopes),
    }  # fmt: skip


@functools.lru_cache
def _uniform(n):
    return Uniform(np.float64(1.0 / n))


def first_look(design, weights, target, *, is_centred):
    """Read the columns of a design for which a sketch is worth while."""
    n, p = design.shape
    rows = np.empty(n)
    rows[:] = weights
    pull = -rows * target
    sketch = np.empty((n, p), dtype=np.int16, order="F")
    means, squares, units, slopes = np.empty((4, p))
    everything = read_columns(design.values, rows, is_centred, pull, sketch, means, squares, units, slopes)
    total = float(-pull @ target)
    is_in_range = _LEAST < everything / (n * p) < _MOST and total < _MOST
    is_good = is_in_range and is_faithful(units, pull, slopes)
    return FirstLook(means, squares, slopes, total / 2, sketch if is_good else None, units)


def sparse_look(design, weights, target):
    """Curvatures of least squares on a plain CSC matrix in float64, its slopes and its value at w = 0, from one look."""
    pull = -weights * target
    curvatures, slopes = np.empty((2, design.shape[1]))
    read_sparse(design.data, design.indices, design.indptr, np.atleast_1d(weights), pull, curvatures, slopes)
    return curvatures, slopes, float(-pull @ target) / 2


def is_faithful(units, u, slopes):
    """Whether a sketch is good enough to choose features by, from the exact products of the columns with u.

    It is not where columns are far from zero and so nearly the same: 16 bits cannot tell them apart.
    """
    error = _ROUNDING * float(np.max(units, initial=0.0)) * float(np.linalg.norm(u))
    return bool(error <= _FAITHFUL * float(np.max(np.abs(slopes), initial=0.0)))
