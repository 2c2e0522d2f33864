"""One look at the data of a little quadratic program as they come: whether nothing is wrong with them.

What is, if something is, the door says in numpy (inputs.py, constraints.py), which also judges what is open here.
"""

import math

from sparseopt._jit import brief_kernel, strict_kernel


def is_in_range(columns, least, most):
    """Whether each row of the array has a largest entry between these two, or zeros alone, and numbers only."""
    for j in range(len(columns)):
        largest = 0.0
        for i in range(columns.shape[1]):
            size = abs(columns[j, i])
            if not size <= most:
                return False
            largest = max(largest, size)
        if 0.0 < largest < least:
            return False
    return True


def is_symmetric(Q):
    """Whether the matrix is its own transpose, bit by bit."""
    for j in range(len(Q)):
        for i in range(j):
            if Q[j, i] != Q[i, j]:
                return False
    return True


@brief_kernel
def is_sound_quadratic(Q, c, least, most):
    """Whether Q is symmetric without negative numbers on its diagonal, and Q and c are finite and in range."""
    largest = 0.0
    for j in range(c.size):
        size = abs(c[j])
        if not (size <= most and Q[j, j] >= 0.0):
            return False
        largest = max(largest, size)
    return not 0.0 < largest < least and is_in_range(Q, least, most) and is_symmetric(Q)


@brief_kernel
def are_sound_columns(columns, least, most):
    """Whether a matrix, of which these are the columns, is finite and in range."""
    return is_in_range(columns, least, most)


@strict_kernel
def are_sound_sides(sides):
    """Whether lower sides, in the first row, nowhere exceed upper ones; negative zeros become zeros, in place."""
    for i in range(sides.shape[1]):
        # strictly, or the sum would be left out
        sides[0, i] += 0.0
        sides[1, i] += 0.0
        if not (sides[0, i] <= sides[1, i] and sides[0, i] < math.inf and sides[1, i] > -math.inf):
            return False
    return True
