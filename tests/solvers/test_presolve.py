"""Laws of the presolve: what is left has the solutions of the whole, and its multipliers and rays become those of the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sparseopt import L1, Box, InteriorPoint, Intersection, LinearConstraint, Problem, Quadratic, Status, Zero, solve
from sparseopt.proofs.kkt import kkt_residuals
from sparseopt.proofs.rays import check_dual_ray, check_primal_ray
from sparseopt.solution import Duals
from sparseopt.solvers.quadratic.presolve import presolve
from sparseopt.solvers.quadratic.quadratic_program import quadratic_program


def problem_of(seed, is_sparse=False, alpha=0.0):
    """A small program with integer data, full of rows and bounds that say little, feasible or not."""
    rng = np.random.default_rng(seed)
    p, m = int(rng.integers(2, 9)), int(rng.integers(1, 10))
    M = rng.integers(-2, 3, (p, int(rng.integers(0, p + 1))))
    A = rng.integers(-3, 4, (m, p)) * (rng.random((m, p)) < rng.choice([0.2, 0.5]))
    lower = np.where(rng.random(p) < 0.3, -np.inf, rng.integers(-3, 1, p))
    upper = np.where(rng.random(p) < 0.3, np.inf, rng.integers(0, 4, p))
    fixed = rng.random(p) < 0.2
    upper[fixed] = lower[fixed] = rng.integers(-2, 3, np.count_nonzero(fixed))
    inside = np.clip(rng.integers(-2, 3, p), lower, upper) if rng.random() < 0.8 else rng.integers(-5, 6, p)
    image = A @ inside
    row_lower = np.where(rng.random(m) < 0.4, -np.inf, image - rng.integers(0, 3, m))
    row_upper = np.where(rng.random(m) < 0.4, np.inf, image + rng.integers(0, 3, m))
    storage = sparse.csc_array if is_sparse else np.asarray
    return Problem(
        Quadratic(storage((M @ M.T).astype(float)), rng.integers(-4, 5, p).astype(float)),
        L1(alpha) if alpha else Zero(),
        Intersection(LinearConstraint(storage(A.astype(float)), row_lower, row_upper), Box(lower, upper)),
    )


def rest_of(presolved):
    """What is left as a problem."""
    program = presolved.program
    matrix = program.matrix if program.matrix is not None else np.zeros((program.q.size,) * 2)
    rows = LinearConstraint(program.A, program.row_lower, program.row_upper)
    if rows.lower.size == 0:  # without rows a solution has no multipliers
        rows = LinearConstraint(np.zeros((1, program.q.size)), -1.0, 1.0)
    alpha = program.alpha
    return Problem(
        Quadratic(matrix, program.q),
        L1(float(alpha[0])) if alpha.any() else Zero(),
        Intersection(rows, Box(program.lower, program.upper)),
    )


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_solution_and_multipliers_of_the_rest_are_those_of_the_whole(is_sparse, alpha, seed):
    problem = problem_of(seed, is_sparse, alpha)
    presolved = presolve(quadratic_program(problem))
    if presolved.program is presolved.whole and presolved.ray is None:
        return
    m = problem.constraint.parts[0].lower.size
    if presolved.ray is not None:
        assert check_primal_ray(problem, presolved.ray).holds
        assert np.allclose(presolved.ray[m:], -presolved.ray[:m] @ problem.constraint.parts[0].A, atol=1e-9)
        return
    found = solve(rest_of(presolved), InteriorPoint(), tol=1e-9)
    if found.status is Status.INFEASIBLE:
        ray = found.certificate.ray
        rows = presolved.rows.size
        if rows == 0:
            ray = ray[1:]
        assert check_primal_ray(problem, presolved.separating(ray[:rows], ray[rows:])).holds
        return
    if found.status is Status.UNBOUNDED:
        assert check_dual_ray(problem, presolved.descending(found.certificate.ray)).holds
        return
    assert found.status is Status.CONVERGED
    w, v = found.w, found.duals.box
    y = found.duals.rows[: presolved.rows.size]
    w = presolved.w(w)
    y, v = presolved.multipliers(w, y, v)
    kkt = kkt_residuals(problem, w, Duals(y, v))
    assert max(kkt.violation, kkt.dual, kkt.gap) <= 1e-7


def test_a_chain_of_rows_fixes_one_coefficient_after_another():
    p = 6
    A = np.eye(p, p + 1) + np.diag(np.ones(p - 1), -1) @ np.eye(p, p + 1)
    problem = Problem(Quadratic(np.eye(p + 1), np.ones(p + 1)), constraint=LinearConstraint(A, np.ones(p), np.ones(p)))
    presolved = presolve(quadratic_program(problem))
    assert presolved.program.q.size == 1
    assert presolved.program.row_lower.size == 0
    w = presolved.w(np.array([-1.0]))
    y, v = presolved.multipliers(w, np.zeros(0), np.zeros(1))
    assert np.array_equal(w, [1, 0, 1, 0, 1, 0, -1])
    kkt = kkt_residuals(problem, w, Duals(y, v))
    assert max(kkt.violation, kkt.dual, kkt.gap) <= 1e-12


def test_a_program_without_anything_to_take_out_is_left_alone():
    A = np.array([[1.0, 2.0], [3.0, -1.0]])
    problem = Problem(Quadratic(np.eye(2), np.ones(2)), constraint=LinearConstraint(A, -np.ones(2), np.ones(2)))
    presolved = presolve(quadratic_program(problem))
    assert presolved.program is presolved.whole
