"""The dual active set method: in `solve`, and the factor that it keeps."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.kernels.held_sides import Held, Metric
from sparseopt.proofs.kkt import kkt_residuals

TIGHT = 1e-9


def portfolio(rng, p=40):
    factors = rng.standard_normal((p, 6))
    loss = so.Quadratic(factors @ factors.T + np.diag(rng.random(p)), -rng.standard_normal(p))
    return so.Problem(
        loss, constraint=so.Intersection(so.LinearConstraint(np.ones((1, p)), 1.0, 1.0), so.Box(0.0, 0.2))
    )


def agree(problem, tol=TIGHT):
    """The solution, which an interior point method confirms."""
    found, other = (so.solve(problem, solver, tol=tol) for solver in (so.ActiveSet(), so.InteriorPoint()))
    assert found.status is other.status is so.Status.CONVERGED
    assert found.certificate.objective == pytest.approx(other.certificate.objective, rel=1e-8, abs=1e-8)
    residuals = kkt_residuals(problem, found.w, found.duals)
    assert max(residuals.violation, residuals.dual, residuals.gap) <= tol
    return found


@pytest.mark.parametrize("seed", range(6))
def test_strictly_convex_programs_are_solved_to_rounding(seed):
    rng = np.random.default_rng(seed)
    found = agree(portfolio(rng))
    assert found.certificate.violation <= 1e-13
    assert np.count_nonzero(found.w) < found.w.size  # what is on a bound is exactly there


@pytest.mark.parametrize("seed", range(6))
def test_few_coefficients_under_many_rows_are_solved_by_default(seed):
    rng = np.random.default_rng(seed)
    p, m = 8, 400
    M, A = rng.standard_normal((p, 2 * p)), rng.standard_normal((m, p))
    loss = so.Quadratic(M @ M.T, 30.0 * rng.standard_normal(p))
    rows = so.LinearConstraint(A, -np.inf, rng.random(m))
    problem = so.Problem(loss, constraint=so.Intersection(rows, so.Box(-1.0, 1.0)))
    found = so.solve(problem, tol=TIGHT)
    assert found.status is so.Status.CONVERGED
    assert found.solver == "ActiveSet()"
    assert found.w == pytest.approx(agree(problem).w, abs=1e-8)


def test_few_coefficients_of_a_singular_objective_under_many_rows_are_left_to_an_interior_point():
    rng = np.random.default_rng(0)
    p, m = 8, 400
    A = rng.standard_normal((m, p))
    loss = so.Quadratic(np.diag(np.arange(p) > 2.0) * 1.0, rng.standard_normal(p))
    rows = so.LinearConstraint(A, -np.inf, rng.random(m))
    found = so.solve(so.Problem(loss, constraint=so.Intersection(rows, so.Box(-1.0, 1.0))), tol=TIGHT)
    assert found.status is so.Status.CONVERGED
    assert found.solver.startswith("InteriorPoint")


@pytest.mark.parametrize("seed", range(6))
def test_a_flat_face_of_a_linear_program_is_found_without_proximal_points(seed):
    """What the face leaves free has no curvature, and rounding no factor but with more regularisation."""
    rng = np.random.default_rng(seed)
    A, w, pulls = rng.standard_normal((8, 20)), rng.random(20), np.where(np.arange(20) < 6, 1.0, 0.0)
    w[:6] = 0.0
    loss = so.Quadratic(np.zeros((20, 20)), A.T @ rng.standard_normal(8) + pulls)
    rows = so.LinearConstraint(A, A @ w, A @ w)
    found = so.solve(so.Problem(loss, constraint=so.Intersection(rows, so.Box(0.0, 1.0))), tol=TIGHT)
    assert found.status is so.Status.CONVERGED
    assert found.solver.startswith("InteriorPoint")
    assert not found.w[:6].any()


@pytest.mark.parametrize(
    "penalty", [so.L1(0.3), so.Weighted(so.L1(0.3), np.linspace(0, 2, 30)), so.Nonnegative(so.L1(0.2))]
)
def test_slopes_are_pieces_with_a_kink_at_zero(penalty):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 30))
    y = X[:, :3].sum(axis=1) + 0.1 * rng.standard_normal(60)
    rows = so.LinearConstraint(rng.standard_normal((4, 30)), -1.0, 1.0)
    for loss in (so.LeastSquares(X, y), so.LeastSquares(X, y, intercept=True)):
        found = agree(so.Problem(loss, penalty, so.Intersection(rows, so.Box(-0.8, 0.5))))
        assert 0 < np.count_nonzero(found.w) < 30


def test_where_slopes_meet_bounds_of_one_sign():
    rng = np.random.default_rng(1)
    lower, upper = np.repeat([-1.0, 0.0, 0.2, -0.5, -np.inf], 4), np.repeat([1.0, 0.5, 0.7, 0.0, -0.1], 4)
    M = rng.standard_normal((20, 30))
    agree(so.Problem(so.Quadratic(M @ M.T, 10 * rng.standard_normal(20)), so.L1(1.5), so.Intersection(
        so.Box(lower, upper), so.LinearConstraint(np.ones((1, 20)), -2.0, 2.0))))  # fmt: skip


def test_singular_and_linear_objectives_by_proximal_points():
    rng = np.random.default_rng(2)
    M = rng.standard_normal((20, 4))
    for Q in (M @ M.T, np.zeros((20, 20))):
        problem = so.Problem(so.Quadratic(Q, rng.standard_normal(20)), constraint=so.Intersection(
            so.LinearConstraint(rng.standard_normal((5, 20)), -1.0, 1.0), so.Box(-1.0, 2.0)))  # fmt: skip
        assert "proximal" in agree(problem).account


def test_dependent_rows_are_fine_and_contradictory_ones_are_proven():
    rng = np.random.default_rng(3)
    A = rng.standard_normal((3, 8))
    A = np.vstack([A, A[0] + A[1], 2 * A[2], A[0]])
    b = A @ rng.standard_normal(8)
    loss = so.Quadratic(np.eye(8), rng.standard_normal(8))
    agree(so.Problem(loss, constraint=so.LinearConstraint(A, b, b)))
    b[3] += 0.1
    problem = so.Problem(loss, constraint=so.LinearConstraint(A, b, b))
    found = so.solve(problem, so.ActiveSet())
    assert found.status is so.Status.INFEASIBLE
    found.certificate.verify(problem)
    assert found.certificate.proof == "infeasible ray"


def test_an_objective_without_end_gets_its_ray():
    problem = so.Problem(
        so.Quadratic(np.diag([1.0, 0.0]), [0.0, -1.0]), constraint=so.LinearConstraint([[1.0, -1.0]], -1, 1)
    )
    bounded = so.solve(problem, so.ActiveSet(), tol=TIGHT)
    assert bounded.status is so.Status.CONVERGED
    free = so.Problem(problem.loss, constraint=so.LinearConstraint([[1.0, 0.0]], -1, 1))
    found = so.solve(free, so.ActiveSet(), tol=TIGHT)
    assert found.status is so.Status.UNBOUNDED
    found.certificate.verify(free)


def test_bounds_that_cross_are_infeasible():
    problem = so.Problem(so.Quadratic(np.eye(2), [0.0, 0.0]), constraint=so.Intersection(so.Box(1.0, 2.0), so.Box(-1.0, 0.0),
                         so.LinearConstraint(np.ones((1, 2)), 0.0, 1.0)))  # fmt: skip
    assert so.solve(problem, so.ActiveSet()).status is so.Status.INFEASIBLE


def test_a_solution_is_the_best_start():
    problem = portfolio(np.random.default_rng(4))
    cold = so.solve(problem, so.ActiveSet(), tol=TIGHT)
    warm = so.solve(problem, so.ActiveSet(), cold.w, tol=TIGHT)
    assert warm.iterations <= 2 < cold.iterations
    np.testing.assert_allclose(warm.w, cold.w, atol=1e-12)


def test_problems_without_rows_are_judged_by_duality():
    rng = np.random.default_rng(5)
    M = rng.standard_normal((12, 20))
    for problem in (
        so.Problem(so.Quadratic(M @ M.T, rng.standard_normal(12)), so.L1(0.5)),
        so.Problem(so.Quadratic(M @ M.T, rng.standard_normal(12)), so.Zero(), so.Box(-0.1, 0.1)),
    ):
        found = so.solve(problem, so.ActiveSet(), tol=1e-10)
        assert found.status is so.Status.CONVERGED
        assert found.certificate.proof == "duality"


def test_sparse_and_single_precision_data():
    rng = np.random.default_rng(6)
    Q = sparse.csc_array(np.diag(rng.random(15) + 0.5) + 0.1)
    rows = so.LinearConstraint(sparse.csc_array(np.ones((1, 15))), 1.0, 1.0)
    agree(so.Problem(so.Quadratic(Q, rng.standard_normal(15)), constraint=rows))
    X = rng.standard_normal((30, 15))
    X[np.abs(X) < 0.7] = 0.0
    agree(so.Problem(so.LeastSquares(sparse.csc_array(X), X[:, 0], intercept=True), so.L1(0.05), rows))
    single = so.solve(
        so.Problem(so.Quadratic(Q.toarray().astype(np.float32), np.ones(15)), constraint=rows), so.ActiveSet()
    )
    assert single.status is so.Status.CONVERGED
    assert single.w.dtype == np.float32


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_limits_are_kept_and_the_run_goes_on_from_where_it_stood(limit):
    problem = portfolio(np.random.default_rng(7))
    found = so.solve(problem, so.ActiveSet(), max_iter=limit)
    assert found.status is so.Status.ITERATION_LIMIT
    assert found.iterations == limit
    assert so.solve(problem, so.ActiveSet(), time_limit=0.0).status in (so.Status.TIME_LIMIT, so.Status.CONVERGED)


def test_large_and_other_problems_are_refused_in_words():
    large = so.Problem(so.Quadratic(sparse.eye_array(4000, format="csc"), np.ones(4000)), constraint=so.Box(0.0, 1.0))
    with pytest.raises(so.UnsupportedProblem, match="4000 rows and coefficients"):
        so.solve(large, so.ActiveSet())
    X = np.random.default_rng(8).standard_normal((10, 3))
    with pytest.raises(so.UnsupportedProblem, match="Logistic"):
        so.solve(so.Problem(so.Logistic(X, X[:, 0] > 0), so.L1(0.1)), so.ActiveSet())


def test_the_factor_follows_what_is_held():
    """After any appends and removals L D L' is the matrix of products of the held sides."""
    rng = np.random.default_rng(9)
    normals = rng.standard_normal((12, 6))
    normals[:6], normals[6:] = normals[:6], np.triu(normals[6:])
    count, p = 12, 6
    metric = Metric(normals, np.ones(count), np.empty((count, count)), np.zeros(count, dtype=bool))
    held = Held(np.empty(p, np.int64), np.zeros(1, np.int64), np.zeros((p, p)), np.empty(p), np.empty(p))
    members = []
    for _ in range(200):
        if members and rng.random() < 0.5:
            place = int(rng.integers(len(members)))
            held.remove(place)
            members.pop(place)
        else:
            i = int(rng.integers(count))
            if i not in members and held.append(metric, i):
                members.append(i)
        k = len(members)
        assert k == held.size[0] <= p
        assert members == held.members[:k].tolist()
        L = np.tril(held.columns[:k, :k].T, -1) + np.eye(k)
        products = normals[members] @ normals[members].T
        np.testing.assert_allclose(L @ np.diag(held.pivots[:k]) @ L.T, products, atol=1e-10)
        x = rng.standard_normal(k)
        right = np.append(products @ x, np.zeros(p - k))
        held.solve(right)
        np.testing.assert_allclose(products @ right[:k], products @ x, atol=1e-6)
