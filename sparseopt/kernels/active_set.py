"""Dual active set method for small dense quadratic programs (Goldfarb and Idnani, 1983), by a factor of what is held.

    minimise  w'Hw/2 + c'w + sum_i alpha_i |s_i|   subject to  low <= s <= high,   s = N w

where N has the rows of A and then those of the identity: m + p sides. Each has a multiplier, and is either
*held* at one of its kinks (low, zero where it has a slope, high), where the multiplier has an interval, or lies
on a piece between two kinks, where the multiplier is that piece's slope. With K = N H^-1 N', computed row by row
as sides come to be held, s = base - K_held' multipliers, and the multipliers that put all held sides on their
kinks solve K_held,held x = base - kinks by L D L' (Arnstrom, Bemporad and Axehill, 2022).

Multipliers always lie in their intervals, which neither c nor the kinks enter: any earlier set may be the start.
"""

import numpy as np

from sparseopt._jit import brief_kernel
from sparseopt.kernels.held_sides import EQUAL, LOWER, NEGATIVE, POSITIVE, UPPER, ZERO, U
from sparseopt.kernels.proximal_points import descend
from sparseopt.kernels.settling import settle

# How a call of `advance` ended.
MORE, OPTIMAL, INFEASIBLE, UNBOUNDED = 0, 1, 2, 3
# Part of the largest multiplier that counts as rounding.
ROUNDING = 1e-13
# A side that comes back more often does so by rounding.
RETURNS = 8
# Proximal points with the same held sides after which rounding is all that still moves them.
POINTS = 60
_EPS = 2.3e-16


def aim(objective, metric, sides, standing):
    """Set `base` for the linear term, with the slopes of pieces in it, and what sides may exceed by rounding."""
    base, half = standing.base, objective.slope
    count, p = metric.normals.shape
    m = count - p
    for j in range(p):
        half[j] = 0.0
    for j in range(p):
        pull = objective.c[j] - objective.weight[j] * objective.centre[j]
        if not standing.is_held(m + j):
            pull += standing.multipliers[m + j]
        for t in range(U(j), U(p)):
            half[t] += pull * metric.normals[m + j, t]
    for i in range(count):
        total = 0.0
        for t in range(U(max(i - m, 0)), U(p)):
            total -= metric.normals[i, t] * half[t]
        base[i] = total
        size = 0.0
        if abs(sides.low[i]) < np.inf:
            size = abs(sides.low[i])
        if abs(sides.high[i]) < np.inf:
            size = max(size, abs(sides.high[i]))
        standing.allowed[i] = 1e-12 * (1.0 + size) + 64 * _EPS * abs(total)
        standing.entries[i] = 0


def shift(metric, standing, i, amount):
    """Move `base` by `amount` times row i of K."""
    if amount != 0.0:
        for t in range(standing.base.size):
            standing.base[t] += amount * metric.products[i, t]


def hold(metric, standing, i, state):
    """Put side i in a held state: its multiplier is no longer part of `base`."""
    metric.learn(i)
    shift(metric, standing, i, standing.multipliers[i])
    standing.states[i] = state


def release(metric, sides, standing, i):
    """Put held side i on the piece at the end of its interval that its multiplier has come to."""
    if standing.states[i] == ZERO:
        state = POSITIVE if standing.multipliers[i] > 0.0 else NEGATIVE
    else:
        state = POSITIVE if standing.states[i] == UPPER else NEGATIVE
    standing.states[i] = state
    standing.multipliers[i] = state * sides.alpha[i]
    shift(metric, standing, i, -standing.multipliers[i])


def obstacle(held, metric, sides, standing, x):
    """Place of the held side whose multiplier is first to leave its interval on the way to x, and the part of the way."""
    size, place, part, worst = 0.0, -1, 1.0, 0.0
    for a in range(held.size[0]):
        size = max(size, abs(x[a]) * metric.norms[held.members[a]])
    for a in range(held.size[0]):
        i = held.members[a]
        state, here = standing.states[i], standing.multipliers[i]
        least, most = sides.least(i, state), sides.most(i, state)
        end = least if x[a] < least else most
        beyond = abs(x[a] - end) * metric.norms[i] if x[a] < least or x[a] > most else 0.0
        if beyond > ROUNDING * size:
            ratio = min(max((end - here) / (x[a] - here), 0.0), 1.0)
            if place < 0 or ratio < part or (ratio == part and beyond > worst):
                place, part, worst = a, ratio, beyond
    return place, part


def evaluate(held, metric, standing):
    """Set `values` for the multipliers of held sides; returns the rounding error of a side with norm 1."""
    values, size = standing.values, 0.0
    for t in range(values.size):
        values[t] = standing.base[t]
    for a in range(held.size[0]):
        i = held.members[a]
        multiplier = standing.multipliers[i]
        for t in range(U(values.size)):
            values[t] -= multiplier * metric.products[i, t]
        size += abs(multiplier) * metric.norms[i]
    return 16 * _EPS * size


def most_violated(metric, sides, standing, rounding):
    """The side that is farthest beyond its piece in the metric, and its excess; -1 where none is beyond."""
    found, farthest, excess = -1, 0.0, 0.0
    for i in range(standing.values.size):
        if standing.is_held(i):
            continue
        beyond = sides.excess(i, standing.states[i], standing.values[i])
        if abs(beyond) > standing.allowed[i] + rounding * metric.norms[i]:
            distance = abs(beyond) / max(metric.norms[i], 1e-150)
            if distance > farthest:
                found, farthest, excess = i, distance, beyond
    return found, excess


def take(held, metric, sides, standing, objective, i, excess):
    """Hold side i, letting go of those that it depends on; False where none of them gives way: a ray of multipliers."""
    sign = 1.0 if excess > 0.0 else -1.0
    standing.entries[i] += 1
    if standing.entries[i] > RETURNS:
        standing.allowed[i] *= 10.0
    hold(metric, standing, i, sides.next_kink(i, standing.states[i], excess))
    while not held.append(metric, i):
        # multipliers move along K z = 0 without moving a value, until one leaves its interval
        held.dependence(standing.y)
        end = sides.most(i, standing.states[i]) if sign > 0.0 else sides.least(i, standing.states[i])
        place, step = -1, abs(end - standing.multipliers[i])
        own = max(metric.norms[i], 1e-150)
        for a in range(held.size[0]):
            other = held.members[a]
            move = -sign * standing.y[a]
            if abs(move) * metric.norms[other] <= 1e-10 * own:
                standing.y[a] = 0.0
                continue
            end = (
                sides.most(other, standing.states[other]) if move > 0.0 else sides.least(other, standing.states[other])
            )
            reach = max((end - standing.multipliers[other]) / move, 0.0)
            if reach < step:
                place, step = a, reach
        if step == np.inf:
            for t in range(standing.values.size):
                objective.ray[t] = 0.0
            objective.ray[i] = sign
            for a in range(held.size[0]):
                objective.ray[held.members[a]] = -sign * standing.y[a]
            # as it was, so that the caller may go on without this side
            release(metric, sides, standing, i)
            return False
        standing.multipliers[i] += sign * step
        for a in range(held.size[0]):
            standing.multipliers[held.members[a]] -= sign * step * standing.y[a]
        if place < 0:
            release(metric, sides, standing, i)
            return True
        other = held.members[place]
        held.remove(place)
        release(metric, sides, standing, other)
    return True


def fit(sides, standing, i):
    """Bring state and multiplier of side i in line with its kinks, which may have changed."""
    state, low, high = standing.states[i], sides.low[i], sides.high[i]
    if standing.is_held(i):
        if low == high:
            state = EQUAL
        elif state == EQUAL:
            state = UPPER if standing.multipliers[i] > 0.0 else LOWER
        has_kink = sides.alpha[i] > 0.0 if state == ZERO else abs(sides.kink(i, state)) < np.inf
        if not has_kink:
            state = NEGATIVE if standing.multipliers[i] < 0.0 else POSITIVE
        standing.states[i] = state
    if standing.is_held(i):
        standing.multipliers[i] = sides.within(i, state, standing.multipliers[i])
    else:
        standing.multipliers[i] = state * sides.alpha[i]


def renew(objective, metric, sides, held, standing):
    """Bring a standing in line with the data, whatever it was made for, and factorise what it holds if there is no factor."""
    for i in range(standing.states.size):
        fit(sides, standing, i)
    for a in range(held.size[0] - 1, -1, -1):
        if not standing.is_held(held.members[a]):
            held.remove(a)
    if held.size[0] == 0:
        for i in range(standing.states.size):
            if standing.is_held(i) and not held.append(metric, i):
                standing.states[i] = NEGATIVE if standing.multipliers[i] < 0.0 else POSITIVE
                standing.multipliers[i] = standing.states[i] * sides.alpha[i]
    objective.before[0] = objective.before[1] = -1.0
    aim(objective, metric, sides, standing)
    for i in range(standing.states.size):
        if sides.low[i] == sides.high[i] and not standing.is_held(i) and held.append(metric, i):
            standing.states[i] = EQUAL


def ascend(objective, metric, sides, held, standing, is_proximal, enough, limit):
    """Up to `limit` changes of what is held, or proximal points; how it ended and how many there were.

    A proximal point is the last one where its move leaves no more than `enough` of a slope.
    """
    x, changes = standing.x, 0
    while changes < limit:
        for a in range(held.size[0]):
            i = held.members[a]
            x[a] = standing.base[i] - sides.kink(i, standing.states[i])
        held.solve(x)
        place, part = obstacle(held, metric, sides, standing, x)
        for a in range(held.size[0]):
            i = held.members[a]
            here = standing.multipliers[i] + part * (x[a] - standing.multipliers[i]) if place >= 0 else x[a]
            standing.multipliers[i] = sides.within(i, standing.states[i], here)
        changes += 1
        if place >= 0:
            i = held.members[place]
            # exactly at the end of its interval
            standing.multipliers[i] = sides.within(i, standing.states[i], x[place])
            held.remove(place)
            release(metric, sides, standing, i)
            objective.before[0] = objective.before[1] = -1.0
            continue
        rounding = evaluate(held, metric, standing)
        i, excess = most_violated(metric, sides, standing, rounding)
        if i >= 0:
            objective.before[0] = objective.before[1] = -1.0
            if not take(held, metric, sides, standing, objective, i, excess):
                # for the case that the caller finds the ray no proof, but rounding, and goes on
                standing.allowed[i] = 2.0 * abs(excess)
                return INFEASIBLE, changes
            continue
        if not is_proximal:
            return OPTIMAL, changes
        missing, is_endless = descend(objective, metric, sides, standing, rounding, enough)
        objective.before[1] += 1.0
        if missing <= enough or objective.before[1] > POINTS:
            return OPTIMAL, changes
        aim(objective, metric, sides, standing)
        if is_endless:
            return UNBOUNDED, changes
    return MORE, changes


@brief_kernel
def advance(
    objective, metric, sides, held, standing, w, y, box, image, rest, is_new, is_proximal, enough, rounds, limit
):
    """Up to `limit` changes of what is held, and the solution in w, y and box where that is the end, all in place.

    With `is_new` the data have changed, or the factor of what is held is to be made anew where its size is zero.
    Returns how it ended, the changes, and for a solution violation, stationarity and gap, from the data alone,
    and the objective; it is refined up to `rounds` times where one of these exceeds `enough`.
    """
    if is_new:
        renew(objective, metric, sides, held, standing)
    code, changes = ascend(objective, metric, sides, held, standing, is_proximal, enough, limit)
    if code != OPTIMAL:
        return code, changes, np.inf, np.inf, np.inf, np.inf
    violation, stationarity, gap, value = settle(
        objective, metric, sides, held, standing, w, y, box, image, rest, enough, rounds
    )
    return code, changes, violation, stationarity, gap, value
