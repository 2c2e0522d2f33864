"""Portfolios of few assets, and other supports under linear rows."""

import time

import numpy as np
import pytest

import sparseopt as so

RNG = np.random.default_rng(1)
LOADINGS = RNG.standard_normal((20, 4))
RISK = LOADINGS @ LOADINGS.T + np.diag(RNG.uniform(0.3, 1.0, 20))
RETURNS = RNG.uniform(0.0, 1.0, 20)
BUDGET = so.LinearConstraint(np.ones((1, 20)), 1.0, 1.0)
LONG = so.Box(0.0, 1.0)


def portfolio(*parts, loss=None, penalty=None):
    loss = so.Quadratic(RISK, -0.1 * RETURNS) if loss is None else loss
    return so.Problem(loss, so.Zero() if penalty is None else penalty, so.Intersection(*parts))


def test_the_default_is_a_search_whose_portfolios_meet_the_rows():
    problem = portfolio(BUDGET, LONG, so.Cardinality(5))
    found, proven = so.solve(problem), so.solve(problem, so.BranchAndBound())
    assert found.solver.startswith("LocalSearch")
    for solution in (found, proven):
        assert solution.status is so.Status.CONVERGED
        assert solution.support.size <= 5
        assert solution.certificate.violation <= 1e-12
        assert solution.certificate.stationarity <= 1e-8
    proven.require(gap=1e-6)
    assert found.certificate.objective <= proven.certificate.objective + 1e-6 * abs(proven.certificate.objective)


def test_a_budget_may_be_a_simplex():
    long, simplex = (
        so.solve(portfolio(part, so.Cardinality(4)), so.BranchAndBound())
        for part in (so.Intersection(BUDGET, LONG), so.Simplex(1.0))
    )
    np.testing.assert_allclose(long.w, simplex.w, atol=1e-10)


def test_buy_in_limits_hold_and_cost_something():
    free = so.solve(portfolio(BUDGET, LONG, so.Cardinality(6)), so.BranchAndBound())
    held = so.SemiContinuous(0.1, 0.3)
    limited = so.solve(portfolio(BUDGET, held, so.Cardinality(6)), so.BranchAndBound(keep_proof=True))
    w = limited.w[limited.support]
    assert np.all((w >= 0.1 - 1e-12) & (w <= 0.3 + 1e-12))
    assert limited.certificate.objective >= free.certificate.objective
    limited.certificate.verify(portfolio(BUDGET, held, so.Cardinality(6)))


def test_limits_alone_choose_a_support():
    solution = so.solve(portfolio(BUDGET, so.SemiContinuous(0.15, 1.0)), so.BranchAndBound())
    assert solution.status is so.Status.CONVERGED
    assert 0 < solution.support.size <= 6


def test_rows_bring_features_in():
    rows = so.LinearConstraint(np.eye(20)[:2], [0.2, 0.1], np.inf)
    solution = so.solve(portfolio(BUDGET, rows, LONG, so.Cardinality(3)), so.BranchAndBound())
    assert {0, 1} <= set(solution.support.tolist())


def test_a_price_of_each_asset_and_required_ones():
    rules = (BUDGET, LONG, so.Required(3), so.Forbidden([0, 1]))
    solution = so.solve(portfolio(*rules, penalty=so.L0(0.02)), so.BranchAndBound(keep_proof=True))
    assert solution.status is so.Status.CONVERGED
    assert solution.w[3] != 0.0 == solution.w[0]
    solution.certificate.verify(portfolio(*rules, penalty=so.L0(0.02)))


def test_a_regression_whose_coefficients_sum_to_zero():
    X = RNG.standard_normal((60, 15))
    y = X[:, :2] @ [1.0, -1.0] + 0.1 * RNG.standard_normal(60)
    zero = so.LinearConstraint(np.ones((1, 15)), 0.0, 0.0)
    loss = so.LeastSquares(X, y, intercept=True)
    solution = so.solve(portfolio(zero, so.Cardinality(2), loss=loss), so.BranchAndBound())
    assert solution.support.tolist() == [0, 1]
    assert abs(solution.w.sum()) <= 1e-12
    solution.require(gap=1e-6)


@pytest.mark.parametrize("keep_proof", [False, True])
def test_too_few_assets_for_the_budget_are_infeasible(keep_proof):
    problem = portfolio(BUDGET, so.Box(0.0, 0.2), so.Cardinality(4))
    solution = so.solve(problem, so.BranchAndBound(keep_proof=keep_proof))
    assert solution.status is so.Status.INFEASIBLE
    assert solution.certificate.lower_bound == np.inf
    assert so.solve(problem).status is so.Status.STALLED


def test_a_start_is_used_where_it_is_better():
    problem = portfolio(BUDGET, LONG, so.Cardinality(5))
    best = so.solve(problem, so.BranchAndBound())
    again = so.solve(problem, so.LocalSearch(kicks=0), best.w)
    assert again.certificate.objective <= best.certificate.objective + 1e-12


def test_a_time_limit_leaves_an_honest_gap():
    """On data that take longer than that; a wide margin, for machines that do other things too."""
    random = np.random.default_rng(5)
    returns = random.standard_normal((60, 120))
    problem = so.Problem(
        so.LeastSquares(returns, np.ones(60)),
        so.Ridged(so.Zero(), 1e-3),
        so.Intersection(so.LinearConstraint(np.ones((1, 120)), 1.0, 1.0), so.Box(-1.0, 1.0), so.Cardinality(8)),
    )
    so.solve(problem, so.BranchAndBound(), time_limit=0.0)  # compiled
    start = time.perf_counter()
    solution = so.solve(problem, so.BranchAndBound(), time_limit=0.1)
    assert time.perf_counter() - start < 5.0
    assert solution.status is so.Status.TIME_LIMIT
    certificate = solution.certificate
    assert certificate.lower_bound <= certificate.objective
    assert certificate.relative_gap > 1e-6


def test_what_cannot_be_taken_is_said():
    X = RNG.standard_normal((30, 20))
    labels = np.where(X[:, 0] > 0, 1.0, -1.0)
    rules = BUDGET, so.Cardinality(3)
    refused = {
        "LeastSquares and Quadratic": portfolio(*rules, loss=so.Logistic(X, labels)),
        "negative curvature": portfolio(
            *rules, loss=so.Quadratic(RISK - 5.0 * np.ones((20, 20)) + 5.0 * np.eye(20), RETURNS)
        ),
        "StrongHierarchy": portfolio(*rules, so.StrongHierarchy({1: 0})),
    }
    for words, problem in refused.items():
        for solver in (so.LocalSearch(), so.BranchAndBound()):
            assert words in solver.rejects(problem)
    wide = so.LeastSquares(RNG.standard_normal((5, 20)), RNG.standard_normal(5))
    with pytest.raises(so.UnsupportedProblem, match="no curvature of its own"):
        so.solve(portfolio(*rules, loss=wide), so.BranchAndBound())


def test_semicontinuous_sets():
    held = so.SemiContinuous([0.1, -0.5, 0.0], [0.5, -0.2, np.inf])
    assert held.project(np.array([0.04, -0.1, -1.0])).tolist() == [0.0, 0.0, 0.0]
    assert held.project(np.array([0.07, -0.15, 2.0])).tolist() == [0.1, -0.2, 2.0]
    assert held.violation(np.array([0.0, -0.3, 5.0])) == 0.0
    with pytest.raises(ValueError, match="entry 1"):
        so.SemiContinuous([0.0, 2.0], 1.0)
    with pytest.raises(ValueError, match="3 entries for 4"):
        so.Problem(so.Quadratic(np.eye(4), np.ones(4)), constraint=held)
    assert not so.Problem(so.Quadratic(np.eye(3), np.ones(3)), constraint=held).is_convex
