"""Rows that are multiples of each other: one of them is solved with, and all get their multipliers."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.solvers.quadratic.presolve import presolve
from sparseopt.solvers.quadratic.quadratic_program import quadratic_program


def doubled(seed, kinds=(1.0, -2.0, 0.5)):
    """A sparse program each of whose rows comes with multiples of itself, with sides of their own around one point."""
    rng = np.random.default_rng(seed)
    n, m = 30, 10
    A = rng.standard_normal((m, n)) * (rng.random((m, n)) < 0.3)
    inside = rng.random(n)
    rows = np.vstack([g * A for g in (1.0, *kinds)])
    at = rows @ inside
    slack = rng.random((2, at.size)) * (rng.random((2, at.size)) < 0.7)
    is_open = rng.random((2, at.size)) < 0.3
    lower = np.where(is_open[0], -np.inf, at - 0.2 * slack[0])
    upper = np.where(is_open[1], np.inf, at + 0.2 * slack[1])
    box_lower = np.where(rng.random(n) < 0.2, inside, 0.0)
    constraint = so.Intersection(
        so.LinearConstraint(sparse.csc_array(rows), lower, upper),
        so.Box(box_lower, np.where(box_lower > 0, inside, 1.0)),
    )
    return so.Problem(
        so.Quadratic(sparse.csc_array(np.diag(rng.random(n))), rng.standard_normal(n)), constraint=constraint
    )


@pytest.mark.parametrize("seed", range(12))
def test_multipliers_of_all_multiples_prove_the_solution(seed):
    problem = doubled(seed)
    program = quadratic_program(problem)
    assert presolve(program).program.row_lower.size <= 10 < program.row_lower.size
    solution = so.solve(problem, so.InteriorPoint(), tol=1e-9)
    assert solution.status is so.Status.CONVERGED
    solution.certificate.verify(problem)
    assert solution.certificate.gap < 1e-6


def test_a_multiplier_goes_to_the_row_whose_side_holds():
    """Of w_0 + w_1 <= 3 and -2 (w_0 + w_1) >= -4 the second one holds, with half of the multiplier and its sign."""
    A = sparse.csc_array(np.array([[1.0, 1.0, 0.0, 0.0], [-2.0, -2.0, 0.0, 0.0]]))
    rows = so.LinearConstraint(A, [-np.inf, -4.0], [3.0, np.inf])
    problem = so.Problem(so.Quadratic(sparse.csc_array(np.eye(4)), np.array([-3.0, -3.0, 0.0, 0.0])), constraint=rows)
    solution = so.solve(problem, so.InteriorPoint(), tol=1e-9)
    assert solution.w == pytest.approx([1.0, 1.0, 0.0, 0.0], abs=1e-8)
    assert solution.duals.rows == pytest.approx([0.0, -1.0], abs=1e-8)


def test_multiples_that_contradict_each_other_are_proven_infeasible():
    A = sparse.csc_array(np.array([[1.0, 1.0, 1.0, 0.0], [-2.0, -2.0, -2.0, 0.0]]))
    rows = so.LinearConstraint(A, [2.0, -2.0], [3.0, np.inf])
    problem = so.Problem(so.Quadratic(sparse.csc_array(np.eye(4)), np.zeros(4)), constraint=rows)
    solution = so.solve(problem, so.InteriorPoint(), tol=1e-9)
    assert solution.status is so.Status.INFEASIBLE
    assert solution.certificate.proof == "infeasible ray"


def test_rows_that_differ_beyond_rounding_are_no_multiples():
    rows = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0 + 1e-12], [0.0, 1.0, 1.0]])
    problem = so.Problem(
        so.Quadratic(sparse.csc_array(np.eye(3)), np.ones(3)),
        constraint=so.LinearConstraint(sparse.csc_array(rows), np.zeros(3), np.ones(3)),
    )
    assert presolve(quadratic_program(problem)).program.row_lower.size == 3
