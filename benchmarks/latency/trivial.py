"""The least that numba can be asked to compile and keep."""

from numba import njit


@njit(cache=True)
def total(x):
    """The sum of x."""
    s = 0.0
    for i in range(x.size):
        s += x[i]
    return s
