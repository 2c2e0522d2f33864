"""Quadratic programs by operator splitting and by an interior point method: against an oracle, and without a solution."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sparseopt import (
    L0,
    L1,
    Box,
    Cardinality,
    InteriorPoint,
    Intersection,
    LeastSquares,
    LinearConstraint,
    Logistic,
    Nonnegative,
    OperatorSplitting,
    Problem,
    Quadratic,
    Ridged,
    Simplex,
    Status,
    UnsupportedProblem,
    Weighted,
    Zero,
    solve,
)
from sparseopt.proofs.kkt import kkt_residuals

TIGHT = 1e-9


def quadratic(rng, p, rank=None):
    M = rng.standard_normal((p, rank or 2 * p))
    return Quadratic(M @ M.T / p, rng.standard_normal(p))


def feasible_rows(rng, m, p, equalities=0):
    """Rows around a point inside [-0.5, 0.5]**p, some with one side only."""
    A = rng.standard_normal((m, p))
    middle = A @ rng.uniform(-0.5, 0.5, p)
    lower, upper = middle - rng.random(m), middle + rng.random(m)
    lower[:equalities] = upper[:equalities] = middle[:equalities]
    lower[equalities:][rng.random(m - equalities) < 0.4] = -np.inf
    return LinearConstraint(A, lower, upper)


def oracle(problem, slopes=0.0, ridge=0.0, bounds=(None, None)):
    """Optimal value by an interior point method, for dense data."""
    w = cp.Variable(problem.n_features)
    loss = problem.loss
    if isinstance(loss, Quadratic):
        objective = cp.quad_form(w, cp.psd_wrap(loss.Q.matrix)) / 2 + loss.c @ w
    else:
        weights = np.broadcast_to(loss.sample_weight.values, loss.y.size)
        b = cp.Variable() if loss.intercept else 0.0
        objective = cp.sum_squares(cp.multiply(np.sqrt(weights), loss.X.matrix @ w + b - loss.y)) / 2
    objective += cp.norm1(cp.multiply(slopes * np.ones(problem.n_features), w)) + ridge * cp.sum_squares(w) / 2
    sides = [w >= bounds[0]] if bounds[0] is not None else []
    sides += [w <= bounds[1]] if bounds[1] is not None else []
    parts = problem.constraint.parts if isinstance(problem.constraint, Intersection) else (problem.constraint,)
    for part in parts:
        if isinstance(part, LinearConstraint):
            A = part.A.toarray() if sparse.issparse(part.A) else part.A
            same = part.lower == part.upper
            below, above = np.isfinite(part.lower) & ~same, np.isfinite(part.upper) & ~same
            sides += [A[rows] @ w == part.lower[rows] for rows in (same,) if rows.any()]
            sides += [A[rows] @ w >= part.lower[rows] for rows in (below,) if rows.any()]
            sides += [A[rows] @ w <= part.upper[rows] for rows in (above,) if rows.any()]
    return cp.Problem(cp.Minimize(objective), sides).solve(solver=cp.CLARABEL)


SOLVERS = (OperatorSplitting(), InteriorPoint())


@pytest.fixture(params=SOLVERS, ids=lambda solver: type(solver).__name__)
def solver(request):
    return request.param


def assert_optimal(problem, solver, value=None, tol=TIGHT, **limits):
    """The run converges, its residuals hold for the user's problem, and it agrees with the oracle."""
    solution = solve(problem, solver, tol=tol, **limits)
    assert solution.status is Status.CONVERGED
    found = kkt_residuals(problem, solution.w, solution.duals)
    assert max(found.violation, found.dual) <= tol
    assert found.gap <= tol * max(1.0, abs(found.objective))
    if value is not None:
        assert found.objective == pytest.approx(value, rel=1e-6, abs=1e-6)
    solution.certificate.verify(problem)
    return solution


@pytest.mark.parametrize("equalities", [0, 5, 12])
@pytest.mark.parametrize("rank", [None, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_rows_and_box_agree_with_an_interior_point_method(solver, equalities, rank, seed):
    rng = np.random.default_rng(seed)
    problem = Problem(
        quadratic(rng, 20, rank), constraint=Intersection(feasible_rows(rng, 12, 20, equalities), Box(-1.0, 1.0))
    )
    assert_optimal(problem, solver, oracle(problem, bounds=(-1.0, 1.0)))


@pytest.mark.parametrize("penalty", ["L1", "weighted", "nonnegative", "elastic net"])
@pytest.mark.parametrize("seed", [0, 1])
def test_penalties_agree_with_an_interior_point_method(solver, penalty, seed):
    rng = np.random.default_rng(seed)
    weights = rng.random(25) * (rng.random(25) > 0.2)
    penalty, terms = {
        "L1": (L1(0.4), {"slopes": 0.4}),
        "weighted": (Weighted(L1(0.4), weights), {"slopes": 0.4 * weights}),
        "nonnegative": (Nonnegative(L1(0.1)), {"slopes": 0.1, "bounds": (0.0, None)}),
        "elastic net": (Ridged(L1(0.2), 0.5), {"slopes": 0.2, "ridge": 0.5}),
    }[penalty]
    A = rng.standard_normal((6, 25))
    middle = A @ rng.uniform(0.0, 1.0, 25)
    problem = Problem(quadratic(rng, 25), penalty, LinearConstraint(A, middle - 0.1, middle))
    assert_optimal(problem, solver, oracle(problem, **terms))


@pytest.mark.parametrize("shape", [(60, 15), (15, 60)], ids=["more rows", "more columns"])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array], ids=["dense", "sparse"])
def test_least_squares_on_the_simplex(solver, shape, intercept, storage):
    rng = np.random.default_rng(3)
    X = rng.standard_normal(shape) * (rng.random(shape) < 0.5) + 0.3
    y, weight = X[:, :3] @ [0.5, 0.3, 0.2] + 0.1 * rng.standard_normal(shape[0]), rng.random(shape[0])
    row = LinearConstraint(np.ones((1, shape[1])), 1.0, 1.0)
    dense = Problem(LeastSquares(X, y, weight, intercept), constraint=Intersection(row, Box(0.0, np.inf)))
    value = oracle(dense, bounds=(0.0, None))
    loss = LeastSquares(storage(X), y, weight, intercept)
    assert_optimal(Problem(loss, constraint=dense.constraint), solver, value)
    # the same set by its own name, where a projection certifies by duality
    assert solve(Problem(loss, constraint=Simplex()), solver, tol=1e-8).certificate.relative_gap <= 1e-8


@pytest.mark.parametrize("intercept", [False, True])
def test_wide_sparse_data_never_meets_its_square(solver, intercept):
    rng = np.random.default_rng(0)
    X = sparse.random_array((200, 3000), density=0.02, rng=rng, format="csc")
    row = LinearConstraint(sparse.csc_array(np.ones((1, 3000))), 0.0, 0.0)
    problem = Problem(LeastSquares(X, rng.standard_normal(200), intercept=intercept), L1(3e-3), row)
    solution = assert_optimal(problem, solver, tol=1e-8)
    assert solution.w.shape == (3000,)
    assert 0 < solution.support.size < 200


def test_sparse_and_dense_matrices_give_the_same_solution(solver):
    rng = np.random.default_rng(5)
    Q = sparse.diags_array(rng.random(150) + 0.1)
    A = sparse.random_array((60, 150), density=0.05, rng=rng, format="csc")
    c, middle = rng.standard_normal(150), A @ rng.uniform(-0.5, 0.5, 150)
    box = Box(-1.0, 1.0)
    thin = Problem(Quadratic(sparse.csc_array(Q), c), L1(0.1), Intersection(LinearConstraint(A, -np.inf, middle), box))
    full = Problem(
        Quadratic(Q.toarray(), c), L1(0.1), Intersection(LinearConstraint(A.toarray(), -np.inf, middle), box)
    )
    assert np.allclose(assert_optimal(thin, solver).w, assert_optimal(full, solver).w, atol=1e-8)


def test_repeated_and_dependent_rows_do_no_harm(solver):
    rng = np.random.default_rng(2)
    A = rng.standard_normal((4, 15))
    A = np.vstack([A, A[0], A[1] + A[2], 0 * A[0]])
    b = A @ rng.uniform(-0.5, 0.5, 15)
    problem = Problem(quadratic(rng, 15), constraint=Intersection(LinearConstraint(A, b, b), Box(-2.0, 2.0)))
    assert_optimal(problem, solver, oracle(problem, bounds=(-2.0, 2.0)))


def test_an_exact_zero_is_zero_and_a_bound_is_met_exactly(solver):
    rng = np.random.default_rng(4)
    problem = Problem(
        quadratic(rng, 30), L1(0.8), Intersection(LinearConstraint(np.ones((1, 30)), 0.5, 0.5), Box(-0.3, 0.7))
    )
    w = assert_optimal(problem, solver).w
    assert np.count_nonzero(w == 0.0) > 3
    assert np.min(w) >= -0.3
    assert np.max(w) <= 0.7


def test_a_dual_is_positive_where_the_upper_side_is_active(solver):
    """minimise (w - 3)**2 / 2 + (v + 3)**2 / 2 with w <= 1 as a row, and v >= -2 as a bound."""
    row = LinearConstraint(np.array([[1.0, 0.0]]), -np.inf, 1.0)
    problem = Problem(
        Quadratic(np.eye(2), np.array([-3.0, 3.0])),
        constraint=Intersection(row, Box(np.array([-np.inf, -2.0]), np.inf)),
    )
    solution = assert_optimal(problem, solver)
    assert solution.w == pytest.approx([1.0, -2.0])
    assert solution.duals.rows == pytest.approx([2.0])
    assert solution.duals.box == pytest.approx([0.0, -1.0])


def test_rows_of_several_parts_keep_their_order_in_the_duals(solver):
    first = LinearConstraint(np.array([[1.0, 0.0]]), 1.0, 1.0)
    second = LinearConstraint(sparse.csc_array(np.array([[0.0, 1.0], [1.0, 1.0]])), np.array([2.0, -9.0]), [2.0, 9.0])
    problem = Problem(Quadratic(np.eye(2), np.zeros(2)), constraint=Intersection(first, second))
    assert assert_optimal(problem, solver).duals.rows == pytest.approx([-1.0, -2.0, 0.0])


def test_float32_data_gives_float32_coefficients_of_their_precision(solver):
    rng = np.random.default_rng(6)
    X, y = rng.standard_normal((40, 10)).astype(np.float32), rng.standard_normal(40).astype(np.float32)
    problem = Problem(LeastSquares(X, y), L1(0.01), LinearConstraint(np.ones((1, 10)), 1.0, 1.0))
    solution = solve(problem, solver, tol=1e-9)
    assert solution.status is Status.CONVERGED
    assert solution.w.dtype == np.float32
    assert solution.certificate.violation <= 1e-6
    assert solution.certificate.dual_residual <= 1e-6


def test_a_singular_matrix_of_low_precision_is_not_called_nonconvex(solver):
    rng = np.random.default_rng(6)
    M = rng.standard_normal((40, 5)).astype(np.float32)
    for Q in (M @ M.T, sparse.csc_array(M @ M.T)):
        problem = Problem(Quadratic(Q, rng.standard_normal(40).astype(np.float32)), constraint=Box(-1.0, 1.0))
        assert solve(problem, solver, tol=1e-5).certificate.relative_gap <= 1e-5


def test_a_good_start_is_used_and_left_alone():
    rng = np.random.default_rng(7)
    problem = Problem(quadratic(rng, 20), L1(0.3), feasible_rows(rng, 8, 20))
    best = assert_optimal(problem, OperatorSplitting())
    start = best.w.copy()
    start.flags.writeable = False
    again = solve(problem, OperatorSplitting(), start, tol=TIGHT)
    assert again.iterations <= best.iterations
    assert np.allclose(again.w, best.w, atol=1e-8)


def test_polishing_and_adaptation_only_change_the_effort():
    rng = np.random.default_rng(8)
    problem = Problem(quadratic(rng, 15), L1(0.1), Intersection(feasible_rows(rng, 10, 15, 3), Box(-1.0, 1.0)))
    value = assert_optimal(problem, OperatorSplitting()).certificate.objective
    for solver in (OperatorSplitting(polish=False), OperatorSplitting(adaptive=False), OperatorSplitting(rho=10.0)):
        assert solve(problem, solver, tol=1e-6).certificate.objective == pytest.approx(value, abs=1e-5)


def no_constraint_infeasible():
    rng = np.random.default_rng(1)
    A, y = rng.standard_normal((12, 8)), rng.random(12) + 0.1
    A -= np.outer(y, y @ A) / (y @ y)
    u = rng.standard_normal(12)
    return LinearConstraint(A, -np.inf, u - y * (u @ y + 1.0) / (y @ y))


INFEASIBLE = {
    "contradicting rows": LinearConstraint(np.ones((2, 8)), [1.0, 2.0], [1.0, 2.0]),
    "a row beyond the box": Intersection(LinearConstraint(np.ones((1, 8)), 9.0, np.inf), Box(0.0, 1.0)),
    "combination of rows": no_constraint_infeasible(),
    "sparse rows": LinearConstraint(
        sparse.csc_array(no_constraint_infeasible().A), -np.inf, no_constraint_infeasible().upper
    ),
    "crossing boxes": Intersection(Box(0.0, 1.0), Box(2.0, 3.0)),
}


@pytest.mark.parametrize("name", INFEASIBLE)
@pytest.mark.parametrize("penalty", [Zero(), L1(0.3)], ids=repr)
def test_infeasible_problems_end_with_a_ray_that_proves_it(solver, name, penalty):
    problem = Problem(quadratic(np.random.default_rng(0), 8), penalty, INFEASIBLE[name])
    solution = solve(problem, solver)
    assert solution.status is Status.INFEASIBLE
    assert solution.certificate.proof == "infeasible ray"
    solution.certificate.verify(problem)


def test_a_solvable_but_tight_problem_is_not_called_infeasible(solver):
    rng = np.random.default_rng(9)
    A = rng.standard_normal((20, 10))
    b = A @ rng.standard_normal(10)
    problem = Problem(Quadratic(np.eye(10), np.zeros(10)), constraint=LinearConstraint(A, b, b + 1e-9))
    assert solve(problem, solver, tol=1e-8).status is Status.CONVERGED


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_unbounded_problems_end_with_a_ray_that_proves_it(solver, slope):
    rng = np.random.default_rng(2)
    d = rng.standard_normal(8)
    M = np.eye(8) - np.outer(d, d) / (d @ d)
    c = rng.standard_normal(8)
    c -= d * (c @ d + 1.0 + slope * np.abs(d).sum()) / (d @ d)
    A = rng.standard_normal((5, 8))
    rows = LinearConstraint(A, np.where(A @ d > 0, -1.0, -np.inf), np.where(A @ d > 0, np.inf, 1.0))
    problem = Problem(Quadratic((M + M.T) / 2, c), L1(slope), rows)
    solution = solve(problem, solver)
    assert solution.status is Status.UNBOUNDED
    assert solution.certificate.proof == "unbounded ray"
    solution.certificate.verify(problem)


def test_a_linear_programme_ends_at_a_vertex(solver):
    problem = Problem(
        Quadratic(np.zeros((3, 3)), np.array([-1.0, -2.0, 0.5])),
        constraint=Intersection(LinearConstraint(np.ones((1, 3)), -np.inf, 1.0), Box(0.0, np.inf)),
    )
    assert assert_optimal(problem, solver).w == pytest.approx([0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (Problem(Logistic(np.eye(2), [0, 1]), constraint=LinearConstraint(np.eye(2), 0.0, 1.0)), "no quadratic loss"),
        (Problem(Quadratic(np.eye(2), [0.0, 1.0]), L0(1.0)), "L0"),
        (Problem(Quadratic(np.eye(2), [0.0, 1.0]), constraint=Cardinality(1)), "Cardinality"),
        (Problem(Quadratic(np.array([[1.0, 2.0], [2.0, 1.0]]), [0.0, 1.0])), "negative curvature -1"),
        (Problem(Quadratic(sparse.csc_array([[1.0, 2.0], [2.0, 1.0]]), [0.0, 1.0])), "negative curvature -1"),
    ],
)
def test_what_it_cannot_solve_it_refuses_with_the_reason(solver, problem, reason):
    with pytest.raises(UnsupportedProblem, match=reason):
        solve(problem, solver)


@pytest.mark.parametrize("knobs", [{"relaxation": 2.0}, {"rho": 0.0}, {"sigma": -1.0}])
def test_knobs_outside_of_their_range_are_refused(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        OperatorSplitting(**knobs)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    p=st.integers(1, 12),
    m=st.integers(0, 15),
    rank=st.integers(1, 12),
    alpha=st.sampled_from([0.0, 0.01, 1.0]),
    size=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_any_feasible_bounded_problem_is_solved_and_proven(solver, seed, p, m, rank, alpha, size):
    rng = np.random.default_rng(seed)
    rows = feasible_rows(rng, m, p, equalities=min(m, p) // 3)
    problem = Problem(quadratic(rng, p, rank), L1(alpha), Intersection(rows, Box(-size, size)))
    if size < 1.0:
        rows = LinearConstraint(rows.A, rows.lower * size, rows.upper * size)
        problem = Problem(problem.loss, problem.penalty, Intersection(rows, problem.constraint.parts[1]))
    certificate = assert_optimal(problem, solver, tol=1e-7).certificate
    # a residual of tol may cost as much in each of p coefficients of up to this size
    assert certificate.gap <= 1e-7 * (p * size + 1.0) * max(1.0, abs(certificate.objective)) * 2


def test_the_dual_of_support_vectors_is_a_lasso_in_a_box():
    """As docs/howto/solve_quadratic_programs.md has it: both objectives meet, sparse data as well as dense."""
    rng = np.random.default_rng(11)
    A, C = rng.standard_normal((200, 6)), 0.3
    G = np.sign(A[:, 0] + rng.standard_normal(200))[:, None] * A
    for rows in (G, sparse.csr_array(G)):
        loss = LeastSquares(rows.T, C * G.sum(axis=0))
        a = C - solve(Problem(loss, L1(1 / 6), Box(0.0, C)), tol=1e-10).w
        w = G.T @ a
        primal = w @ w / 2 + C * np.maximum(1.0 - G @ w, 0.0).sum()
        assert primal == pytest.approx(a.sum() - w @ w / 2, rel=1e-7)
