"""Conditions of optimality of a quadratic program: their residuals, and how they condense to a system in w and the rows.

The program has m rows and p coefficients, `size` = m + p pairs of sides, and slopes on n coefficients.
Slacks s, multipliers z, springs and right-hand sides of the inequalities lie flat: lower sides of rows and
coefficients, then upper sides, then t - w and t + w of each slope. A vector of all conditions holds w, t, y (a
multiplier for each row that is an equality) and z, one after the other; `parts` takes it apart. `kind` of each
pair has bit 1 for a lower side, 2 for an upper, 4 where both agree (no inequality then).
"""

import math

import numpy as np

# Unsigned indices spare numba the test for negative ones.
U = np.uint64
LOWER, UPPER, EQUAL = 1, 2, 4
# Stands for an infinite diagonal: a row without sides, a coefficient that does not move.
OUT = 1e12
# Slacks and multipliers stay above it.
LEAST = 1e-18


def parts(sides, v):
    """The parts of a vector of all conditions: those of w, t, y and of the inequalities."""
    p, n = sides.q.size, sides.sloped.size
    m = sides.kind.size - p
    return v[:p], v[p : p + n], v[p + n : p + n + m], v[p + n + m :]


def first_side(sides):
    """Where the part of the inequalities begins."""
    return sides.kind.size + sides.sloped.size


def is_finite(v):
    """Whether all entries are finite numbers."""
    total = 0.0
    for i in range(v.size):
        total += v[i]
    return math.isfinite(total)


def largest(v):
    """Largest size of an entry; infinite where one is no number."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = v.size - v.size % 4
    # one maximum waits for the one before: four of them wait a quarter of the time
    for i in range(0, whole, 4):
        a, b, c, d = max(a, abs(v[i])), max(b, abs(v[i + 1])), max(c, abs(v[i + 2])), max(d, abs(v[i + 3]))
    for i in range(whole, v.size):
        a = max(a, abs(v[i]))
    # a maximum passes over NaN, a sum, which takes vectors by themselves, does not
    return max(a, b, c, d) if is_finite(v) else math.inf


def springs(sides, s, z, delta, weight):
    """Weight 1 / (s / z + delta) of each inequality, zero where there is none, into `weight`."""
    for i in range(s.size):
        weight[i] = 1.0 / (s[i] / z[i] + delta) if sides.active[i] else 0.0


def diagonals(sides, weight, rho, delta, extra, D, E):
    """Diagonals of the condensed system into D (coefficients) and E (rows)."""
    kind, sloped = sides.kind, sides.sloped
    p, m, size, n = U(D.size), U(E.size), U(kind.size), U(sloped.size)
    for i in range(m):
        w = weight[i] + weight[size + i]
        E[i] = delta + extra if kind[i] & EQUAL else (1.0 / w if w > 0.0 else OUT)
    for j in range(p):
        i = m + j
        D[j] = OUT if kind[i] & EQUAL else rho + extra + weight[i] + weight[size + i]
    for k in range(n):
        a, b = weight[size + size + k], weight[size + size + n + k]
        D[U(sloped[k])] += (4 * a * b + rho * (a + b)) / (a + b + rho)


def condense(sides, weight, rho, right, r, t):
    """Right-hand side of the condensed system, r and t, from that of all conditions."""
    kind, sloped = sides.kind, sides.sloped
    on_w, on_t, on_rows, h = parts(sides, right)
    p, m, size, n = U(r.size), U(t.size), U(kind.size), U(sloped.size)
    for i in range(m):
        w = weight[i] + weight[size + i]
        if kind[i] & EQUAL:
            t[i] = on_rows[i]
        else:
            t[i] = (weight[i] * h[i] - weight[size + i] * h[size + i]) / w if w > 0.0 else 0.0
    for j in range(p):
        i = m + j
        r[j] = 0.0 if kind[i] & EQUAL else on_w[j] + weight[i] * h[i] - weight[size + i] * h[size + i]
    for k in range(n):
        a, b = weight[size + size + k], weight[size + size + n + k]
        pull_a, pull_b = a * h[size + size + k], b * h[size + size + n + k]
        r[U(sloped[k])] += pull_b - pull_a - (b - a) / (a + b + rho) * (on_t[k] + pull_a + pull_b)


def expand(sides, weight, rho, right, nu, found):
    """Directions of t, y and z from that of w, in `found`, and of the rows; z of rows as the factorisation gave it."""
    kind, sloped = sides.kind, sides.sloped
    _, on_t, _, h = parts(sides, right)
    dw, dt, dy, dz = parts(sides, found)
    p, m, size, n = dw.size, nu.size, kind.size, sloped.size
    for i in range(m):
        a, b = weight[i], weight[size + i]
        w = a + b
        dy[i] = nu[i]
        dz[i] = a / w * (b * (h[i] + h[size + i]) - nu[i]) if a > 0.0 else 0.0
        dz[size + i] = b / w * (a * (h[i] + h[size + i]) + nu[i]) if b > 0.0 else 0.0
    for j in range(p):
        i = m + j
        if kind[i] & EQUAL:
            dw[j] = 0.0
        dz[i] = weight[i] * (h[i] - dw[j])
        dz[size + i] = weight[size + i] * (h[size + i] + dw[j])
    for k in range(n):
        i, j, w = 2 * size + k, 2 * size + n + k, dw[sloped[k]]
        a, b = weight[i], weight[j]
        dt[k] = (on_t[k] + a * h[i] + b * h[j] - (b - a) * w) / (a + b + rho)
        dz[i] = a * (h[i] - dt[k] + w)
        dz[j] = b * (h[j] - dt[k] - w)


def net(sides, z, y, rows, bounds):
    """Multipliers of rows and bounds that z and y amount to, positive where the upper side pulls, slopes included."""
    kind, sloped = sides.kind, sides.sloped
    m, size, n = U(rows.size), U(kind.size), U(sloped.size)
    for i in range(m):
        rows[i] = y[i] if kind[i] & EQUAL else z[size + i] - z[i]
    for j in range(bounds.size):
        bounds[j] = z[size + m + j] - z[m + j]
    for k in range(n):
        bounds[U(sloped[k])] += z[size + size + k] - z[size + size + n + k]


def missing(sides, weight, rho, delta, right, found, curved, pulled, bounds, image, less):
    """What directions leave of a right-hand side, into `less`; returns its size.

    A slack far from its side counts as what it moves the multiplier by.
    """
    kind, sloped = sides.kind, sides.sloped
    on_w, on_t, on_rows, h = parts(sides, right)
    dw, dt, dy, dz = parts(sides, found)
    less_w, less_t, less_rows, less_h = parts(sides, less)
    p, m, size, n = dw.size, dy.size, kind.size, sloped.size
    most = 0.0
    for i in range(m):
        less_rows[i] = on_rows[i] - (image[i] - delta * dy[i]) if kind[i] & EQUAL else 0.0
        most = max(most, abs(less_rows[i]))
    for j in range(p):
        less_w[j] = 0.0 if kind[m + j] & EQUAL else on_w[j] - (curved[j] + rho * dw[j] + pulled[j] + bounds[j])
        most = max(most, abs(less_w[j]))
    for i in range(size):
        step = image[i] if i < m else dw[i - m]
        less_h[i] = h[i] - (step + dz[i] / weight[i]) if weight[i] > 0.0 else 0.0
        less_h[size + i] = h[size + i] - (dz[size + i] / weight[size + i] - step) if weight[size + i] > 0.0 else 0.0
    for k in range(n):
        i, j, w = 2 * size + k, 2 * size + n + k, dw[sloped[k]]
        less_t[k] = on_t[k] - (rho * dt[k] - dz[i] - dz[j])
        most = max(most, abs(less_t[k]))
        less_h[i] = h[i] - (dt[k] - w + dz[i] / weight[i])
        less_h[j] = h[j] - (dt[k] + w + dz[j] / weight[j])
    for i in range(h.size):
        most = max(most, abs(less_h[i]) * min(1.0, weight[i]))
    return most


def residuals(sides, point, s, curved, pulled, bounds, image, on):
    """What is missing from the conditions, into `on`; returns violation, stationarity and gap in the user's units."""
    kind, sloped, low, high, units = sides.kind, sides.sloped, sides.low, sides.high, sides.units
    x, t, y, z = parts(sides, point)
    on_w, on_t, on_rows, on_slacks = parts(sides, on)
    p, m, size, n = x.size, y.size, kind.size, sloped.size
    violation, stationarity, gap = 0.0, 0.0, 0.0
    for i in range(size):
        at, up = image[i] if i < m else x[i - m], size + i
        if kind[i] & EQUAL:
            if i < m:
                on_rows[i] = low[i] - at
                violation = max(violation, abs(on_rows[i]) * units[i])
                gap += low[i] * y[i]
            continue
        if kind[i] & LOWER:
            on_slacks[i] = low[i] + s[i] - at
            violation = max(violation, (low[i] - at) * units[i])
            gap -= low[i] * z[i]
        if kind[i] & UPPER:
            on_slacks[up] = s[up] - high[i] + at
            violation = max(violation, (at - high[i]) * units[i])
            gap += high[i] * z[up]
    for j in range(p):
        on_w[j] = -(curved[j] + sides.q[j] + pulled[j] + bounds[j])
        if kind[m + j] & EQUAL:
            gap += x[j] * on_w[j]
            on_w[j] = 0.0
        stationarity = max(stationarity, abs(on_w[j]) / (units[m + j] * sides.cost))
        gap += x[j] * (curved[j] + sides.q[j])
    for k in range(n):
        i, j, w = 2 * size + k, 2 * size + n + k, x[sloped[k]]
        on_t[k] = z[i] + z[j] - sides.alpha[sloped[k]]
        on_slacks[i], on_slacks[j] = s[i] - t[k] + w, s[j] - t[k] - w
        stationarity = max(stationarity, abs(on_t[k]) / (units[m + sloped[k]] * sides.cost))
        gap += sides.alpha[sloped[k]] * abs(w)
    return violation, stationarity, abs(gap) / sides.cost


def predict(sides, s, z, dz, ds):
    """Change of slacks for sigma = 0 into `ds`; returns the sum of the products at the nearest sides."""
    primal, dual, ahead = 1.0, 1.0, 0.0
    for i in range(s.size):
        if sides.active[i]:
            ds[i] = -s[i] - s[i] / z[i] * dz[i]
            if ds[i] < 0.0:
                primal = min(primal, -s[i] / ds[i])
            if dz[i] < 0.0:
                dual = min(dual, -z[i] / dz[i])
    for i in range(s.size):
        if sides.active[i]:
            ahead += (s[i] + primal * ds[i]) * (z[i] + dual * dz[i])
    return ahead


def correct(sides, s, z, ds, dz, target, on_slacks, h):
    """Products that remain to be reached into `ds`, and the right-hand side of slacks into `h`."""
    for i in range(s.size):
        if sides.active[i]:
            ds[i] = target - s[i] * z[i] - ds[i] * dz[i]
            h[i] = on_slacks[i] + ds[i] / z[i]


def advance(sides, s, z, products, dz, fraction):
    """Move s and z, in place; returns the steps and the sum of the products."""
    primal, dual, total = 1.0, 1.0, 0.0
    for i in range(s.size):
        if sides.active[i]:
            products[i] = (products[i] - s[i] * dz[i]) / z[i]
            if products[i] < 0.0:
                primal = min(primal, -s[i] / products[i])
            if dz[i] < 0.0:
                dual = min(dual, -z[i] / dz[i])
    primal, dual = fraction * primal, fraction * dual
    for i in range(s.size):
        if sides.active[i]:
            s[i] = max(s[i] + primal * products[i], LEAST)
            z[i] = max(z[i] + dual * dz[i], LEAST)
            total += s[i] * z[i]
    return primal, dual, total
