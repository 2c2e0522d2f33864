"""Less of a duality gap, from multipliers that move by what stationarity has room for.

Where an objective is 1e12, a gap is the difference of two such numbers, and an absolute tolerance of 1e-6 is less than
the last digit of either. A multiplier y_i of a side b_i that moves by d moves the gap by d b_i and the stationarity of
its coefficients by d |a_ij|: where sides are large, what the gap lacks is little to stationarity.
"""

import numpy as np
from scipy import sparse

from sparseopt.solvers.quadratic.quadratic_measure import signed_measure

# Moves of one multiplier each, and by how much less one is preferred each time: rounding leaves its own part after a move.
_MOVES, _AGAIN = 20, 4.0
# Part of the tolerance that stationarity may take, since others sum it up in another order.
_ROOM = 0.5


def with_less_gap(program, products, w, found, tol):
    """Violation, stationarity and gap with the multipliers y and v that attain them, from the same in `found`.

    They are better where a few multipliers bring the gap below `tol` and leave stationarity half of it; else they are
    those that were given.
    """
    violation, stationarity, gap, y, v = found
    if gap <= tol or max(violation, stationarity) > _ROOM * tol:
        return found
    sides = np.append(_side(y, program.row_lower, program.row_upper), _side(v, program.lower, program.upper))
    # settled by stationarity, and no choice
    sides[y.size :][program.lower == program.upper] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):  # of sides at zero
        price = np.where(sides != 0.0, np.append(largest_of_rows(program.A), np.ones(w.size)) / np.abs(sides), np.inf)
    multipliers = np.append(y, v)
    # what a move leaves at least, since it is rounded
    rounding = np.spacing(np.abs(multipliers)) * np.abs(sides)
    for _ in range(_MOVES):
        violation, stationarity, gap, *pulls = signed_measure(program, products, w, *np.split(multipliers, [y.size]))
        if stationarity > _ROOM * tol:
            return found
        if abs(gap) <= tol:
            return violation, stationarity, abs(gap), *pulls
        is_free = (rounding <= abs(gap)) & (abs(gap) <= np.abs(multipliers * sides) / 2.0)
        k = int(np.argmin(np.where(is_free, price, np.inf)))
        if not abs(gap) * price[k] < _ROOM * tol:
            return found
        multipliers[k] -= gap / sides[k]
        price[k] *= _AGAIN
    return found


def _side(multipliers, lower, upper):
    """The side that each multiplier pulls to, zero where it does not pull."""
    return np.where(multipliers != 0.0, np.where(multipliers > 0.0, upper, lower), 0.0)


def largest_of_rows(A):
    """Largest size of an entry in each row."""
    if not sparse.issparse(A):
        return np.max(np.abs(A), axis=1, initial=0.0)
    largest = np.zeros(A.shape[0])
    np.maximum.at(largest, A.indices, np.abs(A.data))
    return largest
