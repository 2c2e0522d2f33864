"""LDL' of sparse matrices: in any order, row by row or from fronts, it solves the matrix, and its order keeps L sparse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sparseopt.inputs import as_design
from sparseopt.kernels import fronts
from sparseopt.losses.quadratic import symmetry_of
from sparseopt.solvers.quadratic import sparse_ldl
from sparseopt.solvers.quadratic.sparse_ldl import FrontFactor, RowFactor, SparseLDL, fill_reducing, joined


def quasi_definite(rng, p, m, density):
    """Blocks P and A, and a diagonal, of a matrix [P + D, A'; A, -E]."""
    M = sparse.random_array((p, p), density=density / 3, rng=rng, data_sampler=rng.standard_normal)
    A = sparse.random_array((m, p), density=density, rng=rng, data_sampler=rng.standard_normal, format="csc")
    P = sparse.csc_array(M @ M.T)
    for matrix in (P, A):
        matrix.sort_indices()
    return P, A, np.append(P.diagonal() + rng.uniform(0.1, 2.0, p), -rng.uniform(0.1, 2.0, m))


def factor_of(P, A, **options):
    blocks = [
        (below, M.indptr.astype(np.int64), M.indices.astype(np.int64), M.data) for below, M in ((0, P), (P.shape[0], A))
    ]
    return SparseLDL(*joined(blocks, sum(A.shape)), **options)


@pytest.mark.parametrize(("thick", "kind"), [(np.inf, RowFactor), (-np.inf, FrontFactor)])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_factor_solves_its_matrix(thick, kind, seed):
    rng = np.random.default_rng(seed)
    p, m = int(rng.integers(1, 60)), int(rng.integers(0, 40))
    P, A, diagonal = quasi_definite(rng, p, m, rng.choice([0.03, 0.1, 0.4]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_ldl, "_THICK", thick)
        ldl = factor_of(P, A)
    assert isinstance(ldl.factor, kind)
    K = np.block([[P.toarray(), A.toarray().T], [A.toarray(), np.zeros((m, m))]])
    np.fill_diagonal(K, diagonal)
    for _ in range(2):  # the second time in the memory of the first
        right = rng.standard_normal(p + m)
        assert ldl.factorise(K.diagonal())
        assert K @ ldl.solve(right) == pytest.approx(right, abs=1e-9)
        np.fill_diagonal(K, K.diagonal() * 2)
    signs = np.sign(ldl.factor.pivots)
    # quasi-definite: as many positive pivots as P has rows, in any order
    assert np.count_nonzero(signs > 0) == p
    assert np.count_nonzero(signs < 0) == m


def test_a_full_matrix_is_made_of_several_nodes_that_blas_adds_up():
    rng = np.random.default_rng(3)
    P, A, diagonal = quasi_definite(rng, 500, 200, 0.9)
    ldl, right = factor_of(P, A), rng.standard_normal(700)
    assert np.max(np.diff(ldl.factor.first[: ldl.factor.steps + 1])) <= fronts._WIDEST < 700
    K = np.block([[P.toarray(), A.toarray().T], [A.toarray(), np.zeros((200, 200))]])
    np.fill_diagonal(K, diagonal)
    assert ldl.factorise(diagonal)
    assert ldl.solve(right) == pytest.approx(np.linalg.solve(K, right), abs=1e-9)


def test_a_zero_pivot_is_told():
    P, A = sparse.csc_array(np.zeros((2, 2))), sparse.csc_array(np.ones((1, 2)))
    assert not factor_of(P, A).factorise(np.zeros(3))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_an_order_is_a_permutation(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 120))
    M = sparse.random_array((n, n), density=rng.choice([0.0, 0.01, 0.05, 0.3]), rng=rng)
    pattern = sparse.csc_array(M + M.T)
    pattern.setdiag(0)
    pattern.eliminate_zeros()
    place = fill_reducing(pattern.indptr.astype(np.int64), pattern.indices.astype(np.int64))
    assert np.array_equal(np.sort(place), np.arange(n))


def test_an_order_in_several_calls_is_the_one_of_one_call():
    P, A, _ = quasi_definite(np.random.default_rng(1), 90, 40, 0.1)
    whole = factor_of(P, A)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_ldl, "_ROUND", 7)
        parts = factor_of(P, A)
    assert np.array_equal(parts.place, whole.place)
    assert (parts.entries, parts.operations) == (whole.entries, whole.operations)
    assert np.array_equal(parts.factor.matrix_values, whole.factor.matrix_values)


def test_a_factor_knows_its_entries_and_operations():
    P, A, diagonal = quasi_definite(np.random.default_rng(2), 30, 12, 0.3)
    ldl = factor_of(P, A, in_rows=True)
    counts = np.diff(ldl.factor.starts)
    assert ldl.factorise(diagonal)
    assert ldl.entries == ldl.factor.values.size == counts.sum()
    assert ldl.operations == counts @ counts


@pytest.mark.parametrize("stands", [(0, 20), (0,), (20,), (0, 20, 25)])
def test_blocks_are_joined_where_they_stand(stands):
    """One block on the diagonal, or none, and up to two under it."""
    rng = np.random.default_rng(4)
    P, A, _ = quasi_definite(rng, 20, 5, 0.3)
    blocks = [(below, sparse.csc_array(P if below == 0 else A * (1 + below))) for below in stands]
    size = 20 + sum(5 for below in stands if below)
    K = np.zeros((30, 30))
    for below, M in blocks:
        K[below : below + M.shape[0], :20] += M.toarray()
        if below:
            K[:20, below : below + 5] += M.toarray().T
    given = [(below, M.indptr.astype(np.int64), M.indices.astype(np.int64), M.data) for below, M in blocks]
    starts, indices, data = joined(given, max(size, max(stands) + 5))
    found = sparse.csc_array((data, indices, starts), shape=(starts.size - 1,) * 2).toarray()
    np.fill_diagonal(K, 0.0)
    assert np.array_equal(found, K[: starts.size - 1, : starts.size - 1])


def test_a_tree_has_no_fill():
    """A tree is eliminated from its leaves without new entries, which the order has to find."""
    rng = np.random.default_rng(0)
    n = 500
    parent = np.array([rng.integers(0, k) for k in range(1, n)])
    T = sparse.csc_array((np.ones(n - 1), (np.arange(1, n), parent)), shape=(n, n))
    ldl = factor_of(sparse.csc_array(T + T.T), sparse.csc_array((0, n)))
    assert ldl.entries == n - 1


def test_a_row_that_meets_all_others_comes_last():
    n = 400
    arrow = np.zeros((n, n))
    arrow[0], arrow[:, 0] = 1.0, 1.0
    ldl = factor_of(sparse.csc_array(arrow), sparse.csc_array((0, n)))
    assert ldl.place[0] == n - 1
    assert ldl.entries == n - 1


def test_a_grid_fills_up_no_more_than_nested_dissection_would_by_much():
    """31 n log2 n / 4 is the leading term of nested dissection for n points (George, 1973)."""
    side = 40
    line = sparse.diags_array([np.ones(side - 1), np.ones(side - 1)], offsets=[-1, 1])
    grid = sparse.csc_array(sparse.kronsum(line, line))
    ldl = factor_of(grid, sparse.csc_array((0, side * side)))
    assert ldl.entries <= 31 * side**2 * np.log2(side**2) / 4 / 2


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_one_look_at_a_sparse_matrix_finds_its_diagonal_and_its_margins(kind):
    rng = np.random.default_rng(8)
    M = sparse.random_array((30, 30), density=0.1, rng=rng, data_sampler=rng.standard_normal).toarray().astype(kind)
    M, diagonal = M + M.T, np.diag(M + M.T)
    found = symmetry_of(as_design(sparse.csc_array(M)))
    assert found[0] == 1
    assert np.array_equal(found[1], diagonal)
    assert found[2] == pytest.approx(diagonal - (np.abs(M).sum(axis=0) - np.abs(diagonal)), rel=1e-5)
    other = symmetry_of(as_design(sparse.csc_array(np.triu(M))))
    assert other[0] == 0
    assert np.array_equal(other[1], diagonal)  # by scipy, as the look has ended early


def test_columns_that_do_not_continue_each_other_make_no_fronts():
    """Each coefficient has rows of its own, and only the rows are full in the end: fronts of one column do not pay."""
    rng = np.random.default_rng(5)
    p, m = 600, 120
    A = sparse.csc_array(rng.standard_normal((m, p)) * (rng.random((m, p)) < 0.5))
    ldl = factor_of(sparse.csc_array((p, p)), A)
    assert ldl.operations > sparse_ldl._THICK * ldl.entries
    assert isinstance(ldl.factor, RowFactor)
