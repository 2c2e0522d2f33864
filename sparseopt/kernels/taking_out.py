"""A point of an interior point method in the units of the program."""

from sparseopt._jit import kernel
from sparseopt.kernels.conditions import EQUAL, parts
from sparseopt.kernels.interior import BETTER, POINT, ROWS


@kernel
def take_out(sides, V, R, lower, upper, columns, rows, is_polished, w, y, v):
    """Coefficients into w, within the bounds, and multipliers of rows and bounds into y and v, without slopes.

    Those of the point, or of a polished one, which has no multipliers of bounds.
    """
    m, p, size = y.size, w.size, sides.kind.size
    x, _, on_rows, z = parts(sides, V[POINT])
    for j in range(p):
        at = V[BETTER, j] if is_polished else x[j]
        low, high = sides.low[m + j], sides.high[m + j]
        # what lies on a scaled bound lies on the bound itself, which rounding would miss
        w[j] = lower[j] if at <= low else (upper[j] if at >= high else columns[j] * at)
        w[j] = min(max(w[j], lower[j]), upper[j])
        v[j] = 0.0 if is_polished else (z[size + m + j] - z[m + j]) / (sides.cost * columns[j])
    for i in range(m):
        pull = R[ROWS, i]
        if not is_polished:
            pull = on_rows[i] if sides.kind[i] & EQUAL else z[size + i] - z[i]
        y[i] = rows[i] * pull / sides.cost
