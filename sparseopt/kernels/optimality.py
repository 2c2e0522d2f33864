"""Residuals of a quadratic program in its own units, with sums in the order of the indices.

Where terms of millions cancel, a residual is a few units in the last place of these, and depends on the order of
summation. This one is that of a plain loop and of products with sparse matrices by columns, so that others find
the same residuals. Compiled without any licence to reorder or fuse.
"""

import math

from sparseopt._jit import strict_kernel


@strict_kernel
def column_products(matrix, x, out):
    """The product M x into `out`, column by column."""
    for i in range(out.size):
        out[i] = 0.0
    for j in range(x.size):
        if x[j] == 0.0:
            continue
        if matrix.is_sparse:
            for k in range(matrix.starts[j], matrix.starts[j + 1]):
                out[matrix.rows[k]] += matrix.values[k] * x[j]
        else:
            for i in range(out.size):
                out[i] += matrix.full[j, i] * x[j]


@strict_kernel
def row_products(matrix, y, out):
    """The product M'y into `out`, each entry a sum over a column."""
    for j in range(out.size):
        total = 0.0
        if matrix.is_sparse:
            for k in range(matrix.starts[j], matrix.starts[j + 1]):
                total += matrix.values[k] * y[matrix.rows[k]]
        else:
            for i in range(y.size):
                total += matrix.full[j, i] * y[i]
        out[j] = total


@strict_kernel
def keep_pulling(y, lower, upper):
    """Multipliers that pull on an infinite side become zero, in place."""
    for i in range(y.size):
        if math.isinf(upper[i] if y[i] > 0.0 else lower[i]):
            y[i] = 0.0


@strict_kernel
def settle(q, alpha, row_lower, row_upper, lower, upper, w, y, v, is_given, curved, image, pulled):
    """Multipliers of bounds become the best, in place; returns violation and rest.

    Where they are given, only those of fixed coefficients and those that pull on an infinite side are changed.
    """
    violation, rest = 0.0, 0.0
    for i in range(y.size):
        violation = max(violation, image[i] - row_upper[i], row_lower[i] - image[i])
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
    return violation, rest
