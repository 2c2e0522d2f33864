"""`GramDescent`: the optimum on columns that are hard to tell apart, what it refuses, and the run without the loop."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.certificate import certify_little_lasso
from sparseopt.conjugates import convex_form
from sparseopt.proofs.duality import _sample_bound
from sparseopt.proofs.examination import examine_once
from sparseopt.testing import check_solver

N, P = 60, 40


def columns(kind, random):
    """Designs by what makes them hard."""
    X = random.standard_normal((N, P))
    match kind:
        case "twins":
            X[:, P // 2], X[:, -1] = X[:, 0], -2.0 * X[:, 0]
        case "sums":
            X = np.cumsum(X, axis=1)
        case "low rank":
            X = X[:, :7] @ random.standard_normal((7, P))
        case "neighbours":
            for j in range(1, P):
                X[:, j] = 0.9999 * X[:, j - 1] + 0.014 * X[:, j]
        case "scales":
            X *= 10.0 ** random.uniform(-6, 6, P)
        case "zeros":
            X[:, ::3] = 0.0
        case "few rows":
            X = X[:3]
        case "tiny":
            X *= 1e-60
    return X


PENALTIES = {
    "lasso": lambda a: so.L1(a / 10),
    "weak": lambda a: so.L1(a / 1000),
    "elastic net": lambda a: so.Ridged(so.L1(a / 30), 0.1),
    "nonnegative": lambda a: so.Nonnegative(so.L1(a / 50)),
    "weighted": lambda a: so.Weighted(so.L1(a / 20), np.linspace(0.1, 2.0, P)),
    "all zero": lambda a: so.L1(2 * a),
}


@pytest.mark.parametrize(
    "kind", ["normal", "twins", "sums", "low rank", "neighbours", "scales", "zeros", "few rows", "tiny"]
)
@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("intercept", [False, True])
def test_it_reaches_a_tight_gap_by_itself(kind, name, intercept):
    random = np.random.default_rng(3)
    X = columns(kind, random)
    y = X[:, :5] @ random.standard_normal(5) + np.abs(X).mean() * random.standard_normal(len(X))
    loss = so.LeastSquares(X, y, random.uniform(0.1, 2.0, len(X)) if kind == "twins" else None, intercept)
    largest = float(np.abs(loss.gradient(np.zeros(P))).max())
    problem = so.Problem(loss, PENALTIES[name](largest))
    solution = so.solve(problem, so.GramDescent(), tol=1e-9)
    assert solution.status is so.Status.CONVERGED
    assert abs(solution.certificate.relative_gap) <= 1e-9
    assert "WorkingSet" not in solution.account
    solution.certificate.verify(problem)


def test_a_box_holds_coefficients():
    random = np.random.default_rng(4)
    X = random.standard_normal((N, P))
    problem = so.Problem(so.LeastSquares(X, X[:, 0] - 2 * X[:, 1]), so.L1(0.01), so.Box(-0.5, 0.5))
    solution = so.solve(problem, so.GramDescent(), tol=1e-10)
    assert solution.require(gap=1e-10).certificate.violation == 0.0
    assert (solution.w[0], solution.w[1]) == (0.5, -0.5)


@pytest.mark.parametrize("intercept", [False, True])
def test_without_the_loop_the_result_is_the_same(intercept):
    random = np.random.default_rng(5)
    X = random.standard_normal((N, P))
    problem = so.Problem(so.LeastSquares(X, X[:, 0] + random.standard_normal(N), intercept=intercept), so.L1(0.02))
    assert problem.loss.little is not None
    at_once, in_the_loop = so.solve(problem), so.solve(problem, callback=lambda iterations, w: False)
    np.testing.assert_allclose(at_once.w, in_the_loop.w, rtol=1e-12)
    for name in ("status", "iterations", "solver", "account"):
        assert getattr(at_once, name) == getattr(in_the_loop, name)
    assert at_once.intercept == pytest.approx(in_the_loop.intercept, rel=1e-12)
    assert at_once.certificate.objective == pytest.approx(in_the_loop.certificate.objective, rel=1e-14)
    assert at_once.certificate.lower_bound == pytest.approx(in_the_loop.certificate.lower_bound, rel=1e-13)
    assert at_once.certificate.proof == in_the_loop.certificate.proof == "duality"
    at_once.certificate.verify(problem)


@pytest.mark.parametrize("size", [0.0, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_kernel_proves_of_any_point_what_numpy_proves(size, mean, intercept):
    random = np.random.default_rng(7)
    X = mean + random.standard_normal((N, P))
    problem = so.Problem(so.LeastSquares(X, X[:, 0] + random.standard_normal(N), intercept=intercept), so.L1(0.1))
    w = size * random.standard_normal(P) * (random.random(P) < 0.5)
    fast, slow = certify_little_lasso(problem, w), so.certify(problem, w)
    assert fast.objective == pytest.approx(slow.objective, rel=1e-12)
    # its margin for rounding is no smaller
    assert fast.lower_bound == pytest.approx(slow.lower_bound, rel=1e-10, abs=1e-12 * slow.reference)
    assert fast.stationarity == pytest.approx(slow.stationarity, rel=1e-10)
    assert (fast.violation, fast.proof) == (slow.violation, slow.proof)
    assert fast.reference == pytest.approx(slow.reference, rel=1e-12)


@pytest.mark.parametrize("size", [(1, 3), (3, 1), (2, 2), (97, 8), (163, 100), (200, 101)])
@pytest.mark.parametrize("intercept", [False, True])
def test_a_little_problem_is_the_same_however_it_is_lent(size, intercept):
    random = np.random.default_rng(8)
    X = 3.0 + random.standard_normal(size)
    y = X.sum(axis=1) + random.standard_normal(len(X))
    fixed = X.copy(order="F")
    fixed.flags.writeable = False
    kinds = [(X, y), (np.asfortranarray(X), y), (np.repeat(X, 2, axis=0)[::2], np.repeat(y, 2)[::2]), (fixed, list(y))]
    found = [so.solve(so.Problem(so.LeastSquares(*lent, intercept=intercept), so.L1(0.05)), tol=1e-9) for lent in kinds]
    for solution in found:
        assert abs(solution.certificate.relative_gap) <= 1e-9
        assert solution.certificate.objective == pytest.approx(found[0].certificate.objective, rel=1e-8)


@pytest.mark.parametrize("size", [0.0, 1.0, 1e6])
def test_what_the_lasso_proves_is_what_the_general_formulas_prove(size):
    random = np.random.default_rng(6)
    X = random.standard_normal((N, P))
    problem = so.Problem(so.LeastSquares(X, X[:, 0] + random.standard_normal(N)), so.L1(0.1))
    w = size * random.standard_normal(P) * (random.random(P) < 0.5)
    here = examine_once(problem, w)
    form = convex_form(problem.penalty, P)
    assert here.objective == problem.objective(w)
    assert here.bound == pytest.approx(_sample_bound(problem.loss, form, w, here.slope), rel=1e-12)
    assert here.distance == form.subgradient_distance(w, here.slope).max()


def test_a_little_sparse_design_is_as_good_as_a_dense_one():
    random = np.random.default_rng(8)
    X = random.standard_normal((N, P)) * (random.random((N, P)) < 0.2)
    y, weights = X[:, 0] - X[:, 1] + random.standard_normal(N), random.uniform(0.1, 2.0, N)
    for given in (None, weights):
        dense, little = (
            so.solve(so.Problem(so.LeastSquares(kind, y, given), so.L1(0.01)), tol=1e-10)
            for kind in (X, sparse.csc_array(X))
        )
        assert "GramDescent" in little.solver
        little.require(gap=1e-10)
        np.testing.assert_allclose(little.w, dense.w, atol=1e-8)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (so.Problem(so.LeastSquares(np.ones((3, 201)), np.ones(3)), so.L1(0.1)), "or 200 of so few samples"),
        (so.Problem(so.LeastSquares(np.ones((1000, 150)), np.ones(1000)), so.L1(0.1)), "at most 100 features"),
        (so.Problem(so.LeastSquares(np.ones((3, 2), dtype=np.float32), np.ones(3)), so.L1(0.1)), "float64"),
        (
            so.Problem(so.LeastSquares(sparse.csc_array(np.eye(3)), np.ones(3), intercept=True), so.L1(0.1)),
            "without an intercept",
        ),
        (so.Problem(so.LeastSquares(sparse.csc_array((3000, 70)), np.ones(3000)), so.L1(0.1)), "entries of it"),
        (so.Problem(so.LeastSquares(np.eye(3), np.ones(3)), so.MCP(0.1)), "convex penalty"),
        (so.Problem(so.LeastSquares(np.eye(3), np.ones(3)), so.L1(0.0)), "on every coefficient"),
        (so.Problem(so.Huber(np.eye(3), np.ones(3)), so.L1(0.1)), "Gram matrix"),
    ],
)
def test_it_says_what_it_does_not_take(problem, reason):
    assert reason in so.GramDescent().rejects(problem)


def test_it_keeps_the_law_of_solvers():
    check_solver(so.GramDescent())


def test_a_column_far_from_zero_beside_an_intercept_is_known_as_well_as_others():
    """Centring takes off nearly all of it, so that its curvature is held up: Gram descent leaves it to another solver."""
    random = np.random.default_rng(4)
    near = random.standard_normal((60, 30))
    y = 2.0 * near[:, 0] - near[:, 1] + 0.1 * random.standard_normal(60)
    far = near.copy()
    far[:, 0] += 1e8
    solution = so.solve(so.Problem(so.LeastSquares(far, y, intercept=True), so.L1(0.1)), tol=1e-8)
    assert solution.status is so.Status.CONVERGED
    assert "handed over" in solution.account
    plain = so.solve(so.Problem(so.LeastSquares(near, y, intercept=True), so.L1(0.1)), tol=1e-8)
    # the entries of the far column are rounded to 1.5e-8
    assert solution.certificate.objective == pytest.approx(plain.certificate.objective, rel=1e-6)
    constant = near.copy()
    constant[:, 5] = 0.1
    plain = so.solve(so.Problem(so.LeastSquares(constant, y, intercept=True), so.L1(0.1)), tol=1e-8)
    assert "handed over" not in plain.account
