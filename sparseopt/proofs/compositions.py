"""Lower bounds of problems with a penalty of a linear map, loss(w) + g(A w).

For v_i in the range of slopes of phi(y_i, .) and u in that of g with X'S v + A'u = 0 (and, with an
intercept, sum_i s_i v_i = 0),

    min loss + g >= -sum_i s_i phi*(y_i, v_i) - g*(u).

The slopes at w and the multipliers of a solver nearly satisfy the equations. They are moved to the
nearest point that does, in a norm that would rather move v, and scaled into their ranges.
"""

from __future__ import annotations

import numpy as np
import scipy
from scipy import sparse

from sparseopt.conjugates import convex_form, has_conjugate, loss_conjugate, sample_slopes, slope_scale
from sparseopt.designs import uncentered
from sparseopt.losses import LeastSquares, SampleLoss

_ROUNDING = 1e-14
# u moves so much less than v: a move of v costs the bound its square, one of u its size. But v
# may have less room, in the range of slopes of a logistic loss; the better bound counts.
_RELUCTANCES = (1e-2, 1e2)
# Refinements of the projection; each takes off most of the rounding of the last.
_REFINEMENTS = 4
# Least curvature of phi that the metric counts with, relative to the largest.
_LEAST_BEND = 1e-24
# Eigenvalues so much smaller than the largest are taken for zero.
_SINGULAR = 1e-14
# Multiplications beyond which a projection costs more than a certificate should.
_WORK = 2e10


def composed_bound(problem, w, u) -> float:
    """Lower bound from the point w and multipliers u of the rows of A; -inf where none is known."""
    loss = problem.loss
    if not isinstance(loss, LeastSquares | SampleLoss) or not has_conjugate(loss):
        return -np.inf
    penalty, A = problem.penalty.composition(w.size)
    form = convex_form(penalty, A.shape[0])
    if form is None:
        return -np.inf
    return max(_bound(loss, form, A, w, u, reluctance) for reluctance in _RELUCTANCES)


def _bound(loss, form, A, w, u, reluctance):
    weights = np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), loss.y.size)
    projected = _balanced(loss, A, form.free_directions(), w, sample_slopes(loss, w), u, reluctance)
    if projected is None:
        return -np.inf
    v, u, rest = projected
    scale = min(slope_scale(loss, v), form.largest_scale(u))
    if form.is_homogeneous and isinstance(loss, LeastSquares) and np.any(v):
        # the bound is a parabola in the scale
        best = -float(np.sum(weights * v * loss.target)) / float(np.sum(weights * v * v))
        scale = float(np.clip(best, 0.0, scale))
    terms, value = weights * loss_conjugate(loss, scale * v), form.conjugate(form.nearest_slope(scale * u))
    margin = _ROUNDING * (float(np.sum(np.abs(terms))) + abs(value)) + 10.0 * float(np.abs(rest) @ np.abs(w))
    return -float(np.sum(terms)) - value - margin


def _balanced(loss, A, basis, w, v, u, reluctance):
    """The nearest (v, u) that satisfies the equations, and what rounding leaves of them; None where it costs too much."""
    weights = np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), loss.y.size)
    root = np.sqrt(weights)
    # a slope moves as that of phi does, less near the ends of its range (the metric of Newton's step)
    if isinstance(loss, SampleLoss):
        bends = loss.curvature(loss.y, loss.predict(w))
        stretch = np.sqrt(np.maximum(bends, _LEAST_BEND * loss.smoothness()))
    else:
        stretch = np.ones_like(root)
    X = uncentered(loss.X).matrix
    # in the unknowns root * v / stretch and u / unit, whose squares are minimised
    pull = root * stretch
    left = sparse.csr_array(X).T.multiply(pull) if sparse.issparse(X) else (X.astype(np.float64) * pull[:, None]).T
    size = float(np.sum(X.multiply(X).T @ weights)) if sparse.issparse(X) else float(np.sum(left * left))
    unit = reluctance * np.sqrt(size / max(sparse.linalg.norm(A) ** 2, 1e-300)) or 1.0
    rows = [[left, unit * A.T]]
    if loss.intercept:
        rows.append([pull[None, :], None])
    if basis is not None:
        rows.append([None, unit * basis.T])
    is_sparse = sparse.issparse(X)
    equations = sparse.csr_array(sparse.block_array([[_sparse(part) for part in row] for row in rows]))
    if not is_sparse:
        if equations.shape[0] ** 2 * equations.shape[1] > _WORK:
            return None
        equations = equations.toarray()
    z = np.concatenate([root * v / stretch, u / unit])
    gram = equations @ equations.T
    if is_sparse:
        slack = _SINGULAR * gram.diagonal().max()
        solve = sparse.linalg.splu(sparse.csc_array(gram + slack * sparse.eye_array(gram.shape[0]))).solve
    else:
        sizes, directions = scipy.linalg.eigh(gram)
        regular = sizes > _SINGULAR * sizes[-1]
        sizes, directions = sizes[regular], directions[:, regular]

        def solve(right):
            return directions @ ((right @ directions) / sizes)

    for _ in range(_REFINEMENTS):
        z = z - equations.T @ solve(equations @ z)
    rest = (equations @ z)[: loss.n_features]
    n = root.size
    return np.divide(stretch * z[:n], root, out=np.zeros(n), where=root > 0), unit * z[n:], rest


def _sparse(part):
    return None if part is None else sparse.csr_array(part)
