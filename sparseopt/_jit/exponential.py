"""An exponential that LLVM can vectorise: numba from PyPI calls libm once for each element."""

import math

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

from sparseopt._jit.options import INNER


def exp(x):
    """Exponential, clamped at 709 (88 for float32) so that it never overflows; of numbers and of arrays."""
    return np.exp(np.minimum(x, 88.0 if np.result_type(x) == np.float32 else 709.0))


@intrinsic
def _as_double(_context, bits):
    def reinterpret(_target, builder, _signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(bits), reinterpret


@intrinsic
def _as_single(_context, bits):
    def reinterpret(_target, builder, _signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(bits), reinterpret


# Reassociation would undo the two-part reduction x - k ln 2 and lose four digits: contraction only.
@overload(exp, jit_options={**INNER, "fastmath": {"contract"}})
def _compiled_exp(x):
    if x is types.float32:
        return _exp_single
    return _exp_double


def _exp_double(x):
    # exp(x) = 2**k exp(r) with |r| <= ln(2) / 2, and a Taylor polynomial of degree 13 for exp(r)
    bounded = min(max(float(x), -708.0), 709.0)
    k = math.floor(bounded * 1.4426950408889634 + 0.5)
    r = (bounded - k * 0.693145751953125) - k * 1.42860682030941723212e-06
    p = 1.6059043836821613e-10 * r + 2.08767569878681e-09
    p = p * r + 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 1.984126984126984e-04
    p = p * r + 1.388888888888889e-03
    p = p * r + 8.333333333333333e-03
    p = p * r + 4.1666666666666664e-02
    p = p * r + 1.6666666666666666e-01
    p = (p * r + 0.5) * r * r + r + 1.0
    result = p * _as_double((np.int64(k) + 1023) << 52)
    return result if x == x else x


def _exp_single(x):
    # Cody and Waite's reduction with a minimax polynomial of degree 6 (Moshier, 1989, Cephes expf)
    f = np.float32
    bounded = min(max(x, f(-87.0)), f(88.0))
    k = f(math.floor(bounded * f(1.4426950408889634) + f(0.5)))
    r = (bounded - k * f(0.693359375)) + k * f(2.12194440e-4)
    p = f(1.9875691500e-4) * r + f(1.3981999507e-3)
    p = p * r + f(8.3334519073e-3)
    p = p * r + f(4.1665795894e-2)
    p = p * r + f(1.6666665459e-1)
    p = p * r + f(5.0000001201e-1)
    p = p * r * r + r + f(1.0)
    result = p * _as_single(np.int32((np.int32(k) + 127) << 23))
    return result if x == x else x
