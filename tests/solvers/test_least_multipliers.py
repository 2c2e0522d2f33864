"""Multipliers of the least size, where many are optimal."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from sparseopt import InteriorPoint, LinearConstraint, Problem, Quadratic, Status
from sparseopt.parts import at_once
from sparseopt.solvers.quadratic.interior_state import Interior
from sparseopt.solvers.quadratic.least_multipliers import lessened

TOL = 1e-6


def final_state(problem):
    """The state of a run that has ended."""
    solver = InteriorPoint()
    state = solver.init(problem, np.zeros(problem.n_features))
    while state.status is None:
        state.tolerance = TOL
        state = solver.step(problem, state, TOL, 100)
    return solver, state


def one_plane(convert=np.asarray):
    """|w|**2 / 2 + c'w on the plane a'w = 0, of which two rows are a side each: any y (1, 1) + (r, 0) is optimal."""
    a, c = np.array([1.0, 2.0, -2.0]), np.array([-3.0, 1.0, 1.0])
    r = -(a @ c) / 9.0  # a'(c + a r) = 0
    A = convert(np.array([a, -a]))
    problem = Problem(
        Quadratic(convert(np.eye(3)), c), constraint=LinearConstraint(A, np.full(2, -np.inf), np.zeros(2))
    )
    return problem, np.array([max(r, 0.0), max(-r, 0.0)])


@pytest.mark.parametrize("convert", [np.asarray, sparse.csc_array], ids=["dense", "sparse"])
def test_multipliers_beside_which_rounding_hides_what_is_left_become_the_least_ones(convert):
    problem, least = one_plane(convert)
    solver, state = final_state(problem)
    assert isinstance(state, Interior)
    state.duals = replace(state.duals, rows=state.duals.rows + 1e12)
    state.status = Status.STALLED
    at_once(lessened(solver, state, TOL))
    assert state.status is Status.CONVERGED
    np.testing.assert_allclose(state.duals.rows, least, atol=TOL)


def test_multipliers_of_the_size_of_the_slope_stay_as_they_are():
    problem, _ = one_plane()
    solver, state = final_state(problem)
    before = state.duals
    at_once(lessened(solver, state, TOL))
    assert state.duals is before
