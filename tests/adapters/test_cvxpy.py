"""CVXPY solves its quadratic programs with us, and ours with its solvers."""

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.adapters.cvxpy import SPARSEOPT, as_cvxpy


@pytest.fixture
def portfolio():
    """Fifteen assets with a budget, a limit on a sector, and at most a fifth in each."""
    rng = np.random.default_rng(0)
    F, returns = rng.standard_normal((15, 4)), rng.standard_normal(15)
    x = cp.Variable(15, bounds=[0, 0.2])
    taste = cp.Parameter(nonneg=True, value=1.0)
    budget, sector = cp.sum(x) == 1, x[:6].sum() <= 0.3
    risk = cp.quad_form(x, cp.psd_wrap(F @ F.T + np.diag(rng.random(15))))
    return cp.Problem(cp.Minimize(risk - taste * (returns @ x)), [budget, sector]), taste, budget, sector, x


@pytest.mark.parametrize("method", [so.InteriorPoint(), so.OperatorSplitting()], ids=lambda m: type(m).__name__)
def test_a_portfolio_has_the_solution_and_duals_of_clarabel(portfolio, method):
    problem, taste, budget, sector, x = portfolio
    for taste.value in (0.5, 2.0):
        value = problem.solve(solver=SPARSEOPT(method), tol=1e-10)
        ours = x.value, budget.dual_value, sector.dual_value
        assert problem.status == cp.OPTIMAL
        assert value == pytest.approx(problem.solve(solver=cp.CLARABEL), abs=1e-7)
        for found, wanted in zip(ours, (x.value, budget.dual_value, sector.dual_value), strict=True):
            # Clarabel's tolerance is 1e-8 in the objective, whose root is what it may be off by in x
            assert found == pytest.approx(wanted, abs=1e-4)


def test_a_constrained_lasso_is_solved_through_its_epigraph():
    rng = np.random.default_rng(1)
    A, b, z = rng.standard_normal((30, 60)), rng.standard_normal(30), cp.Variable(60)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(A @ z - b) / 2 + cp.norm1(z)), [cp.sum(z) == 0, z >= -0.3])
    value = problem.solve(solver=SPARSEOPT())
    assert value == pytest.approx(problem.solve(solver=cp.CLARABEL), rel=1e-7)


@pytest.mark.parametrize(
    ("build", "status"),
    [
        (lambda x: (x[0], [x >= 1, cp.sum(x) <= 1]), cp.INFEASIBLE),
        (lambda x: (x[0] + cp.square(x[1]), [x <= 1]), cp.UNBOUNDED),
    ],
)
def test_a_problem_without_a_solution_says_so_and_keeps_the_proof(build, status):
    x = cp.Variable(2)
    objective, sides = build(x)
    problem = cp.Problem(cp.Minimize(objective), sides)
    problem.solve(solver=SPARSEOPT())
    assert problem.status == status
    assert "ray" in problem.solver_stats.extra_stats.certificate.proof


def test_an_unknown_option_is_told():
    x = cp.Variable(2)
    with pytest.raises(ValueError, match="eps"):
        cp.Problem(cp.Minimize(cp.sum_squares(x))).solve(solver=SPARSEOPT(), eps=1e-3)


def problems():
    rng = np.random.default_rng(2)
    X, y, weight = rng.standard_normal((40, 12)), rng.standard_normal(40), rng.random(40)
    rows = so.LinearConstraint(rng.standard_normal((3, 12)), [-1.0, -np.inf, 0.2], [1.0, 0.5, 0.2])
    return {
        "lasso": so.Problem(so.LeastSquares(X, y), so.L1(0.1)),
        "weighted, with intercept, on rows": so.Problem(
            so.LeastSquares(X, y + 3, weight, intercept=True), so.Weighted(so.L1(0.1), np.arange(12.0)), rows
        ),
        "elastic net, nonnegative": so.Problem(so.LeastSquares(X, y), so.Nonnegative(so.Ridged(so.L1(0.05), 0.3))),
        "quadratic on rows and box": so.Problem(
            so.Quadratic(sparse.csc_array(X.T @ X / 40), y[:12]), constraint=so.Intersection(rows, so.Box(-0.4, 0.6))
        ),
        "simplex": so.Problem(so.LeastSquares(X, y), constraint=so.Simplex(2.0)),
    }


@pytest.mark.parametrize("name", problems())
def test_our_problem_has_the_same_value_in_cvxpy(name):
    problem = problems()[name]
    translated = as_cvxpy(problem)
    value = translated.solve(solver=cp.CLARABEL)
    solution = so.solve(problem, tol=1e-9)
    assert solution.certificate.objective == pytest.approx(value, abs=1e-7)
    w = next(variable for variable in translated.variables() if variable.name() == "w")
    assert solution.w == pytest.approx(w.value, abs=1e-4)


def test_what_is_not_translated_is_told():
    with pytest.raises(TypeError, match="L0"):
        as_cvxpy(so.Problem(so.Quadratic(np.eye(2), [1.0, 2.0]), so.L0(0.1)))
