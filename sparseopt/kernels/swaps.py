"""Moves of a subset search: what every one of them is worth, exactly, and how to make one.

For a support S of a quadratic with Gram matrix G (ridge on its diagonal) and pull q let

    Q = G_SS^-1,   C = Q G_S.,   b = Q q_S,   c = q - G_.S b,   d_j = G_jj - G_jS Q G_Sj.

Then a feature j that enters lowers the minimum by c_j**2 / (2 d_j), one at place i of S that leaves
raises it by b_i**2 / (2 Q_ii), and where j takes the place of i the change is both at once, with

    c_j + (b_i / Q_ii) C_ij   and   d_j + C_ij**2 / Q_ii   in the places of c_j and d_j.

So all swaps cost one look at C. A feature whose d_j has fallen to `floor_j` is a combination of S, and
does not enter; the floor of those that may not enter is infinite.

C, b and Q are the columns of one matrix W = [C, b, Q], because every move takes multiples of one row from all others.
One kernel makes all moves, because the code of a move takes a second to compile.
"""

import numpy as np

from sparseopt._jit import kernel

# Columns that are looked at, or changed, while they are near.
_BLOCK = 512
# What `make_moves` is to do: a given move; swaps as long as they gain; the same at each size on the way to a size; kicks, each
# of which goes to a smaller size and back at random (any feature leaves, and one of the nearly best that was out enters), and then down.
GIVEN, SWAPS, SIZES, OUT, IN, DOWN = range(6)
# Places in its vector of whole numbers: size of the support, size to reach, moves at most, those made, place that leaves and
# feature that enters, the one whose row is missing where the status says so; of kicks those to make, those in vain since one was
# kept, the part in which the present one is (zero where there are none), the size at home, the most there may be, and how many may
# be kept before the table is made anew.
SIZE, AIM, LIMIT, MADE, LEAVES, ENTERS, STATUS, KICKS, VAIN, STAGE, HOME, MOST, FRESH = range(13)
GOING, MISSING, DONE = range(3)
# Places in its vector of numbers: the minimum, part of it that a swap must gain, what it must gain in any case, and an entry;
# the least part of a feature's square that was outside of the span of the others when it came or went; what no
# minimum is below; the price of a feature, and the minimum at home with its prices.
HEIGHT, PART, LEAST, ENTRY, PIVOT, BOTTOM, PRICE, VALUE = range(8)
# Rows of a table before those of W: c, d and floor.
ROWS = 3
# Fewest and most features that a kick exchanges; kicks in vain before one of half of them is kept in any case.
FEWEST, MANY, PATIENCE = 2, 6, 25
# A part so small multiplies the errors of all numbers by its inverse: they are made anew before the next move.
THIN = 1e-7
# Unsigned indices spare numba the test for negative ones, and let loops over a part of an array be vectors.
U = np.uint64


def best_in_block(W, i, c, d, floor, ratio, part, bar, first, last):
    """The feature of a block with the largest num**2 / den, and that number; -1 and `bar` where none exceeds `bar`."""
    # few blocks have any, so they are counted first: without branch or division it runs as fast as memory
    hits, found = 0, -1
    for j in range(U(first), U(last)):
        v = W[i, j]
        num = c[j] + ratio * v
        den = d[j] + part * v * v
        hits += (num * num > bar * den) & (den > floor[j])
    if hits > 0:
        for j in range(first, last):
            v = W[i, j]
            num = c[j] + ratio * v
            den = d[j] + part * v * v
            if num * num > bar * den and den > floor[j]:
                found, bar = j, num * num / den
    return found, bar


def find_swap(W, c, d, floor, support, stays, size, least, counts):
    """Put the swap that gains most, and more than `least`, into its places of `counts`, if there is one."""
    p, best = c.size, 2.0 * least
    # c, d and floor stay near while all rows of a block are looked at
    for first in range(0, p, _BLOCK):
        last = min(first + _BLOCK, p)
        for i in range(size):
            if not stays[support[i]]:
                part = 1.0 / W[i, p + 1 + i]
                ratio = W[i, p] * part
                loss = W[i, p] * ratio
                found, gain = best_in_block(W, i, c, d, floor, ratio, part, best + loss, first, last)
                if found >= 0:
                    best = gain - loss
                    counts[LEAVES], counts[ENTERS] = i, found


def drawn(noise):
    """A random number from 0 to 1, and the next state of a generator (MMIX: Knuth, 1997), in place."""
    noise[0] = noise[0] * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return np.int64(noise[0] >> np.uint64(33)) / 2.0**31


def find_entry(c, d, floor, least, is_random, noise):
    """The feature that gains most, and more than `least`; -1 where there is none.

    At random, each gain is taken times a random number, so that it is one of those that gain nearly most.
    """
    found, best = -1, 2.0 * least
    for j in range(c.size):
        if d[j] > floor[j] and c[j] * c[j] > best * d[j]:
            gain = c[j] * c[j] / d[j]
            if is_random:
                gain *= drawn(noise)
            if gain > best:
                found, best = j, gain
    return found


def find_exit(W, p, support, stays, size, is_random, noise):
    """The place of the feature that costs least when it leaves, or one at random; -1 where all stay."""
    found, least = -1, np.inf
    for i in range(size):
        if not stays[support[i]]:
            loss = drawn(noise) if is_random else W[i, p] * W[i, p] / W[i, p + 1 + i]
            if loss < least:
                found, least = i, loss
    return found


def sweep(row, W, c, d, links, shares, size, r, slope, bend, is_new):
    """Take multiples of row r from the other ones, c and d, in place.

    Where row r is new it is made before: `row` over the pivot `bend`, less `links` times the others. Rows go four at a time,
    so that row r is read once for four: those beyond the last take part with a multiple of zero.
    """
    p, inverse, own = c.size, 1.0 / bend, W[r]
    end = p + 1 + size
    shares[r] = 0.0
    for a in range(3):
        shares[size + a] = 0.0
        links[r + a] = 0.0
    for start in range(0, end, _BLOCK):
        stop = min(start + _BLOCK, end)
        first, near, last = U(start), U(max(start, min(stop, p))), U(stop)
        if is_new:
            for t in range(first, near):
                own[t] = row[t] * inverse
            for a in range(0, r, 4):
                A, B, C, D = W[a], W[a + 1], W[a + 2], W[a + 3]
                s, u, v, w = links[a], links[a + 1], links[a + 2], links[a + 3]
                for t in range(first, near):
                    own[t] -= s * A[t] + u * B[t] + v * C[t] + w * D[t]
        for t in range(first, near):
            x = own[t]
            c[t] -= slope * x
            d[t] -= bend * x * x
        for a in range(0, size, 4):
            A, B, C, D = W[a], W[a + 1], W[a + 2], W[a + 3]
            s, u, v, w = shares[a], shares[a + 1], shares[a + 2], shares[a + 3]
            for t in range(first, last):
                x = own[t]
                A[t] -= s * x
                B[t] -= u * x
                C[t] -= v * x
                D[t] -= w * x


def begin_row(row, diagonal, W, c, links, shares, support, size, j):
    """Make the last part of row `size` of W for a feature j that comes, in place; the pivot is what it has of its own."""
    p, pivot = c.size, diagonal[j]
    for a in range(size):
        links[a] = row[support[a]]
        shares[a] = W[a, j]
        pivot -= links[a] * shares[a]
    inverse = 1.0 / pivot
    for a in range(size):
        links[a] *= inverse
        W[size, p + 1 + a] = -shares[a] * inverse
        W[a, p + 1 + size] = 0.0
    W[size, p] = c[j] * inverse
    W[size, p + 1 + size] = inverse
    support[size] = j
    return pivot


def close_gap(W, shares, support, size, i, p):
    """Move the last place of the support to place i, in place."""
    last = size - 1
    for t in range(U(p + 1 + size)):
        W[i, t] = W[last, t]
    for a in range(last):
        W[a, p + 1 + i] = W[a, p + 1 + last]
    support[i], shares[i] = support[last], shares[last]


def exchange(row, diagonal, W, c, d, floor, open_floor, support, links, shares, numbers, counts):
    """Take out the place that leaves and take in the feature that enters, those that are not -1, in place.

    `row` is the feature's row of the Gram matrix. If the feature is a combination of the others it is closed, and stays out.
    """
    p, i, j = c.size, counts[LEAVES], counts[ENTERS]
    # one loop for both, so that their passes over W are compiled once
    for is_in in range(0 if i >= 0 else 1, 2 if j >= 0 else 1):
        size = counts[SIZE]
        if is_in:
            r, slope, gone = size, c[j], j
            bend = begin_row(row, diagonal, W, c, links, shares, support, size, j)
            floor[j] = np.inf
            if not bend > open_floor[j]:
                break
            size += 1
        else:
            r, gone = i, support[i]
            bend = -1.0 / W[i, p + 1 + i]
            slope = W[i, p] * bend
            for a in range(size):
                shares[a] = -W[a, p + 1 + i] * bend
        numbers[PIVOT] = min(numbers[PIVOT], abs(bend) / diagonal[gone])
        numbers[HEIGHT] -= 0.5 * slope * slope / bend
        sweep(row, W, c, d, links, shares, size, r, slope, bend, is_in)
        if not is_in:
            close_gap(W, shares, support, size, i, p)
            size -= 1
            # the feature that has gone may come back
            for a in range(size):
                W[a, gone] = -shares[a]
            c[gone], d[gone], floor[gone] = -slope, -bend, open_floor[gone]
        counts[SIZE] = size


def choose(W, c, d, floor, support, stays, noise, kind, numbers, counts):
    """Put the next move into its places of `counts`; two times -1 where there is none. Whether no swap gains any more."""
    size, is_random = counts[SIZE], OUT <= kind <= IN
    counts[LEAVES] = counts[ENTERS] = -1
    least = 0.0
    if not is_random:
        least = max(numbers[PART] * abs(numbers[HEIGHT]), numbers[LEAST])
        # a swap that would gain more than there is to gain is an error of rounding
        if numbers[HEIGHT] - numbers[BOTTOM] > least:
            find_swap(W, c, d, floor, support, stays, size, least, counts)
    is_low = counts[ENTERS] < 0
    if is_low and kind != SWAPS and size < counts[AIM]:
        counts[ENTERS] = find_entry(c, d, floor, 0.0 if is_random else numbers[ENTRY], is_random, noise)
    is_large, is_priced = size > counts[AIM], kind == DOWN and numbers[PRICE] > 0.0
    if is_low and kind != SWAPS and counts[ENTERS] < 0 and (is_large or is_priced):
        i = find_exit(W, c.size, support, stays, size, is_random, noise)
        if i >= 0 and (is_large or numbers[PRICE] - 0.5 * W[i, c.size] * W[i, c.size] / W[i, c.size + 1 + i] > least):
            counts[LEAVES] = i
    return is_low and not is_random


def carry(table, support, home, home_support, size, is_back):
    """Copy the table and support of some size to their home, or back, in place."""
    source, target = (home, table) if is_back else (table, home)
    features, places = (home_support, support) if is_back else (support, home_support)
    for a in range(size + ROWS):
        for t in range(U(table.shape[1])):
            target[a, t] = source[a, t]
    for a in range(U(size)):
        places[a] = features[a]


def reopen(floor, open_floor, support, size):
    """Let all features enter that may and are not in, in place."""
    for j in range(U(floor.size)):
        floor[j] = open_floor[j]
    for a in range(size):
        floor[support[a]] = np.inf


def next_stage(table, support, home, home_support, numbers, counts):
    """Go on to the next part of a kick, or from one in vain home and to the next kick, in place; whether there is one.

    A kick whose numbers rounding has spoilt is in vain.
    """
    stage, size, is_thin = counts[STAGE], counts[HOME], numbers[PIVOT] < THIN
    is_over = stage == DOWN or is_thin
    is_kept = False
    if is_over:
        value = numbers[HEIGHT] + numbers[PRICE] * counts[SIZE]
        least = max(numbers[PART] * abs(value), numbers[LEAST])
        is_far = counts[VAIN] == PATIENCE
        is_kept = not is_thin and (is_far or value < numbers[VALUE] - least)
        counts[KICKS] -= 1
        counts[VAIN] = 0 if is_kept or is_far else counts[VAIN] + 1
        if is_kept:
            size = counts[HOME] = counts[SIZE]
            numbers[VALUE] = value
            counts[FRESH] -= 1
        counts[SIZE] = size
        numbers[HEIGHT], numbers[PIVOT] = numbers[VALUE] - numbers[PRICE] * size, 1.0
    if is_over or stage == GIVEN:
        carry(table, support, home, home_support, size, is_over and not is_kept)
        exchanged = FEWEST + counts[KICKS] % (MANY - FEWEST + 1)
        exchanged = max(MANY, size // 2) if counts[VAIN] == PATIENCE else exchanged
        counts[STAGE], counts[AIM] = OUT, size - min(exchanged, size - 1)
        return counts[KICKS] > 0 and counts[FRESH] > 0
    counts[STAGE], counts[AIM] = stage + 1, size if stage == OUT else counts[MOST]
    return True


@kernel
def make_moves(
    rows, slots, diagonal, table, open_floor, support, stays, links, shares, noise, heights, best, home, home_support,
    kind, numbers, counts,
):  # fmt: skip
    """Make moves of some kind until all is done, a row is missing, or there were enough; in place.

    `rows[slots[j]]` is the row of feature j of the Gram matrix. Where no swap gains, the minimum and the support are
    noted in the rows of `heights` and `best` of its size, if they are the best so far. Kicks, those of kind `DOWN`, begin from a
    support that is then kept in `home`; they end when a few have been kept.
    """
    p = diagonal.size
    c, d, floor, W = table[0, :p], table[1, :p], table[2, :p], table[ROWS:]
    counts[MADE] = 0
    counts[STATUS] = GOING
    is_kicked = kind == DOWN
    while counts[MADE] < counts[LIMIT]:
        part = counts[STAGE] if is_kicked else kind
        is_low = part != GIVEN and choose(W, c, d, floor, support, stays, noise, part, numbers, counts)
        if is_low and numbers[HEIGHT] < heights[counts[SIZE]]:
            heights[counts[SIZE]] = numbers[HEIGHT]
            for a in range(counts[SIZE]):
                best[counts[SIZE], a] = support[a]
        i, j = counts[LEAVES], counts[ENTERS]
        is_over = i < 0 and j < 0
        if j >= 0 and slots[j] < 0:
            counts[STATUS] = MISSING
            break
        if not is_over:
            row, gone = rows[slots[max(j, 0)]], support[max(i, 0)]
            exchange(row, diagonal, W, c, d, floor, open_floor, support, links, shares, numbers, counts)
            counts[MADE] += 1
            if is_kicked and part == OUT:
                # what a kick throws out comes back on the way down at the earliest
                floor[gone] = np.inf
        if is_kicked and is_over and part == IN:
            reopen(floor, open_floor, support, counts[SIZE])
        if is_kicked and (is_over or numbers[PIVOT] < THIN):
            is_over = not next_stage(table, support, home, home_support, numbers, counts)
        if is_over:
            counts[STATUS] = DONE
        if is_over or numbers[PIVOT] < THIN:
            break
