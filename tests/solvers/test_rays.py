"""Points beside a ray: whether rows are met near a point that is too far out for its digits to tell."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.proofs.rays import check_dual_ray
from sparseopt.solvers.quadratic.quadratic_program import quadratic_program
from sparseopt.solvers.quadratic.rays import is_met_beside

# No row stops it.
RAY = np.array([1.0, 1.0, 1.0])
A = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0], [1.0, 1.0, 0.0]])
MET = 1e-6


def program(is_sparse, row_lower, row_upper):
    """A program with three coefficients, the last of which is not below 2."""
    rows = so.LinearConstraint(sparse.csc_array(A) if is_sparse else A, row_lower, row_upper)
    Q = sparse.csc_array((3, 3)) if is_sparse else np.zeros((3, 3))
    box = so.Box([-np.inf, -np.inf, 2.0], np.inf)
    return quadratic_program(so.Problem(so.Quadratic(Q, -RAY), constraint=so.Intersection(rows, box)))


@pytest.mark.parametrize("is_sparse", [False, True])
def test_rows_are_met_on_the_way_back_from_a_point_whose_rounding_exceeds_them(is_sparse):
    found = program(is_sparse, [0.1, -0.3, 5.0], [0.1, -0.2, np.inf])
    w = 1e12 * RAY + np.array([0.013, -0.021, 0.033])
    assert np.max(np.abs((A @ w)[:2] - [0.1, -0.3])) > 1e-3
    assert is_met_beside(found, w, RAY, MET)


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("gap", [1e-4, 1.0])
def test_what_nothing_satisfies_is_met_nowhere(is_sparse, gap):
    """w_0 - w_1 = 0.1 and, by two rows that differ by it, w_0 - w_1 = 0.1 + gap."""
    rows = np.array([[1.0, -1.0, 0.0], [2.0, -2.0, 0.0]])
    constraint = so.LinearConstraint(sparse.csc_array(rows) if is_sparse else rows, [0.1, 0.2 + 2 * gap], [0.1, np.inf])
    Q = sparse.csc_array((3, 3)) if is_sparse else np.zeros((3, 3))
    found = quadratic_program(so.Problem(so.Quadratic(Q, -RAY), constraint=constraint))
    assert not is_met_beside(found, 1e12 * RAY, RAY, MET)
    assert not is_met_beside(found, RAY, RAY, MET)


@pytest.mark.parametrize("tiny", [1e-7, 1e-9, 1e-10, 1e-11])
def test_a_curvature_in_small_units_is_no_ray(tiny):
    problem = so.Problem(so.Quadratic(tiny * np.eye(2), [1.0, 1.0]))
    assert not check_dual_ray(problem, [-1.0, -1.0]).holds
    solution = so.solve(problem, so.InteriorPoint(), max_iter=100)
    assert solution.status is so.Status.CONVERGED
    np.testing.assert_allclose(solution.w, -1.0 / tiny, rtol=1e-6)


@pytest.mark.parametrize("solver", [so.InteriorPoint(), so.ConstrainedWorkingSet()], ids=repr)
def test_what_a_projection_leaves_of_a_drift_is_no_ray(solver):
    """All directions that no side stops have a curvature: the rest is rounding, along which the objective still falls."""
    root = np.array([[0.00322, -0.00088, -0.003165]])
    rows = so.LinearConstraint(
        [[-1.0, 1.0, 0.5], [0.0, 0.0, -1.5], [0.5, -0.5, 0.5]], [-3.75, -0.25, -np.inf], [np.inf, 0.75, 1.5]
    )
    box = so.Box([-np.inf, -np.inf, -3.5], [1.5, 1.0, 0.5])
    problem = so.Problem(so.Quadratic(root.T @ root, [701.0, 810.0, 867.0]), constraint=so.Intersection(rows, box))
    assert so.solve(problem, solver).status is so.Status.CONVERGED
