"""Dual active set method for small dense quadratic programs (Goldfarb and Idnani, 1983), by a factor of what is held.

    minimise  w'Hw/2 + c'w + sum_i alpha_i |s_i|   subject to  low <= s <= high,   s = N w

where N has the rows of A and then those of the identity: m + p sides. Each has a multiplier, and is either
*held* at one of its kinks (low, zero where it has a slope, high), where the multiplier has an interval, or lies
on a piece between two kinks, where the multiplier is that piece's slope. With K = N H^-1 N', computed row by row
as sides come to be held, s = base - K_held' multipliers, and the multipliers that put all held sides on their
kinks solve K_held,held x = base - kinks by L D L' (Arnstrom, Bemporad and Axehill, 2022).

Multipliers always lie in their intervals, which neither c nor the kinks enter: any earlier set may be the start.
"""

from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term, kernel

# Pieces: left and right of zero where there is a slope; without one both are the same.
NEGATIVE, POSITIVE = -1, 1
# Kinks.
LOWER, ZERO, UPPER, EQUAL = -2, 0, 2, 3
# How a call of `ascend` ended.
MORE, OPTIMAL, INFEASIBLE, UNBOUNDED = 0, 1, 2, 3
# Part of a side's own product that a pivot must exceed, for each one held, or the side depends on those that are held.
DEPENDENT = 1e-14
# Part of the largest multiplier, and of a step, that counts as rounding.
ROUNDING = 1e-13
# A side that comes back more often does so by rounding.
RETURNS = 8
# Part of a fall that a curvature must exceed to end it.
FLAT = 1e-9
# Proximal points with the same held sides after which rounding is all that still moves them.
POINTS = 60
# Most repetitions of a move at once.
FARTHEST = 1e8
_EPS = 2.3e-16
# Unsigned indices spare numba the test for negative ones, which keeps loops from being vectorised.
U = np.uint64


def memory():
    """A field that methods write."""
    return field(metadata={"memory": True})


@dataclass(frozen=True, eq=False)
class Metric(Term):
    """Normals of the sides in the metric of H^-1 = G G' (rows N G), and their products K as far as they are known."""

    normals: np.ndarray
    norms: np.ndarray
    products: np.ndarray = memory()
    known: np.ndarray = memory()

    def learn(self, i):
        """Make row i of K known. Row m + j of N G, a row of a triangle, begins with j zeros."""
        if self.known[i]:
            return
        sides, p = self.normals.shape
        m = sides - p
        first = max(i - m, 0)
        for t in range(sides):
            total = 0.0
            for j in range(U(max(first, t - m)), U(p)):
                total += self.normals[i, j] * self.normals[t, j]
            self.products[i, t] = total
        self.known[i] = True


@dataclass(frozen=True, eq=False)
class Held(Term):
    """The held sides, and L D L' of their products: column a of L is row a of `columns`, beyond the diagonal."""

    members: np.ndarray = memory()
    size: np.ndarray = memory()
    columns: np.ndarray = memory()
    pivots: np.ndarray = memory()
    row: np.ndarray = memory()

    def append(self, metric, i):
        """Hold side i; False where it depends on the others, whose weights `dependence` then finds from `row`."""
        metric.learn(i)
        k, row, columns = self.size[0], self.row, self.columns
        own = metric.products[i, i]
        pivot = own
        for a in range(k):
            row[a] = metric.products[i, self.members[a]]
        self.forward(row)
        for a in range(k):
            pivot -= row[a] * row[a] * self.pivots[a]
        if k == row.size or not pivot > DEPENDENT * (10 + k) * own:
            return False
        for a in range(k):
            columns[a, k] = row[a]
        self.members[k], self.pivots[k] = i, pivot
        self.size[0] = k + 1
        return True

    def dependence(self, y):
        """Weights y of the held sides in the one that could not be appended."""
        k = self.size[0]
        for a in range(k):
            y[a] = self.row[a]
        self.back(y)

    def remove(self, e):
        """Let go of the side in place e: a positive update of the rows below (Gill, Golub, Murray and Saunders, 1974)."""
        one, k, row, columns = U(1), U(self.size[0]), self.row, self.columns
        weight = self.pivots[e]
        for b in range(U(e) + one, k):
            row[b] = columns[e, b]
            self.members[b - one] = self.members[b]
        for a in range(U(e)):
            for b in range(U(e) + one, k):
                columns[a, b - one] = columns[a, b]
        for a in range(U(e) + one, k):
            step = row[a]
            pivot = self.pivots[a] + weight * step * step
            share = weight * step / pivot
            weight *= self.pivots[a] / pivot
            self.pivots[a - one] = pivot
            for b in range(a + one, k):
                row[b] -= step * columns[a, b]
                columns[a - one, b - one] = columns[a, b] + share * row[b]
        self.size[0] -= 1

    def forward(self, x):
        """L D x = x, in place."""
        k = U(self.size[0])
        for a in range(k):
            known = x[a]
            for b in range(a + U(1), k):
                x[b] -= self.columns[a, b] * known
            x[a] = known / self.pivots[a]

    def back(self, x):
        """L' x = x, in place."""
        k = U(self.size[0])
        for done in range(k):
            a = k - U(1) - done
            total = x[a]
            for b in range(a + U(1), k):
                total -= self.columns[a, b] * x[b]
            x[a] = total

    def solve(self, x):
        """L D L' x = x, in place."""
        self.forward(x)
        self.back(x)


@dataclass(frozen=True, eq=False)
class Sides(Term):
    """Kinks and slopes of the sides; a slope only where low < 0 < high."""

    low: np.ndarray = memory()
    high: np.ndarray = memory()
    alpha: np.ndarray = memory()

    def kink(self, i, state):
        """Where a held side is held."""
        if state == ZERO:
            return 0.0
        return self.low[i] if state == LOWER else self.high[i]

    def least(self, i, state):
        """Least multiplier of a held side."""
        if state == UPPER:
            return self.alpha[i]
        return -self.alpha[i] if state == ZERO else -np.inf

    def most(self, i, state):
        """Largest multiplier of a held side."""
        if state == LOWER:
            return -self.alpha[i]
        return self.alpha[i] if state == ZERO else np.inf

    def within(self, i, state, multiplier):
        """The nearest multiplier that a held side may have."""
        return min(max(multiplier, self.least(i, state)), self.most(i, state))

    def excess(self, i, state, value):
        """How far a value lies beyond the end of its piece: positive above, negative below, zero within."""
        has_slope = self.alpha[i] > 0.0
        above = value - (0.0 if has_slope and state == NEGATIVE else self.high[i])
        if above > 0.0:
            return above
        below = value - (0.0 if has_slope and state == POSITIVE else self.low[i])
        return below if below < 0.0 else 0.0

    def room(self, i, state, value, step):
        """Distance of a value to the end of its piece in the direction of a step."""
        has_slope = self.alpha[i] > 0.0
        if step > 0.0:
            return (0.0 if has_slope and state == NEGATIVE else self.high[i]) - value
        return value - (0.0 if has_slope and state == POSITIVE else self.low[i])

    def next_kink(self, i, state, excess):
        """The kink that a value beyond its piece has passed."""
        if self.low[i] == self.high[i]:
            return EQUAL
        if self.alpha[i] > 0.0 and (state == POSITIVE) == (excess < 0.0):
            return ZERO
        return UPPER if excess > 0.0 else LOWER


@dataclass(frozen=True, eq=False)
class Standing(Term):
    """State, multiplier and value of each side, the value where all held multipliers are zero, and what it may exceed."""

    states: np.ndarray = memory()
    multipliers: np.ndarray = memory()
    values: np.ndarray = memory()
    base: np.ndarray = memory()
    allowed: np.ndarray = memory()
    entries: np.ndarray = memory()
    x: np.ndarray = memory()
    y: np.ndarray = memory()

    def is_held(self, i):
        """Whether side i is held."""
        return self.states[i] == ZERO or abs(self.states[i]) >= UPPER


@dataclass(frozen=True, eq=False)
class Objective(Term):
    """H = P + diag(weight), and the linear term that a proximal point moves to c - weight * centre."""

    P: np.ndarray
    A: np.ndarray
    weight: np.ndarray
    c: np.ndarray = memory()
    centre: np.ndarray = memory()
    slope: np.ndarray = memory()
    last: np.ndarray = memory()
    before: np.ndarray = memory()
    ray: np.ndarray = memory()


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


def descend(objective, metric, sides, standing, rounding, enough):
    """Move the centre to w, and beyond where the last moves have settled; what is missing, and whether there is no end.

    A proximal point with the same held sides as the one before has moved along a direction that keeps them. Its
    reach is the part of the move after which the objective falls no more. It grows as long as the direction turns
    into those of least curvature; `objective.before` has the last one, negative where other sides were held.
    """
    count, p = metric.normals.shape
    m, P, d = count - p, objective.P, objective.slope
    before = objective.before[0]
    missing, fall, curvature, has_moved = 0.0, 0.0, 0.0, before < 0.0
    for j in range(p):
        d[j] = standing.values[m + j] - objective.centre[j]
        if before >= 0.0 and standing.is_held(m + j):
            d[j] = 0.0
        missing = max(missing, objective.weight[j] * abs(d[j]))
    for i in range(count):
        # what is held does not move, and neither does what moves by rounding alone
        step = standing.values[i] - objective.last[i]
        if before >= 0.0 and (standing.is_held(i) or abs(step) <= standing.allowed[i] + rounding * metric.norms[i]):
            step = 0.0
        has_moved = has_moved or step != 0.0
        objective.ray[i] = step
    if missing <= enough or not has_moved:
        return 0.0, False
    for j in range(p):
        curved, at = 0.0, objective.c[j]
        for t in range(p):
            curved += P[j, t] * d[t]
            at += P[j, t] * standing.values[m + t]
        if not standing.is_held(m + j):
            at += standing.multipliers[m + j]
        fall -= at * d[j]
        curvature += curved * d[j]
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
    for j in range(p):
        objective.centre[j] = standing.values[m + j] + step * d[j]
    for i in range(count):
        objective.last[i] = standing.values[i] + step * objective.ray[i]
    objective.before[0] = 0.0 if step > 0.0 else reach
    return missing, is_endless


def limit_of(objective, sides, standing):
    """How often the last move may be repeated before a value comes to the end of its piece."""
    found = np.inf
    for i in range(standing.values.size):
        step = objective.ray[i]
        if step != 0.0:
            found = min(found, max(sides.room(i, standing.states[i], standing.values[i], step) / abs(step), 0.0))
    return found


def renew(objective, metric, sides, held, standing):
    """Bring a standing in line with the data, whatever it was made for, and factorise what it holds if there is no factor."""
    for i in range(standing.states.size):
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


def measure(objective, sides, standing, w, y, box, image, rest):
    """Violation, stationarity, gap and objective of w and y; sets multipliers `box`, A w in `image`, slopes' `rest`."""
    p, m = w.size, y.size
    stationarity, violation, gap, value = 0.0, 0.0, 0.0, 0.0
    for j in range(p):
        curved = 0.0
        for t in range(U(p)):
            curved += objective.P[j, t] * w[t]
        size = sides.alpha[m + j] * abs(w[j])
        value += w[j] * (curved / 2 + objective.c[j]) + size
        gap += w[j] * (curved + objective.c[j]) + size
        rest[j] = curved + objective.c[j]
    for i in range(m):
        total, multiplier = 0.0, y[i]
        for j in range(U(p)):
            total += objective.A[i, j] * w[j]
        image[i] = total
        violation = max(violation, total - sides.high[i], sides.low[i] - total)
        if multiplier != 0.0:
            gap += multiplier * (sides.high[i] if multiplier > 0.0 else sides.low[i])
            for j in range(U(p)):
                rest[j] += multiplier * objective.A[i, j]
    for j in range(p):
        i = m + j
        state, alpha = standing.states[i], sides.alpha[i]
        if standing.is_held(i):
            multiplier = sides.within(i, state, -rest[j])
        elif w[j] == 0.0:
            multiplier = min(max(-rest[j], -alpha), alpha)
        else:
            multiplier = state * alpha
        rest[j] += multiplier
        stationarity = max(stationarity, abs(rest[j]))
        box[j] = multiplier - min(max(multiplier, -alpha), alpha)
        if box[j] != 0.0:
            gap += box[j] * (sides.high[i] if box[j] > 0.0 else sides.low[i])
    return violation, stationarity, abs(gap), value


def place(sides, standing, w):
    """Set w to the values of the coefficients, exactly on the kinks that hold them and within their pieces."""
    m = standing.values.size - w.size
    for j in range(w.size):
        i = m + j
        state = standing.states[i]
        if standing.is_held(i):
            w[j] = sides.kink(i, state)
        else:
            value = standing.values[i]
            w[j] = value - sides.excess(i, state, value)


def correct(objective, metric, sides, held, standing, y, image, rest):
    """Move values and y by the solution of the equations of what is held, for what is missing at them."""
    half, x = objective.slope, standing.x
    count, p = metric.normals.shape
    m, k = count - p, held.size[0]
    for t in range(p):
        half[t] = 0.0
    for j in range(p):
        for t in range(U(j), U(p)):
            half[t] += rest[j] * metric.normals[m + j, t]
    for a in range(k):
        i = held.members[a]
        total = image[i] - sides.kink(i, standing.states[i]) if i < m else 0.0
        for t in range(U(max(i - m, 0)), U(p)):
            total -= metric.normals[i, t] * half[t]
        x[a] = total
    held.solve(x)
    for a in range(k):
        i = held.members[a]
        if i < m:
            y[i] = sides.within(i, standing.states[i], y[i] + x[a])
        for t in range(U(max(i - m, 0)), U(p)):
            half[t] += x[a] * metric.normals[i, t]
    for j in range(p):
        total = standing.values[m + j]
        for t in range(U(j), U(p)):
            total -= metric.normals[m + j, t] * half[t]
        standing.values[m + j] = total


def settle(objective, metric, sides, held, standing, w, y, box, image, rest, enough, rounds):
    """Set w, y and box for what is held, refined up to `rounds` times where they miss `enough`; returns residuals."""
    for i in range(y.size):
        y[i] = standing.multipliers[i] if standing.is_held(i) else 0.0
    place(sides, standing, w)
    found = measure(objective, sides, standing, w, y, box, image, rest)
    for _ in range(rounds):
        size = max(found[0], found[1], found[2])
        if size <= enough:
            break
        correct(objective, metric, sides, held, standing, y, image, rest)
        place(sides, standing, w)
        found = measure(objective, sides, standing, w, y, box, image, rest)
        if not max(found[0], found[1], found[2]) < size / 2:
            break
    return found


@kernel
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
