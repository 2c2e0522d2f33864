"""Penalties that tie coefficients together, under linear rows: CVXPY as oracle, and bounds from any multipliers."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt.solvers.lagrangian.newton_models import second_derivative

GROUPS = [list(range(first, first + 4)) for first in range(0, 16, 4)]
PENALTIES = [
    so.GroupLasso(0.05, GROUPS),
    so.SparseGroupLasso(0.05, GROUPS),
    so.SLOPE(np.linspace(0.1, 0.02, 16)),
    so.TotalVariation(0.05),
    so.FusedLasso(0.02, 0.04),
]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((50, 16))
    fitted = X[:, :4] @ [2.0, -1.0, 1.5, -0.7]
    A = np.vstack([np.ones(16), rng.standard_normal((2, 16))])
    b = A @ (0.1 * rng.standard_normal(16))
    return X, fitted + 0.3 * rng.standard_normal(50), A, b


def losses(X, y):
    rng = np.random.default_rng(4)
    counts = rng.poisson(np.exp(np.clip(0.3 * y, -3, 3))).astype(float)
    signs = np.sign(y + 2.0 * rng.standard_normal(y.size))
    weights = rng.uniform(0.5, 2.0, y.size)
    return {
        "least squares": so.LeastSquares(X, y, intercept=True, sample_weight=weights),
        "quadratic": so.Quadratic(X.T @ X / y.size, -X.T @ y / y.size),
        "logistic": so.Logistic(X, signs, intercept=True),
        "Huber": so.Huber(X, y),
        "Poisson": so.Poisson(X, counts, intercept=True, sample_weight=weights),
        "squared hinge": so.SquaredHinge(X, signs),
    }


def rows(A, b):
    return {
        "equal": so.LinearConstraint(A, b, b),
        "between": so.LinearConstraint(A, b - 0.1, b + 0.1),
        "below": so.LinearConstraint(A, -np.inf, b),
    }


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: type(penalty).__name__)
@pytest.mark.parametrize("name", ["least squares", "quadratic", "logistic", "Huber", "Poisson", "squared hinge"])
def test_it_is_proven_in_few_iterations(data, name, penalty):
    """Proximal gradient steps with a penalty of the rows that grew every 20 of them never came to an end."""
    X, y, A, b = data
    for constraint in rows(A, b).values():
        problem = so.Problem(losses(X, y)[name], penalty, constraint)
        solution = so.solve(problem, tol=1e-7, max_iter=100)
        assert solution.status is so.Status.CONVERGED
        solution.require(gap=1e-4, violation=1e-7)
        solution.certificate.verify(problem)


def cvxpy_norm(cp, penalty, w):
    match penalty:
        case so.SLOPE(alphas=alphas):
            steps = -np.diff(np.append(alphas, 0.0))
            return sum(step * cp.sum_largest(cp.abs(w), k + 1) for k, step in enumerate(steps) if step > 0)
        case so.TotalVariation(alpha=alpha):
            return alpha * cp.norm1(cp.diff(w))
        case so.GroupLasso(alpha=alpha):
            return alpha * sum(np.sqrt(len(group)) * cp.norm2(w[group]) for group in GROUPS)
    raise AssertionError(penalty)


@pytest.mark.parametrize(
    "penalty", [PENALTIES[0], PENALTIES[2], PENALTIES[3]], ids=lambda penalty: type(penalty).__name__
)
@pytest.mark.parametrize("side", ["equal", "between", "below"])
def test_it_agrees_with_cvxpy(data, penalty, side):
    cp = pytest.importorskip("cvxpy")
    X, y, A, b = data
    constraint = rows(A, b)[side]
    ours = so.solve(so.Problem(so.Huber(X, y), penalty, constraint), tol=1e-8)
    w = cp.Variable(16)
    objective = cp.sum(cp.huber(X @ w - y, losses(X, y)["Huber"].delta)) / (2 * y.size) + cvxpy_norm(cp, penalty, w)
    within = [A @ w <= constraint.upper]
    if np.all(np.isfinite(constraint.lower)):
        within.append(A @ w >= constraint.lower)
    cp.Problem(cp.Minimize(objective), within).solve(solver="CLARABEL")
    assert abs(ours.certificate.objective - objective.value) <= 1e-6 * objective.value
    assert np.max(np.abs(ours.w - w.value)) <= 1e-4


@pytest.mark.parametrize(
    "penalty", [*PENALTIES, so.Zero(), so.Ridged(so.L1(0.02), 0.1)], ids=lambda penalty: type(penalty).__name__
)
@pytest.mark.parametrize("name", ["least squares", "quadratic", "logistic", "Huber", "Poisson", "squared hinge"])
def test_any_multipliers_prove_a_true_bound(data, name, penalty):
    """Also those of a wrong sign, at points far from the solution, and for coefficients without a price."""
    X, y, A, b = data
    rng = np.random.default_rng(5)
    for constraint in rows(A, b + 0.5).values():
        problem = so.Problem(losses(X, y)[name], penalty, constraint)
        solution = so.solve(problem, tol=1e-8, max_iter=200)
        best = solution.certificate.objective
        pulls = np.abs(solution.duals.rows).max() + 0.01
        for size in (0.0, 1e-4, 0.1, 1.0, 10.0):
            w = solution.w + size * rng.standard_normal(16)
            multipliers = so.Duals(solution.duals.rows + size * pulls * rng.standard_normal(3), np.zeros(16))
            bound = so.certify(problem, w, duals=multipliers).lower_bound
            assert bound <= best + 1e-7 * max(1.0, abs(best))


def test_slopes_that_end_in_zero_keep_their_bound(data):
    """Of a squared hinge most slopes are zero; moved to hold along free directions they had the wrong sign."""
    X, y, _, _ = data
    problem = so.Problem(losses(X, y)["squared hinge"], so.TotalVariation(0.05))
    assert so.solve(problem).require(gap=1e-6).status is so.Status.CONVERGED


@pytest.mark.parametrize("name", ["logistic", "Huber", "Poisson", "squared hinge"])
@pytest.mark.parametrize("penalty", [so.Nonnegative(so.L1(0.03)), so.Nonnegative(so.Zero())], ids=repr)
def test_bounds_of_the_penalty_have_multipliers(data, name, penalty):
    """They had none, so that a solution with a proven gap was said to have stalled at a dual residual of 1."""
    X, y, _, _ = data
    constraint = so.Intersection(so.LinearConstraint(np.ones((2, 16)), [0.0, -0.5], [1.0, 0.8]), so.Box(-1, 1))
    problem = so.Problem(losses(X, y)[name], penalty, constraint)
    solution = so.solve(problem)
    assert solution.status is so.Status.CONVERGED
    assert np.any(solution.duals.box < 0.0)
    solution.require(gap=1e-5, violation=1e-6)
    solution.certificate.verify(problem)


@pytest.mark.parametrize("constraint", [so.L1Ball(1.0), so.Simplex(1.0)], ids=repr)
def test_models_stay_in_the_set_of_a_projection(data, constraint):
    X, y, _, _ = data
    problem = so.Problem(so.Huber(X, y), constraint=constraint)
    ours, theirs = so.solve(problem, so.AugmentedLagrangian()), so.solve(problem)
    assert ours.status is so.Status.CONVERGED
    assert abs(ours.certificate.objective - theirs.certificate.objective) <= 1e-5 * theirs.certificate.objective


def test_a_ball_may_stand_beside_rows(data):
    cp = pytest.importorskip("cvxpy")
    X, y, A, b = data
    ours = so.solve(
        so.Problem(so.Huber(X, y), constraint=so.Intersection(so.L1Ball(2.0), so.LinearConstraint(A, b, np.inf)))
    )
    w = cp.Variable(16)
    objective = cp.sum(cp.huber(X @ w - y, losses(X, y)["Huber"].delta)) / (2 * y.size)
    cp.Problem(cp.Minimize(objective), [cp.norm1(w) <= 2.0, A @ w >= b]).solve(solver="CLARABEL")
    assert abs(ours.certificate.objective - objective.value) <= 1e-5 * objective.value


@pytest.mark.parametrize("name", ["least squares", "logistic", "Poisson"])
def test_the_model_knows_columns_far_from_zero_beside_an_intercept(data, name):
    """Shifting them rounds each entry by a part of the shift; where a mean came off the squares, its square was rounded."""
    X, y, _, _ = data
    w, far = 0.1 * np.random.default_rng(6).standard_normal(16), 1e6
    here, there = (second_derivative(losses(shifted, y)[name], w) for shifted in (X, X + far))
    np.testing.assert_allclose(there, here, rtol=0, atol=np.finfo(float).eps * far * np.abs(here).max())
