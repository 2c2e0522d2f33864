"""What operators give on numbers and entries of arrays, remembered.

Numba finds it anew at each place where an operator stands, and twice: while it finds the types of a function and while
it lowers the function. Each time it tries some forty rules, those of strings, lists and sets among them, which took
half of the time of type inference.
"""

from __future__ import annotations

import functools
import operator
from types import BuiltinFunctionType
from typing import Any

from numba.core import types, typing
from numba.extending import models, register_model

from sparseopt._jit.counting import counted

_OPERATORS = {bool, float, len, range, *(value for value in vars(operator).values() if callable(value))}
_OF_PLACES = (operator.getitem, operator.setitem)
_PLAIN = (types.Number, types.Boolean, types.Array)


class _Operator(types.Function):
    """Numba's type of an operator, that answers once for each combination of types of numbers and arrays."""

    def __init__(self, known):
        super().__init__(known.templates)
        # of the same tuple, so that it can be told whether a rule was added
        self.templates = known.templates
        self._answers: dict[tuple, Any] = {}

    def get_call_type(self, context, args, kws):
        """Signature of a call."""
        if kws or not self._is_plain(args):
            return super().get_call_type(context, args, kws)
        found = self._answers.get(args)
        if found is None:
            found = super().get_call_type(context, args, kws)
            # an overload, whose key is its own, is compiled anew where it is compiled in another way
            if self.get_impl_key(found) is self.typing_key:
                self._answers[args] = found
        return found

    def _is_plain(self, args):
        if len(args) > 1 and self.typing_key in _OF_PLACES and isinstance(args[1], types.BaseTuple):
            args = (args[0], *args[1], *args[2:])
        return all(isinstance(kind, _PLAIN) for kind in args)


register_model(_Operator)(models.OpaqueModel)


class _Context(typing.Context):
    """Numba's typing context, with operators that remember."""

    def __init__(self, context):
        # what either learns the other knows
        self.__dict__ = context.__dict__

    def resolve_function_type(self, func, args, kws):
        """Signature of a call."""
        if func is not range and _is_operator(func):
            func = self.resolve_value_type(func)
        if isinstance(func, _Operator):
            return func.get_call_type(self, args, kws)
        if not isinstance(func, types.NumberClass) or kws or not all(isinstance(kind, types.Number) for kind in args):
            return super().resolve_function_type(func, args, kws)
        found = _CONVERSIONS.get((func, args))
        if found is None:
            found = _CONVERSIONS[func, args] = super().resolve_function_type(func, args, kws)
        return found

    def resolve_value_type(self, val):
        """Type of a value in the globals of a function."""
        if val is range:
            return self._lookup_global(counted)
        known = self._lookup_global(val) if _is_operator(val) else None
        if not isinstance(known, types.Function):
            return super().resolve_value_type(val)
        # numba has another tuple of rules where one was added
        ours = _KNOWN.get(val)
        if ours is None or ours.templates is not known.templates:
            ours = _KNOWN[val] = _Operator(known)
        return ours


_KNOWN: dict[Any, _Operator] = {}
# What calls of np.uint64 and the like give.
_CONVERSIONS: dict[tuple, Any] = {}


def _is_operator(value):
    return isinstance(value, type | BuiltinFunctionType) and value in _OPERATORS


@functools.cache
def remembering(context):
    """The typing context that kernels are compiled in, made of numba's."""
    return _Context(context)
