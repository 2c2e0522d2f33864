"""What kernels have for range: a number that is counted up to an end, in a third of the instructions of numba's.

Numba counts how often a range goes round, by a division, checks that its step is not zero, and keeps what it counts in
six places. Loops over ranges were a fifth of all instructions that were generated, printed and parsed.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import lower_builtin, models, register_model


def counted(*ends):
    """What kernels have for range; a step is never zero."""
    return range(*ends)


class Counting(types.SimpleIterableType):
    """Type of a range of integers: with one end it starts at 0, with two it counts by 1."""

    def __init__(self, dtype, ends):
        super().__init__(f"counting({dtype}, {ends})", CountingIterator(dtype, ends))


class CountingIterator(types.SimpleIteratorType):
    """Type of what goes through a range."""

    def __init__(self, dtype, ends):
        self.ends = ends
        super().__init__(f"counting_iterator({dtype}, {ends})", dtype)


@register_model(Counting)
class _CountingModel(models.StructModel):
    def __init__(self, manager, kind):
        dtype = kind.iterator_type.yield_type
        super().__init__(manager, kind, [(name, dtype) for name in ("start", "stop", "step")])


@register_model(CountingIterator)
class _IteratorModel(models.StructModel):
    def __init__(self, manager, kind):
        dtype = kind.yield_type
        super().__init__(manager, kind, [("at", types.CPointer(dtype)), ("stop", dtype), ("step", dtype)])


@infer_global(counted)
class _CountedTemplate(AbstractTemplate):
    def generic(self, arguments, _keywords):
        found = _SIGNATURES.get(arguments)
        if found is None:
            # of which types a range is, numba says
            known = self.context.resolve_function_type(range, arguments, {})
            if known is None:
                return None
            dtype = known.return_type.dtype
            found = _SIGNATURES[arguments] = Counting(dtype, len(arguments))(*[dtype] * len(arguments))
        return found


_SIGNATURES: dict[tuple, Any] = {}


def _pack(builder, kind, values):
    packed = ir.Constant(kind, ir.Undefined)
    for place, value in enumerate(values):
        packed = builder.insert_value(packed, value, place)
    return packed


@lower_builtin(counted, types.VarArg(types.Integer))
def _range(context, builder, signature, values):
    dtype = signature.args[0]
    zero, one = (context.get_constant(dtype, number) for number in (0, 1))
    start, stop, step = {1: (zero, *values, one), 2: (*values, one), 3: values}[len(values)]
    return _pack(builder, context.get_value_type(signature.return_type), (start, stop, step))


@lower_builtin("getiter", Counting)
def _start(context, builder, signature, values):
    start, stop, step = (builder.extract_value(values[0], place) for place in range(3))
    with builder.goto_entry_block():
        at = builder.alloca(start.type)
    builder.store(start, at)
    return _pack(builder, context.get_value_type(signature.return_type), (at, stop, step))


@lower_builtin("iternext", CountingIterator)
def _advance(context, builder, signature, values):
    kind = signature.args[0]
    at, stop, step = (builder.extract_value(values[0], place) for place in range(3))
    number = builder.load(at)
    compare = builder.icmp_signed if kind.yield_type.signed else builder.icmp_unsigned
    is_before = compare("<", number, stop)
    if kind.ends == 3:
        is_up = compare(">", step, step.type(0))
        is_before = builder.select(is_up, is_before, compare(">", number, stop))
        builder.store(builder.add(number, step), at)
    else:
        # it is not beyond the end that a number is counted from
        flag = "nsw" if kind.yield_type.signed else "nuw"
        builder.store(builder.add(number, step, flags=[flag]), at)
    return _pack(builder, context.get_value_type(signature.return_type), (number, is_before))
