"""Subset selection on a Gram matrix: eliminate weights one by one, exchange them, see what it costs.

For one output neuron with inputs' Gram H and cross products b, the best weights on a support S are
w_S = C b_S with C = inverse(H_SS), and then, exactly,

    removing i from S costs              w_i^2 / C_ii / 2
    adding j to S gains                  g_j^2 / d_j / 2          g = b - H w,  d_j = H_jj - H_jS C H_Sj

so greedy elimination and the best of all exchanges need no least squares of their own.
"""

import math

from sparseopt._jit import kernel


@kernel
def eliminate(inverse, w, diagonal, pending, order, losses):
    """Remove order.size weights, each time the cheapest; all but `inverse` change in place.

    The inverse of the remaining Gram is `inverse`, of which the upper triangle is read, less the outer
    products of the rows of `pending`: the caller subtracts them, all at once. A removed weight is infinite.
    """
    for t in range(order.size):
        q, cheapest = 0, math.inf
        for i in range(w.size):
            loss = w[i] * w[i] / diagonal[i]
            if loss < cheapest:
                q, cheapest = i, loss
        column = pending[t]
        for i in range(q):
            column[i] = inverse[i, q]
        for i in range(q, w.size):
            column[i] = inverse[q, i]
        for s in range(t):
            factor = pending[s, q]
            for i in range(w.size):
                column[i] -= factor * pending[s, i]
        root = math.sqrt(column[q])
        step = w[q] / root
        for i in range(w.size):
            column[i] /= root
            w[i] -= step * column[i]
            diagonal[i] -= column[i] * column[i]
        w[q], diagonal[q] = math.inf, 1.0
        order[t], losses[t] = q, cheapest


@kernel
def gather(square, positions, into):
    """Copy the upper triangle of a matrix at these rows and columns, in place of that of `into`."""
    for i in range(positions.size):
        for j in range(i, positions.size):
            into[i, j] = square[positions[i], positions[j]]


def best_exchange(C, R, w, g, d, promising, least):
    """Slot to empty, feature to put in and twice the gain, over all exchanges that gain more than `least`.

    By Cauchy and Schwarz no exchange gains more than its feature would as one more, g_j^2 / d_j: features that promise
    less than the best exchange for the most promising one are passed over. `promising` is a place for the others.
    """
    slot, feature, best = 0, 0, least
    most, highest = 0, 0.0
    for j in range(g.size):
        if g[j] * g[j] > highest * d[j]:
            most, highest = j, g[j] * g[j] / d[j]
    for a in range(w.size):
        gain = exchange_gain(w[a] / C[a, a], 1.0 / C[a, a], w[a], R[a, most], g[most], d[most])
        if gain > best:
            slot, feature, best = a, most, gain
    count = 0
    for j in range(g.size):
        if g[j] * g[j] > best * d[j]:
            promising[count] = j
            count += 1
    for a in range(w.size):
        ratio = 1.0 / C[a, a]
        step = w[a] * ratio
        row = R[a]
        for i in range(count):
            j = promising[i]
            gain = exchange_gain(step, ratio, w[a], row[j], g[j], d[j])
            if gain > best:
                slot, feature, best = a, j, gain
    return slot, feature, best


def exchange_gain(step, ratio, w, row, g, d):
    """Twice what one feature gains in place of another, which has left its weight w = step / ratio."""
    slope = g + step * row
    return slope * slope / (d + ratio * row * row) - w * step


def take_out(a, C, R, w, g, d, support):
    """Remove the weight in slot a, which is then void: its row and column of C, its row of R, its w."""
    scale = 1.0 / C[a, a]
    step = w[a] * scale
    for j in range(g.size):
        g[j] += step * R[a, j]
        d[j] += scale * R[a, j] * R[a, j]
    d[support[a]] = scale
    C[a, a] = 0.0  # which leaves row a as it is below
    for x in range(w.size):
        factor = C[x, a] * scale
        w[x] -= step * C[x, a]
        for j in range(g.size):
            R[x, j] -= factor * R[a, j]
        for y in range(w.size):
            C[x, y] -= factor * C[a, y]


def put_in(a, feature, H, C, R, w, g, d, support):
    """Give the void slot a to a feature; column a of C holds its products with the others meanwhile."""
    scale = 1.0 / d[feature]
    for x in range(w.size):
        C[x, a] = R[x, feature]
    C[a, a] = 0.0
    w[a] = g[feature] * scale
    for j in range(g.size):
        R[a, j] = H[feature, j]
    for x in range(w.size):
        for j in range(g.size):
            R[a, j] -= C[x, a] * H[support[x], j]
    for j in range(g.size):
        g[j] -= w[a] * R[a, j]
        d[j] -= scale * R[a, j] * R[a, j]
        R[a, j] *= scale
    d[feature], support[a] = math.inf, feature
    for x in range(w.size):
        factor = C[x, a]
        w[x] -= factor * w[a]
        for j in range(g.size):
            R[x, j] -= factor * R[a, j]
        for y in range(w.size):
            C[x, y] += factor * scale * C[y, a]
    for x in range(w.size):
        C[x, a] *= -scale
        C[a, x] = C[x, a]
    C[a, a] = scale


@kernel
def exchange(H, C, R, w, g, d, support, promising, tolerance, limit):
    """Make the best exchange of one weight, up to `limit` times; all but H change in place; returns how many.

    `w` and `support` have one entry per slot, R = C H_S: one row per slot; d is infinite on the support,
    which is how its features are told from the others; `promising` is room for as many places.
    """
    for done in range(limit):
        slot, feature, gain = best_exchange(C, R, w, g, d, promising, tolerance)
        if gain <= tolerance:
            return done
        take_out(slot, C, R, w, g, d, support)
        put_in(slot, feature, H, C, R, w, g, d, support)
    return limit
