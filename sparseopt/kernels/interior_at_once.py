"""An interior point method from the data of a small dense program to its solution, in two calls.

The iterations and the polish are those of interior.py and polishing.py, with a system that is compiled into them. What
they do not solve at once is left to the calls by which larger programs are solved.
"""

import math

import numpy as np

from sparseopt._jit import brief_kernel
from sparseopt.kernels.conditions import first_side
from sparseopt.kernels.equilibration import brought_together, scaled_sides
from sparseopt.kernels.interior import (
    BETTER,
    ITERATIONS,
    POINT,
    POLISH,
    ROWS,
    SLACKS,
    SOLVED,
    first_point,
    iterated,
    measured,
)
from sparseopt.kernels.polishing import guessed, polished

# What is found: nothing, a point inside of the sides, or one that lies on those that hold it.
NONE, INSIDE, EXACT = 0, 1, 2
# Rounds of scaling, and the part by which a squared norm may differ from 1 in the end.
_ROUNDS, _EVEN = 10, 0.1
# Rounds of polishing, steps of refinement of each, and what regularises its systems, which these undo: the least, and
# so many times that where rounding leaves no factor, as on faces of linear programs.
_GUESSES, _STEPS, _RIDGE, _MORE = 2, 15, 1e-9, 1e3


def positive(size):
    """The size, or 1 where it is zero and there is nothing to scale."""
    return size if size > 0.0 else 1.0


def scale_round(Q, A, ridge, columns, rows, size, row_size):
    """One round of scaling columns and rows, in place; returns the largest distance of a squared norm to 1."""
    p, m, distance = columns.size, rows.size, 0.0
    for i in range(m):
        row_size[i] = 0.0
    for j in range(p):
        total, square = ridge[j] * ridge[j] * columns[j] * columns[j], columns[j] * columns[j]
        for i in range(p):
            total += Q[j, i] * Q[j, i] * columns[i] * columns[i]
        for i in range(m):
            entry = A[j, i] * A[j, i]
            total += entry * rows[i] * rows[i]
            row_size[i] += entry * square
        size[j] = positive(total * square)
        distance = max(distance, abs(size[j] - 1.0))
    for j in range(p):
        columns[j] /= math.sqrt(math.sqrt(size[j]))
    for i in range(m):
        row_size[i] = positive(row_size[i] * rows[i] * rows[i])
        distance = max(distance, abs(row_size[i] - 1.0))
        rows[i] /= math.sqrt(math.sqrt(row_size[i]))
    return distance


def scale_of_cost(Q, c, ridge, columns):
    """What brings the rows of P and the linear term near 1, in scaled coefficients."""
    mean, most = 0.0, 0.0
    for j in range(columns.size):
        total = ridge[j] * ridge[j] * columns[j] * columns[j]
        for i in range(columns.size):
            total += Q[j, i] * Q[j, i] * columns[i] * columns[i]
        mean += math.sqrt(total) * columns[j] / columns.size
        most = max(most, abs(c[j]) * columns[j])
    return 1.0 / positive(max(mean, most))


def set_apart(row_lower, row_upper, outer, inner):
    """The places of equalities into `outer`, and those of other rows into `inner`: of all rows where there is no room for the former."""
    e = 0
    for i in range(row_lower.size):
        if outer.size > 0 and row_lower[i] == row_upper[i]:
            outer[e] = i
            e += 1
        else:
            inner[i - e] = i


def begin_anew(V, S, first, numbers):
    """Make slacks and multipliers, from place `first` on, those of a method that has not begun, whose numbers are given."""
    for k in range(len(V)):
        start = 1.0 if k <= SLACKS else 0.0
        for t in range(V.shape[1]):
            V[k, t] = start if t >= first else 0.0
    for k in range(S.size):
        S[k] = numbers[k]


@brief_kernel
def prepare(Q, c, A, row_lower, row_upper, lower, upper, alpha, ridge, P, by_columns, by_rows, outer, inner, columns, rows,
            vectors, both, kind, active, units, curvatures, V, S, numbers):  # fmt: skip
    """The program in scaled units (Ruiz, 2001), in place; returns the scale of its cost and the number of inequalities.

    P, both orders of A, equalities and other rows are what the system keeps, `columns` and `rows` the scales, `curvatures`
    what regularises the systems of active sets; see `scaled_sides` and `begin_anew` for the rest.
    """
    p, m = columns.size, rows.size
    set_apart(row_lower, row_upper, outer, inner)
    begin_anew(V, S, p + m, numbers)
    for j in range(p):
        columns[j] = 1.0
    for i in range(m):
        rows[i] = 1.0
    for _ in range(_ROUNDS):
        if scale_round(Q, A, ridge, columns, rows, vectors[0], units) < _EVEN:
            break
    brought_together(columns)
    cost = scale_of_cost(Q, c, ridge, columns)
    count, _ = scaled_sides(
        c, ridge, alpha, row_lower, row_upper, lower, upper, columns, rows, cost, vectors, both, kind, active, units
    )
    for j in range(p):
        for i in range(p):
            P[j, i] = cost * columns[j] * Q[j, i] * columns[i]
        P[j, j] += vectors[1, j]
        # relative to what curvature there is, so that little of it is not lost
        curvatures[j] = _RIDGE * (min(P[j, j], 1.0) if P[j, j] > 0.0 else 1.0)
        for i in range(m):
            by_columns[j, i] = by_rows[i, j] = rows[i] * A[j, i] * columns[j]
    return cost, count


def take_out(lower, upper, sides, columns, rows, x, w, y, R):
    """The scaled coefficients x and the multipliers in R[ROWS] in the user's units, into w and y, within the bounds."""
    m = y.size
    for j in range(w.size):
        low, high = sides.low[m + j], sides.high[m + j]
        # what lies on a scaled bound lies on the bound itself, which rounding would miss
        w[j] = lower[j] if x[j] <= low else (upper[j] if x[j] >= high else columns[j] * x[j])
        w[j] = min(max(w[j], lower[j]), upper[j])
    for i in range(m):
        y[i] = rows[i] * R[ROWS, i] / sides.cost


def left_of(Q, c, A, row_lower, row_upper, lower, upper, ridge, w, y, v, is_given):
    """Largest of violation, stationarity and gap of w and its multipliers, of which those of bounds are found unless given."""
    most, gap = 0.0, 0.0
    for i in range(y.size):
        at = 0.0
        for j in range(w.size):
            at += A[j, i] * w[j]
        most = max(most, at - row_upper[i], row_lower[i] - at)
        side = row_upper[i] if y[i] > 0.0 else row_lower[i]
        if abs(side) < math.inf:
            gap += y[i] * side
        else:
            y[i] = 0.0
    for j in range(w.size):
        slope = c[j] + ridge[j] * w[j]
        for i in range(w.size):
            slope += Q[j, i] * w[i]
        gap += w[j] * (slope + c[j] - c[j])
        for i in range(y.size):
            slope += A[j, i] * y[i]
        if lower[j] == upper[j]:
            v[j] = -slope
        elif not is_given:
            v[j] = -slope if (slope < 0.0 and w[j] >= upper[j]) or (slope > 0.0 and w[j] <= lower[j]) else 0.0
        side = upper[j] if v[j] > 0.0 else lower[j]
        if abs(side) < math.inf:
            gap += v[j] * side
        else:
            v[j] = 0.0
        most = max(most, abs(slope + v[j]))
    return max(most, abs(gap)) if abs(gap) < math.inf and most < math.inf else math.inf


@brief_kernel
def solve_at_once(Q, c, A, row_lower, row_upper, lower, upper, ridge, system, sides, columns, rows, V, W, R, S,
                  curvatures, w, y, v, tol, limit, refinements, fraction, is_polishing):  # fmt: skip
    """What solution that leaves no more than tol is found, into w, y and v, after `prepare`: NONE, INSIDE or EXACT."""
    first = first_side(sides)
    p, m = w.size, y.size
    x, z, size = V[POINT, :p], V[POINT, first:], p + m
    if not first_point(system, sides, V, W, R, S, refinements, False):
        return NONE
    tried, is_stiff = -1, False
    while True:
        event = iterated(
            system, sides, V, W, R, S, tol, limit - np.int64(S[ITERATIONS]), refinements, fraction, is_polishing, False
        )
        if event not in (SOLVED, POLISH):
            return NONE
        # the multipliers of the point are in R, as `measured` has left them
        for j in range(p):
            V[BETTER, j] = x[j]
        turn, is_again = 0, False
        while turn < _GUESSES and is_polishing:
            code = -1 if is_again else guessed(system, sides, V, W, R)
            if code == tried:
                break
            tried = tried if is_again else code
            if not polished(system, sides, V, W, R, curvatures, _STEPS, False) < math.inf:
                if is_stiff:
                    break
                # the same set once more, in the same place: a second call would be compiled into this one more time
                is_stiff = is_again = True
                for j in range(p):
                    curvatures[j] *= _MORE
                continue
            turn, is_again = turn + 1, False
            take_out(lower, upper, sides, columns, rows, V[BETTER, :p], w, y, R)
            if left_of(Q, c, A, row_lower, row_upper, lower, upper, ridge, w, y, v, False) <= tol:
                return EXACT
        if event == SOLVED:
            measured(system, sides, V, W, R, S)
            take_out(lower, upper, sides, columns, rows, x, w, y, R)
            for j in range(p):
                v[j] = (z[size + m + j] - z[m + j]) / (sides.cost * columns[j])
            left = left_of(Q, c, A, row_lower, row_upper, lower, upper, ridge, w, y, v, True)
            return INSIDE if left <= tol else NONE
