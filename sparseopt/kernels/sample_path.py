"""Losses on samples on a few columns, minimised point after point along a path.

At fitted values eta the loss is replaced by its quadratic, with the slope u_i and the curvature h_i of each sample. With
H = sum h_i and q_j = sum h_i x_ij the best intercept follows every move, so that a coordinate has the slope x_j u - c q_j and
the curvature sum h_i x_ij**2 - q_j**2 / H, where c is what the intercept has gone down by; without one, q and c are zero.
"""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64
# Rounding of a difference of squares, in units of what is taken off: a constant column has that little curvature.
HELD = 100.0 * float(np.finfo(np.float64).eps)


def extrapolate(design, one, features, w, last, eta, fitted, part):
    """Go on as from the last point to this one, in place, by a part of that way; signs are kept, by a push into eta.

    `last` and `fitted` become this point and its fitted values.
    """
    for i in range(eta.size):
        move = part * (eta[U(i)] - fitted[U(i)])
        fitted[U(i)] = eta[U(i)]
        eta[U(i)] += move
    for k in range(w.size):
        old, new = w[U(k)], w[U(k)] + part * (w[U(k)] - last[U(k)])
        last[U(k)] = old
        if old * new <= 0.0 and new != 0.0:
            design.push(features[U(k)], -new, one, eta)
            new = 0.0
        w[U(k)] = new


def bend(loss, eta, least, bends):
    """Curvatures of the samples at eta, each at least a part `least` of the largest, in place; returns their sum."""
    largest, total = 0.0, 0.0
    for i in range(loss.y.size):
        bends[U(i)] = loss.curvature_at(i, eta[U(i)])
        largest = max(largest, bends[U(i)])
    for i in range(loss.y.size):
        bends[U(i)] = max(bends[U(i)], least * largest)
        total += bends[U(i)]
    return total


def measure(design, features, bends, total, u, squares, sums):
    """Curvature of each feature, and with an intercept its q, in place; `total` is zero without one."""
    for k in range(features.size):
        j = features[U(k)]
        squares[U(k)] = design.bend_through(j, 0.0, bends, u)
        if total > 0.0:
            q = design.pull(j, bends.values)
            sums[U(k)] = q
            squares[U(k)] = max(squares[U(k)] - q * q / total, HELD * q * q / total)


def sweep(design, features, order, bends, total, form, w, squares, sums, u, shift):
    """One epoch over the places in `order`, in place; returns the largest move times its curvature, and the intercept's."""
    largest = 0.0
    for m in range(order.size):
        k = U(order[U(m)])
        bend, j, old = squares[k], features[k], w[k]
        if not bend > 0.0:
            continue
        force = bend * old - (design.pull(j, u) - shift * sums[k])
        a = form[U(0), k]
        new = (force - a if force > a else force + a if force < -a else 0.0) / (bend + form[U(1), k])
        new = min(max(new, form[U(2), k]), form[U(3), k])
        if new != old:
            w[k] = new
            design.push(j, new - old, bends, u)
            if total > 0.0:
                shift += (new - old) * sums[k] / total
            largest = max(largest, bend * abs(new - old))
    return largest, shift


def settle(design, features, orders, bends, total, form, w, squares, sums, u, shift, goal, depth, epochs):
    """Epochs until no move reaches `goal`, or a part `depth` of the first; the first move, the intercept's, and epochs."""
    everything, active = orders
    first, last, done = -1.0, np.inf, 0
    while done < epochs and last > max(goal, depth * first):
        last, shift = sweep(design, features, everything, bends, total, form, w, squares, sums, u, shift)
        done += 1
        first = last if first < 0.0 else first
        filled = 0
        for k in range(w.size):
            if w[U(k)] != 0.0:
                active[U(filled)] = k
                filled += 1
        inner = last
        while done < epochs and 2 * filled < w.size and inner > max(goal, depth * first, 0.3 * last):
            inner, shift = sweep(design, features, active[:filled], bends, total, form, w, squares, sums, u, shift)
            done += 1
    return first, shift, done


@kernel
def follow(loss, one, bends, has_intercept, features, orders, form, points, images, squares, sums, numbers, options):
    """Proximal Newton steps on the features, in place; returns the last first move, steps and epochs.

    `points` holds w and the point before it, and `images` the fitted values of both and scratch; `form` has the rows a, b,
    lower and upper of the penalty. First w goes on by a part of the way from the point before; that one is left alone where
    the part is negative. Curvatures are those of an earlier point while numbers[0], the sum of theirs, is positive, for as
    long as steps with them are quick. The steps end where the first epoch from fresh slopes moves by no more than `goal`.
    options = (part, goal, steps, epochs, depth of a step, least curvature, pace from which curvatures are made anew).
    """
    part, goal, steps, epochs, depth, least, slow = options
    design, first, done = loss.X, np.inf, 0
    w, last = points
    eta, fitted, v, u = images
    if part >= 0.0:
        extrapolate(design, one, features, w, last, eta, fitted, part)
    for step in range(steps):
        if numbers[0] <= 0.0:
            numbers[0] = bend(loss, eta, least, bends.values)
            measure(design, features, bends, numbers[0] if has_intercept else 0.0, u, squares, sums)
        total, shift = numbers[0] if has_intercept else 0.0, 0.0
        for i in range(eta.size):
            v[U(i)] = loss.slope_at(i, eta[U(i)])
            u[U(i)] = v[U(i)]
            shift += v[U(i)]
        shift = shift / total if total > 0.0 else 0.0
        before = first
        first, shift, swept = settle(
            design, features, orders, bends, total, form, w, squares, sums, u, shift, goal, depth, epochs - done
        )
        done += swept
        for i in range(eta.size):
            if bends.values[U(i)] > 0.0:
                eta[U(i)] += (u[U(i)] - v[U(i)]) / bends.values[U(i)] - shift
        if first <= goal or done >= epochs:
            return first, step + 1, done
        if first > slow * before:
            numbers[0] = 0.0
    return first, steps, done
