"""Lower bounds of convex problems by weak duality, from a point alone.

With v_i a slope of phi in the i-th fitted value and t = -X'(s v), every v gives the lower bound

    D(v) = - sum_i s_i phi*(y_i, v_i) - g*(t)

provided that t lies in the range of slopes of g and, with an intercept, sum_i s_i v_i = 0.
The slopes at w are projected and scaled until both hold (Fenchel, 1949; for the lasso Kim et
al., 2007). All sums are in float64, and the bound is lowered by a margin for rounding.

Under rows lower <= A w <= upper any multipliers y, positive where the upper side pulls, prove

    f + g >= min (f + g + y'A w) - sum_i (upper_i max(y_i, 0) + lower_i min(y_i, 0)),

so that t is less A'y, and v and y are scaled together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sparseopt.conjugates import convex_form, has_conjugate, loss_conjugate, sample_slopes, slope_scale
from sparseopt.losses import DualLoss, LeastSquares, Quadratic, SampleLoss
from sparseopt.losses.base import kept
from sparseopt.proofs import kkt
from sparseopt.proofs.multipliers import recover_duals

# Relative error of the float64 sums that make up a bound, with room to spare.
ROUNDING = 1e-14
# Unpenalised coefficients are projected out by least squares while that is cheap.
_PROJECTION_WORK = 2e9
# Newton steps that bring slopes of losses which are no sums over samples to zero: a few near an optimum.
_SETTLING_STEPS = 8
# Part of its terms that rounding may leave of a sum that has to be zero.
_LEFT = 1e-12


@dataclass(frozen=True, eq=False)
class RowPull:
    """Multipliers y of rows as a bound sees them: A'y, the most that y'A w can be within the rows, and the sum of its parts."""

    slope: np.ndarray
    cost: float
    size: float

    def times(self, factor):
        """That of the multipliers times a factor."""
        return RowPull(factor * self.slope, factor * self.cost, factor * self.size)


def knows_dual(problem):
    """Whether duality bounds the problem: it is convex, and its conjugates are known."""
    return kept(problem, "_knows_dual", lambda: _knows_dual(problem))


def _knows_dual(problem):
    term = problem.proximal
    has_form = term is not None and convex_form(term, problem.n_features) is not None
    return has_form and (isinstance(problem.loss, Quadratic) or has_conjugate(problem.loss))


def dual_bound(problem, w, slope):
    """The best lower bound that duality gives from w and the slope of the loss there; -inf where none is known."""
    if not knows_dual(problem):
        return -np.inf
    form = convex_form(problem.proximal, w.size)
    if isinstance(problem.loss, Quadratic):
        bound = _quadratic_bound(problem.loss.Q, problem.loss.c.astype(np.float64), form, w, slope)
        if bound == -np.inf and kkt.covers(problem):
            # a slope that rounding keeps from zero costs little where there is curvature
            bound = kkt.kkt_residuals(problem, w, recover_duals(problem, w)).lower_bound
        return bound
    if isinstance(problem.loss, DualLoss):
        return _ray_bound(problem.loss, form, w)
    return _sample_bound(problem.loss, form, w, slope)


def bound_under_rows(loss, form, w, slope, pull):
    """The best lower bound that a convex loss, a form and multipliers of rows give from w and the slope of the loss there.

    -inf where none is known.
    """
    if isinstance(loss, Quadratic):
        c = loss.c.astype(np.float64) + pull.slope
        bound = _quadratic_bound(loss.Q, c, form, w, slope + pull.slope)
        return bound - pull.cost - ROUNDING * pull.size
    if isinstance(loss, DualLoss) or not has_conjugate(loss):
        return -np.inf
    return _sample_bound(loss, form, w, slope, pull)


def _sample_bound(loss, form, w, slope, pull=None):
    weights = np.asarray(loss.sample_weight.values, dtype=np.float64)
    v, t = sample_slopes(loss, w), -slope
    if pull is not None:
        t = t - pull.slope
    if loss.intercept and not isinstance(loss, LeastSquares):  # whose columns and targets are centred
        v = balanced(v, weights)
        t = _slope_of(loss, weights * v, pull)
    if (basis := form.free_directions()) is not None:
        fitted = np.column_stack([loss.X.matvec(direction) for direction in basis.T])
        v, pull = _orthogonal(loss, w, v, weights, fitted, pull, None if pull is None else -basis.T @ pull.slope)
        if v is None:
            return -np.inf
        t = _slope_of(loss, weights * v, pull)
    flat, left = np.zeros(w.size, dtype=bool), 0.0
    while (stuck := form.stuck(t)) is not None:
        flat |= stuck
        v, pull = _without_columns(loss, w, v, weights, np.flatnonzero(flat), pull)
        if v is None:
            return -np.inf
        t = _slope_of(loss, weights * v, pull)
        # rounding of what is to be zero costs as much as coefficients of the size of w make of it
        left = float(np.abs(t[flat]) @ np.abs(w[flat]))
        t[flat] = 0.0
    scale = form.largest_scale(t)
    cost = 0.0 if pull is None else pull.cost
    if isinstance(loss, LeastSquares):
        known = loss.residual(w)
        mass, squares = (known.mass, known.squares) if v is known.values else (weights * v, None)
        scale, value, size = half_squares(loss, v, mass, squares, scale, cost=cost, may_shrink=form.is_homogeneous)
    else:
        terms = np.multiply(weights, loss_conjugate(loss, scale * v), out=np.empty_like(v))
        value, size = float(terms.sum()) + scale * cost, float(np.abs(terms).sum())
    if pull is not None:
        size += scale * pull.size
    penalty = form.conjugate_near(scale * t)
    bound = -value - penalty - ROUNDING * (size + abs(penalty)) - scale * left
    if left == 0.0 or isinstance(loss, LeastSquares):
        return bound
    # slopes of zero are exact
    terms = weights * loss_conjugate(loss, 0.0 * v)
    return max(bound, -float(terms.sum()) - ROUNDING * float(np.abs(terms).sum()))


def _slope_of(loss, mass, pull):
    """-X'(s v), less the pull of rows."""
    t = -np.asarray(loss.X.rmatvec(mass), dtype=np.float64)
    return t if pull is None else t - pull.slope


def half_squares(loss, v, mass, squares, scale, *, may_shrink, cost=0.0):
    """The factor of the residual v with the best bound, the sum of conjugates at it, and the size of their parts.

    The sum of s_i ((k v_i)**2 / 2 + k v_i y_i) is a parabola in the factor k, also with k times the cost of rows;
    `mass` is s v, and `squares` its product with v where that is known.
    """
    products = mass * loss.target
    pull = float(np.add.reduce(products)) + cost
    if squares is None:
        squares = float(np.add.reduce(mass * v))
    if may_shrink and squares > 0.0:
        # in this order a scale that is no number stays none
        scale = min(scale, max(-pull / squares, 0.0))
    curved = scale * scale * squares / 2
    return scale, curved + scale * pull, curved + scale * float(np.add.reduce(np.abs(products)))


def _ray_bound(loss, form, w):
    """The bound of the slopes at w, after Newton steps on what is free to move, which bring its slopes to zero."""
    ray, flat = loss.dual_ray(w), np.zeros(w.size, dtype=bool)
    # as in _sample_bound
    t, left = -ray.slope, 0.0
    if (basis := form.free_directions()) is not None:
        ray = _settled_ray(loss, w, np.arange(w.size), basis)
        if ray is None:
            return -np.inf
        t = -ray.slope
        rest = basis @ np.linalg.lstsq(basis, t, rcond=None)[0]
        t, left = t - rest, float(np.abs(rest) @ np.abs(w))
    while (stuck := form.stuck(t)) is not None:
        flat |= stuck
        columns = np.flatnonzero(flat)
        ray = _settled_ray(loss, w, columns, np.eye(columns.size))
        if ray is None:
            return -np.inf
        t, left = np.where(flat, 0.0, -ray.slope), left + float(np.abs(ray.slope[columns]) @ np.abs(w[columns]))
    scale = form.largest_scale(t)
    if form.is_homogeneous:
        scale = min(scale, ray.best_scale(scale))
    value, size = ray.conjugate(scale)
    penalty = form.conjugate(form.nearest_slope(scale * t))
    bound = -value - penalty - ROUNDING * (size + abs(penalty)) - scale * left
    if left == 0.0 or not form.is_homogeneous:
        return bound
    value, size = ray.conjugate(0.0)
    return max(bound, -value - ROUNDING * size)


def _settled_ray(loss, w, columns, basis):
    """The ray of slopes that are zero along a basis of the columns, near w; None where that costs too much."""
    n = loss.n_entries / max(loss.n_features, 1)
    if n * columns.size**2 > _PROJECTION_WORK:
        return None
    w = np.array(w)
    rounding = 1e-13 * float(np.max(np.abs(loss.gradient(np.zeros_like(w))), initial=0.0))
    for _ in range(_SETTLING_STEPS):
        ray = loss.dual_ray(w)
        rest = basis.T @ ray.slope[columns]
        if np.all(np.abs(rest) <= rounding * np.sum(np.abs(basis), axis=0)):
            return ray
        H = basis.T @ loss.hessian(w, columns) @ basis
        w[columns] -= basis @ np.linalg.lstsq(H, rest, rcond=1e-12)[0]
        if not np.all(np.isfinite(w)):
            break
    return None


def balanced(v, weights):
    """v with sum_i weights_i v_i = 0: the heavier of its signs is scaled down, which keeps it a slope."""
    mass = weights * v
    above, below = float(np.sum(mass[v > 0])), -float(np.sum(mass[v < 0]))
    if above == 0.0 or below == 0.0:
        return np.zeros_like(v)
    if above > below:
        return np.where(v > 0, v * (below / above), v)
    return np.where(v < 0, v * (above / below), v)


def _without_columns(loss, w, v, weights, columns, pull):
    """v made orthogonal to some columns of X, and `pull` with it; None where that costs too much."""
    if v.size * columns.size * min(v.size, columns.size) > _PROJECTION_WORK:
        return None, pull
    held = None if pull is None else -pull.slope[columns]
    return _orthogonal(loss, w, v, weights, loss.X.restrict(columns).to_array(), pull, held)


def _orthogonal(loss, w, v, weights, A, pull, held):
    """v moved until its products with the columns of A are zero, or what holds against the pull of rows.

    A slope moves as that of phi does at w, not at all where phi is straight (the metric of Newton's step). Both are
    scaled until v is in the range of slopes; None for v where that costs too much.
    """
    n = v.size
    if n * A.shape[1] * min(A.shape) > _PROJECTION_WORK:
        return None, pull
    right = np.zeros(A.shape[1]) if held is None else held
    if loss.intercept:
        A, right = np.column_stack([A, np.ones(n)]), np.append(right, 0.0)
    metrics = [np.ones(n)]
    if isinstance(loss, SampleLoss):
        metrics.insert(0, loss.curvature(loss.y.astype(np.float64), loss.predict(w)))
    for bends in metrics:
        moved = _moved(v, weights, np.sqrt(np.where(weights > 0.0, bends, 0.0)), A, right)
        scale = 0.0 if moved is None else slope_scale(loss, moved)
        if scale > 0.0:
            break
    else:  # no slope at all holds against no multipliers
        moved, scale = np.zeros(n), 0.0
    return scale * moved, None if pull is None else pull.times(scale)


def _moved(v, weights, stretch, A, right):
    """The nearest v with A'(s v) = right in a metric, where there is one."""
    left, sizes, across = np.linalg.svd((np.sqrt(weights) * stretch)[:, None] * A, full_matrices=False)
    is_held = sizes > max(A.shape) * np.finfo(np.float64).eps * sizes.max(initial=0.0)
    left, sizes, across = left[:, is_held], sizes[is_held], across[is_held]
    for _ in range(3):  # the later times take off the rounding of the first
        move = left @ ((across @ (right - A.T @ (weights * v))) / sizes)
        v = v + np.divide(stretch * move, np.sqrt(weights), out=np.zeros(v.size), where=stretch > 0.0)
    rest = np.abs(right - A.T @ (weights * v))
    return v if np.all(rest <= _LEFT * (np.abs(A.T) @ (weights * np.abs(v)) + np.abs(right))) else None


def _quadratic_bound(Q, c, form, w, slope):
    """f(x) + f'(x).(w - x) is below f everywhere, so any x bounds the problem by -x'Qx/2 - g*(-f'(x)).

    -f'(x) must be a slope of g. From x = w, steps bring it to zero where it has a sign that no
    slope has; then x moves towards the minimiser of f, which scales it by a factor k:
    x = k x - (1 - k) q with Q q = c.
    """
    x, t = w, -slope
    if (basis := form.free_directions()) is not None:
        x = _balanced_along(Q, c, x, basis)
        t = -(Q.matvec(x) + c)
        if np.any(np.abs(basis.T @ t) > 1e-12 * (np.abs(basis).T @ (np.abs(c) + np.abs(t)))):
            return -np.inf
        t -= basis @ np.linalg.lstsq(basis, t, rcond=None)[0]
    flat = np.zeros(t.size, dtype=bool)
    while (stuck := form.stuck(t)) is not None:
        flat |= stuck
        x = _flattened(Q, c, x, np.flatnonzero(flat))
        t = -(Q.matvec(x) + c)
        if np.any(np.abs(t[flat]) > 1e-12 * (np.abs(c).max(initial=0.0) + np.abs(t).max(initial=0.0))):
            return -np.inf
        t[flat] = 0.0
    scale = form.largest_scale(t)
    if scale < 1.0:
        scale *= 1.0 - 1e-12
        q = _solve_symmetric(Q.matrix, c)
        x = scale * x - (1.0 - scale) * q
        t = -(Q.matvec(x) + c)
        margin = 1e-9 * (np.abs(c).max(initial=0.0) + np.abs(t).max(initial=0.0))
        nearest = form.nearest_slope(t)
        if np.any(np.abs(t - nearest) > margin):
            return -np.inf
        t = nearest
    curved = float(x @ Q.matvec(x)) / 2
    penalty = form.conjugate(t)
    return -curved - penalty - ROUNDING * (abs(curved) + abs(penalty) + float(np.sum(np.abs(c * x))))


def _flattened(Q, c, x, columns):
    """x with steps on some coordinates that bring the slope to zero there."""
    block = Q.matrix[:, columns][columns]
    block = (block.toarray() if sparse.issparse(block) else block).astype(np.float64)
    x = np.array(x)
    for _ in range(2):  # the second time takes off the rounding of the first
        x[columns] -= np.linalg.lstsq(block, (Q.matvec(x) + c)[columns], rcond=None)[0]
    return x


def _balanced_along(Q, c, x, basis):
    """x with a step along a basis that takes the slope's part in it to zero."""
    block = basis.T @ np.column_stack([Q.matvec(direction) for direction in basis.T])
    for _ in range(2):  # the second time takes off the rounding of the first
        x = x - basis @ np.linalg.lstsq(block, basis.T @ (Q.matvec(x) + c), rcond=None)[0]
    return x


def _solve_symmetric(matrix, c):
    dense = matrix.toarray() if not isinstance(matrix, np.ndarray) else matrix
    return np.linalg.lstsq(dense.astype(np.float64), c, rcond=None)[0]
