"""Data files come back as they were written, and a fault in one is named."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy import sparse

from sparseopt.reading import read

X = np.array([[1.0, 0.0, 2.5], [0.0, -3.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 1e-3]])
Y = np.array([1.0, -1.0, 2.0, 0.5])
NAMES = ("age", "weight", "dose")


def write_csv(path, *, header=True, end="\n"):
    rows = [",".join(map(repr, map(float, row))) for row in np.column_stack([X, Y])]
    lines = [",".join([*NAMES, "outcome"])] * header + rows
    path.write_text(end.join(lines) + end, encoding="utf-8-sig")
    return path


def test_csv_with_a_header_names_its_columns(tmp_path):
    data = read(write_csv(tmp_path / "a.csv"))
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.y, Y)
    assert data.names == NAMES


def test_csv_without_a_header_and_with_windows_line_ends(tmp_path):
    data = read(write_csv(tmp_path / "a.csv", header=False, end="\r\n"))
    np.testing.assert_array_equal(data.X, X)
    assert data.names == ("column 0", "column 1", "column 2")


def test_any_column_can_be_the_target(tmp_path):
    data = read(write_csv(tmp_path / "a.csv"), target="weight")
    np.testing.assert_array_equal(data.y, X[:, 1])
    np.testing.assert_array_equal(data.X, np.column_stack([X[:, [0, 2]], Y]))
    assert data.names == ("age", "dose", "outcome")


def test_npz_holds_dense_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", X=X, y=Y, names=NAMES)
    data = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(data.X, X)
    assert data.names == NAMES


@pytest.mark.parametrize("form", ["csc", "csr"])
def test_npz_holds_what_scipy_saves_and_a_target(tmp_path, form):
    sparse.save_npz(tmp_path / "parts.npz", sparse.csc_array(X).asformat(form))
    with np.load(tmp_path / "parts.npz") as parts:
        np.savez(tmp_path / "a.npz", y=Y, **parts)
    data = read(tmp_path / "a.npz")
    assert data.X.format == "csc"
    np.testing.assert_array_equal(data.X.toarray(), X)


def test_libsvm_counts_columns_from_one_and_ignores_comments(tmp_path):
    (tmp_path / "a.svm").write_text("1 1:1 3:2.5 # first\n-1 2:-3\n\n2 1:4\n0.5 3:0.001\n")
    data = read(tmp_path / "a.svm")
    np.testing.assert_array_equal(data.X.toarray(), X)
    np.testing.assert_array_equal(data.y, Y)


def test_parquet_has_the_names_of_its_columns(tmp_path):
    columns = dict(zip([*NAMES, "outcome"], [*X.T, Y], strict=True))
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    data = read(tmp_path / "a.parquet")
    np.testing.assert_array_equal(data.X, X)
    assert data.names == NAMES


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "", "first row is empty"),
        ("a.csv", "a,b\n", "no row of numbers"),
        ("a.csv", "a,b\n1,2\n3,male\n", "row 3, column 'b' holds 'male'"),
        ("a.csv", "a,b\n1,\n", "row 2, column 'b' holds ''"),
        ("a.csv", "a,b\n1,2\n3\n", "row 3 has 1 cells"),
        ("a.svm", "", "no value"),
        ("a.svm", "1 0:2\n", "column 0"),
        ("a.svm", "1 2:2\n1 x:3\n", "line 2"),
        ("a.txt", "1,2\n", "unknown format '.txt'"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=says):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [({"X": X}, "no array 'y'"), ({"y": Y}, "no array 'X'"), ({"X": Y, "y": Y}, "one row per observation")],
)
def test_an_npz_that_misses_an_array_says_which(tmp_path, arrays, says):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=says):
        read(tmp_path / "a.npz")


def test_a_target_that_does_not_exist_lists_those_that_do(tmp_path):
    with pytest.raises(ValueError, match="no column 'height'; the columns are age, weight, dose, outcome"):
        read(write_csv(tmp_path / "a.csv"), target="height")


def test_a_target_cannot_be_chosen_where_the_format_fixes_it(tmp_path):
    np.savez(tmp_path / "a.npz", X=X, y=Y)
    with pytest.raises(ValueError, match="fixed"):
        read(tmp_path / "a.npz", target="age")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("cut.npz", b"PK\x03\x04cut", "cut.npz is no .npz file of arrays, or a damaged one"),
        ("text.npz", b"hello", "text.npz is no .npz file of arrays"),
        ("old.csv", "\u00e9,b\n1,2\n".encode("latin1"), "old.csv is no text in UTF-8"),
        ("old.svm", "1 1:2 # \u00e9\n".encode("latin1"), "old.svm is no text in UTF-8"),
        ("short.csv", b"# a remark\n1,2\n2,3\n", "short.csv: row 2 has 2 cells, the first row 1"),
        ("long.csv", b"a,b,c\n1,2\n2,3\n", "long.csv: row 2 has 2 cells, the first row 3"),
        ("wide.svm", b"1 99999999999:2\n", "wide.svm: column 99999999999 found; number the columns anew"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says):
        read(tmp_path / name)


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize(
    ("indices", "indptr"),
    [([0, 10**6], [0, 1, 2, 2]), ([0, -1], [0, 1, 2, 2]), ([0, 1], [0, 2, 1, 2]), ([0], [0, 9, 9, 9])],
)
def test_a_sparse_matrix_with_indices_out_of_bounds_is_refused(tmp_path, form, indices, indptr):
    """Converted as it is, it would be read outside of memory."""
    arrays = {"data": np.ones(len(indices)), "indices": indices, "indptr": indptr, "shape": (3, 3), "format": form}
    np.savez(tmp_path / "wrong.npz", y=np.ones(3), **arrays)
    with pytest.raises(ValueError, match="are no sparse matrix"):
        read(tmp_path / "wrong.npz")
