"""Proximal points of a quadratic program whose curvature is singular: where the next one has its centre."""

import numpy as np

# Part of a fall that a curvature must exceed to end it.
FLAT = 1e-9
# Most repetitions of a move at once.
FARTHEST = 1e8


def descend(objective, metric, sides, standing, rounding, enough):
    """Move the centre to w, and beyond where the last moves have settled; what is missing, and whether there is no end.

    A proximal point with the same held sides as the one before has moved along a direction that keeps them. Its
    reach is the part of the move after which the objective falls no more. It grows as long as the direction turns
    into those of least curvature; `objective.before` has the last one, negative where other sides were held.
    """
    before, d = objective.before[0], objective.slope
    missing, has_moved = look_back(objective, metric, standing, rounding, before >= 0.0)
    if missing <= enough or not has_moved:
        return 0.0, False
    fall, curvature = look_ahead(objective, standing)
    reach, step = 0.0, 0.0
    if before >= 0.0 and fall > 0.0:
        reach = fall / curvature if curvature > 0.0 else np.inf
        if reach == np.inf or reach <= 2.0 * before:
            step = limit_of(objective, sides, standing)
            # beyond any number that a solution may have in units of a move, but not of rounding
            if np.inf > step > FARTHEST:
                step = FARTHEST
            if curvature > FLAT * fall:
                step = min(step, reach)
    is_endless = step == np.inf
    if is_endless:
        # for the case that the caller finds the ray no proof, and goes on
        step = 0.0
    m = metric.norms.size - d.size
    for j in range(d.size):
        objective.centre[j] = standing.values[m + j] + step * d[j]
    for i in range(metric.norms.size):
        objective.last[i] = standing.values[i] + step * objective.ray[i]
    objective.before[0] = 0.0 if step > 0.0 else reach
    return missing, is_endless


def look_back(objective, metric, standing, rounding, keeps_held):
    """Set the last moves, of coefficients in `slope` and of sides in `ray`; what is missing, and whether any has moved."""
    d, missing, has_moved = objective.slope, 0.0, not keeps_held
    m = metric.norms.size - d.size
    for j in range(d.size):
        d[j] = standing.values[m + j] - objective.centre[j]
        if keeps_held and standing.is_held(m + j):
            d[j] = 0.0
        missing = max(missing, objective.weight[j] * abs(d[j]))
    for i in range(metric.norms.size):
        # what is held does not move, and neither does what moves by rounding alone
        step = standing.values[i] - objective.last[i]
        if keeps_held and (standing.is_held(i) or abs(step) <= standing.allowed[i] + rounding * metric.norms[i]):
            step = 0.0
        has_moved = has_moved or step != 0.0
        objective.ray[i] = step
    return missing, has_moved


def look_ahead(objective, standing):
    """Fall of the objective along the last move, and its curvature there."""
    d, fall, curvature = objective.slope, 0.0, 0.0
    m = standing.values.size - d.size
    for j in range(d.size):
        curved, at = 0.0, objective.c[j]
        for t in range(d.size):
            curved += objective.P[j, t] * d[t]
            at += objective.P[j, t] * standing.values[m + t]
        if not standing.is_held(m + j):
            at += standing.multipliers[m + j]
        fall -= at * d[j]
        curvature += curved * d[j]
    return fall, curvature


def limit_of(objective, sides, standing):
    """How often the last move may be repeated before a value comes to the end of its piece."""
    found = np.inf
    for i in range(standing.values.size):
        step = objective.ray[i]
        if step != 0.0:
            found = min(found, max(sides.room(i, standing.states[i], standing.values[i], step) / abs(step), 0.0))
    return found
