"""Convex problems against scikit-learn, CVXPY and closed forms.

Where both answers have a gap of at most e and f is strongly convex with modulus m, they lie
within 2 sqrt(2 e / m) of each other: the tolerances below follow from tol.
"""

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression

import sparseopt as so

RNG = np.random.default_rng(1)
N, P = 50, 12
X = RNG.standard_normal((N, P))
W = np.zeros(P)
W[[0, 4, 7]] = 1.5, -1.0, 0.5
Y = X @ W + 0.3 * RNG.standard_normal(N) + 2.0
LABELS = np.where(X @ W + RNG.standard_normal(N) > 0, 1, -1)
WEIGHTS = RNG.uniform(0.2, 2.0, N)
MODULUS = np.linalg.eigvalsh((X - X.mean(0)).T @ (X - X.mean(0)) / N)[0]
SOLVERS = [so.CoordinateDescent(), so.ProximalGradient()]


def distance(objective, relative_gap=1e-10, modulus=MODULUS):
    """How far apart two points with this gap can be."""
    return 2 * np.sqrt(2 * relative_gap * objective / modulus)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_lasso_is_scikit_learns(solver, storage, weights):
    theirs = Lasso(0.1, tol=1e-12, max_iter=100_000).fit(X, Y, sample_weight=weights)
    ours = so.solve(
        so.Problem(so.LeastSquares(storage(X), Y, sample_weight=weights, intercept=True), so.L1(0.1)), solver, tol=1e-10
    )
    reach = distance(ours.certificate.objective, modulus=0.2 * MODULUS)  # the smallest weight is a tenth of the largest
    np.testing.assert_allclose(ours.w, theirs.coef_, atol=reach)
    np.testing.assert_allclose(ours.intercept, theirs.intercept_, atol=P * reach)
    assert set(ours.support) == set(np.flatnonzero(theirs.coef_))


def test_elastic_net_is_scikit_learns():
    theirs = ElasticNet(0.2, l1_ratio=0.3, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(X, Y)
    ours = so.solve(so.Problem(so.LeastSquares(X, Y), so.elastic_net(0.2, 0.3)), tol=1e-10)
    np.testing.assert_allclose(ours.w, theirs.coef_, atol=distance(ours.certificate.objective, modulus=0.14))


def test_elastic_net_without_a_ridge_is_the_lasso():
    assert so.elastic_net(0.2, 1.0) == so.L1(0.2)
    with pytest.raises(ValueError, match="l1_ratio must lie in"):
        so.elastic_net(0.2, 1.5)


def test_nonnegative_lasso_is_scikit_learns():
    theirs = Lasso(0.1, positive=True, tol=1e-12, max_iter=100_000).fit(X, Y)
    loss = so.LeastSquares(X, Y, intercept=True)
    ours = so.solve(so.Problem(loss, so.Nonnegative(so.L1(0.1))), tol=1e-10)
    boxed = so.solve(so.Problem(loss, so.L1(0.1), so.Box(0.0, np.inf)), tol=1e-10)
    reach = distance(ours.certificate.objective)
    np.testing.assert_allclose(ours.w, theirs.coef_, atol=reach)
    np.testing.assert_allclose(boxed.w, theirs.coef_, atol=reach)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_logistic_regression_is_scikit_learns(solver):
    theirs = LogisticRegression(l1_ratio=1, C=1 / (0.05 * N), solver="saga", tol=1e-10, max_iter=100_000).fit(X, LABELS)
    ours = so.solve(so.Problem(so.Logistic(X, LABELS, intercept=True), so.L1(0.05)), solver, tol=1e-10)
    # near the solution the curvature is at least s(1 - s) of the steepest fitted value
    curvature = np.exp(-np.abs(X @ ours.w + ours.intercept)) / (1 + np.exp(-np.abs(X @ ours.w + ours.intercept))) ** 2
    reach = distance(ours.certificate.objective, modulus=curvature.min() * MODULUS)
    np.testing.assert_allclose(ours.w, theirs.coef_[0], atol=reach)
    np.testing.assert_allclose(ours.intercept, theirs.intercept_[0], atol=P * reach)


def _loss_of_cvxpy(kind, w, b):
    z = X @ w + b
    weights = WEIGHTS / WEIGHTS.sum()
    match kind:
        case so.LeastSquares:
            return weights @ cp.square(z - Y) / 2
        case so.Logistic:
            return weights @ cp.logistic(-cp.multiply(LABELS, z))
        case so.Huber:
            return weights @ cp.huber(z - Y, 0.3) / 2


PENALTIES = {
    "l1": (so.L1(0.1), lambda w: 0.1 * cp.norm1(w), []),
    "ridged": (so.Ridged(so.L1(0.05), 0.2), lambda w: 0.05 * cp.norm1(w) + 0.1 * cp.sum_squares(w), []),
    "weighted": (so.Weighted(so.L1(0.1), np.arange(P) / 4), lambda w: 0.1 * (np.arange(P) / 4) @ cp.abs(w), []),
    "nonnegative": (so.Nonnegative(so.L1(0.02)), lambda w: 0.02 * cp.sum(w), [lambda w: w >= 0]),
    "box": (so.Box(-0.2, 0.4), lambda w: 0.0, [lambda w: w >= -0.2, lambda w: w <= 0.4]),
    "simplex": (so.Simplex(), lambda w: 0.0, [lambda w: w >= 0, lambda w: cp.sum(w) == 1]),
    "l1 ball": (so.L1Ball(0.7), lambda w: 0.0, [lambda w: cp.norm1(w) <= 0.7]),
}


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("kind", [so.LeastSquares, so.Logistic, so.Huber], ids=lambda kind: kind.__name__)
def test_the_optimal_value_is_cvxpys(kind, name):
    """Both values lie within tol of the optimum, whatever the curvature."""
    term, penalty, sides = PENALTIES[name]
    w, b = cp.Variable(P), cp.Variable()
    reference = cp.Problem(cp.Minimize(_loss_of_cvxpy(kind, w, b) + penalty(w)), [side(w) for side in sides])
    best = reference.solve(solver="CLARABEL", max_step_fraction=0.9)  # to 1e-8; longer steps stall on exponential cones
    options = {"delta": 0.3} if kind is so.Huber else {}
    loss = kind(X, LABELS if kind is so.Logistic else Y, sample_weight=WEIGHTS, intercept=True, **options)
    problem = so.Problem(loss, term) if isinstance(term, so.Penalty) else so.Problem(loss, constraint=term)
    ours = so.solve(problem, tol=1e-8)
    assert ours.status is so.Status.CONVERGED
    assert ours.certificate.proof == "duality"
    assert ours.certificate.lower_bound <= best + 2e-8 * (1 + abs(best))
    assert abs(ours.certificate.objective - best) <= 4e-8 * (1 + abs(best))
    assert ours.certificate.violation <= 1e-12


def test_an_orthogonal_design_has_the_prox_as_its_solution():
    Q, _ = np.linalg.qr(RNG.standard_normal((N, P)))
    loss = so.LeastSquares(np.sqrt(N) * Q, Y)
    centre = Q.T @ Y / np.sqrt(N)
    for penalty in (so.L1(0.1), so.L0(0.05), so.MCP(0.1), so.SCAD(0.1), so.Ridged(so.L0(0.05), 0.5)):
        ours = so.solve(so.Problem(loss, penalty), tol=1e-12)
        expected = [penalty.prox(v, 1.0) for v in centre]
        np.testing.assert_allclose(ours.w, expected, atol=1e-10)


def test_the_least_squares_simplex_projection_is_a_problem_too():
    v = RNG.standard_normal(P)
    problem = so.Problem(so.Quadratic(np.eye(P), -v), constraint=so.Simplex(2.0))
    np.testing.assert_allclose(so.solve(problem, tol=1e-12).w, so.Simplex(2.0).project(v), atol=1e-6)


def test_no_penalty_is_least_squares():
    ours = so.solve(so.Problem(so.LeastSquares(X, Y, intercept=True)), tol=1e-10)
    theirs = np.linalg.lstsq(np.column_stack([X, np.ones(N)]), Y, rcond=None)[0]
    np.testing.assert_allclose(ours.w, theirs[:-1], atol=distance(ours.certificate.objective))
