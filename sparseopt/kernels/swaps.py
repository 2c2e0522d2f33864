"""Moves of a subset search: what every one of them is worth, exactly, and how to make one.

For a support S of a quadratic with Gram matrix G (ridge on its diagonal) and pull q let

    Q = G_SS^-1,   C = Q G_S.,   b = Q q_S,   c = q - G_.S b,   d_j = G_jj - G_jS Q G_Sj.

Then a feature j that enters lowers the minimum by c_j**2 / (2 d_j), one at place i of S that leaves
raises it by b_i**2 / (2 Q_ii), and where j takes the place of i the change is both at once, with

    c_j + (b_i / Q_ii) C_ij   and   d_j + C_ij**2 / Q_ii   in the places of c_j and d_j.

So all swaps cost one look at C. A feature whose d_j has fallen to `floor_j` is a combination of S, and
does not enter; the floor of those that may not enter is infinite.
"""

from sparseopt._jit import kernel

# Columns that are looked at, or changed, while they are near.
_BLOCK = 512


def count_better(row, c, d, floor, ratio, part, bar):
    """How many columns have num**2 > bar * den: no branch and no division, so that it runs as fast as memory."""
    hits = 0
    for j in range(row.size):
        v = row[j]
        num = c[j] + ratio * v
        den = d[j] + part * v * v
        hits += (num * num > bar * den) & (den > floor[j])
    return hits


def best_in_row(row, c, d, floor, ratio, part, bar):
    """The feature with the largest num**2 / den, and that number; -1 and `bar` where none exceeds `bar`."""
    found = -1
    for first in range(0, row.size, _BLOCK):
        last = min(first + _BLOCK, row.size)
        if count_better(row[first:last], c[first:last], d[first:last], floor[first:last], ratio, part, bar) == 0:
            continue
        for j in range(first, last):
            v = row[j]
            num = c[j] + ratio * v
            den = d[j] + part * v * v
            if num * num > bar * den and den > floor[j]:
                found, bar = j, num * num / den
    return found, bar


@kernel
def best_swap(C, c, d, floor, Q, b, stays, least, place):
    """Largest gain of all swaps above `least`, or `least`; place[0] leaves for place[1], -1 where there is none."""
    best = 2.0 * least
    place[0] = -1
    place[1] = -1
    for i in range(b.size):
        if stays[i]:
            continue
        part = 1.0 / Q[i, i]
        ratio = b[i] * part
        loss = b[i] * ratio
        found, gain = best_in_row(C[i], c, d, floor, ratio, part, best + loss)
        if found >= 0:
            best = gain - loss
            place[0] = i
            place[1] = found
    return 0.5 * best


@kernel
def best_entry(c, d, floor, least, place):
    """Largest gain of all features that may enter above `least`, or `least`; place[1] is the feature or -1."""
    found, gain = best_in_row(c, c, d, floor, 0.0, 0.0, 2.0 * least)
    place[0] = -1
    place[1] = found
    return 0.5 * gain


def add_multiple(out, factor, row):
    """out += factor * row, in place."""
    for t in range(row.size):
        out[t] += factor * row[t]


def shift_by(c, d, row, slope, bend):
    """c += slope * row and d += bend * row**2, in place."""
    for t in range(row.size):
        v = row[t]
        c[t] += slope * v
        d[t] += bend * v * v


@kernel
def leave(C, c, d, Q, b, i):
    """Take place i out of C, c, d, Q and b, in place; the last place moves there, and its old row is no more."""
    last = b.size - 1
    for start in range(0, c.size, _BLOCK):
        end = min(start + _BLOCK, c.size)
        row = C[i, start:end]
        shift_by(c[start:end], d[start:end], row, b[i] / Q[i, i], 1.0 / Q[i, i])
        for a in range(b.size):
            if a != i:
                add_multiple(C[a, start:end], -Q[a, i] / Q[i, i], row)
        for t in range(start, end):
            C[i, t] = C[last, t]
    for a in range(b.size):
        if a != i:
            share = Q[a, i] / Q[i, i]
            b[a] -= share * b[i]
            for e in range(b.size):
                if e != i:
                    Q[a, e] -= share * Q[i, e]
    b[i] = b[last]
    for a in range(last):
        Q[i, a] = Q[last, a]
    for a in range(last):
        Q[a, i] = Q[a, last]
    if i != last:
        Q[i, i] = Q[last, last]


@kernel
def enter(C, c, d, Q, b, row, links, shares, pivot, slope):
    """Take in a feature at the end of C, c, d, Q and b, in place.

    `row` is its row of G, `links` the entries of that at S, `shares` its column of C, `pivot` its d and `slope` its c.
    """
    size = links.size
    for start in range(0, c.size, _BLOCK):
        end = min(start + _BLOCK, c.size)
        new = C[size, start:end]
        for t in range(start, end):
            C[size, t] = row[t]
        for a in range(size):
            add_multiple(new, -links[a], C[a, start:end])
        shift_by(c[start:end], d[start:end], new, -slope / pivot, -1.0 / pivot)
        for t in range(new.size):
            new[t] /= pivot
        for a in range(size):
            add_multiple(C[a, start:end], -shares[a], new)
    for a in range(size):
        b[a] -= shares[a] * slope / pivot
        for e in range(size):
            Q[a, e] += shares[a] * shares[e] / pivot
        Q[a, size] = -shares[a] / pivot
        Q[size, a] = -shares[a] / pivot
    Q[size, size] = 1.0 / pivot
    b[size] = slope / pivot
