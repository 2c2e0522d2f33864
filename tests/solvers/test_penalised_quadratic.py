"""The model within the augmented Lagrangian: its minimiser, and the matrix that it curves by."""

import numpy as np
import pytest
from scipy import sparse

from sparseopt.forms import SeparableForm
from sparseopt.solvers.lagrangian import quasi_newton
from sparseopt.solvers.lagrangian.penalised_quadratic import PenalisedQuadratic
from sparseopt.solvers.lagrangian.quasi_newton import QuasiNewton


def learned(p, count, rng):
    """A model of a matrix with eigenvalues from 1 to 10 after some moves."""
    Q = np.linalg.qr(rng.standard_normal((p, p)))[0]
    H = Q @ np.diag(np.linspace(1.0, 10.0, p)) @ Q.T
    model = QuasiNewton(p)
    moves = rng.standard_normal((count, p))
    for move in moves:
        model.update(move, H @ move)
    return model, moves, H


@pytest.mark.parametrize("p", [6, 40])
def test_the_compact_form_is_the_matrix_of_bfgs(p, monkeypatch):
    rng = np.random.default_rng(p)
    dense, moves, H = learned(p, 5, rng)
    assert dense.matrix @ moves[-1] == pytest.approx(H @ moves[-1])
    assert np.linalg.eigvalsh(dense.matrix)[0] > 0.0
    monkeypatch.setattr(quasi_newton, "_SMALL", 0)
    compact, _, _ = learned(p, 5, np.random.default_rng(p))
    everything = np.arange(p)
    assert compact.matrix is None
    assert compact.block(everything) @ moves[-1] == pytest.approx(H @ moves[-1])
    assert compact.product(moves[0]) == pytest.approx(compact.block(everything) @ moves[0])
    assert compact.diagonal() == pytest.approx(compact.block(everything).diagonal())
    W, middle = compact.low_rank(everything)
    assert compact.theta * np.eye(p) - W @ np.linalg.solve(middle, W.T) == pytest.approx(compact.block(everything))
    by_hand = compact.theta * np.eye(p)
    for move in moves:
        bent, change = by_hand @ move, H @ move
        by_hand += np.outer(change, change) / (move @ change) - np.outer(bent, bent) / (move @ bent)
    assert compact.block(everything) == pytest.approx(by_hand)


def test_a_change_against_the_move_is_damped():
    model = QuasiNewton(2)
    model.update(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    model.update(np.array([0.0, 1.0]), np.array([0.0, -5.0]))
    assert np.linalg.eigvalsh(model.matrix)[0] == pytest.approx(0.4)
    model.update(np.zeros(2), np.zeros(2))
    assert np.all(np.isfinite(model.matrix))


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("small", [0, 300])
@pytest.mark.parametrize("seed", range(4))
def test_the_minimiser_has_no_slope_left(seed, small, is_sparse, monkeypatch):
    """The optimality of a convex problem: minus the slope of the smooth part is a slope of the rest."""
    monkeypatch.setattr(quasi_newton, "_SMALL", small)
    rng = np.random.default_rng(seed)
    p, m = 60, 4
    curvature, _, _ = learned(p, 4, rng)
    J = rng.standard_normal((m, p)) * (rng.random((m, p)) < 0.3)
    lower, upper = -rng.random(m), rng.random(m)
    lower[:2] = upper[:2]
    form = SeparableForm(
        np.full(p, 0.5 * (seed % 2)),
        np.full(p, 0.1),
        np.where(rng.random(p) < 0.5, -np.inf, -0.5),
        np.where(rng.random(p) < 0.5, np.inf, 0.5),
    )
    model = PenalisedQuadratic(
        x=np.clip(rng.standard_normal(p), form.lower, form.upper),
        slope=rng.standard_normal(p),
        curvature=curvature,
        J=sparse.csr_array(J) if is_sparse else J,
        t=rng.standard_normal(m),
        lower=lower,
        upper=upper,
        rho=10.0 ** rng.uniform(0.0, 3.0, m),
        form=form,
    )
    d = model.minimise(1e-8)
    t = model.t + J @ d
    slope = model.slope + curvature.product(d) + J.T @ (model.rho * (t - np.clip(t, lower, upper)))
    assert np.max(form.subgradient_distance(model.x + d, slope)) <= 1e-6


def test_a_change_whose_square_is_no_number_leaves_a_curvature():
    """As of a logistic loss far beyond its samples."""
    model = QuasiNewton(3)
    model.update(np.array([0.0, 0.0, -3.7e-5]), np.array([4.6e-206, -8.7e-206, -9.2e-206]))
    assert model.theta > 0.0
