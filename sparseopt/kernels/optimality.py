"""Residuals of a quadratic program in its own units, with sums in the order of the indices.

Where terms of millions cancel, a residual is a few units in the last place of these, and depends on the order of
summation. This one is that of a plain loop and of products with sparse matrices by columns, so that others find
the same residuals. Compiled without any licence to reorder or fuse.
"""

import math

import numpy as np

from sparseopt._jit import strict_kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


@strict_kernel
def products_at(P, ridge, A, row_lower, row_upper, w, y, curved, image, pulled):  # noqa: PLR0912 (a strict kernel calls no functions)
    """The products P w and A w, column by column, and A'y, each entry a sum over a column, into the last three.

    Multipliers y that pull on an infinite side become zero before, in place.
    """
    for i in range(image.size):
        image[i] = 0.0
        if math.isinf(row_upper[i] if y[i] > 0.0 else row_lower[i]):
            y[i] = 0.0
    for j in range(w.size):
        curved[j] = 0.0
    for j in range(w.size):
        if w[j] == 0.0:
            continue
        if A.is_sparse:
            for k in range(U(A.starts[j]), U(A.starts[j + 1])):
                image[U(A.rows[k])] += A.values[k] * w[j]
        else:
            for i in range(image.size):
                image[i] += A.full[j, i] * w[j]
        if P.is_sparse:
            for k in range(U(P.starts[j]), U(P.starts[j + 1])):
                curved[U(P.rows[k])] += P.values[k] * w[j]
        else:
            for i in range(w.size):
                curved[i] += P.full[j, i] * w[j]
    for j in range(w.size):
        total = 0.0
        if A.is_sparse:
            for k in range(U(A.starts[j]), U(A.starts[j + 1])):
                total += A.values[k] * y[U(A.rows[k])]
        else:
            for i in range(y.size):
                total += A.full[j, i] * y[i]
        pulled[j] = total
        curved[j] += ridge[j] * w[j]


@strict_kernel
def largest_terms(matrix, y):
    """Largest sum of the sizes of the terms of an entry of M'y."""
    most = 0.0
    for j in range(matrix.width):
        total = 0.0
        if matrix.is_sparse:
            for k in range(U(matrix.starts[j]), U(matrix.starts[j + 1])):
                total += abs(matrix.values[k] * y[U(matrix.rows[k])])
        else:
            for i in range(y.size):
                total += abs(matrix.full[j, i] * y[i])
        most = max(most, total)
    return most


@strict_kernel
def keep_pulling(y, lower, upper):
    """Multipliers that pull on an infinite side become zero, in place."""
    for i in range(y.size):
        if math.isinf(upper[i] if y[i] > 0.0 else lower[i]):
            y[i] = 0.0


@strict_kernel
def settle(q, alpha, row_lower, row_upper, lower, upper, w, y, v, is_given, curved, image, pulled, used):
    """Multipliers of bounds become the best, in place; returns violation and rest.

    Where they are given, only those of fixed coefficients and those that pull on an infinite side are changed. All that
    are not zero go into used[0], those of rows first, and the sides that they pull to into used[1]; how many there are
    of rows, and of both, comes last, with the number of slopes.
    """
    violation, rest, count, slopes = 0.0, 0.0, 0, 0
    for i in range(y.size):
        violation = max(violation, image[i] - row_upper[i], row_lower[i] - image[i])
        if y[i] != 0.0:
            used[0, count], used[1, count] = y[i], row_upper[i] if y[i] > 0.0 else row_lower[i]
            count += 1
    of_rows = count
    for j in range(w.size):
        violation = max(violation, w[j] - upper[j], lower[j] - w[j])
        slope = curved[j] + q[j] + pulled[j]
        a, is_fixed = alpha[j], lower[j] == upper[j]
        if not is_given:
            held = min(max(-slope, -a), a) if w[j] == 0.0 else (a if w[j] > 0.0 else -a)
            pull = -(slope + held)
            v[j] = pull if (pull > 0.0 and w[j] >= upper[j]) or (pull < 0.0 and w[j] <= lower[j]) else 0.0
        if (v[j] > 0.0 and math.isinf(upper[j])) or (v[j] < 0.0 and math.isinf(lower[j])):
            v[j] = 0.0
        left = slope + v[j]
        left -= min(max(left, -a), a)
        if is_fixed:
            v[j] -= left
            left = 0.0
        rest = math.inf if math.isnan(left) else max(rest, abs(left))
        slopes += a != 0.0
        if v[j] != 0.0:
            used[0, count], used[1, count] = v[j], upper[j] if v[j] > 0.0 else lower[j]
            count += 1
    return violation, rest, of_rows, count, slopes
