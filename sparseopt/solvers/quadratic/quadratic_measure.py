"""How far a point of a quadratic program and its multipliers are from optimal, in the user's units."""

import numpy as np

from sparseopt.kernels.optimality import column_products, keep_pulling, row_products, settle


def measure(program, products, w, y, v=None):
    """Violation, stationarity and gap of w, with the multipliers that attain them.

    Multipliers `v` of the bounds are taken as given, but for those that pull on an infinite side
    and those of fixed coefficients; without them, those of coefficients on a bound are the best.
    """
    violation, rest, gap, y, v = signed_measure(program, products, w, y, v)
    return violation, rest, abs(gap), y, v


def signed_measure(program, products, w, y, v=None):
    """`measure` with the sign of the gap, positive where the objective is above its bound."""
    y = pulling(program, y)
    return _settled(program, _products(program, products, w, y), w, y, v)


def settled(program, products, w, y, v=None):
    """The multipliers that `measure` gives."""
    return signed_measure(program, products, w, y, v)[3:]


def measure_by_products(program, w, y, v=None):
    """`measure` for whatever has `curve`, `A` and the vectors of a program, by products with these."""
    y = pulling(program, y)
    parts = (program.curve(w), program.A @ w, np.asarray(y @ program.A))
    violation, rest, gap, y, box = _settled(program, parts, w, y, v)
    return violation, rest, abs(gap), y, box


def pulling(program, y):
    """Multipliers of rows without those that pull on an infinite side."""
    y = np.array(y, dtype=np.float64)
    keep_pulling(y, program.row_lower, program.row_upper)
    return y


def slope_at(program, products, w, y):
    """Slope of the objective and of the rows with multipliers y, without the L1 term."""
    curved, pulled = np.empty((2, w.size))
    row_products(products.A, y, pulled)
    _curve(program, products, w, curved)
    return curved + program.q + pulled


def _settled(program, products, w, y, v):
    curved, image, pulled = products
    box = np.zeros(w.size) if v is None else np.array(v, dtype=np.float64)
    found = settle(
        program.q, program.alpha, program.row_lower, program.row_upper, program.lower, program.upper, w, y, box,
        v is not None, curved, image, pulled,
    )  # fmt: skip
    return *found, y, box


def _products(program, products, w, y):
    """The products P w, A w and A'y."""
    image, (curved, pulled) = np.empty(y.size), np.empty((2, w.size))
    column_products(products.A, w, image)
    row_products(products.A, y, pulled)
    _curve(program, products, w, curved)
    return curved, image, pulled


def _curve(program, products, w, out):
    """The product P w, by columns as far as P is a matrix."""
    if products.F.height:
        out[:] = program.curve(w)
        return
    column_products(products.P, w, out)
    if program.ridge.any():
        out += program.ridge * w


def excess(program, w):
    """Largest excess of w over a side of a row, relative to the row's value where that exceeds 1."""
    rows = program.A @ w
    over = np.maximum(rows - program.row_upper, program.row_lower - rows)
    return float(np.max(over / (1 + np.abs(rows)), initial=0.0))
