"""blitzl1 0.0.2, with the one function replaced that numpy of today refuses."""

import blitzl1
import numpy as np
from blitzl1 import _blitzl1


def _pointer(array, kind):
    array = array.astype(np.int32 if kind is _blitzl1._index_t_p else np.float64, copy=False)  # noqa: SLF001
    return array, array.ctypes.data_as(kind)


# it asks a ctypes pointer for its dtype
_blitzl1.data_as = _pointer


def solve(kind, X, y, penalty, tolerance):
    """Coefficients without intercept; `kind` is LassoProblem or LogRegProblem, the penalty that of a sum."""
    blitzl1.set_use_intercept(False)
    blitzl1.set_tolerance(tolerance)
    return np.asarray(vars(blitzl1)[kind](X, y).solve(penalty).x)
