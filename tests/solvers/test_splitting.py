"""Splitting: penalties of a linear map, with duality gaps, against CVXPY and solvers without a split."""

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

RNG = np.random.default_rng(5)
N, P = 60, 20
X = RNG.standard_normal((N, P))
Y = X @ np.linspace(-1.0, 1.0, P) + 0.3 * RNG.standard_normal(N)
GRAPH = np.array([np.eye(P)[i] - np.eye(P)[j] for i in range(P) for j in range(i) if (i + j) % 5 == 0])


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("alpha", [1e-3, 5e-2])
def test_a_trend_of_a_signal_agrees_with_cvxpy(order, alpha):
    n = 100
    y = np.abs(np.linspace(-2.0, 2.0, n)) + 0.1 * RNG.standard_normal(n)
    loss = so.LeastSquares(sparse.eye_array(n, format="csc"), y)
    solution = so.solve(so.Problem(loss, so.TrendFiltering(alpha, order)), tol=1e-7)
    w = cp.Variable(n)
    oracle = cp.Problem(cp.Minimize(cp.sum_squares(w - y) / (2 * n) + alpha * cp.norm1(cp.diff(w, order + 1))))
    oracle.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11)
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "duality"
    assert solution.certificate.objective == pytest.approx(oracle.value, rel=1e-6)
    assert solution.certificate.lower_bound <= oracle.value * (1 + 1e-7)
    solution.certificate.verify(so.Problem(loss, so.TrendFiltering(alpha, order)))


@pytest.mark.parametrize("penalty", [so.TrendFiltering(0.1), so.Composed(so.L1(0.05), GRAPH)], ids=["trend", "graph"])
@pytest.mark.parametrize(
    "loss",
    [
        so.LeastSquares(X, Y + 3.0, intercept=True),
        so.LeastSquares(sparse.csc_array(X), Y, sample_weight=np.arange(1.0, N + 1)),
        so.LeastSquares(sparse.csc_array(X), Y, intercept=True),
        so.LeastSquares(X[:8], Y[:8]),
        so.Huber(X, Y, delta=0.3),
        so.Logistic(X, Y + RNG.standard_normal(N) > 0, intercept=True),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_losses_with_conjugates_are_certified(penalty, loss):
    solution = so.solve(so.Problem(loss, penalty))
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "duality"
    assert -1e-12 <= solution.certificate.relative_gap <= 1e-6


def test_a_quadratic_is_stationary_and_says_so():
    solution = so.solve(so.Problem(so.Quadratic(X.T @ X / N, -X.T @ Y / N), so.TrendFiltering(0.1)))
    assert solution.status is so.Status.CONVERGED
    assert solution.certificate.proof == "stationarity"
    assert solution.certificate.stationarity <= 1e-5


@pytest.mark.parametrize("term", [so.L1(0.1), so.FusedLasso(0.05, 0.1), so.SLOPE(np.linspace(0.2, 0.1, P))], ids=repr)
def test_a_term_with_a_prox_is_taken_too(term):
    problem = so.Problem(so.LeastSquares(X, Y), term)
    split, plain = so.solve(problem, so.Splitting(), tol=1e-8), so.solve(problem, so.ProximalGradient(), tol=1e-8)
    assert split.certificate.relative_gap <= 1e-8
    assert split.certificate.objective == pytest.approx(plain.certificate.objective, rel=2e-8)
    np.testing.assert_array_equal(split.w == 0.0, plain.w == 0.0)


def test_a_fused_lasso_is_a_composition():
    stacked = np.vstack([0.05 * np.eye(P), 0.1 * np.diff(np.eye(P), axis=0)])
    composed = so.solve(so.Problem(so.LeastSquares(X, Y), so.Composed(so.L1(1.0), stacked)), tol=1e-8)
    fused = so.solve(so.Problem(so.LeastSquares(X, Y), so.FusedLasso(0.05, 0.1)), tol=1e-8)
    assert composed.certificate.objective == pytest.approx(fused.certificate.objective, rel=2e-8)


def test_a_point_without_multipliers_has_a_weaker_bound_that_holds():
    problem = so.Problem(so.LeastSquares(X, Y), so.TrendFiltering(0.1))
    solution = so.solve(problem, tol=1e-8)
    assert so.certify(problem, solution.w).lower_bound <= solution.certificate.objective


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (so.Problem(so.LeastSquares(X, Y), so.MCP(0.1)), "convex"),
        (so.Problem(so.LeastSquares(X, Y), so.L1(0.1), so.Box(0.0, 1.0)), "constraint"),
    ],
)
def test_what_it_cannot_take_is_refused_in_words(problem, words):
    with pytest.raises(so.UnsupportedProblem, match=words):
        so.solve(problem, so.Splitting())


@pytest.mark.parametrize("solver", [so.ProximalGradient(), so.CoordinateDescent(), so.OperatorSplitting()])
def test_others_refuse_a_composition_in_words(solver):
    with pytest.raises(so.UnsupportedProblem, match=type(solver).__name__):
        so.solve(so.Problem(so.LeastSquares(X, Y), so.TrendFiltering(0.1)), solver)


@pytest.mark.parametrize(
    ("make", "fault", "words"),
    [
        (lambda: so.Composed(so.L1(0.1), lambda w: w), TypeError, "must be a matrix"),
        (lambda: so.Composed(so.TrendFiltering(0.1), np.eye(3)), TypeError, "with a prox"),
        (lambda: so.Composed(so.L1(0.1), [[np.nan]]), ValueError, "NaN"),
        (lambda: so.Problem(so.LeastSquares(X, Y), so.Composed(so.L1(0.1), np.eye(3))), ValueError, "3 columns for 20"),
        (lambda: so.Problem(so.LeastSquares(X[:, :2], Y), so.TrendFiltering(0.1)), ValueError, "at least 3"),
        (lambda: so.TrendFiltering(0.1, -1), ValueError, "at least 0"),
        (lambda: so.Splitting(relaxation=2.0), ValueError, "less than 2"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(make, fault, words):
    with pytest.raises(fault, match=words):
        make()


def test_where_the_loss_sees_nothing_the_penalty_alone_decides():
    for design in (np.zeros((N, P)), sparse.csc_array((N, P))):
        problem = so.Problem(so.LeastSquares(design, Y, intercept=True), so.TrendFiltering(0.1))
        solution = so.solve(problem, w0=np.arange(P) ** 2.0)
        assert solution.status is so.Status.CONVERGED


def test_converged_means_the_rounded_point_that_is_returned():
    """Coefficients of 1e3 that differ by little: in float32 their differences are rounding."""
    signal = (1e3 + np.linspace(0.0, 1.0, P)).astype(np.float32)
    problem = so.Problem(so.LeastSquares(np.eye(P, dtype=np.float32), signal), so.TrendFiltering(0.01))
    solution = so.solve(problem)
    assert solution.status is so.Status.STALLED
    assert solution.certificate.relative_gap > 1e-6
