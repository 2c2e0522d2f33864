"""Types of terms: by class and by types of fields, found once for each instance."""

import dataclasses
import functools

import numpy as np
from numba.core import types
from numba.core.typing.typeof import typeof
from numba.extending import typeof_impl

from sparseopt._jit.digests import class_digest
from sparseopt._jit.layout import TermType
from sparseopt._jit.options import is_compiled
from sparseopt._jit.terms import Term


@typeof_impl.register(Term)
def type_of(term, _context):
    known = term.__dict__.get("_numba_type")
    if known is not None:
        return known
    cls = type(term)
    fields = _compiled_fields(cls)
    key = (cls, *[_field_key(getattr(term, name), is_float, is_memory) for name, is_float, is_memory in fields])
    made = _TERM_TYPES.get(key)
    if made is None:
        made = _TERM_TYPES[key] = _term_type(cls, tuple(_field_type(getattr(term, n), f, m) for n, f, m in fields))
    # The instance is frozen, so its type never changes; the second name is the one that calls look for by themselves,
    # which takes 2 us instead of 10 for each argument.
    object.__setattr__(term, "_numba_type", made)
    object.__setattr__(term, "_numba_type_", made)
    return made


@functools.cache
def _term_type(cls, found):
    """The type of terms of a class whose fields have these types."""
    names = (name for name, _, _ in _compiled_fields(cls))
    return TermType(cls.__qualname__.replace("<locals>.", ""), class_digest(cls), tuple(zip(names, found, strict=True)))


@functools.cache
def _compiled_fields(cls):
    """Name of each field that kernels see, whether it is declared a float, and whether it is scratch."""
    if not (dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen):
        raise TypeError(f"{cls.__name__} is not frozen; decorate the class with @dataclass(frozen=True).")
    return tuple(
        (field.name, field.type in (float, "float"), field.metadata.get("memory", False))
        for field in dataclasses.fields(cls)
        if field.metadata.get("compiled", True)
    )


def _field_type(value, is_float, is_memory):
    """Type of one field: a declared float is float64 whatever number was given; arrays are read-only, but for memory."""
    if is_float:
        return types.float64
    found = typeof(value)
    return found.copy(readonly=True) if isinstance(found, types.Array) and not is_memory else found


def typed(term):
    """The term, which is told its type ahead of the first call."""
    if is_compiled():
        type_of(term, None)
    return term


# Types of terms by what they depend on, which is found in a tenth of the time of types of fields.
_TERM_TYPES: dict = {}
_PLAIN = (int, bool)


def _field_key(value, is_float, is_memory):
    """What the type of a field depends on, as something that is quick to make and to compare."""
    if is_float:
        return None
    kind = type(value)
    if kind is np.ndarray:
        flags = value.flags
        # the flags' number says its order, whether it is aligned and whether it may be written
        return (value.dtype, value.ndim, flags.num, is_memory)
    if kind in _PLAIN:
        return kind
    # types of terms are interned, and their identity is theirs
    return id(type_of(value, None)) if isinstance(value, Term) else typeof(value)


# What a term of a class and variant knows of its compiled type.
_KINDS: dict[tuple, dict] = {}


def alike(cls, *variant, **fields):
    """A term of a class all of whose terms, of the same variant, have one compiled type, which is found once.

    Its arrays are contiguous and aligned, each of the same type of numbers every time. Small programs have some ten
    terms, and to look for the type of each takes as long as an iteration.
    """
    term = object.__new__(cls)
    known = term.__dict__
    known.update(fields)
    kind = _KINDS.get((cls, *variant))
    if kind is None:
        typed(term)
        _KINDS[cls, *variant] = {name: value for name, value in known.items() if name not in fields}
    else:
        known.update(kind)
    return term
