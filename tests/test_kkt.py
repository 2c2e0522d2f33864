"""Residuals, bounds and rays of constrained problems, against an interior point method."""

from fractions import Fraction

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sparseopt import (
    L1,
    MCP,
    Box,
    Cardinality,
    Duals,
    Huber,
    Intersection,
    LeastSquares,
    LinearConstraint,
    Logistic,
    Nonnegative,
    Problem,
    Quadratic,
    Ridged,
    Simplex,
    Weighted,
    Zero,
    certify,
)
from sparseopt.kernels.kkt_look import residuals_with_more_digits
from sparseopt.programs import dense_program
from sparseopt.proofs import kkt
from sparseopt.proofs.kkt import covers, kkt_residuals
from sparseopt.proofs.multipliers import recover_duals
from sparseopt.proofs.rays import check_dual_ray, check_primal_ray

# Active below: w_0 + w_1 <= 1 pulls with 1, w_2 >= 0.5 pulls with -1.5, and alpha = 1 holds w_3 at 0.
HAND = Problem(
    Quadratic(np.eye(4), np.array([-2.5, -2.5, 2.0, 0.5])),
    L1(1.0),
    Intersection(
        LinearConstraint(np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0]]), -np.inf, [1.0, 7.0]),
        Box(np.array([-np.inf, -np.inf, 0.5, -np.inf]), 9.0),
    ),
)
HAND_W = np.array([0.5, 0.5, 0.5, 0.0])
HAND_DUALS = Duals(np.array([1.0, 0.0]), np.array([0.0, 0.0, -3.5, 0.0]))


def test_a_solution_by_hand_has_no_residual():
    found = kkt_residuals(HAND, HAND_W, HAND_DUALS)
    assert found.violation == 0.0
    assert found.dual <= 1e-15
    assert found.gap <= 1e-15
    assert found.lower_bound == pytest.approx(found.objective, abs=1e-12)
    assert found.lower_bound <= found.objective


def test_multipliers_by_hand_are_recovered():
    duals = recover_duals(HAND, HAND_W)
    assert duals.rows == pytest.approx(HAND_DUALS.rows, abs=1e-12)
    assert duals.box == pytest.approx(HAND_DUALS.box, abs=1e-12)


def test_a_multiplier_with_the_wrong_sign_shows_in_the_dual_residual():
    """The row has no lower side for a negative multiplier to pull on."""
    wrong = Duals(-HAND_DUALS.rows, HAND_DUALS.box)
    assert kkt_residuals(HAND, HAND_W, wrong).dual == pytest.approx(1.0)


def test_a_multiplier_of_an_inactive_side_shows_in_the_gap():
    """Its row is 6.5 from its upper side."""
    found = kkt_residuals(HAND, HAND_W, Duals(np.array([1.0, 1e-3]), HAND_DUALS.box - [1e-3, 0.0, 0.0, 1e-3]))
    assert found.gap >= 6e-3


def test_violation_is_the_largest_excess_over_a_row_or_bound():
    assert kkt_residuals(HAND, np.array([0.75, 0.5, 0.4, 0.0]), HAND_DUALS).violation == pytest.approx(0.25)
    assert kkt_residuals(HAND, np.array([0.5, 0.5, 0.1, 0.0]), HAND_DUALS).violation == pytest.approx(0.4)


def random_problem(rng, kind, p, m):
    X, y = rng.standard_normal((2 * p, p)), rng.standard_normal(2 * p)
    loss = {
        "quadratic": lambda: Quadratic(X.T @ X / p, y[:p]),
        "singular quadratic": lambda: Quadratic(X[: p // 2].T @ X[: p // 2] / p, y[:p]),
        "least squares": lambda: LeastSquares(X, y, rng.random(2 * p), intercept=True),
        "sparse least squares": lambda: LeastSquares(sparse.csc_array(X * (X > 0)), y, intercept=True),
        "wide least squares": lambda: LeastSquares(X[: p // 2], y[: p // 2]),
        "logistic": lambda: Logistic(X, y > 0, intercept=True),
        "huber": lambda: Huber(X, y, delta=0.5),
    }[kind]()
    A = rng.standard_normal((m, p))
    middle = A @ rng.uniform(0.0, 0.5, p)
    lower, upper = middle - rng.random(m), middle + rng.random(m)
    lower[rng.random(m) < 0.4] = -np.inf
    upper[: m // 3] = lower[: m // 3] = middle[: m // 3]
    return loss, LinearConstraint(A, lower, upper)


LOSSES = [
    "quadratic",
    "singular quadratic",
    "least squares",
    "sparse least squares",
    "wide least squares",
    "logistic",
    "huber",
]
PENALTIES = {
    Zero(): lambda _: 0.0,
    L1(0.1): lambda w: 0.1 * cp.norm1(w),
    Ridged(L1(0.1), 0.3): lambda w: 0.1 * cp.norm1(w) + 0.15 * cp.sum_squares(w),
    Nonnegative(L1(0.05)): lambda w: 0.05 * cp.sum(w),
    Weighted(L1(0.2), np.linspace(0.0, 1.0, 8)): lambda w: cp.norm1(cp.multiply(np.linspace(0.0, 0.2, 8), w)),
}


def optimum(problem, rows, bounds):
    """A solution and its value by an interior point method."""
    loss, w, b = problem.loss, cp.Variable(8), cp.Variable()
    if isinstance(loss, Quadratic):
        objective = cp.quad_form(w, cp.psd_wrap(loss.Q.matrix)) / 2 + loss.c @ w
    else:
        X = loss.X.matrix.toarray() if sparse.issparse(loss.X.matrix) else loss.X.matrix
        z = X @ w + (b if loss.intercept else 0.0)
        terms = {
            LeastSquares: lambda: cp.square(z - loss.y) / 2,
            Logistic: lambda: cp.logistic(cp.multiply(-loss.y, z)),
            Huber: lambda: cp.huber(z - loss.y, 0.5) / 2,
        }[type(loss)]()
        objective = cp.sum(cp.multiply(np.broadcast_to(loss.sample_weight.values, loss.y.size), terms))
    objective += PENALTIES[problem.penalty](w)
    below, above = np.isfinite(rows.lower), np.isfinite(rows.upper)
    sides = [
        rows.A[below] @ w >= rows.lower[below],
        rows.A[above] @ w <= rows.upper[above],
        w >= bounds[0],
        w <= bounds[1],
    ]
    sides += [w >= 0.0] if isinstance(problem.penalty, Nonnegative) else []
    value = cp.Problem(cp.Minimize(objective), sides).solve(solver=cp.CLARABEL)
    return w.value, value


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(LOSSES),
    penalty=st.sampled_from(list(PENALTIES)),
    has_box=st.booleans(),
    size=st.sampled_from([1e-9, 1e-3, 1.0]),
)
def test_no_multipliers_prove_more_than_the_optimal_value(seed, kind, penalty, has_box, size):
    """Weak duality, for any w and any multipliers."""
    rng = np.random.default_rng(seed)
    loss, rows = random_problem(rng, kind, 8, 6)
    bounds = (-1.0, 2.0) if has_box else (-5.0, 5.0)
    problem = Problem(loss, penalty, Intersection(rows, Box(*bounds)))
    best, value = optimum(problem, rows, bounds)
    w = best + size * rng.standard_normal(8)
    recovered = recover_duals(problem, w, activity=1e-5)
    for duals in (recovered, Duals(rng.standard_normal(6), rng.standard_normal(8)), Duals(np.zeros(6), np.zeros(8))):
        assert kkt_residuals(problem, w, duals).lower_bound <= value + 1e-6 * (1.0 + abs(value))
    if size < 1e-6 and has_box:
        assert kkt_residuals(problem, w, recovered).lower_bound >= value - 1e-3 * (1.0 + abs(value))


@pytest.mark.parametrize("kind", ["quadratic", "singular quadratic"])
@pytest.mark.parametrize("has_box", [False, True])
def test_multipliers_and_value_of_an_interior_point_method_are_confirmed(kind, has_box):
    """Our signs are those of lagrangian f + y'(Aw - upper) - z'(Aw - lower) with y, z >= 0 and multiplier y - z."""
    rng = np.random.default_rng(11)
    loss, rows = random_problem(rng, kind, 8, 6)
    w = cp.Variable(8)
    above, below = rows.A[2:] @ w <= np.minimum(rows.upper[2:], 1e6), rows.A[2:] @ w >= np.maximum(rows.lower[2:], -1e6)
    same, least, most = rows.A[:2] @ w == rows.lower[:2], w >= -0.2, w <= 0.3
    objective = cp.quad_form(w, cp.psd_wrap(loss.Q.matrix)) / 2 + loss.c @ w + 0.1 * cp.norm1(w)
    sides = [same, above, below, least, most] if has_box or kind != "quadratic" else [same, above, below]
    value = cp.Problem(cp.Minimize(objective), sides).solve(
        solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11
    )
    bounded = len(sides) == 5
    problem = Problem(loss, L1(0.1), Intersection(rows, Box(-0.2, 0.3)) if bounded else rows)
    theirs = Duals(
        np.append(same.dual_value, above.dual_value - below.dual_value),
        most.dual_value - least.dual_value if bounded else np.zeros(8),
    )
    found = kkt_residuals(problem, w.value, theirs)
    assert max(found.violation, found.dual, found.gap) <= 1e-6
    assert found.lower_bound == pytest.approx(value, abs=1e-5)
    certificate = certify(problem, w.value)  # from w alone
    assert certificate.proof == "kkt"
    assert certificate.dual_residual <= 1e-5
    assert certificate.objective - certificate.lower_bound <= 1e-4


def test_recovered_multipliers_prove_a_least_squares_solution_on_the_simplex():
    X, y = np.random.default_rng(0).standard_normal((30, 50)), np.ones(30)
    w = cp.Variable(50)
    value = cp.Problem(cp.Minimize(cp.sum_squares(X @ w - y) / 60), [w >= 0, cp.sum(w) == 1]).solve(
        solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12
    )
    point = np.where(w.value > 1e-7, w.value, 0.0)
    problem = Problem(LeastSquares(X, y), constraint=Intersection(Simplex(), Box(-1.0, 1.0)))
    found = kkt_residuals(problem, point, recover_duals(problem, point))
    assert found.dual <= 1e-6
    assert found.lower_bound == pytest.approx(value, abs=1e-5)


def test_rows_that_bound_the_coefficients_pay_for_the_residual():
    """Without a box, the singular quadratic has a bound only because sum(w) = 1 and w >= 0 imply w <= 1."""
    rng = np.random.default_rng(1)
    M = rng.standard_normal((3, 8))
    loss, row = Quadratic(M.T @ M, rng.standard_normal(8)), LinearConstraint(np.ones((1, 8)), 1.0, 1.0)
    w, duals = np.full(8, 1 / 8), Duals(np.array([0.3]), np.zeros(8))
    assert np.isfinite(
        kkt_residuals(Problem(loss, constraint=Intersection(row, Box(0.0, np.inf))), w, duals).lower_bound
    )
    assert kkt_residuals(Problem(loss, constraint=row), w, duals).lower_bound == -np.inf


def test_the_hessian_is_made_once_where_its_factor_is_kept(monkeypatch):
    rng = np.random.default_rng(3)
    M, made = rng.standard_normal((8, 6)), []
    problem = Problem(
        Quadratic(M.T @ M, rng.standard_normal(6)), constraint=LinearConstraint(np.ones((1, 6)), 1.0, 1.0)
    )
    hessian = kkt._hessian
    monkeypatch.setattr(kkt, "_hessian", lambda loss: made.append(loss) or hessian(loss))
    bounds = [kkt_residuals(problem, rng.standard_normal(6), Duals(np.zeros(1), np.zeros(6))) for _ in range(3)]
    assert np.isfinite([found.lower_bound for found in bounds]).all()
    assert made == [problem.loss]


def test_multipliers_of_a_large_sparse_problem_are_recovered_without_a_full_matrix():
    """A in full would take 200 GB."""
    p, m = 200_000, 120_000
    y, i = np.random.default_rng(5).standard_normal(m), np.arange(m)
    A = sparse.csc_array((np.ones(2 * m), (np.append(i, i), np.append(i, i + 1))), shape=(m, p))
    problem = Problem(
        Quadratic(sparse.eye_array(p, format="csc"), -(A.T @ y)), constraint=LinearConstraint(A, 0.0, 0.0)
    )
    w = np.zeros(p)
    assert kkt_residuals(problem, w, recover_duals(problem, w)).dual <= 1e-2


def test_a_nonconvex_quadratic_has_no_bound():
    Q = np.array([[1.0, 2.0], [2.0, 1.0]])
    for matrix in (Q, sparse.csc_array(Q)):
        problem = Problem(
            Quadratic(matrix, np.zeros(2)),
            constraint=Intersection(LinearConstraint(np.eye(2), 0.0, 1.0), Box(0.0, 1.0)),
        )
        assert kkt_residuals(problem, np.zeros(2), Duals(np.zeros(2), np.zeros(2))).lower_bound == -np.inf


FARKAS = Intersection(
    LinearConstraint(np.array([[1.0, 1.0], [1.0, -1.0]]), [3.0, -np.inf], [np.inf, 0.5]), Box(0.0, 1.0)
)


def test_a_farkas_ray_is_confirmed_and_scaled():
    """The row w_0 + w_1 >= 3 cannot hold in the unit box: -1 * row + 1 * bounds has support -3 + 2."""
    problem = Problem(Quadratic(np.eye(2), np.zeros(2)), constraint=FARKAS)
    for ray in ([-1.0, 0.0], [-1e-6, 0.0], [-1e6, 0.0, 1e6, 1e6]):
        assert check_primal_ray(problem, np.array(ray)).holds
        assert check_primal_ray(problem, np.array(ray)).residual == 0.0
    certificate = certify(problem, np.zeros(2), ray=np.array([-1.0, 0.0]))
    assert certificate.proof == "infeasible ray"
    certificate.verify(problem)


@pytest.mark.parametrize("ray", [[1.0, 0.0], [-1.0, -5.0], [0.0, 0.0], [-1.0]])
def test_a_wrong_farkas_ray_is_refused(ray):
    problem = Problem(Quadratic(np.eye(2), np.zeros(2)), constraint=FARKAS)
    assert not check_primal_ray(problem, np.array(ray)).holds


def test_a_farkas_ray_of_a_free_coefficient_must_vanish_there():
    rows = LinearConstraint(np.array([[1.0, 1.0], [1.0, 1.0 + 1e-5]]), [1.0, 2.0], [1.0, 2.0])
    problem = Problem(Quadratic(np.eye(2), np.zeros(2)), constraint=rows)
    found = check_primal_ray(problem, np.array([1.0, -1.0]))
    assert found.residual == pytest.approx(1e-5)
    assert not found.holds
    # the point (1 - 1e5, 1e5) is feasible indeed, at a norm of about 1 / residual
    assert problem.violation(np.array([1.0 - 1e5, 1e5])) <= 1e-9


def test_bounds_that_cross_need_no_ray():
    problem = Problem(
        Quadratic(np.eye(2), np.zeros(2)),
        Nonnegative(Zero()),
        Intersection(LinearConstraint(np.eye(2), -3.0, 3.0), Box(-2.0, -1.0)),
    )
    assert check_primal_ray(problem, np.zeros(2)).holds


def test_a_ray_of_descent_is_confirmed():
    rows = LinearConstraint(np.array([[1.0, -1.0]]), -np.inf, 1.0)
    problem = Problem(Quadratic(np.diag([1.0, 0.0]), np.array([0.0, -1.0])), L1(0.5), rows)
    assert check_dual_ray(problem, np.array([0.0, 3.0])).holds
    assert certify(problem, np.zeros(2), ray=np.array([0.0, 3.0])).proof == "unbounded ray"


@pytest.mark.parametrize(
    ("problem", "d"),
    [
        (Problem(Quadratic(np.diag([1.0, 0.0]), [0.0, -1.0]), L1(1.5)), [0.0, 1.0]),  # the penalty stops it
        (Problem(Quadratic(np.diag([1.0, 1e-3]), [0.0, -1.0])), [0.0, 1.0]),  # curvature does
        (Problem(Quadratic(np.diag([1.0, 0.0]), [0.0, -1.0]), Ridged(Zero(), 0.1)), [0.0, 1.0]),  # a ridge
        (
            Problem(Quadratic(np.diag([1.0, 0.0]), [0.0, -1.0]), constraint=LinearConstraint(np.eye(2), 0.0, 1.0)),
            [0.0, 1.0],
        ),
        (Problem(Quadratic(np.diag([1.0, 0.0]), [0.0, 1.0]), Nonnegative(Zero())), [0.0, -1.0]),  # a bound
        (Problem(Quadratic(np.diag([1.0, 0.0]), [0.0, -1.0])), [0.0, -1.0]),  # it climbs
        (Problem(Quadratic(np.diag([1.0, 0.0]), [0.0, -1.0])), [1.0]),  # of another length
        (Problem(Logistic(np.eye(2), [0, 1])), [-1.0, 1.0]),  # no quadratic
    ],
)
def test_a_wrong_ray_of_descent_is_refused(problem, d):
    assert not check_dual_ray(problem, np.array(d)).holds


def test_what_it_covers():
    loss = Quadratic(np.eye(2), np.zeros(2))
    assert covers(Problem(loss, Ridged(Weighted(L1(1.0), np.ones(2)), 1.0), FARKAS))
    assert not covers(Problem(loss, MCP(1.0), FARKAS))
    assert not covers(Problem(loss, constraint=Intersection(FARKAS, Cardinality(1))))
    assert certify(Problem(loss, MCP(1.0), FARKAS), np.zeros(2)).lower_bound == -np.inf


def test_a_flat_coefficient_leaves_no_bound_whatever_is_coupled_before_it(monkeypatch):
    """Coefficients 0 and 1 are coupled, coefficient 2 is flat, and no row bounds any: what it leaves nothing pays for."""
    monkeypatch.setattr(dense_program, "_LITTLE", -1.0)
    monkeypatch.setattr(dense_program, "_FILLED", -1.0)
    Q = np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    for p, bound in ((3, -np.inf), (2, 0.0)):
        rows = LinearConstraint(sparse.csc_array(np.ones((1, p))), 0.0, 0.0)
        problem = Problem(Quadratic(sparse.csc_array(Q[:p, :p]), np.full(p, 1e-9)), constraint=rows)
        found = certify(problem, np.zeros(p), duals=Duals(np.zeros(1), np.zeros(p)))
        assert found.lower_bound == pytest.approx(bound, abs=1e-12)


def test_several_sets_of_rows_prove_what_one_of_them_all_does():
    rng = np.random.default_rng(4)
    A = sparse.csc_array(rng.standard_normal((6, 9)) * (rng.random((6, 9)) < 0.4))
    loss, low, y = (
        Quadratic(sparse.eye_array(9, format="csc"), rng.standard_normal(9)),
        -np.ones(6),
        rng.standard_normal(6),
    )
    one = LinearConstraint(A, low, np.ones(6))
    some = Intersection(LinearConstraint(A[:2], low[:2], np.ones(2)), LinearConstraint(A[2:], low[2:], np.ones(4)))
    found = [certify(Problem(loss, constraint=rows), np.zeros(9), duals=Duals(y, np.zeros(9))) for rows in (one, some)]
    assert found[0].lower_bound == pytest.approx(found[1].lower_bound)
    assert found[0].dual_residual == pytest.approx(found[1].dual_residual)


@pytest.mark.parametrize("seed", range(20))
def test_the_dual_residual_is_no_less_than_in_rationals_nor_than_in_another_order(seed):
    """Beside large multipliers the sums of doubles are off by their last digits."""
    random = np.random.default_rng(seed)
    Q, A, w = random.standard_normal((4, 4)), random.standard_normal((3, 4)), random.standard_normal(4)
    Q, y = Q @ Q.T, 1e8 * random.standard_normal(3)
    c = -(Q @ w + A.T @ y)
    constraint = LinearConstraint(A, A @ w, A @ w)
    problem, duals = Problem(Quadratic(Q, c), constraint=constraint), Duals(y, np.zeros(4))
    found = certify(problem, w, duals=duals).dual_residual
    exact = max(
        abs(
            float(
                sum(
                    (Fraction(a) * Fraction(b) for a, b in zip([*Q[j], *A[:, j]], [*w, *y], strict=True)),
                    Fraction(c[j]),
                )
            )
        )
        for j in range(4)
    )
    assert found >= kkt_residuals(problem, w, duals).dual
    # sums of twice the digits are off by as little as the rounding of their result
    assert found >= exact * (1.0 - 8 * np.finfo(float).eps)
    assert found <= exact + 16 * np.finfo(float).eps * 1e9


@pytest.mark.parametrize("seed", range(20))
def test_residuals_with_more_digits_are_those_of_rationals(seed):
    """Multipliers of sides that are not there count as absent, and a slope of |w_j| balances what it can."""
    random = np.random.default_rng(seed)
    (p, m), size = (4, 3), 10.0 ** random.integers(0, 9)
    Q, A, w = random.standard_normal((p, p)), random.standard_normal((p, m)), random.standard_normal(p)
    Q, y, v = Q @ Q.T, size * random.standard_normal(m), size * random.standard_normal(p)
    alpha, ridge = np.array([0.0, 0.5, 1e3, 0.0]), np.array([0.0, 0.0, 1.0, 2.0])
    c = random.standard_normal(p) - Q @ w - A @ y - v
    at, one = w @ A, np.array([1.0, np.inf, 1e-9])
    sides = at - one, at + 1e-13 * random.standard_normal(m), w - 1.0, np.where(v > 0.0, w, np.inf)
    found = residuals_with_more_digits(Q, c, A, *sides, alpha, ridge, w, y, v)
    row_lower, row_upper, lower, upper = sides
    y = [
        0.0 if np.isinf(high if pull > 0.0 else low) else pull
        for pull, low, high in zip(y, row_lower, row_upper, strict=True)
    ]
    pulls = [
        0.0 if np.isinf(high if pull > 0.0 else low) else pull for pull, low, high in zip(v, lower, upper, strict=True)
    ]

    def total(a, b, start=0.0):
        return sum((Fraction(x) * Fraction(z) for x, z in zip(a, b, strict=True)), Fraction(start))

    dual = 0
    for j in range(p):
        left = total([*Q[j], *A[j], ridge[j], 1.0], [*w, *y, w[j], pulls[j]], c[j])
        dual = max(dual, abs(left - min(max(left, -Fraction(alpha[j])), Fraction(alpha[j]))))
    violation = max(
        [
            0,
            *(side - x for side, x in zip(lower, w, strict=True)),
            *(x - side for side, x in zip(upper, w, strict=True)),
        ]
    )
    for i in range(m):
        row = total(A[:, i], w)
        violation = max(violation, row - Fraction(row_upper[i]), Fraction(row_lower[i]) - row if one[i] < np.inf else 0)
    assert found == pytest.approx((float(violation), float(dual)), rel=1e-12, abs=1e-300)
