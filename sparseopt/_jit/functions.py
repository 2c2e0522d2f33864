"""Plain functions as kernels call them: compiled with the kernel, and min and max by comparisons."""

import functools
import operator
from types import CodeType, FunctionType

import numba
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global

from sparseopt._jit.options import INNER

THIRD_PARTY = {"numpy", "math", "numba", "llvmlite", "builtins", "scipy", "abc", "dataclasses"}


def linked(function):
    """Copy of `function` in whose globals every plain function is replaced by its compiled form."""
    scope = dict(function.__globals__)
    for name in global_names(function.__code__):
        if _is_ours_to_compile(value := scope.get(name)):
            scope[name] = function_dispatcher(value)
        elif name in _PICKS and name not in scope:
            scope[name] = _PICKS[name]
    copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    copy.__qualname__ = function.__qualname__
    copy.__module__ = function.__module__
    return copy


@functools.cache
def function_dispatcher(function):
    return numba.njit(**INNER)(linked(function))


def _is_ours_to_compile(value):
    # What this package defines (exp) has an implementation of its own for kernels.
    is_defined_here = (getattr(value, "__module__", None) or "").startswith(f"{__package__}.")
    return isinstance(value, FunctionType) and not is_third_party(value) and not is_defined_here


def is_third_party(value):
    return (getattr(value, "__module__", None) or "").partition(".")[0] in THIRD_PARTY


def global_names(code):
    """Names of globals and attributes in `code` and in the functions nested in it, sorted."""
    nested = (c for c in code.co_consts if isinstance(c, CodeType))
    return sorted(set(code.co_names).union(*(global_names(c) for c in nested)))


# Of min and max numba compiles a function of its own for each combination of types, a twentieth of a second each.


def smallest(*numbers):
    """What kernels have for min: the first of the smallest ones, and NaN only where it comes first."""
    return min(*numbers)


def largest(*numbers):
    """What kernels have for max."""
    return max(*numbers)


def _numbers_of(arguments):
    """Types of several arguments, or of what is in a tuple; nothing of another single one."""
    if len(arguments) == 1:
        return tuple(arguments[0]) if isinstance(arguments[0], types.BaseTuple) else ()
    return tuple(arguments)


def _lower_pick(pick, is_better):
    @infer_global(pick)
    class _PickTemplate(AbstractTemplate):
        def generic(self, arguments, _keywords):
            given = [types.unliteral(kind) for kind in arguments]
            kinds = _numbers_of(given)
            if not kinds or not all(isinstance(kind, types.Number | types.Boolean) for kind in kinds):
                return None
            return self.context.unify_types(*kinds)(*given)

    @lower_builtin(pick, types.VarArg(types.Any))
    def choose(context, builder, signature, values):
        kind, kinds = signature.return_type, _numbers_of(signature.args)
        if len(values) == 1:
            values = cgutils.unpack_tuple(builder, values[0])
        better = context.get_function(is_better, types.boolean(kind, kind))
        chosen, *others = (context.cast(builder, value, own, kind) for value, own in zip(values, kinds, strict=True))
        for other in others:
            chosen = builder.select(better(builder, (other, chosen)), other, chosen)
        return chosen


_lower_pick(smallest, operator.lt)
_lower_pick(largest, operator.gt)
_PICKS = {"min": smallest, "max": largest}
