"""The polish of an interior point: a guess of the active set, and the minimiser on it.

The guess is that of active_sets.py: with multipliers u, the prox of a copy plus its u is at a side, or at zero
under a slope, where the solution is. The minimiser comes from the Newton system of the method, with diagonals that
hold what is held; vectors lie as kernels/interior.py says.
"""

import math

from sparseopt._jit import brief_kernel
from sparseopt.kernels.conditions import OUT, net, parts
from sparseopt.kernels.interior import (
    BETTER,
    BOUNDS,
    CHANGES,
    CURVED,
    DIAGONAL,
    DNU,
    DW,
    ERROR,
    FOUND,
    IMAGE,
    LOOSE,
    POINT,
    PULLED,
    ROWS,
    SPACE_R,
    SPACE_W,
)

# Diagonal of the rows of an active set, undone by refinement.
_SOFT = 1e-9
# Of a hash of active sets (a linear congruence in whole numbers that a float holds).
_FACTOR, _MASK = 1103515245, (1 << 52) - 1


def guessed(system, sides, V, W, R):
    """Where rows and coefficients are held, by what multipliers and slacks suggest; returns a hash of the guess.

    From the coefficients in V[BETTER] and multipliers of rows in R[ROWS] on, whose products are left in W and R.
    The values held go to V[ERROR], first the rows, and NaN where there is none; see active_sets.py.
    """
    p, m = sides.q.size, R[ROWS].size
    x, held, code = V[BETTER, :p], V[ERROR], 0
    system.curve(x, W[CURVED])
    system.image(x, R[IMAGE])
    system.pull(R[ROWS], W[PULLED])
    for i in range(m + p):
        at = R[IMAGE, i] if i < m else x[i - m]
        pull = R[ROWS, i] if i < m else -(W[CURVED, i - m] + sides.q[i - m] + W[PULLED, i - m])
        threshold = 0.0 if i < m else sides.alpha[i - m]
        v = at + pull
        v -= min(max(v, -threshold), threshold)
        held[i] = math.nan
        if v <= sides.low[i]:
            held[i] = sides.low[i]
        elif v >= sides.high[i]:
            held[i] = sides.high[i]
        elif threshold > 0.0 and v == 0.0:
            held[i] = 0.0
        if not math.isnan(held[i]):
            code = (code * _FACTOR + 3 * i + (1 if v <= sides.low[i] else 2)) & _MASK
        elif v > 0.0 and threshold > 0.0:
            code = (code * _FACTOR + 3 * i + 3) & _MASK
    return code


@brief_kernel
def guess(system, sides, V, W, R):
    """`guessed`, by itself."""
    return guessed(system, sides, V, W, R)


def continue_from(x, y, to_x, to_y):
    """Copy coefficients and multipliers of rows."""
    for j in range(x.size):
        to_x[j] = x[j]
    for i in range(y.size):
        to_y[i] = y[i]


def held_diagonals(held, ridge, D, E):
    """Diagonals that hold what is held, and hardly touch what is free, into D and E."""
    m = E.size
    for i in range(held.size):
        is_held = not math.isnan(held[i])
        if i < m:
            E[i] = _SOFT if is_held else OUT
        else:
            D[i - m] = OUT if is_held else ridge[i - m]


def gap_of_held(system, sides, x, y, held, sign, W, R):
    """What x and y leave of the conditions of the active set, into W[SPACE_W] and R[SPACE_R]; its size."""
    m, size = y.size, 0.0
    system.curve(x, W[CURVED])
    system.image(x, R[IMAGE])
    system.pull(y, W[PULLED])
    for i in range(m):
        is_held = not math.isnan(held[i])
        R[SPACE_R, i] = held[i] - R[IMAGE, i] if is_held else 0.0
        size = max(size, abs(R[SPACE_R, i]))
    for j in range(x.size):
        is_free = math.isnan(held[m + j])
        rest = W[CURVED, j] + sides.q[j] + W[PULLED, j] + sign[j] * sides.alpha[j]
        W[SPACE_W, j] = -rest if is_free else 0.0
        size = max(size, abs(W[SPACE_W, j]))
    return size


@brief_kernel
def start(sides, V, W, R, curvatures, most, ridge):
    """Begin at the point: its coefficients into V[BETTER], its multipliers of rows into R[ROWS], in place.

    What regularises the systems of active sets goes into `ridge`: relative to what curvature there is, so that little
    of it is not lost.
    """
    x, _, y, z = parts(sides, V[POINT])
    for j in range(x.size):
        V[BETTER, j] = x[j]
    net(sides, z, y, R[ROWS], W[BOUNDS])
    for j in range(ridge.size):
        ridge[j] = most * (min(curvatures[j], 1.0) if curvatures[j] > 0.0 else 1.0)


@brief_kernel
def hold(V, W, R, ridge):
    """Diagonals for the active set of `guess` into W[DIAGONAL] and R[LOOSE], in place, where factors are made outside."""
    held_diagonals(V[ERROR, : ridge.size + R.shape[1]], ridge, W[DIAGONAL], R[LOOSE])


def polished(system, sides, V, W, R, ridge, rounds, is_factored):
    """Minimiser on the active set of `guessed`, by refinement of a regularised system, in place of V[BETTER] and R[ROWS].

    Returns what it leaves of the conditions of this set; infinite where the factorisation failed. It makes none where
    that has been done outside, after `hold`.
    """
    p, m = sides.q.size, R[ROWS].size
    x, y, held, sign = V[BETTER, :p], R[ROWS], V[ERROR, : m + p], V[CHANGES, :p]
    for i in range(m + p):
        is_held = not math.isnan(held[i])
        if i < m:
            y[i] = y[i] if is_held else 0.0
        else:
            x[i - m] = held[i] if is_held else x[i - m]
            sign[i - m] = 0.0 if is_held else (1.0 if x[i - m] > 0.0 else -1.0)
    if not is_factored:
        held_diagonals(held, ridge, W[DIAGONAL], R[LOOSE])
        if not system.factorise(W[DIAGONAL], R[LOOSE]):
            return math.inf
    last = math.inf
    best_x, best_y = V[FOUND, :p], V[FOUND, V.shape[1] - m :]
    for _ in range(rounds):
        size = gap_of_held(system, sides, x, y, held, sign, W, R)
        if not size < last / 2.0:
            if size < last:
                last = size
                continue_from(x, y, best_x, best_y)
            break
        last = size
        continue_from(x, y, best_x, best_y)
        system.solve(W[SPACE_W], R[SPACE_R], W[DW], R[DNU])
        for j in range(p):
            x[j] += W[DW, j] if math.isnan(held[m + j]) else 0.0
        for i in range(m):
            y[i] += R[DNU, i] if not math.isnan(held[i]) else 0.0
    continue_from(best_x, best_y, x, y)
    return last


@brief_kernel
def polish(system, sides, V, W, R, ridge, rounds, is_factored):
    """`polished`, by itself."""
    return polished(system, sides, V, W, R, ridge, rounds, is_factored)
