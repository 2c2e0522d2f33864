"""Slopes of phi and its conjugate phi* for each loss on samples, from the definitions, for the checker of bounds.

Slopes are cut to their range, in which every number will do, so that a conjugate is finite.
"""

from __future__ import annotations

import numpy as np
import scipy

from sparseopt.losses import Gamma, Huber, Logistic, Poisson, Quantile, SampleLoss, SquaredHinge


def slopes(loss: SampleLoss, z):
    """Slope of phi(y_i, .) at each z_i, in its range."""
    y = loss.y.astype(np.float64)
    match loss:
        case Huber():
            return np.clip(z - y, -loss.delta, loss.delta)
        case Logistic():
            return -y * scipy.special.expit(-y * z)
        case SquaredHinge():
            return -y * np.maximum(1.0 - y * z, 0.0)
        case Poisson():
            return np.exp(np.minimum(z, loss.ceiling)) - y
        case Gamma():
            return 1.0 - y * np.exp(np.minimum(-z, loss.ceiling))
        case Quantile():
            return -np.clip((y - z) / loss.smoothing, loss.quantile - 1.0, loss.quantile)
    return np.asarray(loss.slope(y, z), dtype=np.float64)


def slope_errors(loss: SampleLoss, z, sizes):
    """How far rounding of z, in units of that of `sizes`, moves each slope: what is cut to its range is not moved."""
    y = np.abs(loss.y.astype(np.float64))
    match loss:
        case Huber():
            return np.where(np.abs(z - loss.y) < loss.delta, sizes + y, 0.0)
        case Logistic():
            return scipy.special.expit(-loss.y * z) * (1.0 + sizes)
        case SquaredHinge():
            return np.where(loss.y * z < 1.0, 1.0 + sizes, 0.0)
        case Poisson():
            return np.exp(np.minimum(z, loss.ceiling)) * (1.0 + sizes) + y
        case Gamma():
            return y * np.exp(np.minimum(-z, loss.ceiling)) * (1.0 + sizes) + 1.0
        case Quantile():
            return np.where(np.abs(z - loss.y) < loss.smoothing, (sizes + y) / loss.smoothing, 0.0)
    return np.abs(slopes(loss, z))


def conjugate(loss: SampleLoss, v):
    """phi*(y_i, v_i) = max over z of v_i z - phi(y_i, z), inf out of the range of slopes; None for a loss that has none."""
    y = loss.y.astype(np.float64)
    match loss:
        case Huber():
            return v * v / 2 + y * v
        case Logistic():
            # z with -y / (1 + exp(y z)) = v, where q = -y v is the probability of the other label
            q = -y * v
            return scipy.special.xlogy(q, q) + scipy.special.xlog1py(1.0 - q, -q)
        case SquaredHinge():
            return v * v / 2 + y * v
        case Poisson():
            # phi = exp(z) - y z + a constant: the best z is log(y + v)
            return scipy.special.xlogy(y + v, y + v) - (y + v) - (scipy.special.xlogy(y, y) - y)
        case Gamma():
            # phi = y exp(-z) + z - log y - 1: the best z is log(y / (1 - v))
            return scipy.special.xlogy(1.0 - v, 1.0 - v) + v + v * np.log(y)
        case Quantile():
            return loss.smoothing * v * v / 2 + y * v
    return np.asarray(loss.conjugate(v), dtype=np.float64) if loss.has_conjugate else None


def balanced(v, s):
    """v with sum_i s_i v_i = 0: the side that weighs more is scaled down, which stays in the range of slopes around zero."""
    above, below = float(s @ np.maximum(v, 0.0)), float(s @ np.maximum(-v, 0.0))
    if above == 0.0 or below == 0.0:
        return np.zeros_like(v)
    return np.where(v > 0.0, v * min(1.0, below / above), v * min(1.0, above / below))
