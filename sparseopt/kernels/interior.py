"""Vectors of an interior point method: all that is not a product with a matrix or a factorisation.

The program has m rows and p coefficients, `size` = m + p pairs of sides, and slopes on some
coefficients. Slacks s, multipliers z, springs and right-hand sides h of the inequalities lie flat:
lower sides of rows and coefficients, then upper sides, then t - w and t + w of each slope. `kind`
of each pair has bit 1 for a lower side, 2 for an upper, 4 where both agree (no inequality then).
"""

from sparseopt._jit import kernel

LOWER, UPPER, EQUAL = 1, 2, 4
# Stands for an infinite diagonal: a row without sides, a coefficient that does not move.
OUT = 1e12
# Slacks and multipliers stay above it.
LEAST = 1e-18


@kernel
def springs(active, s, z, delta, weight):
    """Weight 1 / (s / z + delta) of each inequality, zero where there is none, into `weight`."""
    for i in range(active.size):
        weight[i] = 1.0 / (s[i] / z[i] + delta) if active[i] else 0.0


@kernel
def diagonals(kind, sloped, weight, rho, delta, extra, D, E):
    """Diagonals of the condensed system into D (coefficients) and E (rows)."""
    p, m, size, n = D.size, E.size, kind.size, sloped.size
    for i in range(m):
        w = weight[i] + weight[size + i]
        E[i] = delta + extra if kind[i] & EQUAL else (1.0 / w if w > 0.0 else OUT)
    for j in range(p):
        i = m + j
        D[j] = OUT if kind[i] & EQUAL else rho + extra + weight[i] + weight[size + i]
    for k in range(n):
        a, b = weight[2 * size + k], weight[2 * size + n + k]
        D[sloped[k]] += (4 * a * b + rho * (a + b)) / (a + b + rho)


@kernel
def condense(kind, sloped, weight, rho, h, on_w, on_t, on_rows, r, t):
    """Right-hand side of the condensed system, r and t, from that of all conditions."""
    p, m, size, n = r.size, t.size, kind.size, sloped.size
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
        a, b = weight[2 * size + k], weight[2 * size + n + k]
        pull_a, pull_b = a * h[2 * size + k], b * h[2 * size + n + k]
        r[sloped[k]] += pull_b - pull_a - (b - a) / (a + b + rho) * (on_t[k] + pull_a + pull_b)


@kernel
def expand(kind, sloped, weight, rho, h, on_t, dw, nu, dt, dz):
    """Directions of t and z from those of w and the rows; multipliers of rows as the factorisation gave them."""
    p, m, size, n = dw.size, nu.size, kind.size, sloped.size
    for i in range(m):
        a, b = weight[i], weight[size + i]
        w = a + b
        dz[i] = a / w * (b * (h[i] + h[size + i]) - nu[i]) if a > 0.0 else 0.0
        dz[size + i] = b / w * (a * (h[i] + h[size + i]) + nu[i]) if b > 0.0 else 0.0
    for j in range(p):
        i = m + j
        if kind[i] & EQUAL:
            dw[j] = 0.0
        dz[i] = weight[i] * (h[i] - dw[j])
        dz[size + i] = weight[size + i] * (h[size + i] + dw[j])
    for k in range(n):
        i, j = 2 * size + k, 2 * size + n + k
        a, b, w = weight[i], weight[j], dw[sloped[k]]
        dt[k] = (on_t[k] + a * h[i] + b * h[j] - (b - a) * w) / (a + b + rho)
        dz[i] = a * (h[i] - dt[k] + w)
        dz[j] = b * (h[j] - dt[k] - w)


@kernel
def net(kind, sloped, z, y, rows, bounds):
    """Multipliers of rows and bounds that z and y amount to, positive where the upper side pulls, slopes included."""
    m, size, n = rows.size, kind.size, sloped.size
    for i in range(m):
        rows[i] = y[i] if kind[i] & EQUAL else z[size + i] - z[i]
    for j in range(bounds.size):
        bounds[j] = z[size + m + j] - z[m + j]
    for k in range(n):
        bounds[sloped[k]] += z[2 * size + k] - z[2 * size + n + k]


@kernel
def missing(kind, sloped, weight, rho, delta, h, on_w, on_t, on_rows, dw, dt, dy, dz, curved, pulled, bounds, image,
            less_h, less_w, less_t, less_rows):  # fmt: skip
    """What directions leave of a right-hand side, into the last four; returns its size.

    A slack far from its side counts as what it moves the multiplier by.
    """
    p, m, size, n = dw.size, dy.size, kind.size, sloped.size
    largest = 0.0
    for i in range(m):
        less_rows[i] = on_rows[i] - (image[i] - delta * dy[i]) if kind[i] & EQUAL else 0.0
        largest = max(largest, abs(less_rows[i]))
    for j in range(p):
        less_w[j] = 0.0 if kind[m + j] & EQUAL else on_w[j] - (curved[j] + rho * dw[j] + pulled[j] + bounds[j])
        largest = max(largest, abs(less_w[j]))
    for i in range(size):
        step = image[i] if i < m else dw[i - m]
        less_h[i] = h[i] - (step + dz[i] / weight[i]) if weight[i] > 0.0 else 0.0
        less_h[size + i] = h[size + i] - (dz[size + i] / weight[size + i] - step) if weight[size + i] > 0.0 else 0.0
    for k in range(n):
        i, j, w = 2 * size + k, 2 * size + n + k, dw[sloped[k]]
        less_t[k] = on_t[k] - (rho * dt[k] - dz[i] - dz[j])
        largest = max(largest, abs(less_t[k]))
        less_h[i] = h[i] - (dt[k] - w + dz[i] / weight[i])
        less_h[j] = h[j] - (dt[k] + w + dz[j] / weight[j])
    for i in range(h.size):
        largest = max(largest, abs(less_h[i]) * min(1.0, weight[i]))
    return largest


@kernel
def residuals(kind, sloped, low, high, alpha, q, x, t, y, s, z, curved, pulled, bounds, image, scale,
              on_w, on_t, on_rows, on_slacks):  # fmt: skip
    """What is missing from the conditions, into the last four; returns violation, stationarity and gap.

    These are in the user's units by `scale` of rows, then coefficients; the gap still needs that of the cost.
    """
    p, m, size, n = x.size, y.size, kind.size, sloped.size
    violation, stationarity, gap = 0.0, 0.0, 0.0
    for i in range(size):
        at, up = image[i] if i < m else x[i - m], size + i
        if kind[i] & EQUAL:
            if i < m:
                on_rows[i] = low[i] - at
                violation = max(violation, abs(on_rows[i]) * scale[i])
                gap += low[i] * y[i]
            continue
        if kind[i] & LOWER:
            on_slacks[i] = low[i] + s[i] - at
            violation = max(violation, (low[i] - at) * scale[i])
            gap -= low[i] * z[i]
        if kind[i] & UPPER:
            on_slacks[up] = s[up] - high[i] + at
            violation = max(violation, (at - high[i]) * scale[i])
            gap += high[i] * z[up]
    for j in range(p):
        on_w[j] = -(curved[j] + q[j] + pulled[j] + bounds[j])
        if kind[m + j] & EQUAL:
            gap += x[j] * on_w[j]
            on_w[j] = 0.0
        stationarity = max(stationarity, abs(on_w[j]) / scale[m + j])
        gap += x[j] * (curved[j] + q[j])
    for k in range(n):
        i, j, w = 2 * size + k, 2 * size + n + k, x[sloped[k]]
        on_t[k] = z[i] + z[j] - alpha[sloped[k]]
        on_slacks[i], on_slacks[j] = s[i] - t[k] + w, s[j] - t[k] - w
        stationarity = max(stationarity, abs(on_t[k]) / scale[m + sloped[k]])
        gap += alpha[sloped[k]] * abs(w)
    return violation, stationarity, gap


@kernel
def predict(active, s, z, dz, ds):
    """Change of slacks for sigma = 0 into `ds`; returns the steps to the nearest sides and the products there."""
    primal, dual, ahead = 1.0, 1.0, 0.0
    for i in range(active.size):
        if active[i]:
            ds[i] = -s[i] - s[i] / z[i] * dz[i]
            if ds[i] < 0.0:
                primal = min(primal, -s[i] / ds[i])
            if dz[i] < 0.0:
                dual = min(dual, -z[i] / dz[i])
    for i in range(active.size):
        if active[i]:
            ahead += (s[i] + primal * ds[i]) * (z[i] + dual * dz[i])
    return ahead


@kernel
def correct(active, s, z, ds, dz, target, on_slacks, h):
    """Products that remain to be reached into `ds`, and the right-hand side of slacks into `h`."""
    for i in range(active.size):
        if active[i]:
            ds[i] = target - s[i] * z[i] - ds[i] * dz[i]
            h[i] = on_slacks[i] + ds[i] / z[i]


@kernel
def advance(active, s, z, products, dz, fraction):
    """Move s and z, in place; returns the steps and the sum of the products."""
    primal, dual, total = 1.0, 1.0, 0.0
    for i in range(active.size):
        if active[i]:
            products[i] = (products[i] - s[i] * dz[i]) / z[i]
            if products[i] < 0.0:
                primal = min(primal, -s[i] / products[i])
            if dz[i] < 0.0:
                dual = min(dual, -z[i] / dz[i])
    primal, dual = fraction * primal, fraction * dual
    for i in range(active.size):
        if active[i]:
            s[i] = max(s[i] + primal * products[i], LEAST)
            z[i] = max(z[i] + dual * dz[i], LEAST)
            total += s[i] * z[i]
    return primal, dual, total
