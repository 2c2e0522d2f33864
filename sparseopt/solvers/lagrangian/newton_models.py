"""Newton models of an augmented Lagrangian whose term ties coefficients together: groups, sorted and fused norms.

    slope.d + d'(f''(w) + sum_i rho_i a_i a_i') d / 2 + g(w + d)

over the rows a_i that pull. The minimiser comes from descent on groups, or from accelerated proximal gradients, on a
quadratic of as many numbers as there are pairs of coefficients: there is a model where these are few.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sparseopt.designs import uncentered
from sparseopt.losses import DualLoss, LeastSquares, Quadratic, SampleLoss
from sparseopt.losses.quadratic import quadratic_model
from sparseopt.problem import Problem
from sparseopt.solvers.block_descent import BlockDescent
from sparseopt.solvers.proximal_gradient import ProximalGradient

# Coefficients, and multiplications of f'' on one core, beyond which a model is no bounded chunk of work.
_MOST, _WORK = 1500, 2e9
# Rows of X whose squares are added up at once.
_ROWS = 2048
# Multiplications of one model, in epochs or in proximal gradient steps, and the fewest and most of these.
_BUDGET, _FEWEST, _MOST_STEPS = 1e9, 100, 5000
# Part of the largest curvature that each coefficient has at least, so that a flat model has a minimum.
_RIDGE = 1e-10


def has_newton_model(problem):
    """Whether the second derivative of the loss is known as a matrix, and one of a bounded size."""
    loss, p = problem.loss, problem.n_features
    if p > _MOST:
        return False
    if isinstance(loss, Quadratic):
        return True
    is_known = isinstance(loss, LeastSquares | SampleLoss) or (isinstance(loss, DualLoss) and len(problem.shape) == 1)
    return is_known and loss.n_entries * p <= _WORK


def second_derivative(loss, w):
    """f'' at w as a full float64 matrix."""
    if isinstance(loss, Quadratic):
        Q = loss.Q.matrix
        return (Q.toarray() if sparse.issparse(Q) else Q).astype(np.float64)
    if isinstance(loss, DualLoss):
        return loss.hessian(w, np.arange(w.size))
    X = uncentered(loss.X).matrix
    n = X.shape[0]
    bends = np.array(np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), n))
    if isinstance(loss, SampleLoss):
        bends *= loss.curvature(loss.y.astype(np.float64), loss.predict(w))
    total = float(np.sum(bends)) if loss.intercept else 0.0
    mean = np.asarray(X.T @ bends, dtype=np.float64) / total if total > 0.0 else np.zeros(w.size)
    if sparse.issparse(X):
        return (X.T @ sparse.diags_array(bends) @ X).toarray().astype(np.float64) - total * np.outer(mean, mean)
    H = np.zeros((w.size, w.size))
    for first in range(0, n, _ROWS):
        rows = slice(first, first + _ROWS)
        # of columns far from zero, whose mean came off at the end, rounding would be left
        rooted = np.sqrt(bends[rows])[:, None] * (X[rows] - mean)
        H += rooted.T @ rooted
    return H


def model_minimiser(term, H, w, slope, rows, tol):
    """Nearly the minimiser of the model with a `WholeTerm`, the slope given, and the rows that pull times the roots of rho."""
    matrix = H + rows.T @ rows
    matrix.flat[:: w.size + 1] += _RIDGE * max(float(np.max(matrix.diagonal(), initial=0.0)), np.finfo(float).tiny)
    model = Problem(quadratic_model(matrix, slope - matrix @ w), term.penalty, term.constraint)
    solver = ProximalGradient() if BlockDescent().rejects(model) else BlockDescent()
    budget = int(np.clip(_BUDGET / w.size**2, _FEWEST, _MOST_STEPS))
    state = solver.init(model, w.copy())
    while state.residual > tol and state.iterations < budget and state.status is None:
        state = solver.step(model, state, tol, budget - state.iterations)
    return state.w
