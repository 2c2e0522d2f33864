"""Newton steps on a few coordinates, for solvers that have found a support."""

from __future__ import annotations

import numpy as np
import scipy

from sparseopt.designs import held_curvature
from sparseopt.losses import DualLoss, LeastSquares, Quadratic, SampleLoss

# Curvature below this part of the largest counts as none.
_FLAT = 1e-13
# Smallest pivot of a Cholesky factor, of a matrix with a unit diagonal, that is trusted.
_SAFE_PIVOT = 1e-4


def hessian(loss, w, columns):
    """Second derivative of f at w in the given coordinates, in float64."""
    means, total = 0.0, 1.0
    match loss:
        case Quadratic():
            block = loss.Q.matrix[:, columns][columns]
            return np.asarray(block if isinstance(block, np.ndarray) else block.toarray(), dtype=np.float64)
        case DualLoss():
            return loss.hessian(w, columns)
        case LeastSquares():
            part = loss.X.restrict(columns).to_array()
            rows = np.asarray(loss.sample_weight.values, dtype=np.float64)
            means = loss.X.means[columns].astype(np.float64) if loss.intercept else 0.0
        case SampleLoss():
            part = loss.X.restrict(columns).to_array()
            bend = loss.curvature(loss.y.astype(np.float64), loss.predict(w))
            rows = np.asarray(loss.sample_weight.values, dtype=np.float64) * bend
            if loss.intercept and rows.sum() > 0:
                total = rows.sum()
                means = rows @ part / total
                part = part - means
    H = part.T @ (part * np.broadcast_to(rows, part.shape[0])[:, None])
    diagonal = np.einsum("ii->i", H)
    diagonal[:] = held_curvature(diagonal, means, total)
    return H


def newton_direction(curvature, slope):
    """The Newton step -H^+ slope, and a basis of the flat directions of H along which the slope points, or None."""
    diagonal = curvature.diagonal()
    scale = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    scaled = curvature / np.outer(scale, scale)
    factor, fault = scipy.linalg.lapack.dpotrf(scaled, lower=1)
    if fault == 0 and np.min(factor.diagonal()) > _SAFE_PIVOT:
        return -scipy.linalg.lapack.dpotrs(factor, slope / scale, lower=1)[0] / scale, None
    values, vectors = np.linalg.eigh(scaled)
    parts = vectors.T @ (slope / scale)
    is_curved = values > _FLAT * values[-1]
    direction = -(vectors[:, is_curved] @ (parts[is_curved] / values[is_curved])) / scale
    is_ray = np.linalg.norm(parts[~is_curved]) > 1e-9 * np.linalg.norm(parts)
    return direction, vectors[:, ~is_curved] / scale[:, None] if is_ray else None


def least_squares_on(loss, columns, ridge=0.0):
    """`minimise_on` of least squares: one whole Newton step from zero, where all slopes are known."""
    w = np.zeros(loss.n_features)
    if len(columns):
        slope = np.asarray(loss.gradient(w)[columns], dtype=np.float64)
        curvature = hessian(loss, w, columns)
        curvature.flat[:: len(columns) + 1] += ridge
        w[columns] = newton_direction(curvature, slope)[0]
    return w


def minimise_on(loss, columns, w, ridge=0.0, iterations=30):
    """Minimiser of f + ridge |w|**2 / 2 over the given coordinates, the others zero: damped Newton from w."""
    part = loss.restrict(columns)
    everything = np.arange(len(columns))
    x = np.asarray(w, dtype=np.float64)[columns]
    height = part.evaluate(x) + ridge * float(x @ x) / 2
    for _ in range(iterations if columns.size else 0):
        slope = np.asarray(part.gradient(x), dtype=np.float64) + ridge * x
        curvature = hessian(part, x, everything) + ridge * np.eye(x.size)
        direction, _ = newton_direction(curvature, slope)  # least squares leave no slope in flat directions
        step, expected = 1.0, -float(slope @ direction)
        if not expected > 1e-13 * abs(height):
            # the objective hardly shows any more what a last whole step gains, but the coefficients do
            trial = x + direction
            reached = part.evaluate(trial) + ridge * float(trial @ trial) / 2
            x = trial if expected > 0.0 and reached <= height + 1e-15 * abs(height) else x
            break
        while True:
            trial = x + step * direction
            reached = part.evaluate(trial) + ridge * float(trial @ trial) / 2
            if reached <= height - 1e-4 * step * expected:
                break
            step /= 2
            if step < 1e-8:
                trial, reached = x, height
                break
        is_done = height - reached <= 1e-15 * abs(height)
        x, height = trial, reached
        if is_done or (isinstance(loss, LeastSquares | Quadratic) and step == 1.0):
            break
    full = np.zeros(loss.n_features)
    full[columns] = x
    return full


def newton_move(loss, form, x):
    """One Newton step of f + g from x on its free nonzero coordinates; returns the new point and whether it was cut.

    form is the convex form of g. Coordinates that the step would carry across zero or a bound stop
    there, and the step is shortened until the objective falls. So the minimiser of one sign pattern
    after another is followed, as in feature-sign search (Lee et al., 2007), many signs at a time.
    """
    free = np.flatnonzero((x != 0.0) & (x > form.lower) & (x < form.upper))
    if free.size == 0:
        return x, False
    signs = np.sign(x[free])
    slope = np.asarray(loss.gradient(x), dtype=np.float64)[free] + form.a[free] * signs + form.b[free] * x[free]
    direction, flat = newton_direction(hessian(loss, x, free) + np.diag(form.b[free]), slope)
    height = loss.evaluate(x) + form.value(x)
    if flat is not None:
        trial = x.copy()
        trial[free] = slide(x[free], form.a[free], form.lower[free], form.upper[free], flat)
        return (trial, True) if loss.evaluate(trial) + form.value(trial) < height else (x, False)
    walls = np.where(direction * signs < 0.0, 0.0, np.where(direction > 0.0, form.upper[free], form.lower[free]))
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(direction == 0.0, np.inf, (walls - x[free]) / direction)
    first = float(np.min(reach))
    for step in (1.0, 0.5, 0.25, 0.1, min(first, 1.0)):
        trial = x.copy()
        # a coordinate that reaches its wall is put on it exactly
        trial[free] = np.where(reach <= step, walls, x[free] + step * direction)
        if loss.evaluate(trial) + form.value(trial) < height:
            return trial, step < 1.0 or first <= 1.0
    return x, False


def slide(x, a, lower, upper, flat):
    """Minimise sum_j a_j |x_j| along flat directions of the loss until each has put a coordinate to zero.

    The columns of `flat` span directions in which the loss does not change. Each move goes down one
    of them to the best of its kinks; the coordinate that ends there is fixed by a reflection of the
    basis (Householder), which loses one direction.
    """
    x, basis = x.copy(), np.linalg.qr(flat)[0]
    while basis.shape[1]:
        direction = -basis @ (basis.T @ (a * np.sign(x)))
        if np.linalg.norm(direction) <= 1e-12 * np.linalg.norm(a):
            direction = basis[:, 0].copy()
        # rounding of a zero would lead to a kink that is as far away as it is small
        direction[np.abs(direction) <= 1e-12 * np.max(np.abs(direction))] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            kinks = np.where(x * direction < 0.0, -x / direction, np.inf)
            bounds = np.where(direction > 0.0, (upper - x) / direction, (lower - x) / direction)
        stop = int(np.argmin(np.where(direction == 0.0, np.inf, bounds)))
        order = np.argsort(kinks)
        order = order[kinks[order] < min(bounds[stop], np.inf)]
        # the slope along the direction rises by 2 a_j |d_j| at each kink; the best kink is where it turns
        slopes = a @ (np.sign(x) * direction) + np.cumsum(2.0 * a[order] * np.abs(direction[order]))
        turned = np.flatnonzero(slopes >= 0.0)
        hit = order[turned[0]] if turned.size else stop
        step = kinks[hit] if turned.size else bounds[stop]
        if not np.isfinite(step):
            return x
        x = x + step * direction
        x[hit] = 0.0 if turned.size else (upper if direction[hit] > 0.0 else lower)[hit]
        row = basis[hit].copy()
        row[0] += np.copysign(np.linalg.norm(row), row[0])
        basis = (basis - np.outer(basis @ row, row) * (2.0 / (row @ row)))[:, 1:]
        basis[hit] = 0.0
    return x


def conjugate_gradients(multiply, diagonal, right, accuracy, iterations):
    """Solve H d = right until the residual has fallen to a part `accuracy`, by multiply(d) = H d (Hestenes and Stiefel, 1952).

    `diagonal` is that of H, the preconditioner, None where it is not positive; or a function that applies the
    inverse of a better one.
    """
    precondition = diagonal if callable(diagonal) else lambda r: r / diagonal
    if not (callable(diagonal) or np.all(diagonal > 0.0)):
        return None
    d, rest = np.zeros(right.size), right
    scaled = precondition(rest)
    ahead, size = scaled, float(rest @ scaled)
    goal = accuracy**2 * size
    for _ in range(iterations):
        image = multiply(ahead)
        bend = float(ahead @ image)
        if not bend > 0.0:
            break
        d += (size / bend) * ahead
        rest = rest - (size / bend) * image
        scaled = precondition(rest)
        last, size = size, float(rest @ scaled)
        if size <= goal:
            break
        ahead = scaled + (size / last) * ahead
    return d
