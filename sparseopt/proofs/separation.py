"""Why there may be no best point: coefficients that separate the classes, and nothing that holds them."""

from __future__ import annotations

import numpy as np

from sparseopt.losses import Logistic, Multinomial
from sparseopt.problem import penalty_value


def separation(problem, w):
    """In words, that the objective falls for ever in the direction of w; empty where w does not show it.

    Where all samples are on the right side of w, the logistic loss falls with every t in t w, and that of several classes
    where each sample's own is ahead of the others (Albert and Anderson, 1984). MCP, SCAD, prices of nonzeros and limits to
    their number cost no more for a larger t.
    """
    loss = problem.loss
    if not isinstance(loss, Logistic | Multinomial) or not np.any(w):
        return ""
    counts = np.broadcast_to(loss.sample_weight.values, len(loss.y)) > 0.0
    if not np.all(_margins(loss, w)[counts] > 0.0):
        return ""
    is_free = penalty_value(problem.penalty, 2.0 * w) <= penalty_value(problem.penalty, w)
    if not is_free or problem.violation(2.0 * w) > problem.violation(w):
        return ""
    return "w separates the classes, and the larger it is the lower the loss: add Ridged(penalty, beta) or a Box"


def _margins(loss, w):
    """By how much each sample is on the right side; not above zero where it is on none."""
    if isinstance(loss, Logistic):
        return loss.y * loss.offset.taken_from(loss.predict(w))
    outputs, shares = loss.predict(w), loss.targets
    # of a sample that is partly of a class and partly of another there is no right side
    is_own = shares == 1.0
    others = np.max(np.where(is_own, -np.inf, outputs), axis=1)
    return np.where(np.any(is_own, axis=1), np.max(np.where(is_own, outputs, -np.inf), axis=1) - others, 0.0)
