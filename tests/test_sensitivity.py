"""Slopes of solutions against central differences of solutions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.sensitivity import solution_slopes

H = 1e-5


def program(storage=np.asarray, *, alpha=0.0):
    """Twelve coefficients, an equality, three inequalities, and a box; all kinds of sides are active somewhere."""
    rng = np.random.default_rng(3)
    M = rng.standard_normal((12, 12))
    A = rng.standard_normal((4, 12))
    middle = A @ rng.uniform(-0.3, 0.3, 12)
    rows = so.LinearConstraint(storage(A), np.array([middle[0], middle[1] - 0.01, -np.inf, middle[3] - 5]),
                               np.array([middle[0], middle[1] + 0.01, middle[2] - 0.3, middle[3] + 5]))  # fmt: skip
    box = so.Box(np.full(12, -0.5), np.full(12, 0.6))
    loss = so.Quadratic(storage(M @ M.T / 12 + 0.1 * np.eye(12)), 2 * rng.standard_normal(12))
    return so.Problem(loss, so.L1(alpha) if alpha else so.Zero(), so.Intersection(rows, box)), rng.standard_normal(12)


def value(problem, g):
    solution = so.solve(problem, so.InteriorPoint(), tol=1e-11)
    return float(g @ solution.w)


def difference(change, g, size):
    """Central differences of g'w in each entry of what `change` moves."""
    return np.array([(value(change(H * e), g) - value(change(-H * e), g)) / (2 * H) for e in np.eye(size)])


@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_slopes_are_those_of_the_solution(storage, alpha):
    problem, g = program(storage, alpha=alpha)
    rows, box = problem.constraint.parts
    solution = so.solve(problem, so.InteriorPoint(), tol=1e-11)
    found = solution_slopes(problem, solution, g)
    loss = problem.loss

    def with_rows(**sides):
        return replace(problem, constraint=so.Intersection(so.LinearConstraint(rows.A, **sides), box))

    def with_box(lower, upper):
        return replace(problem, constraint=so.Intersection(rows, so.Box(lower, upper)))

    wanted = difference(lambda d: replace(problem, loss=so.Quadratic(loss.Q.matrix, loss.c + d)), g, 12)
    assert found.linear == pytest.approx(wanted, abs=1e-6)
    # both sides together, since an equality would be empty with one of them moved
    wanted = difference(lambda d: with_rows(lower=rows.lower + d, upper=rows.upper + d), g, 4)
    assert found.row_lower + found.row_upper == pytest.approx(wanted, abs=1e-6)
    assert found.lower == pytest.approx(difference(lambda d: with_box(box.lower + d, box.upper), g, 12), abs=1e-6)
    assert found.upper == pytest.approx(difference(lambda d: with_box(box.lower, box.upper + d), g, 12), abs=1e-6)
    assert np.count_nonzero(np.abs(found.row_lower) + np.abs(found.row_upper)) >= 2
    assert np.count_nonzero(found.lower) + np.count_nonzero(found.upper) >= 2
    if alpha:
        penalties = [so.Weighted(so.L1(1.0), alpha + H * sign * e) for e in np.eye(12) for sign in (1, -1)]
        values = [value(replace(problem, penalty=penalty), g) for penalty in penalties]
        wanted = (np.array(values[::2]) - np.array(values[1::2])) / (2 * H)
        assert found.alpha == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("shape", [(30, 8), (8, 30)], ids=["tall", "wide"])
def test_slopes_in_the_targets_of_a_constrained_lasso(intercept, shape):
    rng = np.random.default_rng(4)
    X, y, weight = rng.standard_normal(shape), rng.standard_normal(shape[0]), rng.random(shape[0]) + 0.5
    row = so.LinearConstraint(np.ones((1, shape[1])), 0.1, 0.1)
    g = rng.standard_normal(shape[1])

    def problem(y):
        return so.Problem(so.LeastSquares(X, y, weight, intercept=intercept), so.L1(0.05), row)

    solution = so.solve(problem(y), so.InteriorPoint(), tol=1e-11)
    found = solution_slopes(problem(y), solution, g)
    assert found.targets == pytest.approx(difference(lambda d: problem(y + d), g, y.size), abs=1e-6)


def test_a_coefficient_that_a_penalty_holds_at_zero_does_not_move():
    problem = so.Problem(so.Quadratic(np.eye(2), [-0.2, -3.0]), so.L1(1.0), so.LinearConstraint(np.ones((1, 2)), -9, 9))
    found = solution_slopes(problem, so.solve(problem, tol=1e-10), [1.0, 1.0])
    assert found.linear == pytest.approx([0.0, -1.0])
    assert found.alpha == pytest.approx([0.0, -1.0])
    assert not np.any(found.row_lower)
    assert not np.any(found.row_upper)


def test_a_solution_of_another_problem_is_told():
    problem, g = program()
    solution = so.solve(problem, so.InteriorPoint(), tol=1e-11)
    other = replace(problem, loss=so.Quadratic(problem.loss.Q.to_array(), problem.loss.c + 1.0))
    with pytest.raises(ValueError, match="the objective at w is .* here, and .* in the solution"):
        solution_slopes(other, solution, g)


def test_what_has_no_slopes_is_told():
    problem, g = program()
    stopped = so.solve(problem, so.InteriorPoint(), tol=1e-11, max_iter=1)
    with pytest.raises(ValueError, match="ITERATION_LIMIT"):
        solution_slopes(problem, stopped, g)
    with pytest.raises(so.UnsupportedProblem, match="L0"):
        solution_slopes(replace(problem, penalty=so.L0(0.1)), stopped, g)
    with pytest.raises(ValueError, match="slope"):
        solution_slopes(problem, so.solve(problem, tol=1e-9), g[:3])


@pytest.mark.parametrize("as_matrix", [np.asarray, sparse.csc_array])
def test_where_no_move_balances_the_slope_the_shortest_one_is_told(as_matrix):
    """Directions without curvature have no finite slope: nothing is said of them, and the others keep theirs."""
    Q = as_matrix(np.diag([2.0, 0.0, 0.0]))
    free = so.Problem(so.Quadratic(Q, np.zeros(3)), constraint=so.Box(-1, 1))
    found = solution_slopes(free, so.solve(free, tol=1e-11), [1.0, 1.0, 1.0])
    assert found.linear == pytest.approx([-0.5, 0.0, 0.0], abs=1e-9)
    row = so.LinearConstraint(np.array([[0.0, 1.0, 1.0]]), 0.5, 0.5)
    held = replace(free, constraint=so.Intersection(row, so.Box(-1, 1)))
    found = solution_slopes(held, so.solve(held, tol=1e-11), [1.0, 1.0, 0.0])
    assert found.linear == pytest.approx([-0.5, 0.0, 0.0], abs=1e-9)
    assert found.row_lower + found.row_upper == pytest.approx([0.5])
