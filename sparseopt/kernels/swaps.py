"""Moves of a subset search: what every one of them is worth, exactly, and how to make one.

For a support S of a quadratic with Gram matrix G (ridge on its diagonal) and pull q let

    Q = G_SS^-1,   C = Q G_S.,   b = Q q_S,   c = q - G_.S b,   d_j = G_jj - G_jS Q G_Sj.

Then a feature j that enters lowers the minimum by c_j**2 / (2 d_j), one at place i of S that leaves
raises it by b_i**2 / (2 Q_ii), and where j takes the place of i the change is both at once, with

    c_j + (b_i / Q_ii) C_ij   and   d_j + C_ij**2 / Q_ii   in the places of c_j and d_j.

So all swaps cost one look at C. A feature whose d_j has fallen to `floor_j` is a combination of S, and
does not enter; the floor of those that may not enter is infinite.
"""

import numpy as np

from sparseopt._jit import kernel

# Columns that are looked at, or changed, while they are near.
_BLOCK = 512
# Unsigned indices spare numba the test for negative ones, and let loops over a part of an array be vectors.
U = np.uint64


def count_better(row, c, d, floor, ratio, part, bar, first, last):
    """How many columns of a block have num**2 > bar * den: no branch and no division, so that it runs as fast as memory."""
    hits = 0
    for j in range(U(first), U(last)):
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
        if count_better(row, c, d, floor, ratio, part, bar, first, last) == 0:
            continue
        for j in range(first, last):
            v = row[j]
            num = c[j] + ratio * v
            den = d[j] + part * v * v
            if num * num > bar * den and den > floor[j]:
                found, bar = j, num * num / den
    return found, bar


def find_swap(C, c, d, floor, Q, b, stays, least, place):
    """Largest gain of all swaps above `least`, or `least`; place[0] leaves for place[1], -1 where there is none."""
    best = 2.0 * least
    place[0] = -1
    place[1] = -1
    for i in range(b.size):
        if stays[i] != 0:
            continue
        part = 1.0 / Q[i, i]
        ratio = b[i] * part
        loss = b[i] * ratio
        found, gain = best_in_row(C[i], c, d, floor, ratio, part, max(best + loss, 0.0))
        if found >= 0:
            best = gain - loss
            place[0] = i
            place[1] = found
    return 0.5 * best


@kernel
def best_swap(C, c, d, floor, Q, b, stays, least, place):
    """The same, for Python."""
    return find_swap(C, c, d, floor, Q, b, stays, least, place)


def take_out(C, c, d, Q, b, i):
    """Take place i out of C, c, d, Q and b, in place; the last place moves there, and its old row is no more."""
    last, inverse = b.size - 1, 1.0 / Q[i, i]
    slope = b[i] * inverse
    for start in range(0, c.size, _BLOCK):
        first, end = U(start), U(min(start + _BLOCK, c.size))
        for t in range(first, end):
            c[t] += slope * C[i, t]
            d[t] += inverse * C[i, t] * C[i, t]
        for a in range(b.size):
            if a != i:
                share = Q[a, i] * inverse
                for t in range(first, end):
                    C[a, t] -= share * C[i, t]
        for t in range(first, end):
            C[i, t] = C[last, t]
    for a in range(b.size):
        if a != i:
            share = Q[a, i] * inverse
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


def take_in(C, c, d, Q, b, row, links, shares, pivot, slope):
    """Take in a feature at the end of C, c, d, Q and b, in place.

    `row` is its row of G, `links` the entries of that at S, `shares` its column of C, `pivot` its d and `slope` its c.
    """
    size, inverse = links.size, 1.0 / pivot
    for start in range(0, c.size, _BLOCK):
        first, end = U(start), U(min(start + _BLOCK, c.size))
        for t in range(first, end):
            C[size, t] = row[t]
        for a in range(size):
            for t in range(first, end):
                C[size, t] -= links[a] * C[a, t]
        for t in range(first, end):
            v = C[size, t] * inverse
            c[t] -= slope * v
            d[t] -= pivot * v * v
            C[size, t] = v
        for a in range(size):
            for t in range(first, end):
                C[a, t] -= shares[a] * C[size, t]
    for a in range(size):
        b[a] -= shares[a] * slope * inverse
        for e in range(size):
            Q[a, e] += shares[a] * shares[e] * inverse
        Q[a, size] = -shares[a] * inverse
        Q[size, a] = -shares[a] * inverse
    Q[size, size] = inverse
    b[size] = slope * inverse


@kernel
def leave(C, c, d, Q, b, i):
    """`take_out` for Python, in place."""
    take_out(C, c, d, Q, b, i)


@kernel
def enter(C, c, d, Q, b, row, links, shares, pivot, slope):
    """`take_in` for Python, in place."""
    take_in(C, c, d, Q, b, row, links, shares, pivot, slope)


def drawn(noise):
    """A number from 0 to 2**31 - 1, and the next state of a generator (MMIX: Knuth, 1997), in place."""
    noise[0] = noise[0] * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return np.int64(noise[0] >> np.uint64(33))


def send_out(C, c, d, floor, Q, b, open_floor, support, shares, i):
    """`take_out` with what belongs to the feature that goes: it may come back. In place."""
    last, gone = b.size - 1, support[i]
    inverse, coefficient = Q[i, i], b[i]
    for a in range(b.size):
        shares[a] = -Q[a, i] / inverse
    take_out(C, c, d, Q, b, i)
    support[i] = support[last]
    shares[i] = shares[last]
    for a in range(last):
        C[a, gone] = shares[a]
    c[gone] = coefficient / inverse
    d[gone] = 1.0 / inverse
    floor[gone] = open_floor[gone]


def bring_in(row, diagonal, C, c, d, floor, Q, b, open_floor, support, links, shares, j):
    """`take_in` of feature j, in place; False, and it is closed, where it is a combination of the support.

    b and support have room for one feature more than links and shares.
    """
    pivot = diagonal[j]
    for a in range(links.size):
        links[a] = row[support[a]]
        shares[a] = C[a, j]
        pivot -= links[a] * shares[a]
    floor[j] = np.inf
    if not pivot > open_floor[j]:
        return False
    take_in(C, c, d, Q, b, row, links, shares, pivot, c[j])
    support[links.size] = j
    return True


def noisy_best(c, d, floor, noise):
    """A feature that would gain nearly most: each gain is shaken at random."""
    found, best = -1, 0.0
    for j in range(c.size):
        if d[j] > floor[j]:
            gain = c[j] * c[j] / d[j]
            if gain > best:
                gain *= drawn(noise) / 2.0**31
                if gain > best:
                    found, best = j, gain
    return found


@kernel
def kick(
    rows, slots, diagonal, C, c, d, floor, Q, b, open_floor, support, stays, links, shares, noise, size, count, place
):
    """Exchange `count` features at random for others of the best, in place; returns the size after it.

    `rows[slots[j]]` is the row of feature j of the Gram matrix. Where one is not there, place[1] is its feature and the
    support is not yet full; a call with a `count` of 0 goes on. Else place[1] is -1.
    """
    least = max(size - count, 0)
    place[1] = -1
    for _ in range(4 * count):
        if size == least:
            break
        i = drawn(noise) % size
        if not stays[support[i]]:
            send_out(C, c, d, floor, Q, b[:size], open_floor, support, shares, i)
            size -= 1
    while size < b.size:
        j = noisy_best(c, d, floor, noise)
        if j < 0:
            break
        if slots[j] < 0:
            place[1] = j
            break
        row = rows[slots[j]]
        if bring_in(row, diagonal, C, c, d, floor, Q, b, open_floor, support, links[:size], shares[:size], j):
            size += 1
    return size


@kernel
def swap_down(
    rows, slots, diagonal, C, c, d, floor, Q, b, open_floor, support, stays, links, shares, least, most, place
):
    """Make the best swap as long as it gains more than `least`, at most `most` times, in place; returns the total gain.

    place[2] is the number of swaps; place[1] is -1 where none gains, and else the feature whose row is not there.
    """
    total, last = 0.0, b.size - 1
    place[2] = 0
    for _ in range(most):
        for i in range(b.size):
            shares[i] = stays[support[i]]
        gain = find_swap(C, c, d, floor, Q, b, shares, least, place)
        i, j = place[0], place[1]
        if j < 0 or slots[j] < 0:
            break
        loss = b[i] * b[i] / Q[i, i]
        send_out(C, c, d, floor, Q, b, open_floor, support, shares, i)
        row = rows[slots[j]]
        if not bring_in(row, diagonal, C, c, d, floor, Q, b, open_floor, support, links[:last], shares[:last], j):
            place[1] = -2
            total -= 0.5 * loss
            break
        total += gain
        place[2] += 1
    return total
