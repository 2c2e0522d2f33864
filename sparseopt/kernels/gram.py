"""Coordinate descent on a quadratic model whose matrix is in memory.

The model is w'Gw / 2 + linear.w + g(w) on a few coordinates; `slope` = Gw + linear is kept up to
date, so that a coordinate that stays at zero costs no more than its prox.
"""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


def sweep(penalty, gram, features, w, slope):
    """One epoch over w, in place; returns the largest move times its curvature, and the changes of sign."""
    largest, changes = 0.0, 0
    for q in range(w.size):
        j = U(q)
        bend = gram[j, j]
        old = w[j]
        if not bend > 0.0:
            continue
        new = penalty.prox_at(features[j], old - slope[j] / bend, 1.0 / bend)
        step = new - old
        if step != 0.0:
            w[j] = new
            for i in range(w.size):
                slope[U(i)] += step * gram[j, U(i)]
            largest = max(largest, bend * abs(step))
            changes += old * new <= 0.0
    return largest, changes


def height_at(penalty, features, linear, w, slope):
    """Objective of the model at w."""
    total = 0.0
    for j in range(w.size):
        if w[j] != 0.0:
            total += penalty.value_at(features[j], w[j]) + 0.5 * (slope[j] + linear[j]) * w[j]
    return total


@kernel
def height(penalty, features, linear, w, slope):
    """Objective of the model at w."""
    return height_at(penalty, features, linear, w, slope)


def combine(system, points, slopes):
    """Combine the last points, and their slopes, so that their moves nearly cancel (Anderson, 1965); into the first rows.

    The weights solve M M' x = 1 up to their sum, M being the moves: `system` has a column more than moves for it.
    Returns whether there are any.
    """
    count, size = U(system.shape[0]), U(points.shape[1])
    trace, total = 0.0, 0.0
    for r in range(count):
        for q in range(r + U(1)):
            product = 0.0
            for i in range(size):
                product += (points[r + U(1), i] - points[r, i]) * (points[q + U(1), i] - points[q, i])
            system[r, q] = product
            system[q, r] = product
        system[r, count] = 1.0
        trace += system[r, r]
    # elimination needs no exchange of rows where the matrix is positive definite
    for r in range(count):
        system[r, r] += 1e-12 * trace + 2.3e-308
    for r in range(count):
        for s in range(r + U(1), count):
            part = system[s, r] / system[r, r]
            for q in range(r, count + U(1)):
                system[s, q] -= part * system[r, q]
    for k in range(count):
        r = count - U(1) - U(k)
        for q in range(r + U(1), count):
            system[r, count] -= system[r, q] * system[q, count]
        system[r, count] /= system[r, r]
        total += system[r, count]
    if total == 0.0 or not abs(total) < np.inf:
        return False
    for i in range(size):
        point, slope = 0.0, 0.0
        for r in range(count):
            point += system[r, count] * points[r + U(1), i]
            slope += system[r, count] * slopes[r + U(1), i]
        points[U(0), i] = point / total
        slopes[U(0), i] = slope / total
    return True


@kernel
def descend_gram(penalty, gram, features, linear, w, slope, system, points, slopes, epochs, at_once, tol, patience):
    """Epochs on the model from w, in place, extrapolated after each `at_once`; returns the last move and epochs.

    Ends when no move reaches `tol`, or when the signs have kept still for `patience` epochs. `points` and `slopes` have a
    row for each of the last epochs, whose number divides `at_once`, and `system` one less; what is in them does not
    matter. The slope is affine in the point, so that it is combined alike; where this is not lower, it is not gone to.
    """
    largest, stable, done = 0.0, 0, 0
    for k in range(epochs):
        largest, changes = sweep(penalty, gram, features, w, slope)
        row = k % len(points)
        for i in range(w.size):
            points[U(row), U(i)] = w[U(i)]
            slopes[U(row), U(i)] = slope[U(i)]
        stable = stable + 1 if 1000 * changes <= w.size else 0
        done += 1
        if largest <= tol or (stable >= patience and done > 1):
            return largest, k + 1
        if done < at_once or k + 1 == epochs:
            continue
        stable, done = 0, 0
        if not combine(system, points, slopes):
            continue
        here = height_at(penalty, features, linear, w, slope)
        if height_at(penalty, features, linear, points[0], slopes[0]) < here:
            for i in range(w.size):
                w[U(i)], slope[U(i)] = points[U(0), U(i)], slopes[U(0), U(i)]
    return largest, epochs


@kernel
def image_into(gram, d, out):
    """gram d into `out`; rows with a zero entry of d are not read."""
    for i in range(out.size):
        out[i] = 0.0
    for j in range(d.size):
        if d[j] != 0.0:
            for i in range(out.size):
                out[U(i)] += d[j] * gram[U(j), U(i)]


@kernel
def last_of_image(gram, d, out):
    """The last entries of gram d, as many as `out` has, into it."""
    first = d.size - out.size
    for i in range(out.size):
        total = 0.0
        for j in range(d.size):
            total += gram[U(first + i), U(j)] * d[U(j)]
        out[U(i)] = total


@kernel
def gather(gram, rows, columns, out):
    """gram[rows, columns] into `out`."""
    for a in range(rows.size):
        j = U(rows[a])
        for b in range(columns.size):
            out[U(a), U(b)] = gram[j, U(columns[b])]


@kernel
def fixed_point_distances(penalty, w, slope, curvatures, out):
    """How far each coordinate is from a fixed point of its prox step, times its curvature, into `out`."""
    for j in range(w.size):
        bend = curvatures[j] if curvatures[j] > 1e-300 else 1.0  # any will do where the loss is flat
        out[j] = bend * abs(w[j] - penalty.prox_at(j, w[j] - slope[j] / bend, 1.0 / bend))


@kernel
def plain_distances(alpha, w, slope, out):
    """Distance of -slope to the subdifferential of alpha |w| for each coefficient, into `out`."""
    for i in range(w.size):
        # without branches it takes several at once
        x, s = w[U(i)], slope[U(i)]
        off, on = abs(s) - alpha, abs(s + (alpha if x > 0.0 else -alpha))
        off = off if off > 0.0 else 0.0
        out[U(i)] = off if x == 0.0 else on


@kernel
def separable_distances(a, b, lower, upper, w, slope, out):
    """Distance of -slope to the subdifferential of a|w| + b w**2 / 2 on [lower, upper] for each coordinate, into `out`."""
    for i in range(w.size):
        j = U(i)
        x = w[j]
        force = -slope[j] - b[j] * x
        if x == 0.0:
            rest = max(abs(force) - a[j], 0.0)
            rest = rest if force > 0.0 else -rest
        else:
            rest = force - a[j] if x > 0.0 else force + a[j]
        if x <= lower[j] and rest < 0.0:
            rest = 0.0
        if x >= upper[j] and rest > 0.0:
            rest = 0.0
        out[j] = abs(rest)
