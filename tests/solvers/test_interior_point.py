"""What the interior point method alone promises: statuses against a linear programme, and multipliers with slopes apart."""

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

import sparseopt as so
from sparseopt.kernels import polishing
from sparseopt.kernels.optimality import largest_terms, products_at
from sparseopt.solvers import interior_point
from sparseopt.solvers.quadratic.gap_closing import with_less_gap
from sparseopt.solvers.quadratic.quadratic_measure import curve_at, measure
from sparseopt.solvers.quadratic.quadratic_products import Matrix, Products
from sparseopt.solvers.quadratic.quadratic_program import quadratic_program


def small_program(seed):
    """A program in whole numbers: degenerate, rank-deficient, without a solution or without curvature as often as not."""
    rng = np.random.default_rng(seed)
    p, m = int(rng.integers(1, 7)), int(rng.integers(0, 7))
    M = rng.integers(-2, 3, (p, int(rng.integers(0, p + 1)))).astype(float)
    A = rng.integers(-2, 3, (m, p)).astype(float)
    lower = rng.integers(-4, 3, m).astype(float)
    upper = lower + rng.integers(0, 4, m)
    lower[rng.random(m) < 0.3], upper[rng.random(m) < 0.3] = -np.inf, np.inf
    if m > 1 and rng.random() < 0.3:
        A[0] = A[-1]
    box = so.Box(
        np.where(rng.random(p) < 0.4, -np.inf, rng.integers(-3, 1, p)),
        np.where(rng.random(p) < 0.4, np.inf, rng.integers(0, 4, p)),
    )
    Q = sparse.csc_array(M @ M.T) if rng.random() < 0.4 else M @ M.T
    penalty = so.L1(float(rng.choice([0.5, 1.0]))) if rng.random() < 0.3 else so.Zero()
    rows = (so.LinearConstraint(A, lower, upper),) if m else ()
    return so.Problem(so.Quadratic(Q, rng.integers(-3, 4, p).astype(float)), penalty, so.Intersection(*rows, box))


def is_feasible(problem):
    """What HiGHS says of the constraints alone."""
    *rows, box = problem.constraint.parts
    sides = [(part.A[np.isfinite(part.upper)], part.upper[np.isfinite(part.upper)]) for part in rows]
    sides += [(-part.A[np.isfinite(part.lower)], -part.lower[np.isfinite(part.lower)]) for part in rows]
    A, b = (np.concatenate(parts) for parts in zip(*sides, strict=True)) if sides else (None, None)
    bounds = list(zip(*box.bounds(problem.n_features), strict=True))
    return linprog(np.zeros(problem.n_features), A_ub=A, b_ub=b, bounds=bounds, method="highs").status == 0


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_small_degenerate_programs_end_with_a_proof(first):
    for seed in range(first, first + 100):
        problem = small_program(seed)
        solution = so.solve(problem, so.InteriorPoint(), tol=1e-8, max_iter=500)
        solution.certificate.verify(problem)
        assert solution.status in {so.Status.CONVERGED, so.Status.INFEASIBLE, so.Status.UNBOUNDED}, seed
        assert (solution.status is not so.Status.INFEASIBLE) == is_feasible(problem), seed
        if solution.status is so.Status.CONVERGED:
            assert max(solution.certificate.violation, solution.certificate.dual_residual) <= 1e-7, seed


@pytest.mark.parametrize(
    "solver", [so.InteriorPoint(), so.OperatorSplitting()], ids=lambda solver: type(solver).__name__
)
def test_what_nothing_satisfies_is_infeasible_though_its_objective_falls_for_ever(solver):
    """The first coefficient is free and has a price; the others cannot satisfy the rows."""
    rows = so.LinearConstraint(np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]), [1.0, -np.inf], [np.inf, 0.0])
    problem = so.Problem(so.Quadratic(np.diag([0.0, 1.0, 1.0]), [-1.0, 0.0, 0.0]), constraint=rows)
    assert so.solve(problem, solver).status is so.Status.INFEASIBLE


def test_a_slope_of_the_l1_term_is_no_multiplier_of_a_bound():
    """The bounds are far away, so that their multipliers are zero; the slope of the first coefficient is one."""
    problem = so.Problem(
        so.Quadratic(np.eye(2), [-3.0, 0.5]),
        so.L1(1.0),
        so.Intersection(so.LinearConstraint(np.ones((1, 2)), -9.0, 9.0), so.Box(-5.0, 5.0)),
    )
    solution = so.solve(problem, so.InteriorPoint(polish=False), tol=1e-9)
    assert solution.w == pytest.approx([2.0, 0.0], abs=1e-6)
    assert solution.duals.box == pytest.approx([0.0, 0.0], abs=1e-6)
    assert solution.certificate.gap <= 1e-8


@pytest.mark.parametrize("knobs", [{"step_fraction": 1.0}, {"regularisation": 0.0}, {"regularisation": 1.0}])
def test_knobs_outside_of_their_range_are_refused(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        so.InteriorPoint(**knobs)


def test_a_dense_factor_is_made_where_a_sparse_one_would_be_full():
    rng = np.random.default_rng(0)
    B = sparse.random_array((800, 400), density=0.02, rng=rng, format="csc")
    Q = B.T @ B + sparse.eye_array(400)
    box = so.Intersection(so.LinearConstraint(sparse.csc_array(np.ones((1, 400))), 1.0, 1.0), so.Box(0.0, 1.0))
    problem = so.Problem(so.Quadratic(Q, rng.standard_normal(400)), constraint=box)
    solution = so.solve(problem, so.InteriorPoint(), tol=1e-9)
    assert solution.status is so.Status.CONVERGED
    assert "Cholesky" in solution.account


def rounded_correlations(rng, p=12, digits=3):
    """Correlations of few samples, which rounding has made slightly indefinite."""
    return np.round(np.corrcoef(rng.standard_normal((p, p // 2))), digits)


def test_curvature_that_rounding_made_negative_is_no_obstacle_and_leaves_no_bound():
    rng = np.random.default_rng(0)
    Q = rounded_correlations(rng, digits=5)
    assert -1e-4 < np.linalg.eigvalsh(Q)[0] < -1e-7
    constraint = so.Intersection(so.LinearConstraint(np.ones((1, 12)), 1.0, 1.0), so.Box(0.0, 1.0))
    problem = so.Problem(so.Quadratic(Q, -rng.random(12)), constraint=constraint)
    solution = so.solve(problem, so.InteriorPoint(), tol=1e-9)
    certificate = solution.certificate
    assert solution.status is so.Status.CONVERGED
    assert max(certificate.violation, certificate.dual_residual) <= 1e-9
    assert certificate.lower_bound == -np.inf
    assert "negative curvature" in certificate.summary
    certificate.verify(problem)


@pytest.mark.parametrize("curvature", [-1.0, -0.01])
def test_a_truly_indefinite_matrix_is_refused_by_its_curvature(curvature):
    rows = so.LinearConstraint(np.ones((1, 3)), 1.0, 1.0)
    Q = np.array([[1.0, 1.0 - curvature, 0.0], [1.0 - curvature, 1.0, 0.0], [0.0, 0.0, 1.0]])
    problem = so.Problem(so.Quadratic(Q, np.zeros(3)), constraint=rows)
    with pytest.raises(so.UnsupportedProblem, match=f"negative curvature {curvature:.3g}"):
        so.solve(problem, so.InteriorPoint())


def test_residuals_are_summed_in_the_order_of_the_indices():
    """A program of millions that cancel has residuals of one unit in the last place, which depend on the order."""
    rng = np.random.default_rng(2)
    M = sparse.random_array((40, 30), density=0.6, rng=rng, data_sampler=lambda size: 1e6 * rng.standard_normal(size))
    M, x, y, ridge = sparse.csc_array(M), rng.standard_normal(30), rng.standard_normal(40), rng.random(30)
    P = sparse.csc_array(M.T @ M)
    for curved, matrix in itertools.product((P, P.toarray()), (M, M.toarray())):
        out, image, back = np.empty(30), np.empty(40), np.empty(30)
        sides = np.full(40, -1.0), np.full(40, 1.0)
        products_at(Matrix.of(curved), ridge, Matrix.of(matrix), *sides, x, y, out, image, back)
        assert np.array_equal(out, P @ x + ridge * x)
        assert np.array_equal(image, M @ x)
        assert np.array_equal(back, M.T @ y)
        assert largest_terms(Matrix.of(matrix), y) == pytest.approx(np.max(np.abs(M.T) @ np.abs(y)), rel=1e-14)
        # multipliers that pull to no side are none
        pulls, no_lower = y.copy(), (np.full(40, -np.inf), np.full(40, 1.0))
        products_at(Matrix.of(curved), ridge, Matrix.of(matrix), *no_lower, x, pulls, out, image, back)
        assert np.array_equal(pulls, np.maximum(y, 0.0))
        assert np.array_equal(back, M.T @ pulls)


def far_program(side, scale, seed=4):
    """A program whose objective is about 1e12 for a side of 1e6, and its solution with the multipliers of rows and bounds."""
    rng = np.random.default_rng(seed)
    p, m = 12, 3
    A, w = np.round(rng.standard_normal((m, p)), 2), np.round(side * rng.random(p))
    y, low = scale * rng.standard_normal(m), np.append(w[:4], np.full(p - 4, -np.inf))
    v = -np.append(scale * rng.random(4), np.zeros(p - 4))
    Q = np.diag(np.round(1.0 + rng.random(p), 1))
    problem = so.Problem(
        so.Quadratic(Q, -(Q @ w) - A.T @ y - v),
        constraint=so.Intersection(so.LinearConstraint(A, A @ w, A @ w), so.Box(low, np.inf)),
    )
    return problem, w, y, v


@pytest.mark.parametrize("off", [1e-9, -3e-10])
def test_a_gap_closes_by_what_stationarity_has_room_for(off):
    """The multipliers are nearly the best; an absolute gap of 1e-6 is a part of 1e18 of the objective."""
    problem, w, y, v = far_program(1e6, 1e3)
    program = quadratic_program(problem)
    products = Products.of(program)
    y[0] += 100.0 * off
    found = measure(program, products, w, y, v)
    assert found[2] > 1e-6 > found[1]
    violation, stationarity, gap, *multipliers = with_less_gap(program, products, w, found, 1e-6)
    assert measure(program, products, w, *multipliers)[:3] == (violation, stationarity, gap)
    assert gap <= 1e-6
    assert stationarity <= 0.5e-6


def test_a_gap_that_stationarity_has_no_room_for_stays():
    problem, w, y, v = far_program(1.0, 1.0)
    program = quadratic_program(problem)
    products = Products.of(program)
    v[0] -= 1e-5
    found = measure(program, products, w, y, v)
    assert with_less_gap(program, products, w, found, 1e-6) is found


@pytest.mark.parametrize("seed", range(4))
def test_an_absolute_gap_is_reached_where_the_objective_is_far_larger(seed):
    problem, w, _, _ = far_program(1e6, 1e3, seed)
    solution = so.solve(problem, so.InteriorPoint(), tol=1e-6)
    program = quadratic_program(problem)
    found = measure(program, Products.of(program), solution.w, solution.duals.rows, solution.duals.box)
    assert solution.status is so.Status.CONVERGED
    assert max(found[:3]) <= 1e-6
    assert solution.w == pytest.approx(w, rel=1e-9)


def chain(p):
    """A sparse program that the sparse set-up takes: a chain of differences within sides, with a box."""
    rng = np.random.default_rng(0)
    A = sparse.diags_array([np.ones(p), -np.ones(p - 1)], offsets=[0, 1], format="csc")
    sides = so.LinearConstraint(A, np.full(p, -0.5), np.full(p, 0.5))
    Q = sparse.csc_array(sparse.diags_array(np.ones(p)))
    return so.Problem(so.Quadratic(Q, rng.standard_normal(p)), constraint=so.Intersection(sides, so.Box(-1.0, 1.0)))


@pytest.mark.parametrize("left", [1e-2, np.inf, np.nan])
def test_from_a_set_that_contradicts_itself_no_further_guess_is_made(monkeypatch, left):
    """A polish ends at a point that leaves much of the conditions of its own active set, and the point inside stays."""
    starts, calls, rng, start = [], [], np.random.default_rng(0), polishing.start

    def polish(_system, _sides, V, *_):
        calls.append(left)
        V[polishing.BETTER] = rng.standard_normal(V.shape[1])  # from here another set would be guessed
        return left

    monkeypatch.setattr(polishing, "polish", polish)
    monkeypatch.setattr(polishing, "start", lambda *given: starts.append(start(*given)))
    solution = so.solve(chain(400), so.InteriorPoint(), tol=1e-6)
    assert 1 <= len(calls) <= len(starts)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.violation <= 1e-6
    assert solution.certificate.dual_residual <= 1e-6


def test_a_relative_gap_is_asked_of_the_best_point():
    """The objective, by which a gap is divided, is that of the point whose gap it is."""
    problem = chain(400)
    solver = so.InteriorPoint()
    state = solver.init(problem, np.zeros(400))
    assert interior_point._relative_gap(state) == np.inf  # nothing is known yet
    while state.status is None:
        state = solver.step(problem, state, 1e-9, 100)
    state.gap, state.enough = 3.0, 0.0
    assert interior_point._relative_gap(state) == pytest.approx(3.0 / max(1.0, abs(problem.objective(state.w))))
    state.enough = 4.0  # it is small enough as it is
    assert interior_point._relative_gap(state) == 3.0


def test_a_product_that_presolve_takes_out_is_that_of_scipy_to_the_last_digit():
    rng = np.random.default_rng(5)
    M = sparse.random_array((400, 400), density=0.005, rng=rng, data_sampler=rng.standard_normal)
    problem = so.Problem(so.Quadratic(sparse.csc_array(M @ M.T), np.ones(400)), constraint=chain(400).constraint)
    program = quadratic_program(problem)
    assert program.is_sparse
    w = rng.standard_normal(400)
    assert np.array_equal(curve_at(program, Products.of(program), w), program.curve(w))
