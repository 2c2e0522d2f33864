"""Digests of all that compiled code depends on, the same in every process."""

import enum
import hashlib
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

import numpy as np
from numba.core.dispatcher import Dispatcher

from sparseopt._jit.functions import THIRD_PARTY, global_names, is_third_party
from sparseopt._jit.layout import CLASSES
from sparseopt._jit.terms import Term, methods_of


def class_digest(cls):
    """Digest of all the code that the methods of a term class reach, taken at first use and then kept.

    At first use and not at creation, because helpers may be defined after the class; kept,
    because numba freezes globals at compilation too.
    """
    digest = cls.__dict__.get("_digest")
    if digest is None:
        digest = fresh_class_digest(cls)
        cls._digest = digest
    # also where a class of __main__ arrived in a worker with its digest
    CLASSES.setdefault(digest, cls)
    return digest


def fresh_class_digest(cls):
    state = hashlib.sha256()
    _feed(state, cls, set())
    return state.hexdigest()[:16]


def function_digest(function):
    state = hashlib.sha256()
    _feed(state, function, set())
    return state.hexdigest()


def _feed(state, value, seen):  # noqa: PLR0912 (one branch for each kind of value)
    """Feed a digest with a value that compiled code may depend on; stable across processes."""
    match value:
        case Dispatcher():
            _feed(state, value.py_func, seen)
        case FunctionType():
            _feed_function(state, value, seen)
        case CodeType():
            _feed_code(state, value, seen)
        case type() if issubclass(value, Term):
            _feed_class(state, value, seen)
        case type() if issubclass(value, enum.Enum):
            state.update(
                f"{value.__qualname__}:{[(name, repr(member.value)) for name, member in value.__members__.items()]}".encode()
            )
        case np.ndarray():
            state.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        case tuple() | list():
            state.update(f"({len(value)}{getattr(value, '_fields', '')}".encode())
            for part in value:
                _feed(state, part, seen)
        case frozenset():
            # The order of a set depends on PYTHONHASHSEED.
            state.update(repr(sorted(map(repr, value))).encode())
        case bool() | int() | float() | complex() | str() | bytes() | None | np.generic() | np.dtype() | enum.Enum():
            state.update(f"{type(value).__name__}:{value!r}".encode())
        case ModuleType():
            state.update(value.__name__.encode())
        case type() | BuiltinFunctionType() | np.ufunc():
            state.update(f"{getattr(value, '__module__', '')}.{value.__name__}".encode())
        case _:
            # Any other repr may hold an address: the type's name is all that is stable.
            state.update(f"{type(value).__module__}.{type(value).__qualname__}".encode())


def _feed_class(state, cls, seen):
    state.update(cls.__qualname__.encode())
    if cls in seen:
        return
    seen.add(cls)
    for name, method in sorted(methods_of(cls).items()):
        state.update(name.encode())
        _feed(state, method, seen)


def _feed_function(state, function, seen):
    if function in seen:
        return
    seen.add(function)
    state.update(function.__qualname__.encode())
    if is_third_party(function):
        return
    _feed_code(state, function.__code__, seen, function.__doc__)
    _feed(state, function.__defaults__, seen)
    for cell in function.__closure__ or ():
        _feed(state, cell.cell_contents, seen)
    names = global_names(function.__code__)
    for name in names:
        value = function.__globals__.get(name)
        if value is None:
            continue
        state.update(name.encode())
        _feed(state, value, seen)
        if isinstance(value, ModuleType):
            _feed_module(state, value, names, seen)


def _feed_module(state, module, names, seen):
    """What code that mentions these names can reach in a module, and in modules of that module."""
    if module in seen or module.__name__.partition(".")[0] in THIRD_PARTY:
        return
    seen.add(module)
    for name in names:
        value = getattr(module, name, None)
        _feed(state, value, seen)
        if isinstance(value, ModuleType):
            _feed_module(state, value, names, seen)


def _feed_code(state, code, seen, docstring=None):
    constants = code.co_consts
    if docstring is not None and constants and constants[0] == docstring:
        constants = constants[1:]
    state.update(code.co_code + repr((code.co_names, code.co_varnames, code.co_argcount, code.co_flags)).encode())
    _feed(state, constants, seen)
