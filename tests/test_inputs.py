"""Bad input is refused at the door, in words that name what, where and what to do; odd but good input is taken."""

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.designs.csc import compressed_columns
from sparseopt.inputs import as_design

RNG = np.random.default_rng(5)
X = RNG.standard_normal((8, 3))
Y = RNG.standard_normal(8)
LABELS = np.array([1, -1, 1, -1, 1, 1, -1, 1])
S = sparse.csc_array(np.where(np.abs(X) > 0.3, X, 0.0))


def altered(array, index, value):
    changed = np.array(array, dtype=np.result_type(array, type(value)) if isinstance(value, complex) else None)
    changed[index] = value
    return changed


def malformed(**parts):
    """A sparse matrix whose arrays were changed behind its back, as foreign code can."""
    matrix = S.copy()
    for name, value in parts.items():
        setattr(matrix, name, value)
    return matrix


BAD_MATRICES = [
    (altered(X, (2, 1), np.nan), "X contains NaN or infinity in column 1; drop or impute"),
    (altered(X, (0, 2), np.inf), "X contains NaN or infinity in column 2"),
    (altered(X, (0, 0), -np.inf), "X contains NaN or infinity in column 0"),
    (
        pd.DataFrame(altered(X, (2, 1), np.nan), columns=["age", "dose", "time"]),
        "X contains NaN or infinity in column 'dose'",
    ),
    (pd.DataFrame({"a": ["x", "y"], "b": [1.0, 2.0]}), "X has type (object|str) in column 'a'; encode"),
    (malformed(data=altered(S.data, 0, np.nan)), "X contains NaN or infinity in column 0"),
    (X + 1j, "X is complex; only real data is supported: pass its real part"),
    (S.astype(complex), "X has data type complex128; only real data is supported"),
    (np.array([["a", "b"]] * 8), "X cannot be converted to float .* encode non-numeric columns first"),
    (np.array([[None, 1.0]] * 8, dtype=object), "X (contains NaN|cannot be converted)"),
    (np.array([["2020-01-01"]] * 8, dtype="datetime64[D]"), "X holds dates or times"),
    ([[1.0, 2.0], [3.0]], "X cannot be|inhomogeneous"),
    (X[0], r"X must be 2-D, one row a sample; got 1-D with shape \(3,\); reshape it"),
    (X[:, :, None], r"X must be 2-D, one row a sample; got 3-D with shape \(8, 3, 1\)"),
    (np.float64(1.0), r"X must be 2-D"),
    (None, "X is None; a matrix with one row a sample is required"),
    (np.empty((0, 3)), r"X has 0 samples \(shape \(0, 3\)\); at least one row"),
    (np.empty((8, 0)), r"X has 0 features \(shape \(8, 0\)\); at least one column"),
    (sparse.csc_array((8, 0)), "X has 0 features"),
    (sparse.csc_array((0, 3)), "X has 0 samples"),
    (sparse.coo_array(np.arange(8.0)), "X must be 2-D, got a 1-D sparse array"),
    (np.ma.masked_invalid(altered(X, (0, 0), np.nan)), "X is a masked array with missing values; fill or drop"),
    (X * 1e100, "X: the magnitude of column 0 is .*, out of the range .* rescale it"),
    (altered(X, (slice(None), 1), 1e-200), "X: the magnitude of column 1 is 1e-200, out of the range"),
    ((X * 1e12).astype(np.float32), "X: the magnitude of column 0 is .* float32 keeps its precision"),
    (malformed(indices=S.indices + 7), "X has a malformed CSC structure: an index is out of bounds"),
    (malformed(indices=altered(S.indices, 0, -1)), "X has a malformed CSC structure: an index is out of bounds"),
    (
        malformed(indptr=S.indptr[::-1].copy()),
        "X has a malformed CSC structure: indptr is not a monotone pointer array",
    ),
    (malformed(indptr=altered(S.indptr, -1, 10**6)), "X has a malformed CSC structure: indptr"),
    (malformed(indptr=altered(S.indptr, 0, 1)), "X has a malformed CSC structure: indptr"),
    (malformed(indices=S.indices[:-2]), "X has a malformed CSC structure: indptr"),
    (malformed(data=S.data[:-2]), "X has a malformed CSC structure: indptr"),
]


@pytest.mark.parametrize(("matrix", "message"), BAD_MATRICES, ids=range(len(BAD_MATRICES)))
@pytest.mark.parametrize("loss", [so.LeastSquares, so.Logistic, so.Huber])
def test_a_bad_matrix_is_refused(loss, matrix, message):
    with pytest.raises((ValueError, TypeError), match=message):
        loss(matrix, LABELS)


BAD_TARGETS = [
    (Y[:5], "y has 5 entries for 8 samples; their lengths must match"),
    (Y[:, None], r"y must be 1-D, got shape \(8, 1\); pass one column, or its ravel"),
    (altered(Y, 3, np.nan), "y contains NaN or infinity in row 3"),
    (altered(Y, 0, np.inf), "y contains NaN or infinity in row 0"),
    (Y + 1j, "y is complex"),
    (None, "y is None; one target for each sample"),
    (np.array(["a"] * 8), "y cannot be converted to float"),
    (Y * 1e100, "y: its magnitude .* is out of the range"),
    (1.0, "y must be 1-D"),
]


@pytest.mark.parametrize(("targets", "message"), BAD_TARGETS, ids=range(len(BAD_TARGETS)))
@pytest.mark.parametrize("loss", [so.LeastSquares, so.Logistic, so.Huber])
def test_bad_targets_are_refused(loss, targets, message):
    with pytest.raises((ValueError, TypeError), match=message):
        loss(X, targets)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (altered(np.ones(8), 4, -0.5), r"sample_weight is negative \(-0.5\) in row 4"),
        (np.zeros(8), "sample_weight is all zero; at least one weight must be positive"),
        (altered(np.ones(8), 4, np.nan), "sample_weight contains NaN or infinity in row 4"),
        (np.ones(7), "sample_weight has 7 entries for 8 samples"),
        (np.ones((8, 1)), r"sample_weight must be 1-D, got shape \(8, 1\)"),
        (2.0, "sample_weight must be 1-D"),
    ],
)
def test_bad_weights_are_refused(weights, message):
    with pytest.raises((ValueError, TypeError), match=message):
        so.LeastSquares(X, Y, sample_weight=weights)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(8), r"y must be binary, in {-1, 1} or {0, 1}, got the values 0, 1, 2, 3...; encode the classes"),
        (Y, "y must be binary"),
        (np.array([1, 2] * 4), "y must be binary.*1, 2"),
        (np.array([-1, 0, 1, 1] * 2), "y must be binary"),
    ],
)
def test_labels_that_are_not_binary_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        so.Logistic(X, labels)


def test_one_class_is_refused_only_with_an_intercept():
    halves = np.repeat([0.0, 1.0], 4)
    for labels, weights in ((np.ones(8), None), (halves, halves)):
        with pytest.raises(ValueError, match="y has one class only where it has weight, so that the intercept would"):
            so.Logistic(X, labels, weights, intercept=True)
    assert so.solve(so.Problem(so.Logistic(X, np.ones(8)), so.L1(0.1))).status is so.Status.CONVERGED


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: so.LeastSquares(X, Y, intercept="yes"), TypeError, "intercept must be True or False, got 'yes'"),
        (lambda: so.LeastSquares(X, Y, intercept=1), TypeError, "intercept must be True or False, got 1"),
        (lambda: so.Huber(X, Y, delta=0.0), ValueError, "delta must be greater than 0, got 0"),
        (lambda: so.Huber(X, Y, delta=np.nan), ValueError, "delta must be finite"),
        (lambda: so.Huber(X, Y, delta=None), TypeError, "delta must be a real number, got None of type NoneType"),
        (lambda: so.Quadratic(X, Y), ValueError, r"Q must be square, got shape \(8, 3\)"),
        (
            lambda: so.Quadratic(X.T @ X + np.triu(np.ones((3, 3)), 1), Y[:3]),
            ValueError,
            r"Q must be symmetric; pass \(Q \+ Q.T\) / 2",
        ),
        (lambda: so.Quadratic(-np.eye(3), Y[:3]), ValueError, "Q has a negative curvature: its diagonal entry 0 is -1"),
        (lambda: so.Quadratic(np.eye(3), Y[:2]), ValueError, "c has 2 entries"),
        (
            lambda: so.Quadratic(altered(np.eye(3), (1, 1), np.nan), Y[:3]),
            ValueError,
            "Q contains NaN or infinity in column 1",
        ),
        (lambda: so.L1(-0.1), ValueError, "alpha must be at least 0, got -0.1"),
        (lambda: so.L1(np.nan), ValueError, "alpha must be finite, got nan"),
        (lambda: so.L1(np.inf), ValueError, "alpha must be finite, got inf"),
        (lambda: so.L1("0.1"), TypeError, "alpha must be a real number, got '0.1' of type str"),
        (lambda: so.L1(True), TypeError, "alpha must be a real number, got True of type bool"),
        (
            lambda: so.L1(np.ones(3)),
            TypeError,
            r"alpha must be a real number, got an array of shape \(3,\).* Weighted\(",
        ),
        (
            lambda: so.Huber(X, Y, delta=[1.0, 2.0]),
            TypeError,
            r"delta must be a real number, got an array of shape \(2,\)",
        ),
        (lambda: so.L1(1j), TypeError, "alpha must be a real number"),
        (lambda: so.L0(-1), ValueError, "alpha must be at least 0"),
        (lambda: so.L0L1(0.1, -1), ValueError, "beta must be at least 0"),
        (lambda: so.MCP(0.1, 0.0), ValueError, "gamma must be greater than 0"),
        (lambda: so.SCAD(0.1, 2.0), ValueError, "gamma must be greater than 2"),
        (lambda: so.Ridged(so.L1(0.1), -1.0), ValueError, "beta must be at least 0"),
        (lambda: so.Ridged(0.1, 1.0), TypeError, r"Ridged takes a penalty, got float; for example Ridged\(L1"),
        (
            lambda: so.Weighted(so.L1(0.1), [1.0, -1.0]),
            ValueError,
            "weights of Weighted must be a vector of finite nonnegative numbers",
        ),
        (lambda: so.Weighted(so.L1(0.1), [1.0, np.nan]), ValueError, "weights of Weighted must be"),
        (lambda: so.Weighted(so.L1(0.1), 1.0), ValueError, "weights of Weighted must be a vector"),
        (lambda: so.Cardinality(-1), ValueError, "k must be at least 0, got -1"),
        (lambda: so.Cardinality(2.5), TypeError, "k must be a whole number, got 2.5 of type float"),
        (lambda: so.Cardinality(True), TypeError, "k must be a whole number, got True"),
        (lambda: so.Box(1.0, 0.0), ValueError, "Box is empty: lower 1 exceeds upper 0 in entry 0; swap or correct"),
        (lambda: so.Box([0.0, 2.0], [1.0, 1.0]), ValueError, "Box is empty: lower 2 exceeds upper 1 in entry 1"),
        (lambda: so.Box(np.nan, 1.0), ValueError, "lower of Box contains NaN; use -inf or inf"),
        (lambda: so.Box(np.inf, np.inf), ValueError, "Box is empty"),
        (
            lambda: so.Box(np.zeros((2, 2)), 1.0),
            ValueError,
            r"lower of Box must be a number or a vector, got shape \(2, 2\)",
        ),
        (
            lambda: so.Box([0.0, 0.0], [1.0, 1.0, 1.0]),
            ValueError,
            "Box has 2 lower and 3 upper bounds; their lengths must match",
        ),
        (lambda: so.Box("a", 1.0), ValueError, "lower of Box cannot be converted to float"),
        (lambda: so.Simplex(0.0), ValueError, "total must be greater than 0"),
        (lambda: so.L1Ball(-1.0), ValueError, "radius must be greater than 0"),
        (
            lambda: so.LinearConstraint(altered(X, (0, 0), np.nan), 0.0, 1.0),
            ValueError,
            "A of LinearConstraint contains NaN or infinity",
        ),
        (
            lambda: so.LinearConstraint(X, np.zeros(3), 1.0),
            ValueError,
            r"lower of LinearConstraint has shape \(3,\) for 8 rows of A",
        ),
        (
            lambda: so.LinearConstraint(X, 1.0, 0.0),
            ValueError,
            "LinearConstraint is empty: lower 1 exceeds upper 0 in entry 0",
        ),
        (lambda: so.LinearConstraint(X + 1j, 0.0, 1.0), (TypeError, ValueError), "A of LinearConstraint is complex"),
        (
            lambda: so.LinearConstraint(malformed(indices=S.indices + 100), 0.0, 1.0),
            ValueError,
            "A.* malformed CSC structure",
        ),
        (lambda: so.Intersection(so.Box(0, 1), so.L1(0.1)), TypeError, "Intersection takes constraints, got L1"),
        (lambda: so.Problem(so.L1(0.1), so.L1(0.1)), TypeError, "loss must be a Loss, got L1"),
        (
            lambda: so.Problem(so.LeastSquares(X, Y), 0.1),
            TypeError,
            "penalty must be a PenaltyTerm, got float",
        ),
        (
            lambda: so.Problem(so.LeastSquares(X, Y), so.Box(0, 1)),
            TypeError,
            "penalty must be a PenaltyTerm, got Box",
        ),
        (
            lambda: so.Problem(so.LeastSquares(X, Y), constraint=so.L1(0.1)),
            TypeError,
            "constraint must be a Constraint or None, got L1",
        ),
        (
            lambda: so.Problem(so.LeastSquares(X, Y), constraint=so.Cardinality(4)),
            ValueError,
            "k = 4 exceeds the 3 features; choose k between 0 and 3",
        ),
        (
            lambda: so.Problem(so.LeastSquares(X, Y), so.Weighted(so.L1(0.1), [1.0])),
            ValueError,
            "Weighted has 1 weights for 3 coefficients",
        ),
        (
            lambda: so.Problem(so.LeastSquares(X, Y), so.Ridged(so.Weighted(so.L1(0.1), [1.0]), 1.0)),
            ValueError,
            "Weighted has 1 weights for 3 coefficients",
        ),
        (
            lambda: so.Problem(so.LeastSquares(X, Y), constraint=so.Box(np.zeros(2), 1.0)),
            ValueError,
            "lower of Box has 2 entries for 3 coefficients",
        ),
        (
            lambda: so.Problem(so.LeastSquares(X, Y), constraint=so.LinearConstraint(np.ones((1, 2)), 0, 1)),
            ValueError,
            "A of LinearConstraint has 2 columns for 3 coefficients",
        ),
        (lambda: so.ProximalGradient(step_length=0.0), ValueError, "step_length must be greater than 0"),
    ],
)
def test_a_wrong_argument_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


class Asymmetric(so.Penalty):
    def value(self, w):
        return w * w if w > 0 else 0.0

    def prox(self, v, step):
        return v


def test_nonnegative_refuses_what_it_has_no_formula_for():
    with pytest.raises(
        ValueError, match="no right formula is known, because the penalty is declared neither convex nor symmetric"
    ):
        so.Nonnegative(Asymmetric())


REFERENCE = so.solve(so.Problem(so.LeastSquares(X, Y), so.L1(0.05)), tol=1e-12).w


@pytest.mark.parametrize(
    "lend",
    [
        np.ascontiguousarray,
        np.asfortranarray,
        lambda A: np.repeat(A, 2, axis=0)[::2],
        lambda A: A[::-1][::-1],
        lambda A: A.tolist(),
        lambda A: A.astype(">f8"),
        lambda A: A.astype(np.longdouble),
        lambda A: A.astype(object),
        np.matrix,
        np.ma.array,
        pd.DataFrame,
        lambda A: pd.DataFrame(A).astype("Float64"),
        lambda A: pd.DataFrame(A).astype(pd.SparseDtype(float, 0.0)),
        sparse.csc_array,
        sparse.csc_matrix,
        sparse.csr_array,
        sparse.coo_matrix,
        sparse.lil_array,
        sparse.dok_array,
        sparse.bsr_array,
        sparse.dia_array,
        lambda A: sparse.coo_array(
            (np.tile(A.ravel() / 2, 2), np.tile(np.indices(A.shape).reshape(2, -1), 2)), shape=A.shape
        ),
    ],
    ids=range(22),
)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_the_same_numbers_in_any_form_are_the_same_problem(lend):
    loss = so.LeastSquares(lend(X), Y)
    np.testing.assert_allclose(loss.X.to_array(), X, rtol=1e-15)
    np.testing.assert_allclose(so.solve(so.Problem(loss, so.L1(0.05)), tol=1e-12).w, REFERENCE, atol=1e-6)


def test_unsorted_duplicate_and_zero_entries_are_put_in_order():
    lent = sparse.csc_array(
        (np.array([1.0, 2.0, 0.0, 4.0, -1.0]), np.array([2, 0, 1, 1, 1]), np.array([0, 3, 5])), shape=(3, 2)
    )
    before = lent.data.tobytes(), lent.indices.tobytes()
    loss = so.LeastSquares(lent, np.ones(3))
    assert (lent.data.tobytes(), lent.indices.tobytes()) == before
    np.testing.assert_array_equal(loss.X.to_array(), [[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (np.float32, np.float32),
        (np.float16, np.float32),
        (np.float64, np.float64),
        (np.int8, np.float64),
        (np.uint64, np.float64),
        (bool, np.float64),
    ],
)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
def test_float32_stays_and_all_else_becomes_float64(kind, expected, storage):
    if storage is sparse.csc_array and kind is np.float16:
        with pytest.raises(ValueError, match="float16"):
            storage(np.abs(X).astype(kind))
        return
    assert so.LeastSquares(storage(np.abs(X).astype(kind)), Y).dtype == expected


def test_data_in_canonical_form_is_not_copied():
    dense = np.asfortranarray(X)
    assert np.shares_memory(so.LeastSquares(dense, Y).X.values, dense)
    assert np.shares_memory(so.LeastSquares(dense, Y, intercept=True).X.values, dense)
    loss = so.LeastSquares(S, Y)
    assert np.shares_memory(loss.X.data, S.data)
    assert np.shares_memory(loss.X.indices, S.indices)


@pytest.mark.parametrize("columns", [np.zeros(8), np.full(8, 3.0)], ids=["zero", "constant"])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
def test_a_constant_column_is_no_trouble(columns, storage):
    lent = storage(np.column_stack([X, columns]))
    for loss in (so.LeastSquares, so.Huber):
        solution = so.solve(so.Problem(loss(lent, Y, intercept=True), so.L1(0.01)))
        assert solution.status is so.Status.CONVERGED
        assert solution.w[3] == 0.0


def test_more_columns_than_rows_and_one_of_each():
    for shape in ((1, 1), (1, 5), (5, 1), (3, 50)):
        lent, targets = RNG.standard_normal(shape), RNG.standard_normal(shape[0])
        for intercept in (False, True):
            assert (
                so.solve(
                    so.Problem(so.LeastSquares(lent, targets, intercept=intercept), so.L1(0.01))
                ).certificate.relative_gap
                <= 1e-6
            )


def test_a_sparse_matrix_with_stored_zeros_is_taken_as_it_is():
    lent = sparse.csc_array((np.array([0.0, 2.0, -0.0]), np.array([0, 2, 1], np.int32), np.array([0, 2, 3], np.int32)))
    design = as_design(lent)
    assert design.data is lent.data
    assert design.n_entries == 3
    lent.data[1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity in column 0"):
        as_design(lent)


@pytest.mark.parametrize(
    "columns", [[[0, 2], [1], []], [[], [2, 0], [1]], [[0, 0], [], [1]]], ids=["sorted", "not", "twice"]
)
def test_columns_of_a_sparse_matrix_are_sorted_and_without_duplicates(columns):
    indptr = np.cumsum([0, *map(len, columns)])
    indices = np.array([i for column in columns for i in column], dtype=np.int32)
    lent = sparse.csc_array((np.arange(1.0, indices.size + 1), indices, indptr), shape=(3, 3))
    design = as_design(lent)
    np.testing.assert_array_equal(design.to_array(), lent.toarray())
    for start, end in pairwise(design.indptr):
        assert np.all(np.diff(design.indices[start:end]) > 0)


def test_a_matrix_by_columns_made_past_the_checks_of_scipy_is_one_of_scipy():
    whole = sparse.csc_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    made = compressed_columns(whole.data, whole.indices, whole.indptr, whole.shape)
    assert vars(made).keys() == vars(sparse.csc_array(whole)).keys()
    for found, expected in (
        (made, whole),
        (made.T, whole.T),
        (made[:, [2, 0]], whole[:, [2, 0]]),
        (made.copy(), whole),
    ):
        assert found.shape == expected.shape
        assert np.array_equal(found.toarray(), expected.toarray())
    assert np.array_equal(made @ np.arange(3.0), whole @ np.arange(3.0))
    assert np.array_equal(pickle.loads(pickle.dumps(made)).toarray(), whole.toarray())


@pytest.mark.parametrize(
    ("data", "indices", "indptr"),
    [
        ([1.0, 2.0], [1, 0], [0, 2]),  # unsorted
        ([1.0, 2.0], [1, 1], [0, 2]),  # twice
        ([1.0, 0.0], [0, 1], [0, 2]),  # a stored zero
        ([1.0, 2.0, 3.0], [0, 1, 1], [0, 2]),  # more than is used
    ],
)
def test_matrices_that_are_not_canonical_mean_what_scipy_says(data, indices, indptr):
    X = sparse.csc_array((np.array(data), np.array(indices, np.int32), np.array(indptr, np.int32)), shape=(2, 1))
    design = as_design(X)
    assert np.array_equal(design.matrix.toarray(), X.toarray())
    assert design.matrix.has_canonical_format
