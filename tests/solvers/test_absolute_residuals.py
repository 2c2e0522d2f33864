"""When a run under rows has converged: residuals are absolute, as its certificate has them."""

import numpy as np
import pytest

import sparseopt as so


@pytest.mark.parametrize("loss", [so.LeastSquares, "quadratic"], ids=str)
@pytest.mark.parametrize("row", [so.Simplex(1.0), so.LinearConstraint([[1.0, 2.0, -1.0, 0.5]], -1.0, 1.0)], ids=repr)
def test_residuals_are_absolute_however_steep_the_loss_where_a_support_is_chosen_under_rows(loss, row):
    """The slope at zero is some 1e5, and no measure of how far the rows may be missed."""
    rng = np.random.default_rng(5)
    X = 100.0 + 30.0 * rng.standard_normal((30, 4))
    y = X @ np.array([2.0, -1.0, 0.5, 3.0]) + rng.standard_normal(30)
    loss = so.Quadratic(X.T @ X / 30, -X.T @ y / 30) if loss == "quadratic" else loss(X, y)
    problem = so.Problem(loss, constraint=[row, so.Cardinality(2)])
    solution = so.solve(problem, so.AugmentedLagrangian())
    assert solution.status is so.Status.CONVERGED
    assert problem.violation(solution.w) <= 1e-6
    best = so.solve(problem, so.BranchAndBound()).certificate.lower_bound
    assert problem.objective(solution.w) >= best - 1e-6 * abs(best)
