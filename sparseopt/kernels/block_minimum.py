"""Minimisers over one block of a quadratic plus a penalty; H has eigenvalues and eigenvectors given.

Of a block x with slope s, minimise over z

    s.(z - x) + (z - x)'H(z - x) / 2 + g(z)

The first d entries of x and of the slope are the block's. The eigenvalues are values[first:], the eigenvectors
vectors[place:], one after another; H is diagonal where place < 0. Vectors go around whole, with the place of the
block in them: a slice in a kernel costs more time to compile than the loop that uses it.
"""

import math


def rotate(d, vectors, place, x, out):
    """out = V'x."""
    for i in range(d):
        if place < 0:
            out[i] = x[i]
        else:
            total = 0.0
            for j in range(d):
                total += vectors[place + i * d + j] * x[j]
            out[i] = total


def rotate_back(d, vectors, place, u, out):
    """out = V u."""
    for j in range(d):
        out[j] = u[j] if place < 0 else 0.0
    if place < 0:
        return
    for i in range(d):
        for j in range(d):
            out[j] += vectors[place + i * d + j] * u[i]


def norm_of(d, x):
    """The Euclidean norm; no square leaves the range of numbers."""
    top, squares = 0.0, 0.0
    for i in range(d):
        top = max(top, abs(x[i]))
    if top > 0.0:
        for i in range(d):
            part = x[i] / top
            squares += part * part
    return top * math.sqrt(squares)


def norm_at_minimum(d, b, values, first, ridge, kink, start):
    """The norm rho of the minimiser of sum_i (values_i + ridge) u_i**2 / 2 - b_i u_i + kink norm(u), kink > 0.

    u_i = b_i rho / ((values_i + ridge) rho + kink), so norm(u) = rho asks h(rho) = 1 of
    h = sum_i (b_i / ((values_i + ridge) rho + kink))**2. The function 1 / sqrt(h) is concave and
    increases, nearly linearly: Newton steps end below the root after the first and never pass it.
    """
    length, largest = norm_of(d, b), 0.0
    if length <= kink:
        return 0.0
    for i in range(d):
        largest = max(largest, values[first + i] + ridge)
    least = (length - kink) / largest
    rho = max(start, least)
    for _ in range(50):
        h, fall = 0.0, 0.0
        for i in range(d):
            bend = values[first + i] + ridge
            over = 1.0 / (bend * rho + kink)
            part = b[i] * over
            h += part * part
            fall += part * part * bend * over
        new = max(rho + (math.sqrt(h) - 1.0) * h / fall, least)
        # Newton's next error is the square of this one
        is_done = abs(new - rho) <= 1e-8 * rho
        rho = new
        if is_done:
            break
    return rho


def stays_zero(d, slope, x, kink):
    """Whether x is zero and no slope is steep enough to move it; some that are not are left to a closer look."""
    total = 0.0
    for i in range(d):
        if x[i] != 0.0:
            return False
        total += abs(slope[i])
    return total <= kink


def by_norm(d, slope, x, vectors, place, values, first, ridge, kink, u, b):
    """x <- the minimiser for g(z) = ridge norm(z)**2 / 2 + kink norm(z), by a root in one dimension; u, b are scratch."""
    if stays_zero(d, slope, x, kink):
        return
    rotate(d, vectors, place, x, u)
    rotate(d, vectors, place, slope, b)
    start = norm_of(d, u)
    for i in range(d):
        b[i] = values[first + i] * u[i] - b[i]
    rho = norm_at_minimum(d, b, values, first, ridge, kink, start) if kink > 0.0 else 1.0
    if rho == 0.0:
        for i in range(d):
            x[i] = 0.0
        return
    for i in range(d):
        bend = (values[first + i] + ridge) * rho + kink
        if bend > 0.0:
            u[i] = b[i] * (rho / bend)
    rotate_back(d, vectors, place, u, x)


def by_gradient(penalty, g, d, slope, x, vectors, place, values, first, move, u, v):
    """x <- nearly the minimiser for the penalty of group g, by proximal gradient steps on the block alone."""
    bend, least = 0.0, values[first]
    for i in range(d):
        bend, least = max(bend, values[first + i]), min(least, values[first + i])
        move[i] = 0.0
    largest = 0.0
    for _ in range(100):
        rotate(d, vectors, place, move, u)
        for i in range(d):
            u[i] *= values[first + i]
        rotate_back(d, vectors, place, u, v)
        for i in range(d):
            v[i] = x[i] + move[i] - (slope[i] + v[i]) / bend
        penalty.prox_block(g, d, v, 1.0 / bend, u)
        last = 0.0
        for i in range(d):
            new = u[i] - x[i]
            last = max(last, abs(new - move[i]))
            move[i] = new
        largest = max(largest, last)
        if last <= 1e-3 * largest or least == bend:
            break
    for i in range(d):
        x[i] = u[i]
