"""The point of a set of held sides: its residuals from the data, and its refinement."""

from sparseopt.kernels.held_sides import U


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
