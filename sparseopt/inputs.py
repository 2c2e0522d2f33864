"""The door: what the user lends is checked and brought into canonical form, or refused in words.

Nothing lent is changed. A matrix is copied only where its storage, order or type is not the
canonical one (Fortran order or CSC; float32 or float64).
"""

from __future__ import annotations

import math
import numbers

import numpy as np
from scipy import sparse

from sparseopt._jit import alike
from sparseopt.designs import CSC, Dense, Design
from sparseopt.kernels.door_look import are_sound_sides
from sparseopt.kernels.patterns import is_canonical

# Squares and products of four such numbers stay inside the range of the type.
LARGEST = {np.float64: 1e75, np.float32: 1e9}
SMALLEST = {np.float64: 1e-75, np.float32: 1e-9}

_DOUBLE, _INDEX = np.dtype(np.float64), np.dtype(np.int32)
_BY_COLUMNS = {sparse.csc_array, sparse.csc_matrix}
# Flags of arrays that are contiguous and aligned, by numpy's numbers of them.
_PLAIN = 0x1 | 0x100
# Entries of a matrix, and rows or bounds, up to which one call of a kernel takes less time than the calls of numpy.
_LITTLE, _FEW_SIDES = 1 << 16, 1000

# Entries that are looked at together: they stay near for the second look.
_AT_ONCE = 1 << 16


def as_design(X, name="X"):
    """Canonical design of a matrix lent by the user."""
    if type(X) in _BY_COLUMNS and (design := _as_lent(X)) is not None:
        return design
    design = as_unread_design(X, name)
    if not isinstance(X, Design):
        check_dense(design, name, feature_names(X))
    return design


def little_columns(matrix):
    """The columns of a little full matrix as kernels take them, whose numbers are not looked at yet; None of another one."""
    is_little = (
        type(matrix) is np.ndarray and matrix.ndim == 2 and matrix.dtype == _DOUBLE and 0 < matrix.size <= _LITTLE
    )
    if not is_little:
        return None
    columns = matrix.T if matrix.flags.f_contiguous else np.array(matrix.T, order="C")
    return columns if columns.flags.carray else None


def little_sides(lower, upper, count):
    """Private copies of both sides of little rows or bounds, where nothing is wrong with them; None of others."""
    if not 0 < count <= _FEW_SIDES:
        return None
    sides = np.empty((2, count))
    for row, side in ((0, lower), (1, upper)):
        if type(side) is np.ndarray:
            if side.dtype != _DOUBLE or side.shape != (count,):
                return None
        elif type(side) is not float:
            return None
        sides[row] = side
    if not are_sound_sides(sides):
        return None
    sides.flags.writeable = False
    return sides[0], sides[1]


def as_unread_design(X, name="X"):
    """The same, but the entries of a dense matrix are not looked at yet: `check_dense` has to follow."""
    if isinstance(X, Design):
        return X
    array = X if _is_ready(X) or sparse.issparse(X) else _as_matrix(X, name)
    return Dense(array) if type(array) is np.ndarray else _sparse_design(array, name)


def check_dense(design, name="X", names=None):
    """Refuse a dense design that is not finite or out of scale; others are checked as they are made."""
    if not isinstance(design, Dense):
        return
    array, squares, kind = design.values, design.squares, design.dtype.type
    # one look at X is enough, unless a length is suspicious; of numbers and others, numpy's extremes are none
    largest, smallest = np.maximum.reduce(squares), np.minimum.reduce(squares)
    if not (largest < LARGEST[kind] ** 2 and smallest > len(array) * SMALLEST[kind] ** 2):
        _check_columns(array.max(axis=0), array.min(axis=0), array.dtype, name, names)


def _is_ready(X):
    """Whether X is in canonical form as it is."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.size > 0
        and X.dtype in (np.float64, np.float32)
        and X.flags.f_contiguous
        and X.flags.aligned
    )


def _as_matrix(X, name):
    """Fortran-ordered float array of a dense matrix, or the sparse matrix a data frame holds."""
    if X is None:
        raise ValueError(f"{name} is None; a matrix with one row a sample is required.")
    if type(X) is not np.ndarray:
        if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
            raise ValueError(f"{name} is a masked array with missing values; fill or drop them first.")
        if type(X).__module__.partition(".")[0] == "pandas":
            if all("Sparse" in str(kind) for kind in X.dtypes):
                return X.sparse.to_coo()
            X = frame_as_floats(X, name)
    array = as_floats(X, name)
    if array.ndim != 2:
        raise ValueError(
            f"{name} must be 2-D, one row a sample; got {array.ndim}-D with shape {array.shape}; reshape it."
        )
    _check_shape(array.shape, name)
    is_canonical = array.flags.f_contiguous and array.flags.aligned
    return array if is_canonical else np.array(array, order="F")


def frame_as_floats(X, name):
    """Floats of a data frame of pandas, NaN where values are missing."""
    for j, kind in enumerate(X.dtypes):
        if getattr(kind, "kind", "O") not in "biuf":
            raise ValueError(
                f"{name} has type {kind} in column {X.columns[j]!r}; encode columns that are no numbers first."
            )
    return X.to_numpy(dtype=np.float64, na_value=np.nan)


def as_floats(values, name):
    """Array of float32 or float64: float16 becomes float32, everything else real float64."""
    array = values if type(values) is np.ndarray else np.asarray(values)
    if type(array) is not np.ndarray:
        array = np.asarray(array).view(np.ndarray)
    if array.dtype == np.float64:
        return array
    if array.dtype.kind == "c":
        raise ValueError(f"{name} is complex; only real data is supported: pass its real part or stack both parts.")
    if array.dtype.kind in "Mm":
        raise ValueError(
            f"{name} holds dates or times ({array.dtype}); convert them to numbers in a unit of your choice first."
        )
    if array.dtype.kind in "OUSV":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as fault:
            raise ValueError(
                f"{name} cannot be converted to float ({fault}); encode non-numeric columns first."
            ) from None
    kind = np.float32 if array.dtype in (np.float16, np.float32) else np.float64
    return array.astype(kind, copy=False)


def _check_shape(shape, name):
    if shape[0] == 0:
        raise ValueError(f"{name} has 0 samples (shape {shape}); at least one row is required.")
    if shape[1] == 0:
        raise ValueError(f"{name} has 0 features (shape {shape}); at least one column is required.")


def _check_columns(largest, smallest, dtype, name, names=None):
    """Refuse columns that are not finite or whose squares leave the range of the type."""
    size = np.maximum(largest, -smallest)
    kind = dtype.type

    def column(j):
        return f"column {j}" if names is None else f"column {names[j]!r}"

    if not np.all(np.isfinite(size)):
        j = int(np.flatnonzero(~np.isfinite(size))[0])
        raise ValueError(f"{name} contains NaN or infinity in {column(j)}; drop or impute such values.")
    bad = (size > LARGEST[kind]) | ((size > 0) & (size < SMALLEST[kind]))
    if np.any(bad):
        j = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{name}: the magnitude of {column(j)} is {size[j]:.3g}, out of the range "
            f"[{SMALLEST[kind]:g}, {LARGEST[kind]:g}] in which {np.dtype(dtype)} keeps its precision when "
            "squared; rescale it."
        )


def _sparse_design(X, name):
    if X.ndim != 2:
        raise ValueError(f"{name} must be 2-D, got a {X.ndim}-D sparse array; reshape it.")
    _check_shape(X.shape, name)
    if X.format == "csc" and (design := _as_lent(X)) is not None:
        return design
    if X.format in ("csc", "csr", "bsr"):
        _check_compressed(X, name)
    if X.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} has data type {X.dtype}; only real data is supported (complex or object data is not)."
        )
    kind = np.float32 if X.dtype in (np.float16, np.float32) else np.float64
    data, indices, indptr = _canonical_parts(X if X.format == "csc" else X.tocsc())
    data = np.ascontiguousarray(data, dtype=kind)
    if not _is_tame(data):
        filled = np.flatnonzero(np.diff(indptr))
        _check_columns_of_entries(data, filled, indptr[filled], kind, name)
    index = np.int32 if data.size < np.iinfo(np.int32).max else np.int64
    return CSC(data, indices.astype(index, copy=False), indptr.astype(index, copy=False), X.shape[0])


def _as_lent(X):
    """The design of a matrix by columns that is canonical as it is, as most are; None where it takes a longer look."""
    data, indices, indptr, (n_rows, width) = X.data, X.indices, X.indptr, X.shape
    is_typed = data.dtype == _DOUBLE and indices.dtype == indptr.dtype == _INDEX
    are_plain = data.flags.num & indices.flags.num & indptr.flags.num & _PLAIN == _PLAIN
    if not (is_typed and are_plain and n_rows and width and indptr.size == width + 1):
        return None
    design = alike(CSC, data=data, indices=indices, indptr=indptr, n_rows=n_rows)
    return design if is_canonical(design, SMALLEST[np.float64], LARGEST[np.float64]) else None


def _canonical_parts(X):
    """Entries, row numbers and pointers of a CSC matrix, sorted and without duplicates: its own, or those of a copy."""
    count = X.indptr[-1]
    data, indices, indptr = X.data[:count], X.indices[:count], X.indptr
    if _is_canonical(indices, indptr):
        return data, indices, indptr
    copy = sparse.csc_array((data, indices, indptr), shape=X.shape, copy=True)
    copy.sum_duplicates()
    return copy.data, copy.indices, copy.indptr


def _is_tame(data):
    """Whether every stored entry is in range by itself, so that no column needs a look of its own."""
    kind = data.dtype.type
    sizes = (np.abs(data[start : start + _AT_ONCE]) for start in range(0, data.size, _AT_ONCE))
    return all(size.min() >= SMALLEST[kind] and size.max() <= LARGEST[kind] for size in sizes)


def _is_canonical(indices, indptr):
    """Whether the row numbers of each column increase; scipy's own test takes ten times as long."""
    ends = indptr[1:-1]
    increases = indices[1:] > indices[:-1]
    # from one column to the next they may fall
    increases[ends[(ends > 0) & (ends < indices.size)] - 1] = True
    return bool(np.logical_and.reduce(increases))


def _check_columns_of_entries(data, filled, starts, kind, name):
    if not np.all(np.isfinite(data)):
        j = filled[np.searchsorted(starts, int(np.flatnonzero(~np.isfinite(data))[0]), side="right") - 1]
        raise ValueError(f"{name} contains NaN or infinity in column {j}; drop or impute such values.")
    largest, smallest = np.maximum.reduceat(data, starts), np.minimum.reduceat(data, starts)
    _check_columns(largest, smallest, np.dtype(kind), name, filled)


def _check_compressed(X, name):
    """Refuse index arrays that would make a compiled loop read outside of memory."""
    rows, columns = X.shape
    groups, inner = (columns, rows) if X.format == "csc" else (rows, columns)
    if X.format == "bsr":
        groups, inner = rows // X.blocksize[0], columns // X.blocksize[1]
    indptr, indices = X.indptr, X.indices
    is_pointer = indptr.size == groups + 1 and indptr[0] == 0 and np.logical_and.reduce(indptr[1:] >= indptr[:-1])
    if not is_pointer or indptr[-1] > min(indices.size, X.data.shape[0]):
        raise ValueError(
            f"{name} has a malformed {X.format.upper()} structure: indptr is not a monotone pointer array into indices; rebuild it."
        )
    used = indices[: indptr[-1]]
    if used.size and (np.minimum.reduce(used) < 0 or np.maximum.reduce(used) >= inner):
        raise ValueError(
            f"{name} has a malformed {X.format.upper()} structure: an index is out of bounds [0, {inner}); rebuild it."
        )


def feature_names(X):
    """Column names of a data frame as a tuple of strings, or None."""
    columns = getattr(X, "columns", None)
    return None if columns is None else tuple(map(str, columns))


def as_targets(y, n_samples, dtype, name="y"):
    """Vector of one number a sample, in the design's type."""
    if y is None:
        raise ValueError(f"{name} is None; one target for each sample is required.")
    vector = _as_vector(y, n_samples, name)
    return np.ascontiguousarray(vector, dtype=dtype)


def as_responses(Y, n_samples, dtype, name="y"):
    """Matrix of one row a sample and one column a response, in the design's type."""
    if Y is None:
        raise ValueError(f"{name} is None; one row for each sample is required.")
    matrix = as_floats(Y, name)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(f"{name} must be 2-D, one column a response; got shape {matrix.shape}.")
    for column in matrix.T:
        _as_vector(column, n_samples, name)
    return np.array(matrix, dtype=dtype)


def as_weights(sample_weight, n_samples):
    """Weights that sum to one, in float64."""
    vector = _as_vector(sample_weight, n_samples, "sample_weight").astype(np.float64)
    if np.any(vector < 0):
        i = int(np.flatnonzero(vector < 0)[0])
        raise ValueError(f"sample_weight is negative ({vector[i]:g}) in row {i}; weights must be nonnegative.")
    total = vector.sum()
    if total == 0:
        raise ValueError("sample_weight is all zero; at least one weight must be positive.")
    return vector / total


def _as_vector(values, n_samples, name):
    if type(values) is not np.ndarray and isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{name} is a masked array with missing values; fill or drop them first.")
    vector = as_floats(values, name)
    if vector.ndim != 1:
        raise ValueError(f"{name} must be 1-D, got shape {vector.shape}; pass one column, or its ravel().")
    if vector.size != n_samples:
        raise ValueError(f"{name} has {vector.size} entries for {n_samples} samples; their lengths must match.")
    size, kind = np.maximum.reduce(np.abs(vector), initial=0.0), vector.dtype.type
    if not size < np.inf:
        i = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise ValueError(f"{name} contains NaN or infinity in row {i}; drop or impute such values.")
    if size > LARGEST[kind] or 0 < size < SMALLEST[kind]:
        raise ValueError(
            f"{name}: its magnitude {size:.3g} is out of the range [{SMALLEST[kind]:g}, {LARGEST[kind]:g}]; rescale it."
        )
    return vector


def as_number(value, name, *, least=-np.inf, above=-np.inf, finite=True):
    """A real number as a float, or an error that names it."""
    if type(value) is float and least <= value and above < value < math.inf:
        return value
    if not isinstance(value, float) and not _is_real(value):
        if np.ndim(value) > 0:
            raise TypeError(f"{name} must be a real number, got an array of shape {np.shape(value)}; pass one number.")
        raise TypeError(f"{name} must be a real number, got {value!r} of type {type(value).__name__}.")
    number = float(value)
    if math.isnan(number) or (finite and math.isinf(number)):
        raise ValueError(f"{name} must be finite, got {number}.")
    if number < least:
        raise ValueError(
            f"{name} must be at least {least:g}, got {number:g}: a negative or smaller value has no meaning here."
        )
    if number <= above:
        raise ValueError(f"{name} must be greater than {above:g}, got {number:g}.")
    return number


def as_strength(alpha):
    """The strength of a penalty on single coefficients, a float; many are the business of `Weighted`."""
    if not isinstance(alpha, float) and np.ndim(alpha) > 0:
        raise TypeError(
            f"alpha must be a real number, got an array of shape {np.shape(alpha)}; for one a coefficient, weigh a "
            "penalty of strength 1: Weighted(L1(1.0), alphas)."
        )
    return as_number(alpha, "alpha", least=0.0)


def _is_real(value):
    """Whether a value is one real number; a truth value is none."""
    is_number = isinstance(value, numbers.Real | np.ndarray) and not isinstance(value, bool | np.bool_)
    return is_number and np.ndim(value) == 0


def is_whole(value):
    """Whether a value is a whole number, of Python or of numpy; a boolean is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def as_count(value, name, *, least=0):
    """A whole number, or an error that names it."""
    if type(value) is not int and not is_whole(value):
        raise TypeError(f"{name} must be a whole number, got {value!r} of type {type(value).__name__}.")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}.")
    return int(value)


def as_coefficients(w, shape, dtype, name="w0"):
    """A private copy of coefficients as one vector; a matrix may come as its vector in C order."""
    array = as_floats(w, name)
    if array.shape != shape and array.shape != (math.prod(shape),):
        raise ValueError(
            f"{name} has shape {array.shape}, but the problem has {shape[0]} features: pass shape {shape}."
        )
    if not np.logical_and.reduce(np.isfinite(array), axis=None):
        raise ValueError(f"{name} contains NaN or infinity.")
    copy = np.array(array, dtype=dtype, order="C")
    return copy if copy.ndim == 1 else copy.ravel()
