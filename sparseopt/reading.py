"""Data files: a matrix, a target and the names of the columns, from CSV, NPZ, LIBSVM or Parquet."""

import csv
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

# What a file that was cut short or written over makes numpy and zipfile raise.
DAMAGES = (ValueError, TypeError, EOFError, OSError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
# The widest matrix whose pointers and names fit into memory with ease.
_MOST_COLUMNS = 10**7


@dataclass(frozen=True)
class Dataset:
    """Rows of observations: X is an array or a CSC array, names has one entry per column."""

    X: np.ndarray | sparse.csc_array
    y: np.ndarray
    names: tuple[str, ...]


def read(path, target=None) -> Dataset:
    """Read a data file; its format is told by its suffix.

    Parameters
    ----------
    path : str or Path
        `.csv`, `.npz` (arrays `X` and `y`, or what `scipy.sparse.save_npz` writes and `y`),
        `.svm`, `.libsvm` or `.svmlight` (text, columns counted from 1), or `.parquet` (needs pyarrow).
    target : str, optional
        Name of the column to explain in a CSV or Parquet file; the last one unless said.
    """
    path = Path(path)
    readers = {
        ".csv": _read_csv,
        ".npz": _read_npz,
        ".svm": _read_libsvm,
        ".libsvm": _read_libsvm,
        ".svmlight": _read_libsvm,
        ".parquet": _read_parquet,
    }
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path}: unknown format {path.suffix!r}; use one of {', '.join(readers)}.")
    try:
        return readers[path.suffix.lower()](path, target)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 ({error}); save it in that encoding.") from None


def _read_csv(path, target):
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        first = next(rows, [])
        has_more = any(rows)
    if not first:
        raise ValueError(f"{path}: the first row is empty; give a header or at least one row of numbers.")
    has_header = not all(_is_number(cell) for cell in first)
    if has_header and not has_more:
        raise ValueError(f"{path}: the file holds no row of numbers; give at least one.")
    names = [cell.strip() for cell in first] if has_header else _numbered(len(first))
    try:
        values = np.loadtxt(
            path,
            delimiter=",",
            quotechar='"',
            skiprows=int(has_header),
            ndmin=2,
            encoding="utf-8-sig",
            comments=None,
        )
    except ValueError as error:
        raise ValueError(_first_fault(path, names, has_header) or f"{path}: {error}") from None
    if values.shape[1] != len(names):
        raise ValueError(
            _first_fault(path, names, has_header) or f"{path}: the first row has {len(names)} cells, others more."
        )
    return _split(path, values, names, target)


def _first_fault(path, names, has_header):
    """Say in words which cell of a CSV file is no number, or which row is too long or too short."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if (number == 1 and has_header) or not row:
                continue
            if len(row) != len(names):
                return f"{path}: row {number} has {len(row)} cells, the first row {len(names)}; mend the file."
            for name, cell in zip(names, row, strict=True):
                if not _is_number(cell):
                    return (
                        f"{path}: row {number}, column {name!r} holds {cell!r}; "
                        "encode categories and fill missing cells first."
                    )
    return None


def _read_parquet(path, target):
    try:
        from pyarrow import parquet  # noqa: PLC0415, this format alone needs pyarrow
    except ImportError:
        raise ValueError(f"{path}: reading Parquet needs pyarrow; pip install pyarrow.") from None
    table = parquet.read_table(path)
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns.append(column.to_numpy().astype(float))
        except (TypeError, ValueError):
            raise ValueError(
                f"{path}: column {name!r} holds {column.type}; encode categories as numbers first."
            ) from None
    return _split(path, np.column_stack(columns), table.column_names, target)


def _read_npz(path, target):
    _refuse_target(path, target)
    arrays = read_arrays(path)
    if "y" not in arrays:
        raise ValueError(f"{path}: no array 'y' among {sorted(arrays)}; save X and y under these names.")
    if "X" in arrays:
        X = arrays["X"]
    elif {"data", "indices", "indptr", "shape"} <= arrays.keys():
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        by_rows = str(arrays.get("format", np.array("csc")).astype(str)) == "csr"
        kind = sparse.csr_array if by_rows else sparse.csc_array
        try:
            X = kind(parts, shape=tuple(arrays["shape"]))
            X.check_format()  # an index out of bounds would be read outside of memory
        except ValueError as error:
            raise ValueError(
                f"{path}: data, indices and indptr are no sparse matrix ({error}); save it again."
            ) from None
        X = sparse.csc_array(X)
    else:
        raise ValueError(f"{path}: no array 'X' among {sorted(arrays)}; save X and y under these names.")
    if X.ndim != 2:
        raise ValueError(f"{path}: X has shape {X.shape}; save it with one row per observation.")
    names = arrays.get("names", _numbered(X.shape[1]))
    return Dataset(X, arrays["y"], tuple(str(name) for name in names))


def read_arrays(path):
    """The arrays of an NPZ file by their names, or an error that names the file."""
    # opened here, since numpy leaves a damaged file open
    with Path(path).open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as stored:
                return dict(stored)
        except DAMAGES as error:
            raise ValueError(
                f"{path} is no .npz file of arrays, or a damaged one; write it with numpy.savez."
            ) from error


def _read_libsvm(path, target):
    _refuse_target(path, target)
    y, data, indices, indptr = [], [], [], [0]
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        cells = line.split("#")[0].split()
        if not cells:
            continue
        try:
            y.append(float(cells[0]))
            for cell in cells[1:]:
                column, value = cell.split(":")
                indices.append(int(column) - 1)
                data.append(float(value))
        except ValueError:
            raise ValueError(
                f"{path}: line {number} is not 'target column:value ...'; mend it, columns counted from 1."
            ) from None
        indptr.append(len(data))
    if not data:
        raise ValueError(f"{path}: the file holds no value; give at least one row 'target column:value'.")
    if min(indices) < 0:
        raise ValueError(f"{path}: column 0 found; columns of a LIBSVM file are counted from 1.")
    if max(indices) >= _MOST_COLUMNS:
        raise ValueError(f"{path}: column {max(indices) + 1} found; number the columns anew, at most {_MOST_COLUMNS}.")
    X = sparse.csr_array((data, indices, indptr), shape=(len(y), max(indices) + 1))
    return Dataset(sparse.csc_array(X), np.array(y), tuple(_numbered(X.shape[1])))


def _split(path, values, names, target):
    """Part the target's column from the others."""
    if target is None:
        target = names[-1]
    if target not in names:
        raise ValueError(f"{path}: no column {target!r}; the columns are {', '.join(names)}.")
    position = list(names).index(target)
    others = tuple(name for j, name in enumerate(names) if j != position)
    return Dataset(np.asfortranarray(np.delete(values, position, axis=1)), values[:, position].copy(), others)


def _refuse_target(path, target):
    if target is not None:
        raise ValueError(f"{path}: the target of this format is fixed; --target is for CSV and Parquet.")


def _numbered(count):
    return [f"column {j}" for j in range(count)]


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def check_path(path):
    """Raise of what is no name of a file: a number would be that of one which is open already."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a string or a path, got {type(path).__name__}.")
