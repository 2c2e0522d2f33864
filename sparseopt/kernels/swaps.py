"""Moves of a subset search: what every one of them is worth, exactly, and how to make one.

For a support S of a quadratic with Gram matrix G (ridge on its diagonal) and pull q let

    Q = G_SS^-1,   C = Q G_S.,   b = Q q_S,   c = q - G_.S b,   d_j = G_jj - G_jS Q G_Sj.

Then a feature j that enters lowers the minimum by c_j**2 / (2 d_j), one at place i of S that leaves
raises it by b_i**2 / (2 Q_ii), and where j takes the place of i the change is both at once, with

    c_j + (b_i / Q_ii) C_ij   and   d_j + C_ij**2 / Q_ii   in the places of c_j and d_j.

So all swaps cost one look at C. A feature whose d_j has fallen to `floor_j` is a combination of S, and
does not enter; the floor of those that may not enter is infinite.

One kernel makes all moves, because the code of a move takes a second to compile.
"""

import numpy as np

from sparseopt._jit import kernel

# Columns that are looked at, or changed, while they are near.
_BLOCK = 512
# What `make_moves` is to do: a given move; swaps as long as they gain; the same at each size on the way to a size; to leave
# at random until a size is reached; to take in again what is nearly best.
GIVEN, SWAPS, SIZES, OUT, IN = range(5)
# Places in its vector of whole numbers: size of the support, size to reach, moves at most, those made, place that leaves and
# feature that enters, of which the last is the one whose row is missing where the last number of all is one; else
# that is zero where there is more to do, and two where all is done.
SIZE, AIM, LIMIT, MADE, LEAVES, ENTERS, STATUS = range(7)
GOING, MISSING, DONE = range(3)
# Places in its vector of numbers: the minimum, part of it that a swap must gain, what it must gain in any case, and an entry;
# the least part of a feature's square that was outside of the span of the others when it came or went; and what no
# minimum is below.
HEIGHT, PART, LEAST, ENTRY, PIVOT, BOTTOM = range(6)
# A part so small multiplies the errors of all numbers by its inverse: they are made anew before the next move.
THIN = 1e-7
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


def best_in_block(row, c, d, floor, ratio, part, bar, first, last):
    """The feature of a block with the largest num**2 / den, and that number; -1 and `bar` where none exceeds `bar`."""
    found = -1
    if count_better(row, c, d, floor, ratio, part, bar, first, last) > 0:
        for j in range(first, last):
            v = row[j]
            num = c[j] + ratio * v
            den = d[j] + part * v * v
            if num * num > bar * den and den > floor[j]:
                found, bar = j, num * num / den
    return found, bar


def find_swap(C, c, d, floor, Q, b, support, stays, size, least, counts):
    """Put the swap that gains most, and more than `least`, into its places of `counts`, if there is one."""
    best = 2.0 * least
    # c, d and floor stay near while all rows of a block are looked at
    for first in range(0, c.size, _BLOCK):
        last = min(first + _BLOCK, c.size)
        for i in range(size):
            if stays[support[i]]:
                continue
            part = 1.0 / Q[i, i]
            ratio = b[i] * part
            loss = b[i] * ratio
            found, gain = best_in_block(C[i], c, d, floor, ratio, part, best + loss, first, last)
            if found >= 0:
                best = gain - loss
                counts[LEAVES] = i
                counts[ENTERS] = found


def find_entry(c, d, floor, least):
    """The feature that gains most, and more than `least`; -1 where there is none."""
    found, bar = -1, 2.0 * least
    for j in range(c.size):
        if d[j] > floor[j] and c[j] * c[j] > bar * d[j]:
            found, bar = j, c[j] * c[j] / d[j]
    return found


def find_exit(Q, b, support, stays, size):
    """The place of the feature that costs least when it leaves; -1 where all stay."""
    found, least = -1, np.inf
    for i in range(size):
        loss = b[i] * b[i] / Q[i, i]
        if loss < least and not stays[support[i]]:
            found, least = i, loss
    return found


def drawn(noise):
    """A number from 0 to 2**31 - 1, and the next state of a generator (MMIX: Knuth, 1997), in place."""
    noise[0] = noise[0] * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return np.int64(noise[0] >> np.uint64(33))


def any_exit(support, stays, size, noise):
    """A place at random of those that may leave; -1 where none is found."""
    for _ in range(4 * size):
        i = drawn(noise) % size
        if not stays[support[i]]:
            return i
    return -1


def noisy_entry(c, d, floor, noise):
    """A feature that would gain nearly most: each gain is taken times a random number from 0 to 1."""
    found, best = -1, 0.0
    for j in range(c.size):
        if d[j] > floor[j]:
            gain = c[j] * c[j] / d[j]
            if gain > best:
                gain *= drawn(noise) / 2.0**31
                if gain > best:
                    found, best = j, gain
    return found


def take_out(C, c, d, floor, Q, b, open_floor, support, shares, size, i):  # noqa: PLR0912 (loops)
    """Take place i out, in place, and return by how much the minimum rises; the last place moves there."""
    last, inverse, gone = size - 1, 1.0 / Q[i, i], support[i]
    slope = b[i] * inverse
    loss = 0.5 * b[i] * slope
    for a in range(size):
        shares[a] = Q[a, i] * inverse
    for start in range(0, c.size, _BLOCK):
        first, end = U(start), U(min(start + _BLOCK, c.size))
        for t in range(first, end):
            c[t] += slope * C[i, t]
            d[t] += inverse * C[i, t] * C[i, t]
        for a in range(size):
            if a != i:
                for t in range(first, end):
                    C[a, t] -= shares[a] * C[i, t]
        for t in range(first, end):
            C[i, t] = C[last, t]
    for a in range(size):
        if a != i:
            b[a] -= shares[a] * b[i]
            for e in range(size):
                if e != i:
                    Q[a, e] -= shares[a] * Q[i, e]
    b[i] = b[last]
    support[i] = support[last]
    shares[i] = shares[last]
    for a in range(last):
        Q[i, a] = Q[last, a]
    for a in range(last):
        Q[a, i] = Q[a, last]
    if i != last:
        Q[i, i] = Q[last, last]
    # the feature that has gone may come back
    for a in range(last):
        C[a, gone] = -shares[a]
    c[gone] = slope
    d[gone] = inverse
    floor[gone] = open_floor[gone]
    return loss


def take_in(row, diagonal, C, c, d, floor, Q, b, open_floor, support, links, shares, size, j):
    """Take in feature j, in place, and return by how much the minimum falls; -1.0, and it is closed, if it is a combination.

    `row` is its row of the Gram matrix.
    """
    pivot, slope = diagonal[j], c[j]
    for a in range(size):
        links[a] = row[support[a]]
        shares[a] = C[a, j]
        pivot -= links[a] * shares[a]
    floor[j] = np.inf
    if not pivot > open_floor[j]:
        return -1.0
    inverse = 1.0 / pivot
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
    support[size] = j
    return 0.5 * slope * slope * inverse


def choose(C, c, d, floor, Q, b, support, stays, noise, kind, numbers, counts):
    """Put the next move into its places of `counts`; two times -1 where there is none. Whether no swap gains any more."""
    size, aim = counts[SIZE], counts[AIM]
    if kind in (SWAPS, SIZES):
        least = max(numbers[PART] * abs(numbers[HEIGHT]), numbers[LEAST])
        counts[LEAVES] = counts[ENTERS] = -1
        # a swap that would gain more than there is to gain is an error of rounding
        if numbers[HEIGHT] - numbers[BOTTOM] > least:
            find_swap(C, c, d, floor, Q, b, support, stays, size, least, counts)
        if counts[ENTERS] >= 0:
            return False
        if kind == SIZES and size < aim:
            counts[ENTERS] = find_entry(c, d, floor, numbers[ENTRY])
        elif kind == SIZES and size > aim:
            counts[LEAVES] = find_exit(Q, b, support, stays, size)
        return True
    counts[LEAVES] = any_exit(support, stays, size, noise) if kind == OUT and size > aim else -1
    counts[ENTERS] = noisy_entry(c, d, floor, noise) if kind == IN and size < aim else -1
    return False


@kernel
def make_moves(
    rows, slots, diagonal, C, c, d, floor, Q, b, open_floor, support, stays, links, shares, noise, heights, best,
    kind, numbers, counts,
):  # fmt: skip
    """Make moves of some kind until all is done, a row is missing, or there were enough; in place.

    `rows[slots[j]]` is the row of feature j of the Gram matrix. Where no swap gains, the minimum and the support are
    noted in the rows of `heights` and `best` of its size, if they are the best so far.
    """
    counts[MADE] = 0
    counts[STATUS] = GOING
    while counts[MADE] < counts[LIMIT]:
        is_low = kind != GIVEN and choose(C, c, d, floor, Q, b, support, stays, noise, kind, numbers, counts)
        if is_low and numbers[HEIGHT] < heights[counts[SIZE]]:
            heights[counts[SIZE]] = numbers[HEIGHT]
            for a in range(counts[SIZE]):
                best[counts[SIZE], a] = support[a]
        i, j = counts[LEAVES], counts[ENTERS]
        if i < 0 and j < 0:
            counts[STATUS] = DONE
            break
        if j >= 0 and slots[j] < 0:
            counts[STATUS] = MISSING
            break
        if i >= 0:
            numbers[PIVOT] = min(numbers[PIVOT], 1.0 / (Q[i, i] * diagonal[support[i]]))
            numbers[HEIGHT] += take_out(C, c, d, floor, Q, b, open_floor, support, shares, counts[SIZE], i)
            counts[SIZE] -= 1
        if j >= 0:
            row = rows[slots[j]]
            fall = take_in(row, diagonal, C, c, d, floor, Q, b, open_floor, support, links, shares, counts[SIZE], j)
            if fall >= 0.0:
                numbers[HEIGHT] -= fall
                numbers[PIVOT] = min(numbers[PIVOT], 1.0 / (Q[counts[SIZE], counts[SIZE]] * diagonal[j]))
                counts[SIZE] += 1
        counts[MADE] += 1
        if numbers[PIVOT] < THIN:
            break
