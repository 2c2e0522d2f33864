"""Minimisers over one block of a quadratic plus a penalty; H has eigenvalues and eigenvectors given.

Of a block x with slope s, minimise over z

    s.(z - x) + (z - x)'H(z - x) / 2 + g(z)

No vectors stand for a diagonal matrix. scratch has three rows at least as long as x.
"""

import math


def rotate(vectors, x, out):
    """out = V'x for vectors V, one after another; x itself where there are none."""
    d = x.size
    for i in range(d):
        total = 0.0
        if vectors.size == 0:
            total = x[i]
        else:
            for j in range(d):
                total += vectors[i * d + j] * x[j]
        out[i] = total


def rotate_back(vectors, u, out):
    """out = V u; u itself where there are no vectors."""
    d = u.size
    for j in range(d):
        out[j] = u[j] if vectors.size == 0 else 0.0
    if vectors.size == 0:
        return
    for i in range(d):
        for j in range(d):
            out[j] += vectors[i * d + j] * u[i]


def norm_at_minimum(b, values, ridge, kink, start):
    """The norm rho of the minimiser of sum_i (values_i + ridge) u_i**2 / 2 - b_i u_i + kink norm(u), kink > 0.

    u_i = b_i rho / ((values_i + ridge) rho + kink), so norm(u) = rho asks h(rho) = 1 of
    h = sum_i (b_i / ((values_i + ridge) rho + kink))**2. The function 1 / sqrt(h) is concave and
    increases, nearly linearly: Newton steps end below the root after the first and never pass it.
    """
    top, largest = 0.0, 0.0
    for i in range(b.size):
        top = max(top, abs(b[i]))
        largest = max(largest, values[i] + ridge)
    squares = 0.0
    for i in range(b.size):
        squares += (b[i] / top) ** 2 if top > 0.0 else 0.0
    length = top * math.sqrt(squares)
    if length <= kink:
        return 0.0
    least = (length - kink) / largest
    rho = max(start, least)
    for _ in range(50):
        h, fall = 0.0, 0.0
        for i in range(b.size):
            bend = values[i] + ridge
            part = b[i] / (bend * rho + kink)
            h += part * part
            fall += part * part * (bend / (bend * rho + kink))
        new = max(rho + (math.sqrt(h) - 1.0) * h / fall, least)
        # Newton's next error is the square of this one
        is_done = abs(new - rho) <= 1e-8 * rho
        rho = new
        if is_done:
            break
    return rho


def stays_zero(slope, x, kink):
    """Whether x is zero and no slope is steep enough to move it; some that are not are left to a closer look."""
    total = 0.0
    for i in range(x.size):
        if x[i] != 0.0:
            return False
        total += abs(slope[i])
    return total <= kink


def by_norm(slope, x, vectors, values, ridge, kink, scratch):
    """x <- the minimiser for g(z) = ridge norm(z)**2 / 2 + kink norm(z), by a root in one dimension."""
    d = x.size
    u, b = scratch[0, :d], scratch[1, :d]
    if stays_zero(slope, x, kink):
        return
    rotate(vectors, x, u)
    rotate(vectors, slope, b)
    top, squares = 0.0, 0.0
    for i in range(d):
        top = max(top, abs(u[i]))
    for i in range(d):
        squares += (u[i] / top) ** 2 if top > 0.0 else 0.0
        b[i] = values[i] * u[i] - b[i]
    if kink == 0.0:
        for i in range(d):
            bend = values[i] + ridge
            u[i] = b[i] / bend if bend > 0.0 else u[i]
    else:
        rho = norm_at_minimum(b, values, ridge, kink, top * math.sqrt(squares))
        for i in range(d):
            u[i] = b[i] * (rho / ((values[i] + ridge) * rho + kink)) if rho > 0.0 else 0.0
    rotate_back(vectors, u, x)


def by_gradient(penalty, g, slope, x, vectors, values, scratch):
    """x <- nearly the minimiser for the penalty of group g, by proximal gradient steps on the block alone."""
    d = x.size
    move, u, v = scratch[0, :d], scratch[1, :d], scratch[2, :d]
    bend, least = 0.0, values[0]
    for i in range(d):
        bend, least = max(bend, values[i]), min(least, values[i])
        move[i] = 0.0
    first = 0.0
    for _ in range(100):
        rotate(vectors, move, u)
        for i in range(d):
            u[i] *= values[i]
        rotate_back(vectors, u, v)
        for i in range(d):
            v[i] = x[i] + move[i] - (slope[i] + v[i]) / bend
        penalty.prox_block(g, v, 1.0 / bend, u)
        last = 0.0
        for i in range(d):
            new = u[i] - x[i]
            last = max(last, abs(new - move[i]))
            move[i] = new
        first = max(first, last)
        if last <= 1e-3 * first or least == bend:
            break
    for i in range(d):
        x[i] = u[i]
