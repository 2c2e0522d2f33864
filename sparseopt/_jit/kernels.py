"""Kernels: functions of arrays, numbers and terms, compiled for the types that they are called with."""

import numba

from sparseopt._jit.functions import linked
from sparseopt._jit.options import BRIEF, FLAGS, is_compiled
from sparseopt._jit.store import Store

KERNELS: list = []


def kernel(function):
    """Compile a function of arrays, numbers and terms; without the GIL, cached on disk.

    The plain functions it calls are compiled with it and must be defined above it.
    """
    return _compiled(function, FLAGS)


def brief_kernel(function):
    """`kernel` that compiles sooner and may run a little longer: for short loops, and for what a run calls once."""
    return _compiled(function, BRIEF)


def strict_kernel(function):
    """`kernel` for sums whose rounding counts: no sum is reordered, and no product is fused with one.

    It calls no functions, for these would be compiled without such care.
    """
    return _compiled(function, {**FLAGS, "fastmath": False})


def _compiled(function, flags):
    if not is_compiled():
        return function
    compiled = numba.njit(**flags)(function)

    def link():
        # at the first compilation, since code that is found on disk has no need of what it was made of
        compiled._compiler.py_func = linked(function)

    compiled._cache = Store(function, flags, link)
    KERNELS.append(compiled)
    return compiled


def compilations():
    """Number of kernel versions compiled and loaded from disk so far in this process."""
    misses = sum(sum(k.stats.cache_misses.values()) for k in KERNELS)
    return misses, sum(sum(k.stats.cache_hits.values()) for k in KERNELS)
