"""Descent and Newton steps on the Gram matrix of all features, to the end in one call.

The objective is w'Gw / 2 + linear.w + sum_j a_j |w_j| + b_j w_j**2 / 2 with each w_j between two bounds;
`slope` = Gw + linear is kept up to date.
"""

import math

from sparseopt._jit import kernel
from sparseopt.kernels.gram import U

# Curvature, relative to the largest, where the column is zero and the penalty alone decides.
_LITTLE = 1e-8
# Part of a diagonal entry that must be left of it: with less, a column is a combination of others.
_LEFT = 1e-12
# Slope along such a combination, relative to that of the penalty, that is rounding.
_LEVEL = 1e-9
# Epochs over all coordinates, and multiplications of one call: a hundredth of a second or two.
_EPOCHS, _BUDGET = 10, 2e7


def sweep_form(gram, a, b, lower, upper, w, slope, least, first, last):
    """Minimise in one coordinate after another of a range, in place; the changes of sign."""
    changes = 0
    for q in range(first, last):
        j = U(q)
        old, bend = w[j], gram[j, j] if gram[j, j] > 0.0 else least
        pull = bend * old - slope[j]
        rest = max(pull - a[j], 0.0) if pull > 0.0 else min(pull + a[j], 0.0)
        new = min(max(rest / (bend + b[j]), lower[j]), upper[j])
        step = new - old
        if step != 0.0:
            w[j] = new
            for i in range(w.size):
                slope[U(i)] += step * gram[j, U(i)]
            changes += int(old * new <= 0.0)
    return changes


def lift(factor, size, x):
    """The first entries of x times the inverse of the transposed factor, in place; its diagonal holds inverses."""
    for r in range(size):
        s = U(size - 1 - r)
        x[s] *= factor[s, s]
        for m in range(size - 1 - r):
            x[U(m)] -= factor[s, U(m)] * x[s]


def factorise(gram, b, free, factor):
    """Cholesky's factor of G + b on the free features, with the inverses of its diagonal, which are zero for a column that is a combination of those before."""
    for r in range(free.size):
        s, i = U(r), U(free[r])
        for q in range(r + 1):
            t = U(q)
            left = gram[i, U(free[q])] + (b[i] if q == r else 0.0)
            whole = left
            for m in range(q):
                left -= factor[s, U(m)] * factor[t, U(m)]
            if q < r:
                factor[s, t] = left * factor[t, t]
            else:
                factor[s, s] = 1.0 / math.sqrt(left) if left > _LEFT * whole else 0.0


def solve_free(gram, a, b, free, force, factor, direction):
    """Newton's direction on the free features; how many of them it moves, and whether it is flat.

    A feature whose column is a combination of those before it keeps still, unless the objective falls at a
    constant rate along that combination: then this is the direction, and it ends at a wall.
    """
    factorise(gram, b, free, factor)
    for r in range(free.size):
        total = -force[U(r)]
        for m in range(r):
            total -= factor[U(r), U(m)] * direction[U(m)]
        direction[U(r)] = total * factor[U(r), U(r)]
    for r in range(free.size + 1):
        is_last = r == free.size
        if not is_last and factor[U(r), U(r)] != 0.0:
            continue
        x = direction if is_last else factor[U(r)]
        lift(factor, r, x)
        if is_last:
            break
        slant, size = -force[U(r)], a[U(free[r])]
        for m in range(r):
            slant += force[U(m)] * x[U(m)]
            size += a[U(free[m])] * abs(x[U(m)])
        if abs(slant) > _LEVEL * size:
            x[U(r)] = -1.0
            for m in range(r + 1):
                direction[U(m)] = -x[U(m)] if slant > 0.0 else x[U(m)]
            return r + 1, True
    return free.size, False


def room(w, lower, upper, ahead):
    """How far a coordinate may go one way: to zero, where that lies ahead, or to its bound."""
    wall = upper if ahead > 0.0 else lower
    if w * ahead < 0.0:
        wall = min(wall, 0.0) if ahead > 0.0 else max(wall, 0.0)
    return wall - w


def first_wall(lower, upper, w, free, direction):
    """How many times the direction may be gone until a coordinate meets its wall."""
    first = math.inf
    for r in range(free.size):
        j, ahead = U(free[r]), direction[U(r)]
        if ahead != 0.0:
            first = min(first, room(w[j], lower[j], upper[j], ahead) / ahead)
    return first


def walk(gram, b, lower, upper, w, slope, free, force, direction, part, moves, image):
    """Go so many times a direction, each coordinate no further than to its wall, in place, if the objective falls; whether it did."""
    change = 0.0
    for i in range(w.size):
        image[U(i)] = 0.0
    for r in range(free.size):
        s, j = U(r), U(free[r])
        move, most = part * direction[s], room(w[j], lower[j], upper[j], direction[s])
        if abs(move) * (1.0 + 1e-12) >= abs(most):
            move = most
        moves[s] = move
        change += move * (force[s] + 0.5 * b[j] * move)
        for i in range(w.size):
            image[U(i)] += move * gram[j, U(i)]
    for r in range(free.size):
        change += 0.5 * moves[U(r)] * image[U(free[r])]
    if not change < 0.0:
        return False
    for r in range(free.size):
        w[U(free[r])] += moves[U(r)]
    for i in range(w.size):
        slope[U(i)] += image[U(i)]
    return True


def newton_step(gram, a, b, lower, upper, w, slope, free, work):
    """Newton's step on the free nonzero coordinates, in place; whether it met a wall, and their number."""
    count, p = 0, w.size
    force, direction = work[p], work[p + 1]
    for q in range(p):
        j = U(q)
        if w[j] != 0.0 and lower[j] < w[j] < upper[j]:
            free[U(count)] = q
            force[U(count)] = slope[j] + b[j] * w[j] + (a[j] if w[j] > 0.0 else -a[j])
            count += 1
    moved, is_flat = solve_free(gram, a, b, free[:count], force, work, direction)
    some = free[:moved]
    first = first_wall(lower, upper, w, some, direction)
    part = first if is_flat else 1.0
    while part < math.inf:
        if walk(gram, b, lower, upper, w, slope, some, force, direction, part, work[p + 2], work[p + 3]):
            return first <= part, count
        if first >= part:
            break
        # on the way to the first wall it falls for certain
        part = first
    return False, count


def farthest(a, b, lower, upper, w, slope):
    """The coordinate farthest from stationarity, and how far: of minus the slope to the subdifferential."""
    place, most = 0, 0.0
    for q in range(w.size):
        j = U(q)
        x, push = w[j], -slope[j] - b[j] * w[j]
        rest = push - min(max(push, -a[j]), a[j]) if x == 0.0 else push - (a[j] if x > 0.0 else -a[j])
        if (x >= upper[j] and rest > 0.0) or (x <= lower[j] and rest < 0.0):
            continue
        if abs(rest) > most:
            place, most = q, abs(rest)
    return place, most


@kernel
def minimise_on_gram(gram, a, b, lower, upper, w, slope, work, free, epochs, tol):
    """Epochs and Newton steps from w, in place, until no slope is off by more than `tol`; by how much, epochs, Newton steps.

    Newton steps are due when no sign has changed, or when descent has cost as much as one. Where some epochs
    have not found the signs, coordinates enter one at a time: the number of Newton steps is then finite.
    `work` has four rows more than G and `free` is as long as w; what is in them does not matter.
    """
    p, largest, spent, cost, total, steps = w.size, 0.0, 0.0, 0.0, 0.0, 0
    for j in range(p):
        largest = max(largest, gram[U(j), U(j)])
    least = _LITTLE * largest if largest > 0.0 else 1.0
    k = 0
    while True:
        place, largest = farthest(a, b, lower, upper, w, slope)
        if largest <= tol or k == epochs or total > _BUDGET:
            return largest, k, steps
        k += 1
        first, last = (0, p) if k <= _EPOCHS else (place, place + 1)
        changes = sweep_form(gram, a, b, lower, upper, w, slope, least, first, last)
        spent += p * (last - first)
        if k <= _EPOCHS and changes > 0 and spent < cost:
            continue
        spent = 0.0
        for _ in range(p):
            hit, count = newton_step(gram, a, b, lower, upper, w, slope, free, work)
            cost = count * count * (count / 6.0 + p)
            total += cost
            steps += 1
            if not hit:
                break
