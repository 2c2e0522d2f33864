"""Large dense programs in pieces: factorisations by panels, and limits between them."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt import curvature, panels
from sparseopt.kernels import lapack
from sparseopt.losses.quadratic import quadratic_model
from sparseopt.solvers.quadratic import dense_pieces, long_factorisation, pieces, quadratic_program, remedies


@pytest.fixture
def little_pieces(monkeypatch):
    """All dense factorisations are long ones, in panels of three columns, and each piece ends a step."""
    monkeypatch.setattr("sparseopt.programs.dense_program._FEW", 0)
    monkeypatch.setattr(remedies, "_CHUNK", 0.0)
    monkeypatch.setattr(long_factorisation, "_LONG_DENSE", 0.0)
    monkeypatch.setattr(panels, "_THIN", 3)
    monkeypatch.setattr(panels, "_WIDE", 3)
    monkeypatch.setattr(dense_pieces, "PIECE", 1.0)
    monkeypatch.setattr(curvature, "_LARGEST_CALL", 0)
    monkeypatch.setattr(quadratic_program, "_ENTRIES", 0)
    monkeypatch.setattr(pieces, "_SHIFT", -1.0)


def dense_program(kind, density=1.0):
    """Equalities and two-sided rows; P is full, or couples a few coefficients only, or is the square of data."""
    rng = np.random.default_rng(0)
    n, m = 20, 8
    A = rng.standard_normal((m, n)) * (rng.random((m, n)) < density)
    at = A @ rng.random(n)
    lower, upper = at - np.where(np.arange(m) < 3, 0.0, 1.0), at
    constraint = so.Intersection(so.LinearConstraint(A, lower, upper), so.Box(0.0, 2.0))
    M = rng.standard_normal((n, n))
    if kind == "data":
        return so.Problem(so.LeastSquares(M[:5], rng.standard_normal(5)), constraint=constraint)
    Q = np.diag(rng.random(n) + 0.1)
    block = n if kind == "full" else 4
    Q[:block, :block] += M[:block] @ M[:block].T
    return so.Problem(so.Quadratic(Q, rng.standard_normal(n)), constraint=constraint)


@pytest.mark.parametrize("density", [1.0, 0.08], ids=["dense rows", "sparse rows"])
@pytest.mark.parametrize("kind", ["full", "block", "data"])
def test_panels_change_no_result(kind, density, little_pieces, monkeypatch):
    steps = []
    whole = so.solve(
        dense_program(kind, density), so.InteriorPoint(), tol=1e-9, callback=lambda *found: steps.append(found)
    )
    monkeypatch.undo()
    at_once = so.solve(dense_program(kind, density), so.InteriorPoint(), tol=1e-9)
    assert whole.status is at_once.status is so.Status.CONVERGED
    # least squares with few samples have many solutions
    assert whole.certificate.objective == pytest.approx(at_once.certificate.objective, abs=1e-8)
    assert len(steps) > 3 * whole.iterations


def test_a_dense_run_that_is_stopped_after_any_piece_has_an_honest_certificate(little_pieces):
    steps = []
    so.solve(dense_program("full"), so.InteriorPoint(), tol=1e-9, callback=lambda *found: steps.append(found))
    for last in range(1, len(steps), 5):
        calls = []

        def stops(*found, calls=calls, last=last):
            calls.append(found)
            return len(calls) == last

        problem = dense_program("full")
        solution = so.solve(problem, so.InteriorPoint(), tol=1e-9, callback=stops)
        assert solution.status is so.Status.STOPPED
        solution.certificate.verify(problem)
    # the first of these ended before the curvature was known, the last had a point to prove something of
    assert solution.certificate.proof == "kkt"


def test_a_run_that_ends_before_the_curvature_is_known_proves_no_bound_and_says_so(little_pieces):
    problem = dense_program("full")
    solution = so.solve(problem, so.InteriorPoint(), callback=lambda *_: True)
    assert solution.certificate.lower_bound == -np.inf
    assert "before it was known whether Q is convex" in solution.certificate.remark
    assert not curvature.is_settled(problem.loss)


def test_negative_curvature_that_the_set_up_finds_is_refused_in_the_same_words(little_pieces, monkeypatch):
    Q = np.eye(20)
    Q[0, 1] = Q[1, 0] = 5.0

    def refusal():
        problem = so.Problem(so.Quadratic(Q, np.ones(20)), constraint=so.LinearConstraint(np.ones((1, 20)), 0.0, 1.0))
        with pytest.raises(so.UnsupportedProblem) as refused:
            so.solve(problem, so.InteriorPoint(), callback=lambda *_: None)
        return str(refused.value)

    in_pieces = refusal()
    monkeypatch.undo()
    assert refusal() == in_pieces
    assert "negative curvature" in in_pieces


@pytest.mark.parametrize("least", [-30.0, -1.0, -1e-3])
@pytest.mark.parametrize("n", [1, 2, 30, 250])
def test_negative_curvature_is_found_in_pieces_to_half_of_it_at_worst(n, least, little_pieces, monkeypatch):
    rng = np.random.default_rng(n)
    turn = np.linalg.qr(rng.standard_normal((n, n)))[0]
    Q = (turn * np.append(least, rng.uniform(0.0, 10.0, n - 1))) @ turn.T
    # only the eigenvalues of Q are as they were made; its diagonal is to pass the door
    problem = quadratic_model((Q + Q.T) / 2, np.ones(n))
    parts = curvature.curvature_in_pieces(problem)
    monkeypatch.setattr(np.linalg, "eigvalsh", None)  # which would take long in one piece
    steps = 0
    try:
        while True:
            next(parts)
            steps += 1
    except StopIteration as end:
        found = end.value
    assert 1.0001 * least <= found <= least / 2
    assert steps > min(n, 20)
    monkeypatch.setattr(curvature, "_LARGEST_SPECTRUM", 0)
    assert curvature.least_curvature(quadratic_model(problem.Q.matrix, problem.c)) == found


def test_panels_of_a_factor_are_those_of_the_whole():
    rng = np.random.default_rng(1)
    M = rng.standard_normal((9, 9))
    matrix = M @ M.T + np.eye(9)
    whole = matrix.copy()
    assert lapack.cholesky(whole) == 0
    for width in (1, 4, 9):
        parts = matrix.copy()
        for first in range(0, 9, width):
            assert lapack.cholesky_panel(parts, first, min(first + width, 9)) == 0
        assert np.triu(parts) == pytest.approx(np.triu(whole))


@pytest.mark.parametrize("is_transposed", [False, True])
def test_panels_of_a_gram_matrix_are_those_of_the_whole(is_transposed):
    A = np.random.default_rng(2).standard_normal((5, 7))
    size = 5 if is_transposed else 7
    whole, parts = np.ones((2, size, size))
    lapack.add_gram(A, 1.0, whole, is_transposed)
    for first in range(0, size, 3):
        lapack.add_gram_panel(A, first, min(first + 3, size), parts, is_transposed)
    assert np.triu(parts) == pytest.approx(np.triu(whole))


def test_a_panel_that_is_not_definite_is_told():
    assert lapack.cholesky_panel(np.diag([1.0, 2.0, -1.0]), 2, 3) != 0
