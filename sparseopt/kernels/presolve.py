"""Reductions of a quadratic program that change its rows and bounds, and the multipliers that undo them.

A comes by rows (`starts`, `columns`, `values`) and by columns (`tops`, `rows`, `entries`). lower, upper,
row_lower and row_upper are worked on in place. count[i] is the number of columns that row i still has, -1 once
the row is gone; taken[j] is 1 once coefficient j has a value, which is then lower[j]. Each reduction is written
down in `log`, a row for each: what it is, its row, its column and whether it gave the lower and the upper bound.
"""

import math

from sparseopt._jit import brief_kernel

FIX, SINGLETON, FORCING = 0, 1, 2
# Places in `state`: reductions in the log, rows in the queue, and, once there is no solution, the row and its side
# (1 the upper, -1 the lower) or the column that says so; and whether there is less of the program than before.
LOGGED, _QUEUED, ROW, SIDE, COLUMN, IS_LESS, NUMBERS = 0, 1, 2, 3, 4, 5, 6
# Bounds that cross by so much of their size do so by rounding; sums of a row are exact to so much of their terms.
_CROSSED, _ROUNDING = 1e-9, 1e-15
# What a chain of rows may multiply an error in the first of its coefficients, or the last of its multipliers, by.
_GROWTH = 1e4


@brief_kernel
def keep(starts, rows, values, kept, columns, place, to_starts, to_rows, to_values):
    """The entries of some columns in the rows that are kept, into the last three, in place; `place` is work space."""
    count = 0
    for i in range(place.size):
        place[i] = -1
    for k in range(kept.size):
        place[kept[k]] = k
    for k in range(columns.size):
        to_starts[k] = count
        for t in range(starts[columns[k]], starts[columns[k] + 1]):
            i = place[rows[t]]
            if i >= 0:
                to_rows[count], to_values[count] = i, values[t]
                count += 1
    to_starts[columns.size] = count
    return count


def lay_out(tops, rows, entries, row_lower, row_upper, starts, columns, values, count, scale):
    """A by rows, from A by columns, its number of entries that are not zero, and the size of its sides, in place.

    `starts` begins with zeros, and so does `count`.
    """
    m = row_lower.size
    for t in range(rows.size):
        starts[rows[t] + 1] += 1
        count[rows[t]] += entries[t] != 0.0
    for i in range(m):
        scale[i] = 1.0
        for side in (row_lower[i], row_upper[i]):
            if math.isfinite(side):
                scale[i] = max(scale[i], abs(side))
        starts[i + 1] += starts[i]
    for j in range(tops.size - 1):
        for t in range(tops[j], tops[j + 1]):
            to = starts[rows[t]]
            columns[to], values[to] = j, entries[t]
            starts[rows[t]] += 1
    # each start has moved to where the next row begins
    for i in range(m, 0, -1):
        starts[i] = starts[i - 1]
    starts[0] = 0


def _note(log, state, kind, row, column, low, high):
    at = state[LOGGED]
    log[at, 0], log[at, 1], log[at, 2], log[at, 3], log[at, 4] = kind, row, column, low, high
    state[LOGGED] = at + 1
    state[IS_LESS] = 1


def _ask(i, count, queue, queued, state):
    """Put a row in the queue, once, where it has something to say."""
    if 0 <= count[i] <= 1 and queued[i] == 0:
        queue[state[_QUEUED]] = i
        queued[i] = 1
        state[_QUEUED] += 1


def _fix(j, tops, rows, entries, scale, lower, row_lower, row_upper, count, taken, queue, queued, log, state):
    """Take coefficient j out at its lower bound."""
    taken[j] = 1
    _note(log, state, FIX, -1, j, 0, 0)
    for t in range(tops[j], tops[j + 1]):
        i = rows[t]
        row_lower[i] -= entries[t] * lower[j]
        row_upper[i] -= entries[t] * lower[j]
        scale[i] += abs(entries[t] * lower[j])
        if count[i] > 0:
            count[i] -= 1
            _ask(i, count, queue, queued, state)


def _bound(i, starts, columns, values, lower, upper, row_lower, row_upper, count, taken, growth, log, state):
    """Make the only entry of row i a bound; returns its column where this fixes it, else -1.

    The row stays where it is the last of a chain that lets errors grow.
    """
    j, a, grown = -1, 1.0, 0.0
    for t in range(starts[i], starts[i + 1]):
        if taken[columns[t]]:
            grown += abs(values[t]) * growth[columns[t]]
        elif values[t] != 0.0:
            j, a = columns[t], values[t]
    if grown > _GROWTH * abs(a):
        return -1
    growth[j] = max(growth[j], 1.0 + grown / abs(a))
    count[i] = -1
    low, high = (row_lower[i] / a, row_upper[i] / a) if a > 0.0 else (row_upper[i] / a, row_lower[i] / a)
    gives_low, gives_high = low > lower[j], high < upper[j]
    if low == high and lower[j] <= low <= upper[j]:
        gives_low, gives_high = True, True
    _note(log, state, SINGLETON, i, j, 1 if gives_low else 0, 1 if gives_high else 0)
    if gives_low:
        lower[j] = low
    if gives_high:
        upper[j] = high
    if lower[j] > upper[j]:
        if lower[j] - upper[j] > _CROSSED * max(1.0, abs(upper[j])):
            state[COLUMN] = j
            return -1
        if gives_low:
            lower[j] = upper[j]
        else:
            upper[j] = lower[j]
    return j if lower[j] == upper[j] else -1


def tidy(starts, columns, values, tops, rows, entries, scale, lower, upper, row_lower, row_upper, count, taken, growth,
         queue, queued, log, state):  # fmt: skip
    """Take out fixed coefficients, empty, free and singleton rows, until there are none, in place.

    Returns whether there may be a solution; `scale` holds what size of its sides counts as one in a row.
    """
    for j in range(taken.size):
        if taken[j] == 0 and lower[j] == upper[j]:
            _fix(j, tops, rows, entries, scale, lower, row_lower, row_upper, count, taken, queue, queued, log, state)
    for i in range(count.size):
        if count[i] >= 0 and row_lower[i] == -math.inf and row_upper[i] == math.inf:
            count[i], state[IS_LESS] = -1, 1
        _ask(i, count, queue, queued, state)
    while state[_QUEUED] > 0:
        state[_QUEUED] -= 1
        i = queue[state[_QUEUED]]
        queued[i] = 0
        if count[i] < 0:
            continue
        if count[i] == 0:
            count[i], state[IS_LESS] = -1, 1
            if max(row_lower[i], -row_upper[i]) > _CROSSED * scale[i]:
                state[ROW], state[SIDE] = i, -1 if row_lower[i] > -row_upper[i] else 1
                return False
            continue
        j = _bound(i, starts, columns, values, lower, upper, row_lower, row_upper, count, taken, growth, log, state)
        if state[COLUMN] >= 0:
            return False
        if j >= 0:
            _fix(j, tops, rows, entries, scale, lower, row_lower, row_upper, count, taken, queue, queued, log, state)
    return True


def _reach(i, starts, columns, values, lower, upper, taken, sign):
    """Least of sign times row i within the bounds, and the size of its terms."""
    total, size = 0.0, 0.0
    for t in range(starts[i], starts[i + 1]):
        j, a = columns[t], sign * values[t]
        if taken[j] == 0 and a != 0.0:
            term = a * (lower[j] if a > 0.0 else upper[j])
            if term == -math.inf:
                return -math.inf, math.inf
            total += term
            size += abs(term)
    return total, size


def _force(i, starts, columns, values, tops, rows, entries, scale, lower, upper, row_lower, row_upper, count, taken,
           forced_by, queue, queued, log, state, sign):  # fmt: skip
    """Take out row i, of which only one point within the bounds is left, and its coefficients."""
    count[i] = -1
    for t in range(starts[i], starts[i + 1]):
        j, a = columns[t], sign * values[t]
        if taken[j] == 0 and a != 0.0:
            if a > 0.0:
                upper[j] = lower[j]
            else:
                lower[j] = upper[j]
            forced_by[j] = i
            _fix(j, tops, rows, entries, scale, lower, row_lower, row_upper, count, taken, queue, queued, log, state)
    _note(log, state, FORCING, i, -1, 1 if sign < 0 else 0, 1 if sign > 0 else 0)


def compare(starts, columns, values, tops, rows, entries, scale, lower, upper, row_lower, row_upper, count, taken,
            forced_by, forces, queue, queued, log, state):  # fmt: skip
    """Compare each row with what the bounds leave of it: drop sides, and whole rows, in place.

    Returns the number of rows taken out, or -1 where one cannot be satisfied. `forces` says whether rows of which
    one point is left are taken out with it.
    """
    found = 0
    for i in range(count.size):
        if count[i] <= 0:
            continue
        for sign in (1, -1):
            side = row_upper[i] if sign > 0 else -row_lower[i]
            other = row_lower[i] if sign > 0 else -row_upper[i]
            least, size = _reach(i, starts, columns, values, lower, upper, taken, sign)
            if least == -math.inf:
                continue
            margin = _ROUNDING * size
            if least > side + max(margin, _CROSSED * scale[i]):
                state[ROW], state[SIDE] = i, sign
                return -1
            if forces and least >= side - margin:
                _force(i, starts, columns, values, tops, rows, entries, scale, lower, upper, row_lower, row_upper,
                       count, taken, forced_by, queue, queued, log, state, sign)  # fmt: skip
                found += 1
                break
            if least >= other + margin and other > -math.inf:
                state[IS_LESS] = 1
                if sign > 0:
                    row_lower[i] = -math.inf
                else:
                    row_upper[i] = math.inf
        if count[i] > 0 and row_lower[i] == -math.inf and row_upper[i] == math.inf:
            count[i] = -1
            found += 1
    return found


@brief_kernel
def reduce(tops, rows, entries, starts, columns, values, scale, lower, upper, row_lower, row_upper, count, taken, growth,
           forced_by, forces, rounds, queue, queued, log, state):  # fmt: skip
    """Reduce all in place until nothing changes; whether there may be a solution. A by rows is made on the way."""
    lay_out(tops, rows, entries, row_lower, row_upper, starts, columns, values, count, scale)
    for _ in range(rounds):
        if not tidy(starts, columns, values, tops, rows, entries, scale, lower, upper, row_lower, row_upper, count, taken,
                    growth, queue, queued, log, state):  # fmt: skip
            return False
        found = compare(starts, columns, values, tops, rows, entries, scale, lower, upper, row_lower, row_upper, count,
                        taken, forced_by, forces, queue, queued, log, state)  # fmt: skip
        if found <= 0:
            return found == 0
    return tidy(starts, columns, values, tops, rows, entries, scale, lower, upper, row_lower, row_upper, count, taken,
                growth, queue, queued, log, state)  # fmt: skip


def _pull(i, y, starts, columns, values, slope):
    """Let multiplier y of row i act on the slope."""
    for t in range(starts[i], starts[i + 1]):
        slope[columns[t]] += values[t] * y


def _least_force(i, starts, columns, values, slope, forced_by, is_upper):
    """Smallest multiplier of a forcing row with which no coefficient wants to leave the bound that it forces it to."""
    y = 0.0
    for t in range(starts[i], starts[i + 1]):
        j, a = columns[t], values[t]
        if forced_by[j] == i and a != 0.0:
            # at the upper side of the row, at the lower bound for a > 0: the slope with y has to be positive there
            y = max(y, -slope[j] / a) if is_upper else min(y, -slope[j] / a)
    return y


@brief_kernel
def undo(starts, columns, values, log, logged, w, alpha, slope, forced_by, y, above, below):
    """Multipliers of the rows and coefficients that were taken out, into y, above (of upper bounds) and below, in place.

    `slope` is that of the objective and of the rows that are left, at w.
    """
    for at in range(logged - 1, -1, -1):
        i, j = log[at, 1], log[at, 2]
        if log[at, 0] == FIX:
            pull = -slope[j]
            held = min(max(pull, -alpha[j]), alpha[j]) if w[j] == 0.0 else math.copysign(alpha[j], w[j])
            pull -= held
            above[j] += max(pull, 0.0)
            below[j] += min(pull, 0.0)
        elif log[at, 0] == FORCING:
            y[i] += _least_force(i, starts, columns, values, slope, forced_by, log[at, 4] == 1)
            _pull(i, y[i], starts, columns, values, slope)
        else:
            a, pull = 1.0, 0.0
            for t in range(starts[i], starts[i + 1]):
                if columns[t] == j:
                    a = values[t]
            if log[at, 3]:
                pull += below[j]
                below[j] = 0.0
            if log[at, 4]:
                pull += above[j]
                above[j] = 0.0
            if pull != 0.0:
                y[i] += pull / a
                _pull(i, pull / a, starts, columns, values, slope)
