"""An L1 ball among other constraints or beside a penalty: against CVXPY, with proofs, limits and bad input."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

cp = pytest.importorskip("cvxpy")

rng = np.random.default_rng(0)
N, P = 50, 10
X = rng.standard_normal((N, P))
Y = X[:, :3] @ [0.5, 0.3, 0.2] + 0.1 * rng.standard_normal(N)
LOSSES = {
    "least squares": so.LeastSquares(X, Y),
    "sparse": so.LeastSquares(sparse.csc_array(X), Y),
    "logistic": so.Logistic(X, np.sign(Y)),
    "linear": so.Quadratic(np.zeros((P, P)), np.arange(1.0, P + 1)),
    "quadratic": so.Quadratic(X.T @ X / N, -X.T @ Y / N),
}
PENALTIES = {
    "none": so.Zero(),
    "l1": so.L1(0.01),
    "ridge": so.Ridged(so.Zero(), 0.1),
    "elastic net": so.Ridged(so.Weighted(so.L1(0.01), np.linspace(0.0, 2.0, P)), 0.1),
    "nonnegative": so.Nonnegative(so.L1(0.01)),
}
SETS = {
    "nothing": (),
    "a sum": (so.LinearConstraint(np.ones((1, P)), 1.0, 1.0),),
    "a box": (so.Box(-0.3, 0.3),),
    "both": (so.LinearConstraint(np.ones((1, P)), 0.2, 1.0), so.Box(-0.3, 0.3)),
}


def value_by_cvxpy(loss, penalty, sets, radius):
    w = cp.Variable(P)
    smooth = {
        "least squares": cp.sum_squares(X @ w - Y) / (2 * N),
        "sparse": cp.sum_squares(X @ w - Y) / (2 * N),
        "logistic": cp.sum(cp.logistic(cp.multiply(-np.sign(Y), X @ w))) / N,
        "linear": np.arange(1.0, P + 1) @ w,
        "quadratic": cp.sum_squares(X @ w - Y) / (2 * N) - Y @ Y / (2 * N),
    }[loss]
    term = {
        "none": 0.0,
        "l1": 0.01 * cp.norm1(w),
        "ridge": 0.05 * cp.sum_squares(w),
        "elastic net": 0.01 * np.linspace(0.0, 2.0, P) @ cp.abs(w) + 0.05 * cp.sum_squares(w),
        "nonnegative": 0.01 * cp.norm1(w),
    }[penalty]
    rows = {
        "nothing": [],
        "a sum": [cp.sum(w) == 1.0],
        "a box": [cp.abs(w) <= 0.3],
        "both": [cp.sum(w) >= 0.2, cp.sum(w) <= 1.0, cp.abs(w) <= 0.3],
    }[sets]
    rows = [*rows, cp.norm1(w) <= radius, *([w >= 0.0] if penalty == "nonnegative" else [])]
    problem = cp.Problem(cp.Minimize(smooth + term), rows)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return problem.value


CASES = [
    case
    for i, case in enumerate(itertools.product(LOSSES, PENALTIES, SETS, (0.6, 1.2)))
    # what has a projection of its own goes another way
    if i % 5 == 0 and not (case[1] == "none" and case[2] == "nothing")
]


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@pytest.mark.parametrize(("loss", "penalty", "sets", "radius"), CASES)
def test_value_and_proof_agree_with_cvxpy(loss, penalty, sets, radius):
    problem = so.Problem(LOSSES[loss], PENALTIES[penalty], so.Intersection(so.L1Ball(radius), *SETS[sets]))
    solution = so.solve(problem, tol=1e-7)
    expected = value_by_cvxpy(loss, penalty, sets, radius)
    if expected == np.inf:
        assert solution.status is so.Status.INFEASIBLE
        assert solution.certificate.lower_bound == np.inf
    else:
        assert solution.status is so.Status.CONVERGED
        assert solution.certificate.objective == pytest.approx(expected, rel=1e-5, abs=1e-6)
        assert solution.certificate.lower_bound <= expected + 1e-6
        assert np.abs(solution.w).sum() <= radius + 1e-7
        assert solution.duals.ball >= 0.0
    solution.certificate.verify(problem)


def portfolio(exposure=1.4, k=30):
    """Mean and variance of assets with a limit on the gross exposure: long and short positions that sum to one."""
    draws = np.random.default_rng(3)
    factors = draws.standard_normal((k, 4))
    covariance = factors @ factors.T + np.diag(draws.uniform(0.2, 1.0, k))
    rows = so.LinearConstraint(np.ones((1, k)), 1.0, 1.0)
    return so.Problem(
        so.Quadratic(covariance, -draws.uniform(0.0, 1.0, k)),
        constraint=so.Intersection(rows, so.Box(-0.3, 0.5), so.L1Ball(exposure)),
    )


def test_gross_exposure_is_limited_and_its_price_is_the_slope_of_the_value():
    step = 1e-4
    solution = so.solve(portfolio(), tol=1e-9)
    assert np.abs(solution.w).sum() == pytest.approx(1.4, abs=1e-8)
    less, more = (so.solve(portfolio(1.4 + d), tol=1e-9).certificate.objective for d in (-step, step))
    assert solution.duals.ball == pytest.approx((less - more) / (2 * step), rel=1e-3)


def test_a_ball_that_is_wide_enough_has_no_price():
    problem = portfolio(1e3)
    solution = so.solve(problem)
    assert solution.duals.ball == 0.0
    without = so.solve(replace(problem, constraint=so.Intersection(*problem.constraint.parts[:2])))
    assert np.allclose(solution.w, without.w, atol=1e-7)


def test_no_nonzeros_are_left_of_prices_that_were_tried():
    draws = np.random.default_rng(1)
    A = draws.standard_normal((500, 200))
    loss = so.LeastSquares(A, A[:, :20] @ draws.standard_normal(20) + draws.standard_normal(500))
    lasso = so.solve(so.Problem(loss, so.L1(0.2)), tol=1e-9)
    ball = so.Intersection(so.L1Ball(float(np.abs(lasso.w).sum())), so.Box(-10.0, 10.0))
    solution = so.solve(so.Problem(loss, constraint=ball), tol=1e-7)
    assert np.array_equal(solution.support, lasso.support)
    assert solution.duals.ball == pytest.approx(0.2, rel=1e-4)


def test_as_cvxpy_states_the_ball():
    from sparseopt.adapters.cvxpy import as_cvxpy

    stated = as_cvxpy(portfolio())
    stated.solve(solver=cp.CLARABEL)
    assert stated.value == pytest.approx(so.solve(portfolio()).certificate.objective, abs=1e-6)


def test_a_tampered_proof_is_rejected():
    problem = portfolio()
    certificate = so.solve(problem).certificate
    forged = [
        replace(certificate, lower_bound=certificate.objective + 1.0),
        replace(certificate, w=certificate.w * 1.1),
        replace(certificate, duals=replace(certificate.duals, ball=0.0)),
        replace(certificate, proof="infeasible ray", lower_bound=np.inf),
    ]
    for wrong in forged:
        with pytest.raises(so.CertificateError):
            wrong.verify(problem)


@pytest.mark.parametrize("price", [-0.005, -1.0, np.nan])
def test_a_price_that_is_no_price_proves_nothing(price):
    """Less than the strength of the penalty, a negative one would leave a penalty and raise the bound."""
    problem = so.Problem(LOSSES["least squares"], so.L1(0.01), so.Intersection(so.L1Ball(5.0), so.Box(-0.3, 0.3)))
    solution = so.solve(problem, tol=1e-9)
    for duals in (replace(solution.duals, ball=price), so.Duals(np.zeros(0), np.zeros(0), ball=price)):
        certificate = so.certify(problem, solution.w, duals=duals)
        assert certificate.lower_bound <= solution.certificate.objective
        assert certificate.lower_bound <= so.certify(problem, solution.w, duals=replace(duals, ball=0.0)).lower_bound


@pytest.mark.parametrize("radius", [1e-3, 0.5, 0.999])
def test_a_ball_that_is_too_small_for_the_rows_is_proven_to_be(radius):
    problem = portfolio(radius)
    solution = so.solve(problem)
    assert solution.status is so.Status.INFEASIBLE
    assert solution.certificate.proof == "infeasible ray"
    solution.certificate.verify(problem)


def test_the_smallest_ball_that_meets_the_rows_has_a_solution():
    problem = portfolio(1.0)
    solution = so.solve(problem, tol=1e-6)
    assert solution.certificate.violation <= 1e-6
    assert np.all(solution.w >= -1e-6)
    assert solution.certificate.objective == pytest.approx(
        so.solve(replace(problem, constraint=so.Intersection(so.Simplex(), so.Box(0.0, 0.5)))).certificate.objective,
        abs=1e-5,
    )


def test_boxes_that_do_not_meet_the_ball_are_infeasible():
    problem = so.Problem(LOSSES["quadratic"], constraint=so.Intersection(so.L1Ball(0.5), so.Box(5.0, 6.0)))
    solution = so.solve(problem)
    assert solution.status is so.Status.INFEASIBLE
    solution.certificate.verify(problem)


def test_an_intercept_and_single_precision_are_kept():
    loss = so.LeastSquares(X.astype(np.float32), (Y + 3.0).astype(np.float32), intercept=True)
    solution = so.solve(so.Problem(loss, so.L1(0.01), so.L1Ball(0.5)), tol=1e-4)
    assert solution.w.dtype == np.float32
    assert solution.certificate.relative_gap <= 1e-4
    assert solution.intercept == pytest.approx(np.mean(Y + 3.0 - X @ solution.w), abs=1e-5)


def test_a_callback_ends_the_search_and_limits_are_data():
    seen = []

    def callback(tried, w):
        seen.append((tried, w.flags.writeable))
        return len(seen) == 2

    stopped = so.solve(portfolio(), tol=0.0, callback=callback, trace=True)
    assert stopped.status is so.Status.STOPPED
    assert seen == [(1, False), (2, False)]
    limited = so.solve(portfolio(), tol=0.0, max_iter=3)
    assert limited.status is so.Status.ITERATION_LIMIT
    assert limited.iterations == 3
    limited.certificate.verify(portfolio())
    late = so.solve(portfolio(), tol=0.0, time_limit=0.0)
    assert late.status is so.Status.TIME_LIMIT


def test_the_solver_of_the_priced_problems_can_be_chosen():
    solution = so.solve(portfolio(), so.InteriorPoint())
    assert solution.solver.startswith("InteriorPoint")
    assert solution.certificate.objective == pytest.approx(so.solve(portfolio()).certificate.objective, abs=1e-6)
    with pytest.raises(so.UnsupportedProblem, match="GramDescent"):
        so.solve(portfolio(), so.GramDescent())


def test_what_has_no_price_is_refused_as_before():
    for penalty in (so.MCP(0.1, 3.0), so.GroupLasso(0.1, 2)):
        with pytest.raises(so.UnsupportedProblem):
            so.solve(so.Problem(LOSSES["least squares"], penalty, so.L1Ball(1.0)))
