"""Why there may be no best point: coefficients that separate the classes, and nothing that holds them."""

from __future__ import annotations

import numpy as np

from sparseopt.losses import Logistic
from sparseopt.problem import penalty_value


def separation(problem, w):
    """In words, that the objective falls for ever in the direction of w; empty where w does not show it.

    Where all samples are on the right side of w, the logistic loss falls with every t in t w (Albert and Anderson, 1984). MCP,
    SCAD, prices of nonzeros and limits to their number cost no more for a larger t.
    """
    loss = problem.loss
    if not isinstance(loss, Logistic) or not np.any(w):
        return ""
    margins = loss.y * loss.offset.taken_from(loss.predict(w))
    counts = np.broadcast_to(loss.sample_weight.values, loss.y.size) > 0.0
    if not np.all(margins[counts] > 0.0):
        return ""
    is_free = penalty_value(problem.penalty, 2.0 * w) <= penalty_value(problem.penalty, w)
    if not is_free or problem.violation(2.0 * w) > problem.violation(w):
        return ""
    return "w separates the classes, and the larger it is the lower the loss: add Ridged(penalty, beta) or a Box"
