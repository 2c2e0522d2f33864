"""Sides of a small quadratic program, the multipliers and values they have, and a factor of those that are held.

A side is a row or a coefficient. It is *held* at one of its kinks (low, zero where it has a slope, high), where its
multiplier has an interval, or lies on a piece between two kinks, where the multiplier is that piece's slope.
"""

from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term

# Pieces: left and right of zero where there is a slope; without one both are the same.
NEGATIVE, POSITIVE = -1, 1
# Kinks.
LOWER, ZERO, UPPER, EQUAL = -2, 0, 2, 3
# Part of a side's own product that a pivot must exceed, for each one held, or the side depends on those that are held.
DEPENDENT = 1e-14
# Unsigned indices spare numba the test for negative ones, which keeps loops from being vectorised.
U = np.uint64
# A field that methods write.
MEMORY = {"memory": True}


@dataclass(frozen=True, eq=False)
class Metric(Term):
    """Normals of the sides in the metric of H^-1 = G G' (rows N G), and their products K as far as they are known."""

    normals: np.ndarray = field(metadata=MEMORY)
    norms: np.ndarray = field(metadata=MEMORY)
    products: np.ndarray = field(metadata=MEMORY)
    known: np.ndarray = field(metadata=MEMORY)

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

    members: np.ndarray = field(metadata=MEMORY)
    size: np.ndarray = field(metadata=MEMORY)
    columns: np.ndarray = field(metadata=MEMORY)
    pivots: np.ndarray = field(metadata=MEMORY)
    row: np.ndarray = field(metadata=MEMORY)

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

    low: np.ndarray = field(metadata=MEMORY)
    high: np.ndarray = field(metadata=MEMORY)
    alpha: np.ndarray = field(metadata=MEMORY)

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

    states: np.ndarray = field(metadata=MEMORY)
    multipliers: np.ndarray = field(metadata=MEMORY)
    values: np.ndarray = field(metadata=MEMORY)
    base: np.ndarray = field(metadata=MEMORY)
    allowed: np.ndarray = field(metadata=MEMORY)
    entries: np.ndarray = field(metadata=MEMORY)
    x: np.ndarray = field(metadata=MEMORY)
    y: np.ndarray = field(metadata=MEMORY)

    def is_held(self, i):
        """Whether side i is held."""
        return self.states[i] == ZERO or abs(self.states[i]) >= UPPER


@dataclass(frozen=True, eq=False)
class Objective(Term):
    """H = P + diag(weight), and the linear term that a proximal point moves to c - weight * centre."""

    P: np.ndarray = field(metadata=MEMORY)
    A: np.ndarray = field(metadata=MEMORY)
    weight: np.ndarray = field(metadata=MEMORY)
    c: np.ndarray = field(metadata=MEMORY)
    centre: np.ndarray = field(metadata=MEMORY)
    slope: np.ndarray = field(metadata=MEMORY)
    last: np.ndarray = field(metadata=MEMORY)
    before: np.ndarray = field(metadata=MEMORY)
    ray: np.ndarray = field(metadata=MEMORY)
