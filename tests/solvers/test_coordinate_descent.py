"""Coordinate descent: what its epochs and Newton steps promise beyond the laws of all solvers."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

RNG = np.random.default_rng(6)
X = RNG.standard_normal((40, 15)) @ (np.eye(15) + 0.5)
Y = X[:, 0] - X[:, 7] + 0.3 * RNG.standard_normal(40)


@pytest.mark.parametrize("penalty", [so.L1(0.05), so.MCP(0.1), so.L0(0.02)], ids=repr)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
def test_the_objective_never_rises(penalty, storage):
    """Each move minimises the objective, or a bound on it, in one coordinate."""
    problem, w, before = so.Problem(so.LeastSquares(storage(X), Y), penalty), None, np.inf
    for _ in range(15):
        solution = so.solve(problem, so.CoordinateDescent(newton=False), w, tol=0.0, max_iter=1)
        assert solution.certificate.objective <= before * (1 + 1e-14)
        w, before = solution.w, solution.certificate.objective


def test_dense_and_sparse_take_the_same_path():
    found = [
        so.solve(
            so.Problem(so.LeastSquares(lent, Y, intercept=True), so.L1(0.05)),
            so.CoordinateDescent(newton=False),
            tol=0.0,
            max_iter=20,
        ).w
        for lent in (X, sparse.csc_array(X))
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-12)


def test_newton_steps_finish_what_epochs_do_slowly():
    """Columns that are almost equal: epochs alone need thousands."""
    near = np.column_stack([X[:, 0], X[:, 0] + 1e-2 * RNG.standard_normal(40), X[:, 5]])
    problem = so.Problem(so.LeastSquares(near, near @ [5.0, -4.0, 1.0] + 0.01 * RNG.standard_normal(40)), so.L1(1e-5))
    quick = so.solve(problem, tol=1e-8)
    slow = so.solve(problem, so.CoordinateDescent(newton=False), tol=1e-8, max_iter=2000)
    assert quick.status is so.Status.CONVERGED
    assert slow.status is so.Status.ITERATION_LIMIT
    assert quick.iterations < 500
    assert quick.certificate.objective <= slow.certificate.objective


def test_a_box_holds_at_every_step():
    problem = so.Problem(so.LeastSquares(X, Y), so.L1(0.01), so.Box(-0.1, 0.3))
    violations = []
    so.solve(
        problem,
        so.CoordinateDescent(),
        np.full(15, 0.05),
        callback=lambda iterations, w: violations.append(problem.violation(w)),
    )
    assert max(violations) == 0.0


def test_where_the_loss_is_flat_the_penalty_decides():
    """An empty column, and a quadratic that is linear in one coefficient."""
    lent = X.copy()
    lent[:, 3] = 0.0
    w0 = np.full(15, 0.5)
    for storage in (np.asarray, sparse.csc_array):
        solution = so.solve(so.Problem(so.LeastSquares(storage(lent), Y), so.L1(0.05)), w0=w0)
        assert solution.status is so.Status.CONVERGED
        assert solution.w[3] == 0.0
    linear = so.Problem(so.Quadratic(np.diag([1.0, 0.0]), np.array([1.0, -1.0])), constraint=so.Box(-2.0, 3.0))
    solution = so.solve(linear, so.CoordinateDescent(), tol=1e-9)
    assert solution.status is so.Status.CONVERGED
    np.testing.assert_allclose(solution.w, [-1.0, 3.0], rtol=1e-8)


@pytest.mark.parametrize("options", [{"seed": 0}, {"seed": 7}])
def test_shuffling_ends_at_the_same_optimum(options):
    problem = so.Problem(so.LeastSquares(X, Y), so.L1(0.05))
    cyclic, shuffled = (
        so.solve(problem, tol=1e-9),
        so.solve(problem, so.CoordinateDescent(shuffled=True, **options), tol=1e-9),
    )
    assert shuffled.certificate.objective == pytest.approx(cyclic.certificate.objective, rel=2e-9)
