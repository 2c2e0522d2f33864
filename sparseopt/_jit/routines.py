"""BLAS and LAPACK, by the names under which SciPy has them."""

import ctypes

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import get_cython_function_address

_ADDRESSES: dict[str, int] = {}


def external(module, name):
    """A routine of scipy.linalg.cython_blas or cython_lapack, for kernels and for Python alike.

    It is called with integers, floats and arrays in the routine's order, a letter by its code, without the last
    argument of a LAPACK routine, `info`, which it returns (0 from a BLAS routine). Nothing is checked. Machine code
    names the routine, so that it may be kept on disk: an address would be another one in each process.
    """
    symbol = f"sparseopt_{name}"
    address = get_cython_function_address(f"scipy.linalg.{module}", name)
    _ADDRESSES[symbol] = address
    llvmlite.binding.add_symbol(symbol, address)

    def routine(*arguments):
        held = [_by_reference(value) for value in (*arguments, 0)]
        ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(held))(_ADDRESSES[symbol])(*map(_pointer, held))
        return ctypes.c_int32(held[-1].value).value

    _lower_routine(routine, symbol)
    return routine


def _lower_routine(routine, symbol):
    """Let kernels call a routine by its symbol, without a function of its own for each combination of types."""

    class _RoutineTemplate(AbstractTemplate):
        key = routine

        def generic(self, arguments, _keywords):
            return types.int64(*map(types.unliteral, arguments))

    infer_global(routine, types.Function(_RoutineTemplate))

    @lower_builtin(routine, types.VarArg(types.Any))
    def call(context, builder, signature, values):
        places = [_reference(context, builder, *held) for held in zip(signature.args, values, strict=True)]
        info = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(64), 0))
        places.append(builder.bitcast(info, cgutils.voidptr_t))
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t] * len(places))
        builder.call(cgutils.get_or_insert_function(builder.module, kind, symbol), places)
        return builder.sext(builder.trunc(builder.load(info), ir.IntType(32)), ir.IntType(64))


def _by_reference(value):
    if isinstance(value, np.ndarray):
        return value
    return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int64(int(value))


def _pointer(held):
    return held.ctypes.data if isinstance(held, np.ndarray) else ctypes.addressof(held)


def _reference(context, builder, kind, value):
    """Address of an array's data, or of a copy of a number; integers in 64 bits, of which a routine reads what it wants."""
    if isinstance(kind, types.Array):
        return builder.bitcast(context.make_array(kind)(context, builder, value).data, cgutils.voidptr_t)
    wanted = types.float64 if isinstance(kind, types.Float) else types.int64
    place = cgutils.alloca_once_value(builder, context.cast(builder, value, kind, wanted))
    return builder.bitcast(place, cgutils.voidptr_t)
