"""An interior point method in pieces: limits come between any two of them, and what has been found by then is the result."""

import time

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.kernels import interior as kernels
from sparseopt.solvers import interior_point
from sparseopt.solvers.quadratic import long_factorisation, newton_choice, pieces, remedies
from sparseopt.solvers.quadratic.interior_setup import SettingUp


def coupled_program(n, seed=0):
    """Coefficients that are coupled at random distances, so that factors fill up (as CUTE's CVXQP)."""
    rng = np.random.default_rng(seed)
    i = np.arange(n)
    M = sum(sparse.csc_array((np.ones(n), (i, (k * i + k - 1) % n)), shape=(n, n)) for k in (1, 2, 3))
    A = sparse.csc_array(sparse.csr_array(M)[rng.permutation(n)[: n // 2]])
    inside = rng.random(n)
    return so.Problem(
        so.Quadratic(sparse.csc_array(M.T @ M), rng.standard_normal(n)),
        constraint=so.Intersection(so.LinearConstraint(A, A @ inside, A @ inside), so.Box(0.0, 10.0)),
    )


@pytest.fixture
def little_pieces(monkeypatch):
    """All sparse factorisations are long ones, made a few columns at a time, and each piece ends a step."""
    monkeypatch.setattr(newton_choice, "_LARGEST_DENSE", 0)
    monkeypatch.setattr(newton_choice, "fills_up", lambda matrix: False)
    monkeypatch.setattr(remedies, "_CHUNK", 0.0)
    monkeypatch.setattr(long_factorisation, "_LONG", 0.0)
    monkeypatch.setattr(long_factorisation, "PIECE", 50)
    monkeypatch.setattr(pieces, "_SHIFT", -1.0)


def test_pieces_change_no_result(little_pieces, monkeypatch):
    problem, steps = coupled_program(60), []
    whole = so.solve(problem, so.InteriorPoint(), tol=1e-9, callback=lambda *found: steps.append(found))
    monkeypatch.undo()
    at_once = so.solve(coupled_program(60), so.InteriorPoint(), tol=1e-9)
    assert whole.status is at_once.status is so.Status.CONVERGED
    assert whole.w == pytest.approx(at_once.w, abs=1e-9)
    assert len(steps) > 3 * whole.iterations


def test_a_run_that_is_stopped_after_any_piece_has_an_honest_certificate(little_pieces):
    problem, steps = coupled_program(40), []
    so.solve(problem, so.InteriorPoint(), tol=1e-9, callback=lambda *found: steps.append(found))
    for last in range(1, len(steps), 7):
        calls = []

        def stops(*found, calls=calls, last=last):
            calls.append(found)
            return len(calls) == last

        solution = so.solve(problem, so.InteriorPoint(), tol=1e-9, callback=stops)
        assert solution.status is so.Status.STOPPED
        assert solution.iterations == steps[last - 1][0]
        solution.certificate.verify(problem)
        assert solution.certificate.violation == pytest.approx(problem.violation(solution.w))


def test_the_time_limit_comes_before_a_large_program_is_set_up_or_factorised():
    """A run to the end takes some seconds; the bound is far above what the limit allows, for the sake of slow machines."""
    problem = coupled_program(40_000)
    so.solve(problem, so.InteriorPoint(), max_iter=3)  # compiles what a large program needs
    for limit in (1e-3, 0.1):
        start = time.process_time()
        solution = so.solve(problem, so.InteriorPoint(), time_limit=limit)
        assert solution.status is so.Status.TIME_LIMIT
        assert time.process_time() - start <= limit + 1.5
        assert np.isfinite(solution.certificate.objective)


def set_up(problem, solver):
    """The state at the first point."""
    state = solver.init(problem, np.zeros(problem.n_features))
    while isinstance(state, SettingUp):
        state = solver.step(problem, state, 1e-9, 1)
    state.tolerance = 1e-9
    return state


def test_near_the_end_larger_weights_come_before_factors_with_pivoting(monkeypatch):
    """These take ten times as long and more, and are all that helps further off."""
    monkeypatch.setattr(newton_choice, "_LARGEST_DENSE", 0)
    monkeypatch.setattr(newton_choice, "fills_up", lambda matrix: False)
    problem = coupled_program(60)
    weights = [kernels.RHO, kernels.DELTA, kernels.FLOOR]
    near, far = set_up(problem, so.InteriorPoint()), set_up(problem, so.InteriorPoint())
    for state, violation in ((near, 1e-6), (far, 1.0)):
        state.S[weights], state.S[kernels.LEAST_VIOLATION] = 1e-10, violation
        remedies.solve_better(state)
    assert near.system.name == "SparseNewton"
    assert np.all(near.S[weights] >= 2e-9)
    assert far.system.name == "Pivoting"
    assert np.all(far.S[weights] == 1e-10)
    remedies.solve_better(near)
    assert near.system.name == "Pivoting"
    assert near.S[kernels.FINEST] < 1e-10  # what other factors needed, these do not


def test_weights_stay_where_systems_are_solved_well_if_there_is_no_more_accurate_factorisation(monkeypatch):
    """Where they fell further, steps along wrong directions would follow, to no end."""
    monkeypatch.setattr(remedies, "is_harder", lambda state: False)
    problem, solver = coupled_program(60), so.InteriorPoint(polish=False)
    state = set_up(problem, solver)
    list(interior_point._look(solver, problem, state, 1e-9, kernels.HARDER))
    while state.status is None and state.iterations < 100:
        state = solver.step(problem, state, 1e-9, 1)
    assert state.status is so.Status.CONVERGED
    assert np.all(state.S[[kernels.RHO, kernels.DELTA, kernels.FLOOR]] >= 2e-9)


def test_a_set_up_in_pieces_is_gone_on_with_by_whoever_has_begun_it(monkeypatch):
    monkeypatch.setattr(pieces, "_SHIFT", -1.0)
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 60))
    rows = so.LinearConstraint(np.ones((1, 60)), -1.0, 1.0)
    problem = so.Problem(so.LeastSquares(X, X[:, 0] - X[:, 1]), so.L1(0.1), so.Intersection(rows, so.Box(-2.0, 2.0)))
    for solver in (so.ConstrainedWorkingSet(), so.InteriorPoint()):
        assert so.solve(problem, solver, tol=1e-8).status is so.Status.CONVERGED


def test_an_active_set_that_stands_ends_a_run_long_before_iterations_do():
    """The set is the final one some iterations before the mean product of slacks and multipliers says that the end is near."""
    problem = coupled_program(60, seed=1)
    inside = so.solve(problem, so.InteriorPoint(polish=False), tol=1e-6)
    exact = so.solve(problem, so.InteriorPoint(), tol=1e-6)
    assert inside.status is exact.status is so.Status.CONVERGED
    assert exact.iterations <= inside.iterations - 4
    assert exact.w == pytest.approx(inside.w, abs=1e-4)
    assert max(exact.certificate.violation, exact.certificate.dual_residual) <= 1e-6


def test_a_band_with_many_entries_stays_sparse():
    """As VALUES of Maros and Meszaros: a fifth of all entries, in a factor of which nine tenths are zero."""
    p, width, rng = 202, 20, np.random.default_rng(0)
    near = np.abs(np.subtract.outer(np.arange(p), np.arange(p))) <= width
    Q = sparse.csc_array(np.where(near, 1e-2, 0.0) + np.eye(p))
    assert 10 * Q.nnz > p * p
    rows = so.LinearConstraint(sparse.csc_array(np.ones((1, p))), 1.0, 1.0)
    problem = so.Problem(so.Quadratic(Q, rng.standard_normal(p)), constraint=so.Intersection(rows, so.Box(0.0, 1.0)))
    solution = so.solve(problem, so.InteriorPoint())
    assert solution.status is so.Status.CONVERGED
    assert solution.account.startswith("SparseNewton")
