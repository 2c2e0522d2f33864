"""Scales of a quadratic program, and the program in these scales."""

import math

from sparseopt._jit import brief_kernel
from sparseopt.kernels.conditions import EQUAL, LOWER, UPPER

# Scales of two columns differ by no more than the square of this.
_SPREAD = 10.0
# Beyond this a side is as good as absent: what stands for infinity in most files of problems.
_INFINITE = 1e20


def _positive(size):
    return size if size > 0.0 else 1.0


def curvatures(products, squares, factor_squares, out):
    """Squared norms of the rows of P in scaled units, whose columns have these squared scales, into `out`."""
    products.P.row_squares(squares, out)
    most = 0.0
    for j in range(out.size):
        most = max(most, squares[j] * (products.ridge[j] + factor_squares[j]))
    for j in range(out.size):
        # |F'F| at (i, j) is at most the root of its diagonal entries i and j
        own = squares[j] * (products.ridge[j] + factor_squares[j])
        out[j] = squares[j] * out[j] + own * most


def scaled_round(products, factor_squares, columns, rows, squares, size, row_size):
    """One round of scaling columns and rows, in place; returns the largest distance of a squared norm to 1."""
    p, m, distance = columns.size, rows.size, 0.0
    for j in range(p):
        squares[j] = columns[j] * columns[j]
    products.A.row_squares(squares, row_size)
    for i in range(m):
        row_size[i] = _positive(rows[i] * rows[i] * row_size[i])
        distance = max(distance, abs(row_size[i] - 1.0))
    curvatures(products, squares, factor_squares, size)
    for i in range(m):
        rows[i] *= rows[i]
    products.A.add_squares_to_columns(squares, rows, size)
    for j in range(p):
        size[j] = _positive(size[j])
        distance = max(distance, abs(size[j] - 1.0))
    # apart from the maximum, this loop takes vectors
    for j in range(p):
        columns[j] /= math.sqrt(math.sqrt(size[j]))
    for i in range(m):
        rows[i] = math.sqrt(rows[i]) / math.sqrt(math.sqrt(row_size[i]))
    return distance


def brought_together(columns):
    """Scales of columns no further from their middle than `_SPREAD`, in place.

    Coefficients that hardly appear would be blown up out of all proportion to the others.
    """
    middle = 0.0
    for j in range(columns.size):
        middle += math.log(columns[j])
    middle = math.exp(middle / columns.size)
    for j in range(columns.size):
        columns[j] = min(max(columns[j], middle / _SPREAD), middle * _SPREAD)


@brief_kernel
def equilibrate(products, q, first, last, rounds, columns, rows, space, row_space):
    """Scales that bring columns and rows of [P A'; A 0] near norm 1 (Ruiz, 2001), into `columns` and `rows`.

    Rounds first to last of so many, which begin with the first; returns the scale of the cost, or zero where the next
    round is to follow. `space` is four vectors of coefficients, which stay.
    """
    p, squares, size, factor_squares = columns.size, space[0], space[1], space[2]
    if first == 0:
        for j in range(p):
            columns[j], factor_squares[j], space[3, j] = 1.0, 0.0, 1.0
        for i in range(rows.size):
            rows[i] = 1.0
        if products.F.height > 0:
            for i in range(products.fitted.size):
                products.fitted[i] = 1.0
            products.F.add_squares_to_columns(space[3], products.fitted, factor_squares)
    is_even = last == rounds
    for _ in range(first, last):
        if scaled_round(products, factor_squares, columns, rows, squares, size, row_space) < 0.1:
            is_even = True
            break
    if not is_even:
        return 0.0
    brought_together(columns)
    for j in range(p):
        squares[j] = columns[j] * columns[j]
    curvatures(products, squares, factor_squares, size)
    mean, most = 0.0, 0.0
    for j in range(p):
        mean += math.sqrt(size[j]) / p
        most = max(most, abs(q[j]) * columns[j])
    return 1.0 / _positive(max(mean, most))


def scaled_sides(
    q, ridge, alpha, row_lower, row_upper, lower, upper, columns, rows, cost, vectors, both, kind, active, units
):
    """Costs in scaled units into `vectors` (q, ridge, alpha), sides into `both`, and what they are, in place.

    Returns the number of inequalities without slopes, and of slopes.
    """
    m, p, count, slopes = rows.size, columns.size, 0, 0
    size = m + p
    for i in range(size):
        if i < m:
            both[0, i], both[1, i], units[i] = row_lower[i] * rows[i], row_upper[i] * rows[i], 1.0 / rows[i]
        else:
            j = i - m
            both[0, i], both[1, i], units[i] = lower[j] / columns[j], upper[j] / columns[j], columns[j]
        kind[i] = 0
        if both[0, i] == both[1, i]:
            kind[i] = EQUAL
        else:
            if both[0, i] > -_INFINITE:
                kind[i] += LOWER
            if both[1, i] < _INFINITE:
                kind[i] += UPPER
        active[i], active[size + i] = (kind[i] & LOWER) > 0, (kind[i] & UPPER) > 0
        count += active[i]
        count += active[size + i]
    for j in range(p):
        vectors[0, j] = cost * q[j] * columns[j]
        vectors[1, j] = cost * ridge[j] * columns[j] * columns[j]
        vectors[2, j] = cost * alpha[j] * columns[j]
        if alpha[j] > 0.0 and not kind[m + j] & EQUAL:
            slopes += 1
    return count, slopes


@brief_kernel
def scale(q, ridge, alpha, row_lower, row_upper, lower, upper, columns, rows, cost, vectors, both, kind, active, units):
    """`scaled_sides`, by itself."""
    return scaled_sides(
        q, ridge, alpha, row_lower, row_upper, lower, upper, columns, rows, cost, vectors, both, kind, active, units
    )
