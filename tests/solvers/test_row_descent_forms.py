"""Row descent finds the same minimum with a Gram matrix and through columns, whichever costs less."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt.kernels.rows import TOGETHER, descend_rows, descend_rows_through
from sparseopt.solvers.row_descent import RowBlocks, RowEntries

RNG = np.random.default_rng(12)


@pytest.mark.parametrize("q", [2, 5])
@pytest.mark.parametrize("size", [1, 3, 4, 9, 1100])
@pytest.mark.parametrize("kind", ["rows", "entries"])
def test_both_kinds_of_epochs_take_the_same_steps(kind, size, q):
    A = np.ascontiguousarray(RNG.standard_normal((size, 30)))
    slope = 5.0 * RNG.standard_normal((q, size))
    rows = RowBlocks(so.GroupLasso(6.0, q)) if kind == "rows" else RowEntries(so.L1(4.0))
    gram, features = A @ A.T, np.arange(size)
    w, v, s = np.zeros((q, size)), np.zeros((q, size)), slope.copy()
    new, step, history, image = *np.empty((2, q)), np.empty((3, q, size)), np.zeros((q, 30))
    moves, places = np.empty((TOGETHER, q)), np.empty(TOGETHER, dtype=np.int64)
    first = descend_rows(rows, gram, features, w, s, new, step, moves, places, history, -1.0)
    bends = np.diag(gram).copy()
    other = descend_rows_through(rows, A, bends, features, v, slope, image, new, step, history, -1.0)
    scale = np.abs(s).max()
    assert first[1] == other[1] == 3  # no move is below zero
    assert first[0] == pytest.approx(other[0], rel=1e-9, abs=1e-9 * scale)
    np.testing.assert_allclose(w, v, atol=1e-11 * max(np.abs(w).max(), 1.0))
    # the slope is kept up to date by the first, and the image of all moves by the second
    np.testing.assert_allclose(s, slope + w @ gram, atol=1e-11 * scale * size)
    np.testing.assert_allclose(image, v @ A, atol=1e-11 * scale)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_few_samples_and_many_rows_are_solved_alike_with_a_gram_matrix_and_through_columns(
    weighted, intercept, monkeypatch
):
    X = RNG.standard_normal((40, 300)) + 1.0
    Y = X[:, :150] @ RNG.standard_normal((150, 3)) + RNG.standard_normal((40, 3))
    weights = RNG.uniform(0.5, 2.0, 40) if weighted else None
    objectives = []
    for price in (0.0, np.inf):
        monkeypatch.setattr("sparseopt.solvers.row_descent._THROUGH", price)
        loss = so.MultiResponse(X, Y, weights, intercept)
        penalty = so.GroupLasso(1.0, 3)
        most = penalty.vanishing_factor(-loss.gradient(np.zeros(900)))
        found = so.solve(so.Problem(loss, penalty.strengthened(most / 100)), so.RowDescent(), tol=1e-9)
        assert found.status is so.Status.CONVERGED
        objectives.append(found.certificate.objective)
    # each gap is at most 1e-9 of the objective
    assert objectives[0] == pytest.approx(objectives[1], rel=2e-9)
