"""Dense linear algebra for kernels: compiled and from Python, against numpy."""

import numpy as np
import pytest

from sparseopt._jit import kernel
from sparseopt.kernels import lapack
from sparseopt.kernels.lapack import cholesky, indefinite, multiply, solve_cholesky, solve_indefinite


@kernel
def solved_both(definite, other, pivots, work, x, y):
    """Solutions of both systems in place of x and y; whether both factorisations went well."""
    went_well = cholesky(definite) == 0 and indefinite(other, pivots, work) == 0
    solve_cholesky(definite, x)
    solve_indefinite(other, pivots, y)
    return went_well


@kernel
def product(A, x, out, is_transposed):
    """A x or A'x, in place."""
    multiply(1.0, A, x, 0.0, out, is_transposed)


def systems(n=7):
    rng = np.random.default_rng(0)
    M = rng.standard_normal((n, n))
    return M @ M.T + np.eye(n), M + M.T, rng.standard_normal(n)


def test_factorisations_in_a_kernel_solve_their_systems():
    definite, other, b = systems()
    x, y = b.copy(), b.copy()
    assert solved_both(definite.copy(), other.copy(), np.zeros(7, dtype=np.int64), np.empty(448), x, y)
    assert definite @ x == pytest.approx(b)
    assert other @ y == pytest.approx(b)


def test_python_calls_the_same_routines():
    definite, _, b = systems()
    x, y, L = b.copy(), b.copy(), definite.copy()
    lapack.cholesky(L)
    lapack.solve_cholesky(L, x)
    solved_both(definite.copy(), np.eye(7), np.zeros(7, dtype=np.int64), np.empty(448), y, np.zeros(7))
    assert np.array_equal(x, y)


def test_a_matrix_that_is_not_definite_is_told():
    assert lapack.cholesky(np.diag([1.0, 2.0, -1.0])) == 3


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 1), (0, 3), (3, 0)])
def test_products_take_matrices_by_columns_of_any_shape(shape):
    rng = np.random.default_rng(1)
    A = rng.standard_normal(shape)
    x, y = rng.standard_normal(shape[1]), rng.standard_normal(shape[0])
    out, back = np.ones(shape[0]), np.ones(shape[1])
    product(np.ascontiguousarray(A.T), x, out, False)
    product(np.ascontiguousarray(A.T), y, back, True)
    assert out == pytest.approx(A @ x)
    assert back == pytest.approx(A.T @ y)
