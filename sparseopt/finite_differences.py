"""Derivatives of functions that come without them, by finite differences."""

from __future__ import annotations

import numpy as np

_EPS = float(np.finfo(np.float64).eps)
#: What SciPy calls the schemes, and the relative step at which rounding and truncation are alike.
SCHEMES = {"2-point": _EPS ** (1 / 2), "3-point": _EPS ** (1 / 3)}


def differentiate(fun, w, here, scheme):
    """Slopes of each value of fun at w, one row a value; `here` is fun(w).

    A coordinate is moved away from zero. Where the function is no number on that side, as behind the bound of a
    logarithm, it is moved to the other.
    """
    here = np.atleast_1d(np.asarray(here, dtype=np.float64))
    slopes = np.empty((here.size, w.size))
    for j, w_j in enumerate(w.tolist()):
        reach = SCHEMES[scheme] * max(1.0, abs(w_j))
        reach = reach if w_j >= 0.0 else -reach
        ahead, there = _moved(fun, w, j, w_j + reach)
        if there.size != here.size:
            raise ValueError(
                f"a function returned {here.size} values at one point and {there.size} at another; it must return as many everywhere."
            )
        behind, back = _moved(fun, w, j, w_j - reach) if scheme == "3-point" else (w_j, here)
        if not np.all(np.isfinite(there)) and scheme == "2-point":
            ahead, there = _moved(fun, w, j, w_j - reach)
        elif not np.all(np.isfinite(there)):
            ahead, there = w_j, here
        elif not np.all(np.isfinite(back)):
            behind, back = w_j, here
        slopes[:, j] = (there - back) / (ahead - behind)
    return slopes


def _moved(fun, w, j, value):
    """The coordinate as it was moved, and fun there."""
    there = w.copy()
    there[j] = value
    return value, np.atleast_1d(np.asarray(fun(there), dtype=np.float64))
