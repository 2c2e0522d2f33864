"""Factors in parts, against LAPACK."""

import numpy as np
import pytest

from sparseopt.solvers.trees import triangular_parts
from sparseopt.solvers.trees.triangular_parts import cholesky, copied, inverse_diagonal, largest_eigenpair


def drained(parts):
    """What a generator returns."""
    while True:
        try:
            next(parts)
        except StopIteration as done:
            return done.value


@pytest.fixture(params=[1, 64, 1000])
def matrix(request, monkeypatch):
    """A positive definite matrix, of which a product takes one block, or several that are not all as wide."""
    monkeypatch.setattr(triangular_parts, "_PRODUCTS", 1)
    monkeypatch.setattr(triangular_parts, "_NARROWEST", request.param)
    A = np.random.default_rng(0).standard_normal((200, 130))
    return A.T @ A / 200


def test_the_factor_is_that_of_lapack(matrix):
    factor = drained(copied(matrix, np.empty_like(matrix, order="F")))
    np.testing.assert_array_equal(factor, matrix)
    assert drained(cholesky(factor))
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(matrix), atol=1e-12)


def test_the_diagonal_of_the_inverse(matrix):
    factor = np.array(matrix, order="F")
    assert drained(cholesky(factor))
    np.testing.assert_allclose(drained(inverse_diagonal(factor)), np.linalg.inv(matrix).diagonal(), rtol=1e-10)


def test_a_matrix_that_is_not_definite_has_no_factor(matrix):
    indefinite = np.array(matrix, order="F")
    indefinite[100, 100] = -1.0
    assert not drained(cholesky(indefinite))


def test_the_largest_eigenpair_is_close_and_not_exceeded():
    A = np.random.default_rng(1).standard_normal((300, 200))
    matrix = A.T @ A
    largest = np.linalg.eigvalsh(matrix)[-1]
    found, vector = drained(largest_eigenpair(lambda v: matrix @ v, 200, 1e-3))
    assert (1 - 1e-3) * largest <= found <= largest * (1 + 1e-12)
    assert vector @ vector == pytest.approx(1.0)
    assert vector @ matrix @ vector == pytest.approx(found)


def test_the_eigenvalue_of_a_matrix_of_rank_one_takes_one_step():
    v = np.ones(7)
    value, vector = drained(largest_eigenpair(lambda x: v * (v @ x), 7, 1e-3))
    assert value == pytest.approx(7.0)
    assert np.abs(vector) == pytest.approx(1.0 / np.sqrt(7.0))
