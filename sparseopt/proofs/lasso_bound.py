"""What is proven of a point of the lasso, from one product with X each way.

For f(w) = sum_i s_i r_i**2 / 2 with r = X w - y, and g(w) = sum_j a_j |w_j| with all a_j > 0, every multiple k r
with |k f'(w)_j| <= a_j gives the lower bound -sum_i s_i ((k r_i)**2 / 2 + k r_i y_i), a parabola in k (Kim et al., 2007).
This is `certificate.dual_bound` and `SeparableForm.subgradient_distance` for the problem that is solved most, with
each array made once.
"""

from __future__ import annotations

import numpy as np


def examine_lasso(loss, a, w, rounding):
    """Objective, slope of the loss, lower bound, and largest distance to the subdifferential at a float64 point w.

    The bound is lowered by `rounding` times the size of what it is the sum of.
    """
    residual, slope = loss.residual(w), loss.gradient(w)
    squares = residual.squares
    objective = squares / 2 + float(np.add.reduce(a * np.abs(w)))
    distance = np.abs(slope)
    steepest = float(np.maximum.reduce(distance / a, initial=1.0))
    products = residual.mass * loss.target
    pull = float(np.add.reduce(products))
    scale = 1.0 / steepest
    if squares > 0.0:
        # in this order a scale that is no number stays none
        scale = min(scale, max(-pull / squares, 0.0))
    curved = scale * scale * squares / 2
    size = curved + scale * float(np.add.reduce(np.abs(products)))
    bound = -curved - scale * pull - rounding * size
    # where w_j is zero, the distance of slope_j to [-a_j, a_j]
    distance -= a
    on = w.nonzero()[0]
    distance[on] = np.abs(slope[on] + np.copysign(a[on], w[on]))
    return objective, slope, bound, float(np.maximum.reduce(distance, initial=0.0))
