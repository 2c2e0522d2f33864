"""Small quadratic programs: short ways must say what the long ones say."""

import sys

import numpy as np
import pytest
from scipy import sparse
from small_programs import program_of

import sparseopt as so
from sparseopt.certificate import certify_program
from sparseopt.curvature import least_curvature
from sparseopt.problem import parts_of
from sparseopt.programs import dense_program as dense_programs
from sparseopt.programs.dense_program import dense_program
from sparseopt.proofs.kkt import kkt_residuals


def assert_same_residuals(problem, w, duals):
    """One call finds what the residuals in numpy are; returns both bounds, and the size of what rounding is relative to."""
    certificate, found = certify_program(problem, w, duals), kkt_residuals(problem, w, duals)
    size = 1.0 + abs(found.objective) + abs(found.dual_objective) + np.sum(w**2) + np.sum(duals.rows**2)
    for ours, theirs in (
        (certificate.objective, found.objective),
        (certificate.violation, found.violation),
        (certificate.dual_residual, found.dual),
    ):
        assert abs(ours - theirs) <= 1e-11 * size
    return certificate.lower_bound, found.lower_bound, size


def keep_sparse(monkeypatch):
    """Let no sparse program be made full."""
    monkeypatch.setattr(dense_programs, "_LITTLE", 0.0)
    monkeypatch.setattr(dense_programs, "_FILLED", 0.0)


def sparse_twin(problem):
    """The same problem with sparse matrices."""
    parts = [
        so.LinearConstraint(sparse.csc_array(part.A), part.lower, part.upper)
        if isinstance(part, so.LinearConstraint) and part.A.size
        else part
        for part in parts_of(problem.constraint)
    ]
    loss = so.Quadratic(sparse.csc_array(problem.loss.Q.matrix), problem.loss.c)
    return so.Problem(loss, problem.penalty, so.Intersection(*parts))


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("seed", range(100))
def test_no_point_and_multipliers_prove_more_than_is_true(seed, is_sparse, monkeypatch):
    """Also bad ones, for whose residuals bounds, rows or curvature have to pay."""
    problem, _ = program_of(seed)
    assert least_curvature(problem.loss) == 0.0
    best = so.solve(problem, so.InteriorPoint(), tol=1e-9)
    least = best.certificate.objective if best.status is so.Status.CONVERGED else np.inf
    random, program = np.random.default_rng(seed), dense_program(problem)
    p, m = program.lower.size, program.row_lower.size
    if is_sparse:
        keep_sparse(monkeypatch)
        problem = sparse_twin(problem)
    for scale in (0.0, 1e-3, 1.0):
        w = scale * random.standard_normal(p)
        duals = so.Duals(scale * random.standard_normal(m), scale * random.standard_normal(p))
        ours, theirs, size = assert_same_residuals(problem, w, duals)
        assert ours <= least + 1e-8 * size
        assert np.isfinite(ours) == np.isfinite(theirs)


@pytest.mark.parametrize("solver", [so.ActiveSet(), so.InteriorPoint()], ids=repr)
@pytest.mark.parametrize("seed", range(100))
def test_one_call_proves_the_same_of_solutions(seed, solver):
    problem, _ = program_of(seed)
    solution = so.solve(problem, solver, tol=1e-8)
    if solution.status is so.Status.CONVERGED:
        ours, theirs, size = assert_same_residuals(problem, solution.w, solution.duals)
        # of a coefficient without bounds or curvature only a slope of exactly zero is paid for, which rounding decides
        assert not np.isfinite(ours + theirs) or abs(ours - theirs) <= 1e-8 * size
        solution.certificate.verify(problem)


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("seed", range(100))
def test_sparse_matrices_do_not_change_what_is_found(seed, is_full, monkeypatch):
    """Whether they are made full, as little ones are, or not."""
    problem, _ = program_of(seed)
    if not is_full:
        keep_sparse(monkeypatch)
    expected, twin = so.solve(problem, so.InteriorPoint(), tol=1e-8), sparse_twin(problem)
    solution = so.solve(twin, so.InteriorPoint(), tol=1e-8)
    assert solution.status is expected.status
    if solution.status is so.Status.CONVERGED:
        size = 1.0 + abs(expected.certificate.objective) + np.sum(np.abs(expected.duals.rows))
        assert solution.certificate.objective == pytest.approx(expected.certificate.objective, abs=1e-7 * size)
    solution.certificate.verify(twin)


def test_negative_curvature_is_not_proven_anything():
    problem = so.Problem(so.Quadratic([[1.0, 2.0], [2.0, 1.0]], [1.0, 1.0]), constraint=[so.Box(-1.0, 1.0)])
    assert certify_program(problem, np.zeros(2), so.Duals(np.zeros(0), np.zeros(2))) is None


def test_multipliers_that_are_no_numbers_prove_nothing():
    problem = so.Problem(so.Quadratic(np.eye(2), [1.0, 1.0]), constraint=so.LinearConstraint([[1.0, 1.0]], 0.0, 1.0))
    for same in (problem, sparse_twin(problem)):
        assert certify_program(same, np.zeros(2), so.Duals(np.array([np.nan]), np.zeros(2))) is None


def test_multipliers_of_sparse_rows_that_are_no_numbers_prove_nothing(monkeypatch):
    keep_sparse(monkeypatch)
    problem = so.Problem(so.Quadratic(np.eye(2), [1.0, 1.0]), constraint=so.LinearConstraint([[1.0, 1.0]], 0.0, 1.0))
    assert certify_program(sparse_twin(problem), np.zeros(2), so.Duals(np.array([np.nan]), np.zeros(2))) is None


def test_the_memory_of_one_program_does_not_show_in_the_next():
    """Programs of one size take turns, each as if it were alone."""
    random = np.random.default_rng(0)
    problems = []
    for _ in range(2):
        A, point = random.standard_normal((3, 5)), random.standard_normal(5)
        rows = so.LinearConstraint(A, A @ point - 1.0, A @ point)
        problems.append(so.Problem(so.Quadratic(np.eye(5), 3 * random.standard_normal(5)), constraint=rows))
    for solver in (so.ActiveSet(), so.InteriorPoint()):
        alone = [so.solve(problem, solver).w.tolist() for problem in problems]
        again = [so.solve(problem, solver).w.tolist() for _ in range(3) for problem in problems]
        assert again == 3 * alone


@pytest.mark.parametrize("seed", range(60))
def test_curvature_of_few_coupled_coefficients_is_that_of_the_whole(seed):
    random = np.random.default_rng(seed)
    p = int(random.integers(4, 30))
    coupled = random.permutation(p)[: int(random.integers(2, p // 2 + 1))]
    M = random.standard_normal((coupled.size, coupled.size))
    Q = np.diag(random.random(p))
    Q[np.ix_(coupled, coupled)] = M @ M.T - random.choice([0.0, 0.1]) * (1.0 - np.eye(coupled.size))
    smallest = np.linalg.eigvalsh(Q)[0]
    found = least_curvature(so.Quadratic(sparse.csc_array(Q), np.zeros(p)))
    assert found == (pytest.approx(smallest, abs=1e-12) if smallest < -1e-9 * np.max(np.diag(Q)) else 0.0)


def singular(kind, seed):
    """A portfolio whose risk has few factors, or a linear program."""
    random = np.random.default_rng(seed)
    n = int(random.integers(5, 40))
    F, A = random.standard_normal((n, n // 4)), random.standard_normal((n // 3, n))
    if kind == "portfolio":
        Q, rows = F @ F.T, so.LinearConstraint(np.ones((1, n)), np.ones(1), np.ones(1))
        Q = (Q + Q.T) / 2
    else:
        Q, rows = np.zeros((n, n)), so.LinearConstraint(A, np.full(len(A), -np.inf), A @ random.random(n) + 0.1)
    box = so.Box(np.zeros(n), np.ones(n))
    return so.Problem(so.Quadratic(Q, random.standard_normal(n)), constraint=so.Intersection(rows, box))


@pytest.mark.parametrize("kind", ["portfolio", "linear"])
@pytest.mark.parametrize("seed", range(20))
def test_without_curvature_one_call_finds_what_proximal_points_find(kind, seed):
    """Such programs, drawn at random, have one solution each; it lies on its sides exactly, as that of an active set does."""
    problem = singular(kind, seed)
    quick, slow = so.solve(problem, tol=1e-8), so.solve(problem, so.ActiveSet(), tol=1e-8)
    assert "InteriorPoint" in quick.solver
    assert quick.status is slow.status is so.Status.CONVERGED
    np.testing.assert_array_equal(quick.support, slow.support)
    np.testing.assert_allclose(quick.w, slow.w, atol=1e-6)
    quick.certificate.verify(problem)


def test_a_point_inside_of_the_sides_is_left_to_the_active_set(monkeypatch):
    """Its coefficients would all be nonzero, if only just."""
    problem = singular("portfolio", 0)
    monkeypatch.setattr(sys.modules["sparseopt.solve"], "INSIDE", so.InteriorPoint(polish=False))
    assert "ActiveSet" in so.solve(problem, tol=1e-8).solver
