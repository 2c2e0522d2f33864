"""Rows of a program that are multiples of each other, of which one is left, with the tighter sides of all."""

import math

from sparseopt._jit import kernel

# The part of an entry by which it may differ from the multiple of another; that of a fingerprint; and of a side.
_ENTRY, _PRINT, _SIDE = 1e-15, 1e-9, 1e-12
# Weights of the coefficients in a fingerprint, between 1 and 2 and spread evenly (Weyl).
_GOLDEN = 0.6180339887498949


@kernel
def fingerprints(starts, columns, values, taken, rows, prints):
    """A number for each row that is the same, up to rounding, for all its multiples, into `prints`.

    Of the coefficients that are not taken out.
    """
    for r in range(rows.size):
        i, total, first = rows[r], 0.0, 0.0
        for t in range(starts[i], starts[i + 1]):
            j, a = columns[t], values[t]
            if taken[j] == 0 and a != 0.0:
                if first == 0.0:
                    first = a
                weight = _GOLDEN * j
                total += a / first * (1.0 + weight - math.floor(weight))
        prints[r] = total


@kernel
def may_meet(prints, order):
    """Whether two fingerprints agree, in this order, which is theirs."""
    for r in range(1, order.size):
        before = prints[order[r - 1]]
        if abs(prints[order[r]] - before) <= _PRINT * abs(before):
            return True
    return False


def ratio(i, k, starts, columns, values, taken):
    """What row i is of row k on the coefficients that are not taken out; zero where it is no multiple."""
    s, t, g = starts[i], starts[k], 0.0
    while True:
        while s < starts[i + 1] and (taken[columns[s]] != 0 or values[s] == 0.0):
            s += 1
        while t < starts[k + 1] and (taken[columns[t]] != 0 or values[t] == 0.0):
            t += 1
        if s == starts[i + 1] or t == starts[k + 1]:
            return g if s == starts[i + 1] and t == starts[k + 1] else 0.0
        if columns[s] != columns[t]:
            return 0.0
        if g == 0.0:
            g = values[s] / values[t]
        elif abs(values[s] - g * values[t]) > _ENTRY * abs(values[s]):
            return 0.0
        s += 1
        t += 1


def size_of(side):
    """The size of a finite side."""
    return abs(side) if abs(side) < math.inf else 0.0


@kernel
def merge(starts, columns, values, taken, rows, prints, row_lower, row_upper, count, owners, factors):
    """Take out all rows but one of those that are multiples of each other, in place; returns how many.

    Rows come in the order of their fingerprints. The one that is left has the tighter sides of all; `owners` says
    whose its lower and its upper one are, and `factors` what the owner is of it.
    """
    found, k = 0, 0
    for r in range(1, rows.size):
        i, h = rows[r], rows[k]
        g = 0.0
        if abs(prints[r] - prints[k]) <= _PRINT * abs(prints[k]):
            g = ratio(i, h, starts, columns, values, taken)
        if g == 0.0:
            k = r
            continue
        low, high = (row_lower[i] / g, row_upper[i] / g) if g > 0.0 else (row_upper[i] / g, row_lower[i] / g)
        most, least = max(low, row_lower[h]), min(high, row_upper[h])
        # rows that contradict each other are left, for a proof of it
        if most > least + _SIDE * (size_of(most) + size_of(least)):
            continue
        if low > row_lower[h]:
            row_lower[h], owners[0, h], factors[0, h] = low, i, g
        if high < row_upper[h]:
            row_upper[h], owners[1, h], factors[1, h] = high, i, g
        row_lower[h] = min(row_lower[h], row_upper[h])
        count[i] = -1
        found += 1
    return found
