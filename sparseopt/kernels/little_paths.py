"""Paths on little dense data, point after point in one call: what a point takes elsewhere is mostly calls.

Each point begins where the line through the two before it leads, and ends where its duality gap, estimated from what is at
hand, is less than what is asked for. Penalties are a_j |w_j| + b_j w_j**2 / 2, with a_j > 0. Proofs are made elsewhere.
"""

import math

from sparseopt._jit import kernel
from sparseopt.kernels.gram import U
from sparseopt.kernels.gram_newton import factorise, first_wall, gather_free, solve_free, sweep_form, walk
from sparseopt.kernels.sample_path import HELD, bend, extrapolate, settle

# Curvature, relative to the largest, where the column is zero and the penalty alone decides.
_LITTLE = 1e-8
# Epochs and multiplications for a point on a Gram matrix, and multiplications of a call: a hundredth of a second.
_EPOCHS, _BUDGET = 100, 1e7
# The part of the last way that a point may be looked for beyond it.
_FURTHEST = 2.0
# Newton steps and epochs for a point of a loss on samples, and the part of its first move that a step is minimised to.
_STEPS, _SWEEPS, _DEPTH = 60, 1000, 0.1
# Least curvature of a sample, as a part of the largest; the sum of slopes that an intercept leaves, in parts of their sizes.
_LEAST, _EVEN = 1e-7, 1e-10
# Part of the slope that is allowed by a gap at which moves are over.
_FINE = 0.3


def part_ahead(strengths, k):
    """How far beyond the last point the next one is, in parts of the way before; strengths of the two before come first."""
    way = strengths[k] - strengths[k + 1]
    rest = strengths[k + 1] - strengths[k + 2]
    return min(max(rest / way, 0.0), _FURTHEST) if way > 0.0 else 0.0


def gap_on_gram(height, linear, form, w, slope):
    """Duality gap of w, in the best bound that a multiple of its residual gives, and the objective.

    `height` is the loss at zero. With r the residual, the bound of k r is -k**2 f(w) + k (2 height + linear.w) less the
    conjugate of the penalty at -k slope.
    """
    along, here, price, scale, bent = 0.0, 0.0, 0.0, 1.0, False
    for j in range(U(w.size)):
        a, b, size = form[U(0), j], form[U(1), j], abs(slope[j])
        along += linear[j] * w[j]
        here += slope[j] * w[j]
        price += a * abs(w[j]) + 0.5 * b * w[j] * w[j]
        if b > 0.0:
            bent = True
        elif scale * size > a:
            scale = a / size
    loss, conjugate = height + 0.5 * (along + here), 0.0
    pull = 2.0 * height + along
    if not bent and 2.0 * loss * scale > pull:
        scale = max(pull / (2.0 * loss), 0.0)
    if bent:
        for j in range(U(w.size)):
            a, b, size = form[U(0), j], form[U(1), j], scale * abs(slope[j])
            if b > 0.0 and size > a:
                conjugate += 0.5 * (size - a) * (size - a) / b
    return loss + price + scale * scale * loss - scale * pull + conjugate, loss + price


def place_on_line(gram, linear, part, w, last, slope):
    """Go on as from the last point to this one, in place, by a part of that way; signs are kept. Slopes are made anew."""
    p = U(w.size)
    for j in range(p):
        old = w[j]
        new = old + part * (old - last[j])
        last[j] = old
        w[j] = new if old * new > 0.0 else 0.0
        slope[j] = linear[j]
    for j in range(p):
        if w[j] != 0.0:
            for i in range(p):
                slope[i] += w[j] * gram[j, i]


def newton_on_gram(gram, form, w, slope, free, work):
    """A Newton step on the nonzero coordinates, in place, as far as the objective falls; what it has cost."""
    p = w.size
    force, direction, moves, image = work[p], work[p + 1], work[p + 2], work[p + 3]
    a, b, lower, upper = form[0], form[1], form[2], form[3]
    count = gather_free(a, b, lower, upper, w, slope, free, force)
    factorise(gram, b, free[:count], work)
    moved, is_flat = solve_free(a, free[:count], force, work, direction)
    first = first_wall(lower, upper, w, free[:moved], direction)
    part = first if is_flat else 1.0
    while part < math.inf:
        fell = walk(gram, b, lower, upper, w, slope, free[:moved], force, direction, part, moves, image)
        if fell or first >= part:
            break
        # on the way to the first wall it falls for certain
        part = first
    return count * (p + count / 6.0) * count


@kernel
def follow_on_gram(gram, linear, height, forms, strengths, points, taken, state, free, work, begin, tol):
    """Minimise w'Gw / 2 + linear.w + penalty from the point `begin` on; the points that are done, epochs and Newton steps.

    `forms` holds a, b, lower and upper of each point, `strengths` the size of a, after those of the two points before.
    The rows of `state` are w, the point before, and a slope; `work` has four rows more than G. `taken` gets the
    epochs of each point, whose gap is less than `tol`, in parts of the objective.
    """
    w, last, slope = state[0], state[1], state[2]
    p, largest, spent, epochs, steps = w.size, 0.0, 0.0, 0, 0
    for j in range(U(p)):
        largest = max(largest, gram[U(j), U(j)])
    least = _LITTLE * largest if largest > 0.0 else 1.0
    for k in range(begin, len(points)):
        form = forms[k]
        a, b, lower, upper = form[0], form[1], form[2], form[3]
        place_on_line(gram, linear, part_ahead(strengths, k), w, last, slope)
        done, since, cost = 0, 0.0, 0.0
        gap, objective = gap_on_gram(height, linear, form, w, slope)
        while not gap <= tol * objective:
            if done == _EPOCHS or spent > 10 * _BUDGET:
                return k, epochs, steps
            changes = sweep_form(gram, a, b, lower, upper, w, slope, least, U(0), U(p))
            done, epochs, since = done + 1, epochs + 1, since + p * p
            gap, objective = gap_on_gram(height, linear, form, w, slope)
            if gap <= tol * objective or (changes > 0 and since < cost):
                continue
            cost, since = newton_on_gram(gram, form, w, slope, free, work), 0.0
            steps, spent = steps + 1, spent + cost
            gap, objective = gap_on_gram(height, linear, form, w, slope)
        spent += (done + 1) * p * p
        taken[k] = done
        for j in range(U(p)):
            points[k, U(j)] = w[j]
        if spent > _BUDGET:
            return k + 1, epochs, steps
    return len(points), epochs, steps


def level_out(loss, eta, v, bends, has_intercept):
    """Slopes and curvatures of the samples, in place, after Newton steps of an intercept in eta; the sum of curvatures."""
    total, before = 0.0, math.inf
    while True:
        total, rest, sizes = bend(loss, eta, _LEAST, bends.values), 0.0, 0.0
        for i in range(eta.size):
            v[U(i)] = loss.slope_at(i, eta[U(i)])
            rest += v[U(i)]
            sizes += abs(v[U(i)])
        if not has_intercept or not (_EVEN * sizes < abs(rest) < before) or not total > 0.0:
            return total
        before = abs(rest)
        for i in range(eta.size):
            eta[U(i)] -= rest / total


def gap_of_samples(design, form, w, v, bends, slope):
    """Duality gap of w, to second order in what the slopes are too large, the penalty, and the norm; slopes in place."""
    along, norm, price, beyond, square, conjugate = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    design.adjoint(v, slope)
    for j in range(U(w.size)):
        a, b, size = form[U(0), j], form[U(1), j], abs(slope[j])
        along += slope[j] * w[j]
        norm += abs(w[j])
        price += a * abs(w[j]) + 0.5 * b * w[j] * w[j]
        if b > 0.0:
            conjugate += 0.5 * (size - a) * (size - a) / b if size > a else 0.0
        elif size > a * (1.0 + beyond):
            beyond = size / a - 1.0
    if beyond > 0.0:
        for i in range(v.size):
            if bends.values[U(i)] > 0.0:
                square += v[U(i)] * v[U(i)] / bends.values[U(i)]
    return along + price + conjugate + beyond * (abs(along) + 0.5 * beyond * square), price, norm


def height_of(loss, eta):
    """The loss at the fitted values."""
    total = 0.0
    for i in range(eta.size):
        total += loss.sample_weight.at(i) * loss.value(loss.y[U(i)], loss.offset.shifted(i, eta[U(i)]))
    return total


def choose(design, bends, total, form, w, slope, order, squares, sums, u):
    """The features that are to move, in `order`, with their curvature, and with an intercept what it takes off; their number."""
    count = U(0)
    for j in range(U(w.size)):
        if w[j] == 0.0 and abs(slope[j]) <= form[U(0), j]:
            continue
        order[count] = j
        count += U(1)
        squares[j] = design.bend_through(j, 0.0, bends, u)
        if total > 0.0:
            q = design.pull(j, bends.values)
            sums[j] = q
            squares[j] = max(squares[j] - q * q / total, HELD * q * q / total)
    return count


def come_near(loss, bends, has_intercept, form, w, rows, images, orders, tol):
    """Newton steps from w and the fitted values, in place, until the gap is small; Newton steps, epochs, and whether it is."""
    design, slope, squares, sums = loss.X, rows[2], rows[3], rows[4]
    eta, v, u = images[0], images[2], images[3]
    features, order, active = orders
    swept = 0
    for step in range(_STEPS + 1):
        total = level_out(loss, eta, v, bends, has_intercept)
        gap, price, norm = gap_of_samples(design, form, w, v, bends, slope)
        height = height_of(loss, eta)
        if gap <= tol * (height + price):
            return step, swept, True
        if step == _STEPS or swept >= _SWEEPS or not gap < math.inf:
            break
        total = total if has_intercept else 0.0
        count = choose(design, bends, total, form, w, slope, order, squares, sums, u)
        for i in range(eta.size):
            u[U(i)] = v[U(i)]
        goal = _FINE * tol * height / norm if norm > 0.0 else 0.0
        _, shift, more = settle(
            design, features, (order[:count], active), bends, total, form, w, squares, sums, u, 0.0, goal, _DEPTH,
            _SWEEPS - swept,
        )  # fmt: skip
        swept += more
        for i in range(eta.size):
            if bends.values[U(i)] > 0.0:
                eta[U(i)] += (u[U(i)] - v[U(i)]) / bends.values[U(i)] - shift
    return _STEPS, swept, False


@kernel
def follow_samples(
    loss, one, bends, has_intercept, forms, strengths, points, taken, levels, state, images, orders, begin, tol
):
    """Minimise a loss on samples and a penalty from the point `begin` on; the points that are done, Newton steps and epochs.

    `forms`, `strengths` and `tol` are as in `follow_on_gram`. The rows of `state` are w, the point before, slopes, and two
    for curvatures; those of `images` fitted values with their intercept, those before, slopes of samples and scratch.
    `taken` gets the Newton steps of each point, and `levels` its mean fitted value.
    """
    w, last, eta, fitted = state[0], state[1], images[0], images[1]
    steps, epochs, spent = 0, 0, 0.0
    for k in range(begin, len(points)):
        extrapolate(loss.X, one, orders[0], w, last, eta, fitted, part_ahead(strengths, k))
        taken[k], swept, is_near = come_near(loss, bends, has_intercept, forms[k], w, state, images, orders, tol)
        steps, epochs, spent = steps + taken[k], epochs + swept, spent + (taken[k] + swept + 1.0) * w.size * eta.size
        if not is_near:
            return k, steps, epochs
        levels[k] = 0.0
        for i in range(eta.size):
            levels[k] += eta[U(i)] / eta.size
        for j in range(U(w.size)):
            points[k, U(j)] = w[j]
        if spent > _BUDGET:
            return k + 1, steps, epochs
    return len(points), steps, epochs
