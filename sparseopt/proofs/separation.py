"""Why there may be no best point: coefficients that separate the classes or rank the events, and nothing that holds them."""

from __future__ import annotations

import numpy as np

from sparseopt.losses import Cox, Logistic, Multinomial
from sparseopt.problem import penalty_value

# A penalty that has not risen by so many times w is taken not to rise at all, and a set to have no end there.
_FAR = 1e8


def separation(problem, w):
    """In words, that the objective falls for ever in the direction of w; empty where w does not show it.

    Where all samples are on the right side of w, the logistic loss falls with every t in t w, and that of several classes
    where each sample's own is ahead of the others (Albert and Anderson, 1984); that of Cox where no sample at risk is ahead
    of one that has an event then. MCP, SCAD, prices of nonzeros and limits to their number cost no more for a larger t.
    """
    loss = problem.loss
    if not isinstance(loss, Logistic | Multinomial | Cox) or not np.any(w):
        return ""
    if not (_ranks(loss, w) if isinstance(loss, Cox) else _separates(loss, w)):
        return ""
    for far in (2.0 * w, _FAR * w):
        is_free = penalty_value(problem.penalty, far) <= penalty_value(problem.penalty, w)
        if not is_free or problem.violation(far) > problem.violation(w):
            return ""
    what = "ranks the events as they came" if isinstance(loss, Cox) else "separates the classes"
    return f"w {what}, and the larger it is the lower the loss: add Ridged(penalty, beta) or a Box"


def _separates(loss, w):
    """Whether each sample that counts is on the right side."""
    counts = np.broadcast_to(loss.sample_weight.values, len(loss.y)) > 0.0
    if isinstance(loss, Logistic):
        margins = loss.y * loss.offset.taken_from(loss.predict(w))
    else:
        outputs, shares = loss.predict(w), loss.targets
        # of a sample that is partly of a class and partly of another there is no right side
        is_own = shares == 1.0
        others = np.max(np.where(is_own, -np.inf, outputs), axis=1)
        margins = np.where(np.any(is_own, axis=1), np.max(np.where(is_own, outputs, -np.inf), axis=1) - others, 0.0)
    return bool(np.all(margins[counts] > 0.0))


def _ranks(loss, w):
    """Whether each event comes to one that none at risk is ahead of, and some are behind."""
    counts = loss.weights > 0.0
    scores, times, events = loss.predict(w)[counts], loss.time[counts], loss.event[counts]
    strata = np.zeros(scores.size) if loss.strata is None else np.asarray(loss.strata)[counts]
    is_behind = False
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        inside = inside[np.argsort(-times[inside])]
        # at risk are those of the same time and of later ones
        last = np.searchsorted(-times[inside], -times[inside], side="right") - 1
        top, bottom = np.maximum.accumulate(scores[inside])[last], np.minimum.accumulate(scores[inside])[last]
        is_event = events[inside]
        if np.any(is_event & (scores[inside] < top)):
            return False
        is_behind |= bool(np.any(is_event & (bottom < top)))
    return is_behind
