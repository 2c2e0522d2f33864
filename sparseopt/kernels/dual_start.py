"""Where a dual active set method begins: the factor of the Hessian, the normals of all sides in its metric, and nothing held."""

import math

from sparseopt._jit import brief_kernel
from sparseopt.kernels.held_sides import EQUAL, POSITIVE, ZERO, U
from sparseopt.kernels.lapack import cholesky, solve_lower_columns

# A pivot of P that is a smaller part of its diagonal entry is rounding.
SINGULAR = 1e-11


@brief_kernel
def begin(Q, c, A, row_lower, row_upper, lower, upper, alpha, ridge, objective, metric, sides, held, standing):
    """Fill in, in place, the terms of a program, whose matrix has A for columns; False where P is singular to rounding.

    The objective is to have no proximal weights.
    """
    p, m = c.size, row_lower.size
    L, normals = held.columns, metric.normals
    for j in range(p):
        for i in range(U(p)):
            objective.P[j, i] = L[j, i] = Q[j, i]
        objective.P[j, j] += ridge[j]
        L[j, j] = objective.P[j, j]
    if cholesky(L) != 0:
        return False
    for j in range(p):
        if not L[j, j] * L[j, j] > SINGULAR * objective.P[j, j]:
            return False
    for j in range(p):
        for i in range(U(p)):
            normals[m + j, i] = 0.0
        normals[m + j, j] = 1.0
        for i in range(m):
            objective.A[i, j] = normals[i, j] = A[j, i]
    solve_lower_columns(L, normals)
    held.size[0] = 0
    objective.before[0] = objective.before[1] = -1.0
    for i in range(m + p):
        total = 0.0
        for j in range(U(p)):
            total += normals[i, j] * normals[i, j]
        metric.norms[i], metric.known[i] = math.sqrt(total), False
        is_row, j = i < m, i - m
        sides.low[i] = row_lower[i] if is_row else lower[j]
        sides.high[i] = row_upper[i] if is_row else upper[j]
        slope = 0.0
        if not is_row:
            slope, objective.c[j], objective.centre[j] = alpha[j], c[j], 0.0
            if slope > 0.0 and (lower[j] >= 0.0 or upper[j] <= 0.0):
                # of one sign within the bounds
                objective.c[j] += slope if lower[j] >= 0.0 else -slope
                slope = 0.0
        sides.alpha[i], standing.multipliers[i] = slope, 0.0
        standing.states[i] = EQUAL if sides.low[i] == sides.high[i] else (ZERO if slope > 0.0 else POSITIVE)
    return True
