"""Memory of large matrices: it serves the next one, never two at a time, and does not outlive its tree."""

import gc
import weakref

import numpy as np
import pytest

import sparseopt as so
from sparseopt.solvers.subsets import gram_models
from sparseopt.solvers.subsets.gram_rows import GramRows
from sparseopt.solvers.subsets.spare_room import SpareRoom


def test_room_serves_the_next_matrix():
    spare = SpareRoom()
    first = spare.matrix(20, np.float32)
    place = first.ctypes.data
    del first
    assert spare.matrix(10, np.float64).ctypes.data == place


def test_room_is_not_given_away_while_a_view_of_it_lives():
    spare = SpareRoom()
    first = spare.matrix(20, np.float32)
    first[:] = 1.0
    views = [first.T[3:], first[:, 2].reshape(4, 5), memoryview(first.T)]
    del first
    while views:
        second = spare.matrix(20, np.float32)
        second[:] = 2.0
        assert np.all(np.asarray(views.pop()) == 1.0)
        del second


def test_matrices_that_live_at_the_same_time_are_apart():
    spare = SpareRoom()
    matrices = [spare.matrix(8, np.float32) for _ in range(5)]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(matrices) for b in matrices[:i])


@pytest.mark.parametrize(("n", "p", "model"), [(60, 250, "RoughGram"), (400, 250, "WholeGram"), (60, 1600, "WideGram")])
def test_matrices_of_a_tree_go_with_it(n, p, model, monkeypatch):
    """Without a collection of cycles: a few trees on large data would fill the memory before there is one."""
    made, random = [], np.random.default_rng(0)
    initialise = vars(gram_models)[model].__init__

    def remembered(self, *arguments):
        made.append(weakref.ref(self))
        initialise(self, *arguments)

    monkeypatch.setattr(vars(gram_models)[model], "__init__", remembered)
    X = random.standard_normal((n, p))
    y = X[:, :3].sum(axis=1) + random.standard_normal(n)
    gc.disable()
    try:
        so.solve(so.Problem(so.LeastSquares(X, y), so.Ridged(so.Zero(), 0.1), so.Cardinality(3)), so.BranchAndBound())
        assert made
        assert all(reference() is None for reference in made)
    finally:
        gc.enable()


def test_room_for_rows_grows_with_them():
    random = np.random.default_rng(0)
    A = random.standard_normal((300, 200))
    G = A.T @ A
    rows = GramRows(lambda features: G[features], A.T @ A[:, 0], G.diagonal(), 1.0)
    assert len(rows.table) < 200
    for features in np.split(random.permutation(200), [3, 50, 60, 150]):
        rows.prepare(features)
        np.testing.assert_array_equal(rows.rows(features), G[features])
    np.testing.assert_array_equal(rows.rows(np.arange(200)), G)
