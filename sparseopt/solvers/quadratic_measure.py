"""How far a point of a quadratic program and its multipliers are from optimal, in the user's units."""

import numpy as np


def measure(program, w, y, v=None):
    """Violation, stationarity and gap of w, with the multipliers that attain them.

    Multipliers `v` of the bounds are taken as given, but for those that pull on an infinite side
    and those of fixed coefficients; without them, those of coefficients on a bound are the best.
    """
    y = _pulling(y, program.row_lower, program.row_upper)
    rows = program.A @ w
    curved = program.curve(w)
    slope = curved + program.q + y @ program.A
    fixed = program.lower == program.upper
    if v is None:
        pull = -(slope + np.where(w == 0, np.clip(-slope, -program.alpha, program.alpha), np.sign(w) * program.alpha))
        v = np.where(w >= program.upper, np.maximum(pull, 0.0), 0.0) + np.where(
            w <= program.lower, np.minimum(pull, 0.0), 0.0
        )
    rest = slope + _pulling(v, program.lower, program.upper)
    held = np.clip(rest, -program.alpha, program.alpha)
    v = np.where(fixed, v - (rest - held), v)
    v = _pulling(v, program.lower, program.upper)
    rest = np.where(fixed, 0.0, rest - held)
    violation = max(
        np.max(rows - program.row_upper, initial=0.0),
        np.max(program.row_lower - rows, initial=0.0),
        np.max(w - program.upper, initial=0.0),
        np.max(program.lower - w, initial=0.0),
    )
    supports = _support(y, program.row_lower, program.row_upper) + _support(v, program.lower, program.upper)
    gap = abs(float(w @ curved + program.q @ w + program.alpha @ np.abs(w)) + supports)
    return violation, _largest(rest), gap, y, v


def excess(program, w):
    """Largest excess of w over a side of a row, relative to the row's value where that exceeds 1."""
    rows = program.A @ w
    over = np.maximum(rows - program.row_upper, program.row_lower - rows)
    return float(np.max(over / (1 + np.abs(rows)), initial=0.0))


def _pulling(multipliers, lower, upper):
    """Multipliers without those that pull on an infinite side."""
    return np.where(np.isfinite(np.where(multipliers > 0, upper, lower)), multipliers, 0.0)


def _support(multipliers, lower, upper):
    used = multipliers != 0
    return float(multipliers[used] @ np.where(multipliers > 0, upper, lower)[used])


def _largest(vector):
    return float(np.max(np.abs(vector), initial=0.0))
