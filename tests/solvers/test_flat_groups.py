"""Folded concave groups where the loss bends less than the penalty: zero may be held by first order alone."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

RNG = np.random.default_rng(6)


def flat_data(n=300, p=60):
    """Columns with a curvature far below the concavity of the penalties, and a few true groups."""
    A = np.where(RNG.random((n, p)) < 0.04, RNG.standard_normal((n, p)), 0.0)
    return A, A[:, :15] @ RNG.standard_normal(15) + 0.2 * RNG.standard_normal(n)


@pytest.mark.parametrize("kind", [so.GroupMCP, so.GroupSCAD])
@pytest.mark.parametrize("over", [2.0, 10.0, 50.0])
@pytest.mark.parametrize("groups", [3, [list(range(0, 60, 2)), [1, 3], list(range(5, 60, 2))]], ids=["equal", "listed"])
def test_no_step_on_a_group_alone_finds_a_lower_point(kind, over, groups):
    A, y = flat_data()
    loss = so.LeastSquares(sparse.csc_array(A), y)
    penalty = kind(1.0, groups)
    factor = penalty.vanishing_factor(-loss.gradient(np.zeros(60))) / over
    problem = so.Problem(loss, penalty.strengthened(factor))
    found = so.solve(problem, tol=1e-9)
    assert found.status is so.Status.CONVERGED
    scale = np.abs(loss.gradient(np.zeros(60))).max()
    assert found.certificate.stationarity <= 1e-6 * scale
    partition, penalty = problem.penalty.groups, problem.penalty
    for g in range(partition.count(60)):
        columns = partition.columns(g)
        largest = np.linalg.eigvalsh(A[:, columns].T @ A[:, columns] / len(y))[-1]
        for longer in (1.0, 0.1, 1e-2):
            # a longer step than 1 / largest is no descent by itself: points on the way are looked at, too
            w = found.w.copy()
            step = longer / largest
            target = w - step * loss.gradient(w)
            moved = penalty.prox(np.where(np.isin(np.arange(60), np.arange(60)[columns]), target, 0.0), step)
            w[columns] = moved[columns]
            assert problem.objective(w) >= found.certificate.objective * (1.0 - 1e-9)


@pytest.mark.parametrize("kind", [so.GroupMCP, so.GroupSCAD])
def test_dense_and_sparse_data_lead_to_the_same_point(kind):
    A, y = flat_data(1000, 120)
    penalty = kind(1.0, 4)
    factor = penalty.vanishing_factor(-so.LeastSquares(A, y).gradient(np.zeros(120))) / 10
    dense, thin = (
        so.solve(so.Problem(so.LeastSquares(X, y), penalty.strengthened(factor)), tol=1e-9)
        for X in (A, sparse.csc_array(A))
    )
    assert dense.certificate.objective == pytest.approx(thin.certificate.objective, rel=1e-8)
    assert np.array_equal(dense.support, thin.support)
