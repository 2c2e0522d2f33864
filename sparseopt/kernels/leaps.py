"""All supports of one size, but for those of which a bound says that they are not good enough.

Of a quadratic with Gram matrix S, pull c and twice the minimum h without any feature, one more feature j leaves

    h - c_j**2 / S_jj,   S - S_.j S_j. / S_jj,   c - S_.j c_j / S_jj

for the others. Supports are gone through feature by feature, in an order: those with the first one, those without the
first and with the second, and so on. A set of features does no better than any set that contains it, so that what all
from some place on leave together is a bound for all supports that are still to come at this level (leaps and bounds:
Furnival and Wilson, 1974). One factorisation gives it for every place. Each level is put in order anew, the best alone
first: then the bound rises quickly from place to place. The last two features are found by one look at all pairs.

Level a holds what is left after a features were chosen, in the first `widths[a]` rows, columns and entries of its arrays.
"""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64
# Places in the vector of whole numbers: the level, features to choose in all, entries that may be gone through and that were,
# what was found at last (the second is -1 where one feature is left to choose), and why the kernel returned.
LEVEL, AIM, MOST, SPENT, FIRST, SECOND, STATUS = range(7)
GOING, FOUND, DONE, FAULT = range(4)
# Places in the vector of numbers: twice the objective below which a support is of interest, and that of the one found.
CUT, VALUE = range(2)


def set_rests(S, c, size, factor, y, rests):
    """Twice what all features from each place on gain together, into `rests`; infinite where rounding leaves that open."""
    total = 0.0
    for a in range(size):
        i = size - 1 - a
        pivot, part = S[i, i], c[i]
        for b in range(a):
            v = S[i, size - 1 - b]
            for t in range(U(b)):
                v -= factor[a, t] * factor[b, t]
            v *= factor[b, b]
            factor[a, b] = v
            pivot -= v * v
            part -= v * y[b]
        # the diagonal holds its inverse
        factor[a, a] = 1.0 / np.sqrt(pivot) if pivot > 0.0 else 0.0
        y[a] = part * factor[a, a]
        total += y[a] * y[a] if pivot > 0.0 else np.inf
        rests[i] = total


def best_one(S, c, size, need, counts):
    """Twice the largest gain of one feature, where it exceeds `need`; its place into `counts`."""
    for j in range(size):
        # a pivot that is none is for an exact look to judge
        if not c[j] * c[j] <= need * S[j, j]:
            need = c[j] * c[j] / S[j, j] if S[j, j] > 0.0 else np.inf
            counts[FIRST] = j
    return need


def best_two(S, c, size, diagonal, need, counts):
    """Twice the largest gain of two features, where it exceeds `need`; their places into `counts`."""
    for j in range(size):
        diagonal[j] = S[j, j]
    for i in range(size - 1):
        own, pull, hits = diagonal[i], c[i], 0
        # few rows have any, so they are counted first, without a branch
        for j in range(U(i + 1), U(size)):
            v = S[i, j]
            gain = pull * (pull * diagonal[j] - 2.0 * c[j] * v) + c[j] * c[j] * own
            hits += gain > need * (own * diagonal[j] - v * v)
        if hits > 0:
            for j in range(i + 1, size):
                v = S[i, j]
                gain = pull * (pull * diagonal[j] - 2.0 * c[j] * v) + c[j] * c[j] * own
                bend = own * diagonal[j] - v * v
                if gain > need * bend:
                    need = gain / bend if bend > 0.0 else np.inf
                    counts[FIRST], counts[SECOND] = i, j
    return need


def look_at_last(S, c, features, size, missing, diagonal, need, counts):
    """Twice the largest gain of the one or two features that are missing, where it exceeds `need`; they go into `counts`."""
    counts[SPENT] += size * size
    counts[SECOND] = -1
    gain = best_one(S, c, size, need, counts) if missing == 1 else best_two(S, c, size, diagonal, need, counts)
    if gain > need:
        counts[FIRST] = features[counts[FIRST]]
        if missing == 2:
            counts[SECOND] = features[counts[SECOND]]
    return gain


def set_order(S, c, size, gains, order):
    """Sort places by what they gain alone, the best first, into `order`."""
    for i in range(size):
        gains[i] = c[i] * c[i] / S[i, i]
        place = i
        while place > 0 and gains[order[place - 1]] < gains[i]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = i


def permute(S, c, features, size, work, y, order):
    """Put rows, columns and entries in order, in place; of S the upper half is given, and what is made."""
    for i in range(size):
        y[i] = c[order[i]]
        for j in range(i, size):
            r, s = order[i], order[j]
            work[i, j] = S[r, s] if r < s else S[s, r]
    for i in range(size):
        c[i] = y[i]
        y[i] = features[order[i]]
        for j in range(i, size):
            S[i, j] = work[i, j]
    for i in range(size):
        features[i] = np.int64(y[i])


@kernel
def leap(S, c, features, widths, places, heights, rests, picks, factor, y, order, numbers, counts):
    """Go through supports until one is below the cut, all are through, or there were enough entries; in place."""
    counts[STATUS] = GOING
    while counts[SPENT] < counts[MOST]:
        a = counts[LEVEL]
        if a < 0:
            counts[STATUS] = DONE
            return
        size, missing = widths[a], counts[AIM] - a
        if places[a] < 0:
            places[a] = 0
            if missing <= 2:
                counts[LEVEL] = a - 1
                need = heights[a] - numbers[CUT]
                gain = look_at_last(S[a], c[a], features[a], size, missing, y, need, counts)
                if gain > need:
                    numbers[VALUE], counts[STATUS] = heights[a] - gain, FOUND
                    return
                continue
            set_rests(S[a], c[a], size, factor, y, rests[a])
            counts[SPENT] += size * size * size // 6
        q = places[a]
        if q + missing > size or heights[a] - rests[a, q] >= numbers[CUT]:
            counts[LEVEL] = a - 1
            continue
        places[a] = q + 1
        pivot, pull, b, left = S[a, q, q], c[a, q], a + 1, size - q - 1
        if not pivot > 0.0:
            counts[STATUS] = FAULT
            return
        counts[SPENT] += left * left
        picks[a], widths[b], places[b], heights[b] = features[a, q], left, -1, heights[a] - pull * pull / pivot
        # the order is that of the level above where only pairs are looked at
        for i in range(left):
            order[i] = i
            y[i] = S[a, q, q + 1 + i] / pivot
            c[b, i] = c[a, q + 1 + i] - y[i] * pull
            features[b, i] = features[a, q + 1 + i]
            first, own = q + 1 + i, y[i]
            for j in range(U(i), U(left)):
                S[b, i, j] = S[a, first, j + U(q + 1)] - own * S[a, q, j + U(q + 1)]
        counts[LEVEL] = b
        if missing > 3:
            set_order(S[b], c[b], left, y, order)
            permute(S[b], c[b], features[b], left, factor, y, order)
