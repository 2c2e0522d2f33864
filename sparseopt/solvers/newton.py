"""Newton steps on a few coordinates, for solvers that have found a support."""

from __future__ import annotations

import numpy as np

from sparseopt.losses import LeastSquares, Quadratic, SampleLoss

# Curvature below this part of the largest counts as none.
_FLAT = 1e-13


def hessian(loss, w, columns):
    """Second derivative of f at w in the given coordinates, in float64."""
    match loss:
        case Quadratic():
            block = loss.Q.matrix[:, columns][columns]
            return np.asarray(block if isinstance(block, np.ndarray) else block.toarray(), dtype=np.float64)
        case LeastSquares():
            part = loss.X.restrict(columns).to_array()
            rows = np.asarray(loss.sample_weight.values, dtype=np.float64)
        case SampleLoss():
            part = loss.X.restrict(columns).to_array()
            bend = loss.curvature(loss.y.astype(np.float64), loss.predict(w))
            rows = np.asarray(loss.sample_weight.values, dtype=np.float64) * bend
            if loss.intercept and rows.sum() > 0:
                part = part - rows @ part / rows.sum()
    return part.T @ (part * np.broadcast_to(rows, part.shape[0])[:, None])


def newton_direction(curvature, slope):
    """The Newton step -H^+ slope, or (direction, True) where the slope points along flat directions of H."""
    scale = np.sqrt(np.maximum(curvature.diagonal(), np.finfo(np.float64).tiny))
    values, vectors = np.linalg.eigh(curvature / np.outer(scale, scale))
    parts = vectors.T @ (slope / scale)
    is_curved = values > _FLAT * values[-1]
    flat = parts[~is_curved]
    if np.linalg.norm(flat) > 1e-9 * np.linalg.norm(parts):
        return -(vectors[:, ~is_curved] @ flat) / scale, True
    return -(vectors[:, is_curved] @ (parts[is_curved] / values[is_curved])) / scale, False


def minimise_on(loss, columns, w, ridge=0.0, iterations=30):
    """Minimiser of f + ridge |w|**2 / 2 over the given coordinates, the others zero: damped Newton from w."""
    part = loss.restrict(columns)
    everything = np.arange(len(columns))
    x = np.asarray(w, dtype=np.float64)[columns]
    height = part.evaluate(x) + ridge * float(x @ x) / 2
    for _ in range(iterations if columns.size else 0):
        slope = np.asarray(part.gradient(x), dtype=np.float64) + ridge * x
        curvature = hessian(part, x, everything) + ridge * np.eye(x.size)
        direction, _ = newton_direction(curvature, slope)
        step, expected = 1.0, -float(slope @ direction)
        if not expected > 1e-16 * abs(height):
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
        if is_done or isinstance(loss, LeastSquares | Quadratic) and step == 1.0:
            break
    full = np.zeros(loss.n_features)
    full[columns] = x
    return full


def newton_on_support(loss, form, w, iterations=40):
    """Newton steps of f + g from w on its free nonzero coordinates, cut where one reaches zero or a bound.

    form is the convex form of g. Follows the minimiser of one sign pattern after another, as
    feature-sign search does (Lee et al., 2007); returns the new point.
    """
    x = np.asarray(w, dtype=np.float64).copy()
    for _ in range(iterations):
        free = np.flatnonzero((x != 0.0) & (x > form.lower) & (x < form.upper))
        if free.size == 0:
            break
        signs = np.sign(x[free])
        slope = np.asarray(loss.gradient(x), dtype=np.float64)[free] + form.a[free] * signs + form.b[free] * x[free]
        curvature = hessian(loss, x, free) + np.diag(form.b[free])
        direction, is_ray = newton_direction(curvature, slope)
        walls = np.where(direction * signs < 0.0, 0.0, np.where(direction > 0.0, form.upper[free], form.lower[free]))
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(direction == 0.0, np.inf, (walls - x[free]) / direction)
        nearest = int(np.argmin(reach))
        if is_ray and not np.isfinite(reach[nearest]):
            break
        if is_ray or reach[nearest] < 1.0:
            x[free] += reach[nearest] * direction
            x[free[nearest]] = walls[nearest]
            continue
        x[free] += direction
        break
    return x
