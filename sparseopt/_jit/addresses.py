"""Terms by address, for kernels that are compiled once for all their types."""

import functools

from numba.core import cgutils, types
from numba.extending import intrinsic

from sparseopt._jit.layout import TermType
from sparseopt._jit.term_types import type_of


def n_words(term):
    """Words of 8 bytes that hold the fields of a term, at most."""
    return _words(type_of(term, None))


@functools.cache
def _words(kind):
    if isinstance(kind, TermType):
        return sum(_words(field) for _, field in kind.fields)
    # two owners, two sizes and the address, and for each dimension its length and stride
    return 5 + 2 * kind.ndim if isinstance(kind, types.Array) else 1


@intrinsic
def copy_fields(_context, term, memory):
    """Copy the fields of a term into an array of `n_words`, where they hold as long as the term lives."""
    if any(not isinstance(kind, _WORDS) for _, kind in term.fields):
        raise TypeError(f"{term.class_name} has fields other than arrays, numbers and terms, which have no address.")

    def generate(context, builder, signature, values):
        fields = context.data_model_manager[term].fields
        to = context.make_array(signature.args[1])(context, builder, values[1]).data
        cgutils.raw_memcpy(builder, to, values[0], context.get_constant(types.intp, context.get_abi_sizeof(fields)), 1)
        return context.get_dummy_value()

    return types.void(term, memory), generate


_WORDS = (TermType, types.Array, types.Float, types.Integer, types.Boolean)


_CODES: dict[tuple, int] = {}


def address_of(compiled, term, *arguments):
    """Address of the machine code of a kernel for a term and arguments of these types, good for this process."""
    kind = type_of(term, None)
    # of one kernel, what comes after the term has the same types each time
    known = _CODES.get((compiled, id(kind)))
    if known is None:
        signature = (kind, *map(compiled.typeof_pyval, arguments))
        if signature not in compiled.overloads:
            compiled.compile(signature)
        version = compiled.overloads[signature]
        known = version.library.get_pointer_to_function(version.fndesc.llvm_func_name)
        _CODES[compiled, id(kind)] = known
    return known


@intrinsic
def call_at(_context, address, fields, what, x, y, out, out_y):
    """Call the kernel at an address: of a term, whose fields `fields` holds, a whole number and four vectors, to a whole number."""
    vector = types.Array(types.float64, 1, "C")
    if (x, y, out, out_y) != (vector,) * 4:
        raise TypeError(f"vectors of float64 are called with, not {x}, {y}, {out} and {out_y}.")
    kinds = (types.voidptr, types.int64, vector, vector, vector, vector)

    def generate(context, builder, signature, values):
        place, memory, number, *vectors = values
        memory = context.make_array(signature.args[1])(context, builder, memory).data
        number = context.cast(builder, number, signature.args[2], types.int64)
        kind = context.call_conv.get_function_type(types.int64, kinds)
        code = builder.inttoptr(place, kind.as_pointer())
        given = [builder.bitcast(memory, cgutils.voidptr_t), number, *vectors]
        return context.call_conv.call_function(builder, code, types.int64, kinds, given)[1]

    return types.int64(address, fields, what, x, y, out, out_y), generate
