"""Descent and Newton steps on the Gram matrix of all features, to the end in one call.

The objective is w'Gw / 2 + linear.w + sum_j a_j |w_j| + b_j w_j**2 / 2 with each w_j between two bounds;
`slope` = Gw + linear is kept up to date.
"""

import math

from sparseopt._jit import kernel
from sparseopt.kernels.gram import U

# The least curvature of a centred column, relative to the square of its mean: a hundred times the rounding of float64.
_HELD = 2.220446049250313e-14
# Curvature, relative to the largest, where the column is zero and the penalty alone decides.
_LITTLE = 1e-8
# Part of a diagonal entry that must be left of it: with less, a column is a combination of others.
_LEFT = 1e-12
# Slope along such a combination, relative to that of the penalty, that is rounding.
_LEVEL = 1e-9
# Epochs over all coordinates, and multiplications of one call: a hundredth of a second or two.
_EPOCHS, _BUDGET = 40, 2e8


def multiply_columns(values, means, share, gram):
    """Products of the columns x_j - mean_j with one another, times a share, into `gram`."""
    n = U(values.shape[0])
    for j in range(U(values.shape[1])):
        for k in range(j + U(1)):
            total = 0.0
            for i in range(n):
                total += (values[i, j] - means[j]) * (values[i, k] - means[k])
            gram[j, k] = total * share
            gram[k, j] = total * share
        # of a column that is constant, centring leaves rounding, as `held_curvature` says
        held = _HELD * means[j] * means[j]
        gram[j, j] = held if gram[j, j] < held else gram[j, j]


def sweep_form(gram, a, b, lower, upper, w, slope, least, begin, end):
    """Minimise in one coordinate after another of a range, in place; the changes of sign."""
    changes = 0
    for j in range(begin, end):
        old, bend = w[j], gram[j, j] if gram[j, j] > 0.0 else least
        pull = bend * old - slope[j]
        rest = pull - a[j] if pull > 0.0 else pull + a[j]
        new = rest / (bend + b[j]) if abs(pull) > a[j] else 0.0
        new = lower[j] if new < lower[j] else new
        new = upper[j] if new > upper[j] else new
        step = new - old
        if step != 0.0:
            w[j] = new
            for i in range(U(w.size)):
                slope[i] += step * gram[j, i]
            changes += 1 if old * new <= 0.0 else 0
    return changes


def lift(factor, size, x):
    """The first entries of x times the inverse of the transposed factor, in place; its diagonal holds inverses."""
    for r in range(size):
        s = U(size - 1 - r)
        x[s] *= factor[s, s]
        for m in range(s):
            x[m] -= factor[s, m] * x[s]


def factorise(gram, b, free, factor):
    """Cholesky's factor of G + b on the free features, with the inverses of its diagonal.

    Zero stands for the inverse of a pivot that is rounding: the column is a combination of those before.
    """
    for r in range(U(free.size)):
        i = free[r]
        for q in range(r):
            left = gram[i, free[q]]
            for m in range(q):
                left -= factor[r, m] * factor[q, m]
            factor[r, q] = left * factor[q, q]
        whole = gram[i, i] + b[i]
        left = whole
        for m in range(r):
            left -= factor[r, m] * factor[r, m]
        factor[r, r] = 1.0 / math.sqrt(left) if left > _LEFT * whole else 0.0


def solve_free(a, free, force, factor, direction):
    """Newton's direction on the free features; how many of them it moves, and whether it is flat.

    A feature whose column is a combination of those before it keeps still, unless the objective falls at a
    constant rate along that combination: then this is the direction, and it ends at a wall.
    """
    size = U(free.size)
    for r in range(size):
        total = -force[r]
        for m in range(r):
            total -= factor[r, m] * direction[m]
        direction[r] = total * factor[r, r]
    for r in range(size + U(1)):
        if r < size and factor[r, r] != 0.0:
            continue
        x = factor[r] if r < size else direction
        lift(factor, r, x)
        if r == size:
            break
        slant, scale = -force[r], a[free[r]]
        for m in range(r):
            slant += force[m] * x[m]
            scale += a[free[m]] * abs(x[m])
        if abs(slant) > _LEVEL * scale:
            x[r] = -1.0
            for m in range(r + U(1)):
                direction[m] = -x[m] if slant > 0.0 else x[m]
            return r + U(1), True
    return size, False


def room(w, lower, upper, ahead):
    """How far a coordinate may go one way: to zero, where that lies ahead, or to its bound."""
    wall = upper if ahead > 0.0 else lower
    if w * ahead < 0.0 and wall * ahead > 0.0:
        wall = 0.0
    return wall - w


def first_wall(lower, upper, w, free, direction):
    """How many times the direction may be gone until a coordinate meets its wall."""
    first = math.inf
    for r in range(U(free.size)):
        j, ahead = free[r], direction[r]
        if ahead != 0.0:
            reach = room(w[j], lower[j], upper[j], ahead) / ahead
            first = reach if reach < first else first
    return first


def walk(gram, b, lower, upper, w, slope, free, force, direction, part, moves, image):
    """Go so many times a direction, each coordinate no further than to its wall, in place, if the objective falls; whether it did."""
    change, p, size = 0.0, U(w.size), U(free.size)
    for i in range(p):
        image[i] = 0.0
    for r in range(size):
        j = free[r]
        move, most = part * direction[r], room(w[j], lower[j], upper[j], direction[r])
        if abs(move) * (1.0 + 1e-12) >= abs(most):
            move = most
        moves[r] = move
        change += move * (force[r] + 0.5 * b[j] * move)
        for i in range(p):
            image[i] += move * gram[j, i]
    for r in range(size):
        change += 0.5 * moves[r] * image[free[r]]
    if not change < 0.0:
        return False
    for r in range(size):
        w[free[r]] += moves[r]
    for i in range(p):
        slope[i] += image[i]
    return True


def gather_free(a, b, lower, upper, w, slope, free, force):
    """The nonzero coordinates between their bounds, and the slope of the objective in each; their number."""
    count = U(0)
    for j in range(U(w.size)):
        if w[j] != 0.0 and lower[j] < w[j] < upper[j]:
            free[count] = j
            force[count] = slope[j] + b[j] * w[j] + (a[j] if w[j] > 0.0 else -a[j])
            count += U(1)
    return count


def farthest(a, b, lower, upper, w, slope):
    """The coordinate farthest from stationarity, and how far: of minus the slope to the subdifferential."""
    place, most = U(0), 0.0
    for j in range(U(w.size)):
        x, push = w[j], -slope[j] - b[j] * w[j]
        rest = push - a[j] if x > 0.0 or (x == 0.0 and push > 0.0) else push + a[j]
        if x == 0.0 and abs(push) <= a[j]:
            continue
        if (x >= upper[j] and rest > 0.0) or (x <= lower[j] and rest < 0.0):
            continue
        if abs(rest) > most:
            place, most = j, abs(rest)
    return place, most


@kernel
def minimise_on_gram(values, means, share, gram, a, b, lower, upper, w, slope, work, free, epochs, tol, part):
    """Epochs and Newton steps from w, in place, until no slope is off by more than `tol`, or than a part of the largest at w.

    Returns by how much one is off, epochs, and Newton steps.

    Newton steps are due when no sign has changed, or when descent has cost as much as one. Where some epochs
    have not found the signs, coordinates enter one at a time: the number of Newton steps is then finite.
    With a `share` above zero G is made first, in `gram`: that times the products of the columns of `values` less their
    `means`. `work` has four rows more than G and `free` is as long as w; what is in them does not matter.
    """
    p, largest, spent, cost, total, steps, k = w.size, 0.0, 0.0, 0.0, 0.0, 0, 0
    force, direction, moves, image = work[p], work[p + 1], work[p + 2], work[p + 3]
    if share > 0.0:
        multiply_columns(values, means, share, gram)
    for j in range(U(p)):
        largest = gram[j, j] if gram[j, j] > largest else largest
        tol = part * abs(slope[j]) if part * abs(slope[j]) > tol else tol
    least = _LITTLE * largest if largest > 0.0 else 1.0
    while True:
        place, largest = farthest(a, b, lower, upper, w, slope)
        if largest <= tol or k == epochs or total > _BUDGET:
            return largest, k, steps
        k += 1
        begin, end = (U(0), U(p)) if k <= _EPOCHS else (place, place + U(1))
        changes = sweep_form(gram, a, b, lower, upper, w, slope, least, begin, end)
        spent += p * p
        if k <= _EPOCHS and changes > 0 and spent < cost:
            continue
        spent, is_blocked = 0.0, True
        while is_blocked:
            count = gather_free(a, b, lower, upper, w, slope, free, force)
            factorise(gram, b, free[:count], work)
            moved, is_flat = solve_free(a, free[:count], force, work, direction)
            first = first_wall(lower, upper, w, free[:moved], direction)
            part, fell = first if is_flat else 1.0, False
            while part < math.inf and not fell:
                fell = walk(gram, b, lower, upper, w, slope, free[:moved], force, direction, part, moves, image)
                if fell or first >= part:
                    break
                # on the way to the first wall it falls for certain
                part = first
            # after the epochs, to the minimum of the signs: a coordinate at its wall is free no more, so that this ends
            is_blocked = fell and first <= part and k > _EPOCHS
            cost = count * (p + count / 6.0) * count
            total += cost
            steps += 1
