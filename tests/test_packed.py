"""Points of few nonzeros: what holds one looks as if it held the vector."""

import dataclasses
import pickle

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.packed import packed_point

RNG = np.random.default_rng(3)
X = sparse.random_array((80, 2000), density=0.01, rng=RNG, format="csc")
Y = np.asarray(X @ np.where(RNG.random(2000) < 0.01, 1.0, 0.0)) + 0.05 * RNG.standard_normal(80)


@pytest.fixture
def found():
    loss = so.LeastSquares(X, Y)
    return so.path(so.Problem(loss), [so.L1(alpha) for alpha in so.alpha_grid(loss, 8, 0.1)])


def test_coefficients_are_unpacked_when_they_are_asked_for(found):
    solution = found[-1]
    assert packed_point(solution) is not None
    assert "w" not in vars(solution)
    support = solution.support
    assert solution.w.shape == (2000,)
    assert solution.w.flags.writeable
    assert solution.w is solution.w
    np.testing.assert_array_equal(np.flatnonzero(solution.w), support)
    np.testing.assert_array_equal(solution.certificate.w, solution.w)
    assert solution.certificate.w is not solution.w


def test_the_coefficients_of_a_path_are_its_rows_whether_packed_or_not(found):
    before = found.w
    np.testing.assert_array_equal(before, np.stack([solution.w for solution in found]))
    np.testing.assert_array_equal(before, found.w)
    assert before is not found.w


@pytest.mark.parametrize("copied", [lambda s: pickle.loads(pickle.dumps(s)), dataclasses.replace], ids=["pickle", "replace"])  # fmt: skip
def test_a_copy_of_a_packed_solution_is_that_solution(found, copied):
    solution = found[-1]
    again = copied(solution)
    np.testing.assert_array_equal(again.w, solution.w)
    np.testing.assert_array_equal(again.support, solution.support)
    assert repr(again) == repr(solution)


def test_a_class_that_holds_nothing_has_no_coefficients():
    assert not hasattr(so.Solution, "w")


def test_single_precision_stays_so():
    loss = so.LeastSquares(X.astype(np.float32), Y)
    found = so.path(so.Problem(loss), [so.L1(alpha) for alpha in so.alpha_grid(loss, 4, 0.1)], tol=1e-4)
    assert found.w.dtype == found[-1].w.dtype == np.float32
    assert found[-1].certificate.w.dtype == np.float64
    np.testing.assert_array_equal(found[-1].certificate.w, found[-1].w)


def test_points_that_need_more_digits_than_the_data_keep_them_in_a_path():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 12)).astype(np.float32)
    loss = so.LeastSquares(X, X[:, :6].sum(axis=1))
    found = so.path(
        so.Problem(loss, so.TotalVariation(1.0)), [so.TotalVariation(alpha) for alpha in (1.0, 0.1, 0.01)], tol=1e-9
    )
    assert any(solution.w.dtype == np.float64 for solution in found)
    for row, solution in zip(found.w, found, strict=True):
        np.testing.assert_array_equal(row, solution.w)


def test_values_that_are_made_without_their_own_way_in_have_all_fields():
    problem = so.Problem(so.Quadratic(np.eye(2), np.array([-3.0, 1.0])), constraint=so.Box(0.0, 1.0))
    solution = so.solve(problem)
    for value in (solution, solution.certificate):
        assert {field.name for field in dataclasses.fields(value) if field.name != "w"} <= vars(value).keys()
