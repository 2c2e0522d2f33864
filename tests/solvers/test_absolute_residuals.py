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


@pytest.mark.parametrize("solver", [so.BranchAndBound(), so.LocalSearch()], ids=repr)
@pytest.mark.parametrize("scale", [1e-70, 1e70])
def test_columns_whose_squares_are_out_of_range_are_named(scale, solver):
    """With an L1 norm the supports are fitted by a quadratic, and an error spoke of a Q that nobody had given."""
    X = scale * np.eye(4)
    problem = so.Problem(
        so.LeastSquares(X, np.ones(4)), so.L0L1(0.01, 0.01), so.LinearConstraint(np.ones((1, 4)), -1.0, 1.0)
    )
    with pytest.raises(so.UnsupportedProblem, match="the square of column 0 is out of the range .*; rescale X"):
        so.solve(problem, solver)
