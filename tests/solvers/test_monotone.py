"""Monotone coefficients end where the interior point on all p - 1 rows does."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.testing import check_solver

RNG = np.random.default_rng(4)
N, P = 60, 40
X = RNG.standard_normal((N, P))
Y = X @ np.repeat([-1.0, 0.0, 0.5, 2.0], P // 4) + RNG.standard_normal(N)
DIFFERENCES = np.diff(np.eye(P), axis=0)
ASCENDING = so.LinearConstraint(DIFFERENCES, 0.0, np.inf)


def agree(problem, tol=1e-8):
    solution = so.solve(problem, so.MonotoneWorkingSet(), tol=tol)
    oracle = so.solve(problem, so.InteriorPoint(), tol=1e-9)
    assert solution.status is so.Status.CONVERGED
    assert np.max(np.abs(solution.w - oracle.w)) <= 1e-5
    assert max(solution.certificate.violation, solution.certificate.dual_residual) <= tol
    solution.certificate.verify(problem)
    return solution


@pytest.mark.parametrize("penalty", [so.Zero(), so.L1(0.05), so.L1(0.5), so.Weighted(so.L1(0.2), np.linspace(0, 2, P))])
@pytest.mark.parametrize("sign", [1, -1])
def test_it_ends_where_the_interior_point_does(penalty, sign):
    rows = ASCENDING if sign == 1 else so.LinearConstraint(DIFFERENCES, -np.inf, 0.0)
    solution = agree(so.Problem(so.LeastSquares(X, sign * Y), penalty, rows))
    assert np.all(sign * np.diff(solution.w) >= 0.0)
    if penalty == so.L1(0.05):
        assert solution.certificate.relative_gap <= 1e-7


def test_rows_in_any_order_scale_and_sign():
    scale = RNG.choice([-3.0, 0.5, 2.0], P - 1)
    lower, upper = np.where(scale > 0, 0.0, -np.inf), np.where(scale > 0, np.inf, 0.0)
    order = RNG.permutation(P - 1)
    rows = so.LinearConstraint(sparse.csc_array(scale[:, None] * DIFFERENCES)[order], lower[order], upper[order])
    solution = agree(so.Problem(so.LeastSquares(X, Y), so.L1(0.05), rows))
    plain = so.solve(so.Problem(so.LeastSquares(X, Y), so.L1(0.05), ASCENDING), tol=1e-9)
    assert np.max(np.abs(solution.w - plain.w)) <= 1e-5


@pytest.mark.parametrize("intercept", [False, True])
def test_sparse_data_weights_and_intercepts(intercept):
    kept = sparse.csc_array(np.where(np.abs(X) > 0.7, X, 0.0))
    loss = so.LeastSquares(kept, Y, sample_weight=np.arange(1.0, N + 1), intercept=intercept)
    agree(so.Problem(loss, so.L1(0.05), ASCENDING))


def test_isotonic_regression_is_the_means_of_pools():
    y = np.array([1.0, 3.0, 2.0, 2.0, 5.0, 4.0])
    rows = so.LinearConstraint(np.diff(np.eye(6), axis=0), 0.0, np.inf)
    solution = so.solve(so.Problem(so.LeastSquares(np.eye(6), y), constraint=rows), tol=1e-9)
    assert "MonotoneWorkingSet" in solution.solver
    assert np.allclose(solution.w, [1.0, 7 / 3, 7 / 3, 7 / 3, 4.5, 4.5], atol=1e-7)


def test_a_monotone_start_is_where_it_begins():
    problem = so.Problem(so.LeastSquares(X, Y), so.L1(0.05), ASCENDING)
    first = so.solve(problem, tol=1e-9)
    again = so.solve(problem, so.MonotoneWorkingSet(), first.w, tol=1e-8)
    assert again.iterations <= first.iterations
    assert np.max(np.abs(again.w - first.w)) <= 1e-6


def test_it_refuses_what_is_no_chain_and_keeps_the_laws_of_solvers():
    solver, loss = so.MonotoneWorkingSet(), so.LeastSquares(X, Y)
    mixed = so.LinearConstraint(DIFFERENCES, np.where(np.arange(P - 1) < 3, -np.inf, 0.0), np.where(np.arange(P - 1) < 3, 0.0, np.inf))  # fmt: skip
    for rows in (
        mixed,
        so.LinearConstraint(DIFFERENCES, 0.1, np.inf),
        so.LinearConstraint(DIFFERENCES, 0.0, 1.0),
        so.LinearConstraint(DIFFERENCES[1:], 0.0, np.inf),
        so.LinearConstraint(np.vstack([DIFFERENCES[:-1], DIFFERENCES[:1]]), 0.0, np.inf),
        so.LinearConstraint(np.abs(DIFFERENCES), 0.0, np.inf),
        so.Intersection(ASCENDING, so.Box(0.0, 1.0)),
    ):
        assert "differences of neighbours" in solver.rejects(so.Problem(loss, so.L1(0.1), rows))
    assert "least squares" in solver.rejects(so.Problem(so.Huber(X, Y), so.L1(0.1)))
    assert "Zero and L1" in solver.rejects(so.Problem(loss, so.Nonnegative(so.L1(0.1)), ASCENDING))
    check_solver(solver, [so.Problem(loss, so.L1(0.1), ASCENDING), so.Problem(loss, so.Zero(), ASCENDING)])
