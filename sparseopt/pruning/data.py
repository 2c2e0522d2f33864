"""Samples and targets as a user has them, as arrays, or refused in words."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sparseopt.inputs import frame_as_floats


def as_data(X, names=None) -> np.ndarray:
    """Samples as an array of floats; float32 stays float32.

    `names` are those of the columns that a model was fitted on: a frame with others is refused.
    """
    if sparse.issparse(X):
        raise TypeError("X is sparse; pruning needs the samples dense: pass X.toarray().")
    if X is None:
        raise ValueError("X is None; give samples such as the model will see, one row each.")
    X = _off_torch("X", X)
    check_whole("X", X)
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError("X is a masked array with missing values; fill or drop these samples first.")
    check_names(X, names)
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError("the samples of X differ in shape; give an array with one sample along each row.") from error
    if array.dtype.kind not in "biuf" and type(X).__module__.partition(".")[0] == "pandas" and array.ndim == 2:
        # columns of a type of their own, as those that know missing values
        array = frame_as_floats(X, "X")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"X holds {array.dtype}; give numbers.")
    if array.size == 0:
        raise ValueError(f"X has shape {array.shape}; give at least one sample and one column.")
    array = array if array.dtype == np.float32 else array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        raise ValueError("X holds NaN or infinity; fill or drop these samples first.")
    # torch knows no negative strides
    return array.copy() if min(array.strides, default=0) < 0 else array


def as_target_array(y) -> np.ndarray:
    """Targets as an array of whatever they are: numbers, or labels of classes."""
    y = _off_torch("y", y)
    check_whole("y", y)
    if isinstance(y, np.ma.MaskedArray) and np.ma.is_masked(y):
        raise ValueError("y is a masked array with missing values; drop these samples first.")
    return np.asarray(y)


def check_names(X, names):
    """Raise where a frame has other columns than the model was fitted on: it would take one for another."""
    columns = getattr(X, "columns", None)
    if names is None or columns is None or not all(isinstance(column, str) for column in columns):
        return
    columns, names = list(columns), list(names)
    if columns == names:
        return
    if sorted(columns) == sorted(names):
        raise ValueError(
            f"the columns of X are in another order than those that the model was fitted on, {', '.join(names[:5])}"
            f"{' ...' if len(names) > 5 else ''}; give X[model.feature_names_in_]."
        )
    repeated = next((name for name in columns if columns.count(name) > names.count(name) > 0), None)
    if repeated is not None:
        raise ValueError(f"X has the column {repeated!r} more than once; give the columns of model.feature_names_in_.")
    strange = next(name for name in [*columns, *names] if (name in columns) != (name in names))
    fact = "which the model was not fitted on" if strange in columns else "that the model was fitted on"
    raise ValueError(
        f"X has {'a' if strange in columns else 'no'} column {strange!r} {fact}; give the columns of model.feature_names_in_."
    )


def check_whole(name, data):
    """Raise where data come piece by piece, as from a generator or a loader of batches."""
    comes_in_pieces = hasattr(data, "__iter__") and not hasattr(data, "__getitem__")
    if not hasattr(data, "__array__") and (comes_in_pieces or _is_of_torch(data)):
        raise TypeError(
            f"{name} is of type {type(data).__name__}, which gives its samples piece by piece, perhaps once only; "
            "join them into one array."
        )


def _is_of_torch(data):
    return any(base.__module__.partition(".")[0] == "torch" for base in type(data).__mro__)


def _off_torch(name, data):
    """A tensor as one that numpy takes: it may lie elsewhere, or be part of a graph; others as they are."""
    if not any(base.__module__ == "torch" for base in type(data).__mro__):
        return data
    if data.is_nested or str(data.layout) != "torch.strided":
        kind = "nested" if data.is_nested else "sparse"
        raise TypeError(f"{name} is a {kind} tensor; pruning needs the samples dense and of one shape.")
    data = data.detach().cpu()
    return data.float() if str(data.dtype) == "torch.bfloat16" else data  # which numpy does not know
