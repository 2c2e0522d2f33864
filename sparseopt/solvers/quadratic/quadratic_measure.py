"""How far a point of a quadratic program and its multipliers are from optimal, in the user's units."""

import numpy as np

from sparseopt.kernels.optimality import keep_pulling, products_at, settle


def measure(program, products, w, y, v=None):
    """Violation, stationarity and gap of w, with the multipliers that attain them.

    Multipliers `v` of the bounds are taken as given, but for those that pull on an infinite side
    and those of fixed coefficients; without them, those of coefficients on a bound are the best.
    """
    violation, rest, gap, y, v = signed_measure(program, products, w, y, v)
    return violation, rest, abs(gap), y, v


def signed_measure(program, products, w, y, v=None):
    """`measure` with the sign of the gap, positive where the objective is above its bound."""
    y = np.array(y, dtype=np.float64)
    parts = _products(program, products, w, y)
    violation, rest, box, *pulling = _settled(program, parts, w, y, v)
    return violation, rest, _gap(program, parts, w, *pulling), y, box


def settled(program, products, w, y, v=None):
    """The multipliers that `measure` gives."""
    y = np.array(y, dtype=np.float64)
    return y, _settled(program, _products(program, products, w, y), w, y, v)[2]


def curve_at(program, products, w):
    """The product P w, by columns as far as P is a matrix."""
    return _products(program, products, w, np.zeros(program.row_lower.size))[0]


def measure_by_products(program, w, y, v=None):
    """`measure` for whatever has `curve`, `A` and the vectors of a program, by products with these."""
    y = np.array(y, dtype=np.float64)
    keep_pulling(y, program.row_lower, program.row_upper)
    parts = (program.curve(w), program.A @ w, np.asarray(y @ program.A))
    violation, rest, box, *pulling = _settled(program, parts, w, y, v)
    return violation, rest, abs(_gap(program, parts, w, *pulling)), y, box


def slope_at(program, products, w, y):
    """Slope of the objective and of the rows with multipliers y, without the L1 term; those that pull on an infinite side become zero."""
    curved, _, pulled = _products(program, products, w, y)
    return curved + program.q + pulled


def _settled(program, products, w, y, v):
    """Violation, stationarity and multipliers of bounds, and what makes the gap of these: see `settle`."""
    curved, image, pulled = products
    box, used = np.zeros(w.size) if v is None else np.array(v, dtype=np.float64), np.empty((2, y.size + w.size))
    violation, rest, *counts = settle(
        program.q, program.alpha, program.row_lower, program.row_upper, program.lower, program.upper, w, y, box,
        v is not None, curved, image, pulled, used,
    )  # fmt: skip
    return violation, rest, box, used, counts


def _gap(program, products, w, used, counts):
    """What the objective at w has above that of the dual, by sums like those of whoever checks it: its last digits differ by them."""
    (pulls, sides), (m, n, slopes) = used, counts
    objectives = float(w @ products[0] + program.q @ w) + (float(program.alpha @ np.abs(w)) if slopes else 0.0)
    return objectives + (float(pulls[:m] @ sides[:m]) + float(pulls[m:n] @ sides[m:n]))


def _products(program, products, w, y):
    """The products P w, A w and A'y; by columns as far as P is a matrix. Of y is kept what pulls on a side."""
    image, (curved, pulled) = np.empty(y.size), np.empty((2, w.size))
    products_at(
        products.P, program.ridge, products.A, program.row_lower, program.row_upper, w, y, curved, image, pulled
    )
    return program.curve(w) if products.F.height else curved, image, pulled
