"""Newton models of an augmented Lagrangian whose term ties coefficients together: groups, sorted and fused norms, balls.

    slope.d + d'(f''(w) + sum_i rho_i a_i a_i') d / 2 + g(w + d)

over the rows a_i that pull. The minimiser comes from proximal points with the derivative of the prox (`tied_models`),
or, where that is not known, from descent on groups or accelerated proximal gradients. f'' is a matrix up to some size, and
beyond, for terms whose pieces make a smaller system, products with X.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from sparseopt.designs import uncentered
from sparseopt.losses import DualLoss, LeastSquares, Quadratic, SampleLoss
from sparseopt.losses.quadratic import quadratic_model
from sparseopt.problem import Problem
from sparseopt.solvers.block_descent import BlockDescent
from sparseopt.solvers.lagrangian.model_curvature import FactorCurvature, FullCurvature
from sparseopt.solvers.lagrangian.prox_slopes import has_prox_slope
from sparseopt.solvers.lagrangian.tied_models import tied_minimiser
from sparseopt.solvers.proximal_gradient import ProximalGradient

# Coefficients, and multiplications of f'' on one core, beyond which a matrix is no bounded chunk of work.
_MOST, _WORK = 1500, 2e9
# Entries of X, and coefficients, beyond which products with X are none either.
_ENTRIES, _COEFFICIENTS = 5e7, 1e6
# Rows of X whose squares are added up at once.
_ROWS = 2048
# Multiplications of one model, in epochs or in proximal gradient steps, and the fewest and most of these.
_BUDGET, _FEWEST, _MOST_STEPS = 1e9, 100, 5000
# Part of the largest curvature that each coefficient has at least, so that a flat model has a minimum.
_RIDGE = 1e-10


def has_newton_model(problem, term):
    """Whether the second derivative of the loss is known, and its models with the term are of a bounded size."""
    return _has_matrix(problem) or (has_prox_slope(term) and _has_products(problem))


def _has_matrix(problem):
    loss, p = problem.loss, problem.n_features
    if p > _MOST:
        return False
    if isinstance(loss, Quadratic):
        return True
    is_known = isinstance(loss, LeastSquares | SampleLoss) or (isinstance(loss, DualLoss) and len(problem.shape) == 1)
    return is_known and loss.n_entries * p <= _WORK


def _has_products(problem):
    loss = problem.loss
    if not isinstance(loss, LeastSquares | SampleLoss | Quadratic):
        return False
    return loss.n_entries <= _ENTRIES and loss.n_features <= _COEFFICIENTS


def curvature_of(problem, w):
    """f'' at w, as a matrix where that is not too large."""
    nothing = np.zeros((0, w.size))
    if _has_matrix(problem):
        return FullCurvature(second_derivative(problem.loss, w), nothing)
    if isinstance(problem.loss, Quadratic):
        return FullCurvature(problem.loss.Q.matrix, nothing)
    X, bends, mean = _weighed(problem.loss, w)
    roots = np.sqrt(bends)
    if sparse.issparse(X):
        rooted, left = sparse.csc_array(sparse.diags_array(roots) @ X), roots
    else:
        # of columns far from zero, whose mean came off at the end, rounding would be left
        rooted, left = (X - mean) * roots[:, None], np.zeros(roots.size)
    return FactorCurvature(rooted, left, mean, nothing)


def second_derivative(loss, w):
    """f'' at w as a full float64 matrix."""
    if isinstance(loss, Quadratic):
        Q = loss.Q.matrix
        return (Q.toarray() if sparse.issparse(Q) else Q).astype(np.float64)
    if isinstance(loss, DualLoss):
        return loss.hessian(w, np.arange(w.size))
    X, bends, mean = _weighed(loss, w)
    if sparse.issparse(X):
        squares = (X.T @ sparse.diags_array(bends) @ X).toarray().astype(np.float64)
        return squares - float(np.sum(bends)) * np.outer(mean, mean)
    H = np.zeros((w.size, w.size))
    for first in range(0, X.shape[0], _ROWS):
        rows = slice(first, first + _ROWS)
        # of columns far from zero, whose mean came off at the end, rounding would be left
        rooted = np.sqrt(bends[rows])[:, None] * (X[rows] - mean)
        H += rooted.T @ rooted
    return H


def _weighed(loss, w):
    """X, how the loss bends in each sample at w, and the mean of the columns, weighed by that, where there is an intercept."""
    X = uncentered(loss.X).matrix
    bends = np.array(np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), X.shape[0]))
    if isinstance(loss, SampleLoss):
        bends *= loss.curvature(loss.y.astype(np.float64), loss.predict(w))
    total = float(np.sum(bends)) if loss.intercept else 0.0
    return X, bends, np.asarray(X.T @ bends, dtype=np.float64) / total if total > 0.0 else np.zeros(w.size)


def model_minimiser(term, curvature, w, slope, rows, tol):
    """Nearly the minimiser of the model with a `WholeTerm`, the slope given, and the rows that pull times the roots of rho."""
    curvature = curvature.with_rows(rows)
    if has_prox_slope(term.term):
        return tied_minimiser(term, curvature, slope - curvature.product(w), w, tol).w
    matrix = curvature.matrix()
    matrix.flat[:: w.size + 1] += _RIDGE * max(float(np.max(matrix.diagonal(), initial=0.0)), np.finfo(float).tiny)
    model = Problem(quadratic_model(matrix, slope - matrix @ w), term.penalty, term.constraint)
    solver = ProximalGradient() if BlockDescent().rejects(model) else BlockDescent()
    budget = int(np.clip(_BUDGET / w.size**2, _FEWEST, _MOST_STEPS))
    state = solver.init(model, w.copy())
    while state.residual > tol and state.iterations < budget and state.status is None:
        state = solver.step(model, state, tol, budget - state.iterations)
    return state.w
