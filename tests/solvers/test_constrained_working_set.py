"""ConstrainedWorkingSet ends where InteriorPoint on all features does, on few of them."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.solvers import constrained_working_set
from sparseopt.testing import check_solver

RNG = np.random.default_rng(11)
N, P = 40, 300
X = RNG.standard_normal((N, P)) + 0.5 * RNG.standard_normal((N, 1))
Y = X[:, :5] @ [2.0, -2.0, 2.0, 1.0, -1.0] + 0.5 * RNG.standard_normal(N)
SUM_TO_ZERO = so.LinearConstraint(np.ones((1, P)), 0.0, 0.0)
ROWS = RNG.standard_normal((6, P))
TWO_SIDED = so.LinearConstraint(ROWS, np.full(6, -0.5), np.append(np.full(3, -0.5), np.full(3, 0.2)))
# rows that the first features to enter cannot satisfy
FAR = so.LinearConstraint(
    sparse.csc_array((np.ones(3), ([0, 0, 1], [250, 260, 270])), shape=(2, P)), 2.0, [2.0, np.inf]
)
CONSTRAINTS = {
    "sum to zero": SUM_TO_ZERO,
    "two-sided": TWO_SIDED,
    "far away": FAR,
    "with a box": so.Intersection(TWO_SIDED, so.Box(-0.4, 0.6)),
    "with a box that excludes zero": so.Intersection(
        SUM_TO_ZERO, so.Box(np.r_[np.full(9, 0.1), np.full(P - 9, -1.0)], 3.0)
    ),
    "on a simplex": so.Intersection(so.Simplex(2.0), TWO_SIDED),
}
PENALTIES = {
    "L1": so.L1(0.15),
    "weighted": so.Weighted(so.L1(0.2), np.linspace(0.5, 2.0, P)),
    "some are free": so.Weighted(so.L1(0.2), np.r_[np.zeros(3), np.ones(P - 3)]),
    "ridged": so.Ridged(so.L1(0.1), 0.05),
    "nonnegative": so.Nonnegative(so.L1(0.1)),
}


def agree(problem, tol=1e-8, **options):
    """The run of the working set, which ends where the interior point does, with the same proof."""
    solution = so.solve(problem, so.ConstrainedWorkingSet(**options), tol=tol)
    oracle = so.solve(problem, so.InteriorPoint(), tol=tol)
    assert solution.status is so.Status.CONVERGED
    assert oracle.status is so.Status.CONVERGED
    scale = max(1.0, abs(oracle.certificate.objective))
    assert solution.certificate.objective == pytest.approx(oracle.certificate.objective, abs=4 * tol * scale)
    assert max(solution.certificate.violation, solution.certificate.dual_residual) <= tol
    solution.certificate.verify(problem)
    return solution


@pytest.mark.parametrize("constraint_name", CONSTRAINTS)
@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_it_ends_where_the_interior_point_does(constraint_name, penalty):
    constraint = CONSTRAINTS[constraint_name]
    if penalty is PENALTIES["nonnegative"] and "zero" in constraint_name:
        pytest.skip("nonnegative coefficients that sum to zero are zero")
    agree(so.Problem(so.LeastSquares(X, Y), penalty, constraint), fewest=20)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("intercept", [False, True])
def test_weights_intercepts_and_sparse_data(storage, intercept):
    kept = storage(np.where(np.abs(X) > 0.7, X, 0.0))
    loss = so.LeastSquares(kept, Y, sample_weight=np.arange(1.0, N + 1), intercept=intercept)
    solution = agree(so.Problem(loss, so.L1(0.1), SUM_TO_ZERO), fewest=20)
    assert "handed over" not in solution.account


def test_a_lower_bound_comes_with_the_residual():
    """The gap that the multipliers prove is as small as asked for, whatever the residual outside is worth."""
    for alpha in (0.3, 0.1, 0.03):
        problem = so.Problem(so.LeastSquares(X, Y), so.L1(alpha), SUM_TO_ZERO)
        for tol in (1e-6, 1e-9):
            assert so.solve(problem, so.ConstrainedWorkingSet(), tol=tol).certificate.relative_gap <= 10 * tol


def test_quadratics():
    Q = X.T @ X / N
    problem = so.Problem(so.Quadratic((Q + Q.T) / 2, -X.T @ Y / N), so.L1(0.15), SUM_TO_ZERO)
    twin = so.Problem(so.LeastSquares(X, Y), so.L1(0.15), SUM_TO_ZERO)
    solution = agree(problem, fewest=20)
    assert np.max(np.abs(solution.w - so.solve(twin, tol=1e-9).w)) <= 1e-6
    scattered = so.Problem(
        so.Quadratic(sparse.diags_array(np.ones(P)).tocsc(), RNG.standard_normal(P)), so.L1(1.5), FAR
    )
    agree(scattered, fewest=20)


def test_rows_that_nothing_satisfies_have_a_ray():
    for rows in (
        so.LinearConstraint(np.vstack([np.ones(P), np.ones(P)]), [1.0, -np.inf], [np.inf, 0.5]),
        so.Intersection(so.LinearConstraint(np.eye(1, P, 200), 2.0, 3.0), so.Box(-1.0, 1.0)),
    ):
        problem = so.Problem(so.LeastSquares(X, Y), so.L1(0.1), rows)
        solution = so.solve(problem, so.ConstrainedWorkingSet(fewest=20))
        assert solution.status is so.Status.INFEASIBLE
        assert solution.certificate.proof == "infeasible ray"
        solution.certificate.verify(problem)


def test_a_quadratic_that_falls_for_ever_has_a_ray():
    c = np.zeros(P)
    c[120] = -1.0
    problem = so.Problem(so.Quadratic(np.diag(np.r_[np.ones(100), np.zeros(P - 100)]), c), so.L1(0.5), FAR)
    solution = so.solve(problem, so.ConstrainedWorkingSet(fewest=20))
    assert solution.status is so.Status.UNBOUNDED
    assert solution.certificate.proof == "unbounded ray"


def test_a_start_keeps_others_out_of_play():
    problem = so.Problem(so.LeastSquares(X, Y), so.L1(0.15), SUM_TO_ZERO)
    first = so.solve(problem, so.ConstrainedWorkingSet(fewest=20), tol=1e-9)
    again = so.solve(problem, so.ConstrainedWorkingSet(fewest=20), first.w, tol=1e-9)
    assert again.iterations <= first.iterations
    assert np.max(np.abs(again.w - first.w)) <= 1e-7


def test_single_precision_stays_and_is_solved():
    problem = so.Problem(so.LeastSquares(X.astype(np.float32), Y), so.L1(0.15), SUM_TO_ZERO)
    solution = so.solve(problem, so.ConstrainedWorkingSet(), tol=1e-5)
    assert solution.w.dtype == np.float32
    assert solution.certificate.relative_gap <= 1e-3


def test_nearly_all_features_are_one_program(monkeypatch):
    monkeypatch.setattr(constrained_working_set, "_NEARLY_ALL", 0.1)
    problem = so.Problem(so.LeastSquares(X, Y), so.L1(0.02), TWO_SIDED)
    assert "handed over to InteriorPoint" in agree(problem, fewest=20).account


def test_it_is_the_default_for_few_rows_and_keeps_the_laws_of_solvers():
    wide = np.hstack([X, X[:, ::-1]])
    few = so.LinearConstraint(np.ones((2, 2 * P)), [0.0, -1.0], [0.0, 1.0])
    many = so.LinearConstraint(np.diff(np.eye(2 * P), 2, axis=0), 0.0, np.inf)
    loss = so.LeastSquares(wide, Y)
    assert isinstance(so.default_solver(so.Problem(loss, so.L1(0.1), few)), so.ConstrainedWorkingSet)
    assert isinstance(so.default_solver(so.Problem(loss, so.L1(0.1), many)), so.InteriorPoint)
    assert isinstance(so.default_solver(so.Problem(loss, so.Zero(), few)), so.InteriorPoint)
    assert isinstance(so.default_solver(so.Problem(so.LeastSquares(X, Y), so.L1(0.1), SUM_TO_ZERO)), so.InteriorPoint)
    check_solver(so.ConstrainedWorkingSet())


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match="fewest"):
        so.ConstrainedWorkingSet(fewest=0)
    with pytest.raises(ValueError, match="growth"):
        so.ConstrainedWorkingSet(growth=-1.0)


@pytest.mark.parametrize(
    ("penalty", "constraint"),
    [
        (so.L1(0.1), so.Intersection(so.Box(0.0, 0.0), so.LinearConstraint(np.ones((1, 2)), -1.0, 1.0))),
        (so.L1(10.0), so.LinearConstraint(np.ones((2, 2)), 0.0, 0.0)),
    ],
    ids=["a box without room", "nothing pulls"],
)
def test_a_problem_in_which_no_feature_pulls_is_solved(penalty, constraint):
    problem = so.Problem(
        so.LeastSquares(np.array([[1.0, 2.0], [1.0, 0.0], [1.0, 1.0]]), [1.0, 2.0, 3.0]), penalty, constraint
    )
    solution = so.solve(problem, so.ConstrainedWorkingSet())
    assert solution.status is so.Status.CONVERGED
    np.testing.assert_allclose(solution.w, 0.0, atol=1e-8)
