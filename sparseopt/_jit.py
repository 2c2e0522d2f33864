"""The one door to numba: `Term`, a value whose methods a kernel may call, and `kernel`.

A term is a frozen dataclass whose methods are plain Python. Outside a kernel they run as
written. Inside, the term is an immutable struct and each method call is compiled for its
class, together with every plain function that the method reaches.

Machine code is kept on disk, one file per compiled kernel. A file's name is the digest of
all that the code depends on: the bytecode and constants of the kernel, of the methods of
its terms and of every function they reach, the argument types, the processor, the versions
and this file. Nothing else is ever looked up, so there is no index to damage and no stale
entry to be served: an edit changes the name.

No other module imports numba.
"""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import functools
import hashlib
import math
import operator
import sys
from abc import ABCMeta
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, compiler, types
from numba.core.caching import _Cache
from numba.core.codegen import JITCodeLibrary
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError as CompilationError  # noqa: F401 (for those who must not import numba)
from numba.core.imputils import impl_ret_borrowed, impl_ret_new_ref
from numba.core.serialize import dumps
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global
from numba.core.typing.typeof import typeof
from numba.extending import (
    NativeValue,
    get_cython_function_address,
    infer_getattr,
    intrinsic,
    lower_builtin,
    lower_getattr_generic,
    models,
    overload,
    register_model,
    typeof_impl,
    unbox,
)

from sparseopt._store import bundle_directories, cache_directory, read, write
from sparseopt.showing import show_by_shape

# Never nnan or ninf: tests for NaN and infinity must keep their meaning in compiled code.
_FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}
# Kernels allocate nothing, so they need no reference counts: a count of a field's array at each call
# of a method is an atomic operation, which took up to half of the time of short columns.
_FLAGS |= {"_nrt": False, "no_cfunc_wrapper": True}
_THIRD_PARTY = {"numpy", "math", "numba", "llvmlite", "builtins", "scipy", "abc", "dataclasses"}


class _Unfinished(JITCodeLibrary):
    """The code of a function that kernels call, as it was lowered.

    The kernel that it is linked into optimises it and makes machine code of it. Of its own numba would do both at
    each level of calls: a third of the time of a compilation.
    """

    def _optimize_final_module(self):
        """The kernel's to do."""

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name):
        """There is no machine code to point to."""
        return 0

    @property
    def codegen(self):
        return self

    def set_env(self, name, environment):
        """The kernel's to do as well, see `Store.save_overload`."""


class _InnerCompiler(compiler.Compiler):
    """Numba's compiler, with an unfinished library to put the code in."""

    def __init__(self, typing_context, target_context, library, *rest):
        library = library or _Unfinished(target_context.codegen(), "inner")
        super().__init__(typing_context, target_context, library, *rest)


_INNER: Any = {**_FLAGS, "no_cpython_wrapper": True, "pipeline_class": _InnerCompiler}


class _Kind(ABCMeta):
    """The metaclass of terms: abstract methods are enforced, but a class has no other subclasses than those that say so.

    So `isinstance` is as quick as for plain classes; a run asks some thirty times.
    """

    __instancecheck__ = type.__instancecheck__
    __subclasscheck__ = type.__subclasscheck__


class Term(metaclass=_Kind):
    """Base of every value whose methods a kernel may call; subclasses are frozen dataclasses.

    A field declared with ``field(metadata={"compiled": False})`` is for Python only; an array with
    ``metadata={"memory": True}`` is scratch that methods may write, see `ProximalTerm.private`.
    """

    def __init_subclass__(cls, **options):
        """Let kernels call the methods of `cls`."""
        super().__init_subclass__(**options)
        show_by_shape(cls)
        for name in _methods(cls):
            _lower_method(name)

    def __getstate__(self):
        """Only the fields travel: what was cached on the instance is made again where it lands."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __setstate__(self, state):
        """Restore the fields of a frozen instance."""
        for name, value in state.items():
            object.__setattr__(self, name, value)


class TermType(types.Type):
    """Numba's type of a term: a name, a digest of its code and its fields, but not the class.

    Holding no class, it pickles and compares across processes, for classes of `__main__` and
    of notebooks too; the class is looked up by digest when there is something to compile.
    """

    def __init__(self, name, digest, fields):
        self.class_name, self.digest, self.fields = name, digest, fields
        super().__init__(f"{name}#{digest}({', '.join(f'{f}: {t.name}' for f, t in fields)})")

    @property
    def key(self):
        return self.name

    @property
    def mangling_args(self):
        return f"{self.class_name}_{self.digest}", tuple(t for _, t in self.fields)

    @property
    def term_class(self):
        return _CLASSES[self.digest]


_CLASSES: dict[str, type] = {}


def _methods(cls):
    """Plain functions of a term class that a kernel may call, by name."""
    return {
        name: value
        for base in reversed(cls.__mro__[: cls.__mro__.index(Term)])
        for name, value in vars(base).items()
        if isinstance(value, FunctionType) and not name.startswith("__")
    }


@typeof_impl.register(Term)
def _typeof_term(term, _context):
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
    return TermType(
        cls.__qualname__.replace("<locals>.", ""), _class_digest(cls), tuple(zip(names, found, strict=True))
    )


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
    if not numba.config.DISABLE_JIT:
        _typeof_term(term, None)
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
    return id(_typeof_term(value, None)) if isinstance(value, Term) else typeof(value)


@register_model(TermType)
class _TermModel(models.PrimitiveModel):
    """A term is the address of its fields, those of terms within it among them.

    By value each call of a method would pass every field, some hundred numbers for a term of terms.
    """

    def __init__(self, manager, term):
        self.fields = ir.LiteralStructType([_stored_type(manager[kind]) for _, kind in term.fields])
        self.kinds = [kind for _, kind in term.fields]
        super().__init__(manager, term, self.fields.as_pointer())

    def inner_models(self):
        return [self._dmm[kind] for kind in self.kinds]

    def from_argument(self, builder, value):
        if isinstance(value, ir.Argument):
            # fields never change, so that no store can change what was read of them
            value.add_attribute("noalias")
        return value


def _stored_type(model):
    return model.fields if isinstance(model, _TermModel) else model.get_value_type()


@infer_getattr
class _TermAttributes(AttributeTemplate):
    key = TermType

    def generic_resolve(self, term, name):
        fields = dict(term.fields)
        if name in fields:
            return fields[name]
        if name not in _methods(term.term_class):
            return None
        method = types.Dispatcher(_method_dispatcher(term.digest, name))

        class MethodTemplate(AbstractTemplate):
            key = (TermType, name)

            def generic(self, arguments, keywords):
                return method.get_call_type(self.context, (term, *arguments), keywords).as_method()

        return types.BoundFunction(MethodTemplate, term)


@functools.cache
def _method_dispatcher(digest, name):
    """Compiler of one method; private, since calling one without a Python wrapper from Python crashes."""
    return numba.njit(**_INNER)(_linked(_methods(_CLASSES[digest])[name]))


@functools.cache
def _lower_method(name):
    @lower_builtin((TermType, name), TermType, types.VarArg(types.Any))
    def call_method(context, builder, signature, arguments):
        method = types.Dispatcher(_method_dispatcher(signature.args[0].digest, name))
        call = context.get_function(method, signature)
        context.add_linking_libs(getattr(call, "libs", ()))
        return impl_ret_new_ref(context, builder, signature.return_type, call(builder, arguments))


@lower_getattr_generic(TermType)
def _read_field(context, builder, term, value, name):
    place = [field for field, _ in term.fields].index(name)
    kind, address = term.fields[place][1], cgutils.gep_inbounds(builder, value, 0, place)
    if isinstance(kind, TermType):
        return address
    # Borrowed: without it the field's array would be released once too often.
    return impl_ret_borrowed(context, builder, kind, builder.load(address))


@unbox(TermType)
def _unbox_term(term, instance, c):
    address = cgutils.alloca_once(c.builder, c.context.data_model_manager[term].fields)
    failed = cgutils.alloca_once_value(c.builder, cgutils.false_bit)
    releases = []
    _unbox_fields(term, instance, address, failed, releases, c)

    def cleanup():
        for release in reversed(releases):
            release()

    return NativeValue(address, is_error=c.builder.load(failed), cleanup=cleanup)


def _unbox_fields(term, instance, address, failed, releases, c):
    """Put the fields of a term, and of the terms within it, where a kernel wants them."""
    for place, (name, kind) in enumerate(term.fields):
        attribute = c.pyapi.object_getattr_string(instance, name)
        at = cgutils.gep_inbounds(c.builder, address, 0, place)
        if isinstance(kind, TermType):
            _unbox_fields(kind, attribute, at, failed, releases, c)
            c.pyapi.decref(attribute)
            continue
        native = c.unbox(kind, attribute)
        c.pyapi.decref(attribute)
        c.builder.store(native.value, at)
        c.builder.store(c.builder.or_(c.builder.load(failed), native.is_error), failed)
        if native.cleanup is not None:
            releases.append(native.cleanup)


def _linked(function):
    """Copy of `function` in whose globals every plain function is replaced by its compiled form."""
    scope = dict(function.__globals__)
    for name in _global_names(function.__code__):
        if _is_ours_to_compile(value := scope.get(name)):
            scope[name] = _function_dispatcher(value)
        elif name in _PICKS and name not in scope:
            scope[name] = _PICKS[name]
    copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    copy.__qualname__ = function.__qualname__
    copy.__module__ = function.__module__
    return copy


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


@functools.cache
def _function_dispatcher(function):
    return numba.njit(**_INNER)(_linked(function))


def _is_ours_to_compile(value):
    # What this file defines (exp) has an implementation of its own for kernels.
    return isinstance(value, FunctionType) and not _is_third_party(value) and value.__module__ != __name__


def _is_third_party(value):
    return (getattr(value, "__module__", None) or "").partition(".")[0] in _THIRD_PARTY


def _global_names(code):
    """Names of globals and attributes in `code` and in the functions nested in it, sorted."""
    nested = (c for c in code.co_consts if isinstance(c, CodeType))
    return sorted(set(code.co_names).union(*(_global_names(c) for c in nested)))


# Digests


def _class_digest(cls):
    """Digest of all the code that the methods of a term class reach, taken at first use and then kept.

    At first use and not at creation, because helpers may be defined after the class; kept,
    because numba freezes globals at compilation too.
    """
    digest = cls.__dict__.get("_digest")
    if digest is None:
        digest = _fresh_class_digest(cls)
        cls._digest = digest
    # also where a class of __main__ arrived in a worker with its digest
    _CLASSES.setdefault(digest, cls)
    return digest


def _fresh_class_digest(cls):
    state = hashlib.sha256()
    _feed(state, cls, set())
    return state.hexdigest()[:16]


def _function_digest(function):
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
    for name, method in sorted(_methods(cls).items()):
        state.update(name.encode())
        _feed(state, method, seen)


def _feed_function(state, function, seen):
    if function in seen:
        return
    seen.add(function)
    state.update(function.__qualname__.encode())
    if _is_third_party(function):
        return
    _feed_code(state, function.__code__, seen, function.__doc__)
    _feed(state, function.__defaults__, seen)
    for cell in function.__closure__ or ():
        _feed(state, cell.cell_contents, seen)
    names = _global_names(function.__code__)
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
    if module in seen or module.__name__.partition(".")[0] in _THIRD_PARTY:
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


# Store


class Store(_Cache):
    """Compiled versions of one kernel on disk, one file each, named by what they depend on.

    Any fault of the disk or of a file is a miss: it costs a compilation, never a failure.
    """

    def __init__(self, function):
        self._function = function
        self._digest = None

    @property
    def cache_path(self):
        return str(cache_directory())

    def enable(self):
        """Caching is on unless SPARSEOPT_CACHE_DIR is "off"."""

    def disable(self):
        """Caching is on unless SPARSEOPT_CACHE_DIR is "off"."""

    def flush(self):
        """Remove this kernel's files."""
        directory = cache_directory()
        for file in directory.glob(f"{self._function.__name__}-*.nbc") if directory else ():
            file.unlink(missing_ok=True)

    def load_overload(self, signature, target_context):
        # The context is not refreshed: only a compilation needs numba's registries, which take 0.2 s to load.
        native = target_context.codegen().magic_tuple()
        places = [(cache_directory(), native)]
        places += [(bundle, level) for bundle in bundle_directories() for level in (native, *_levels_below(native))]
        for directory, processor in places:
            if directory is None:
                continue
            parts = read(directory / self._file_name(signature, processor))
            if parts is not None:
                return compiler.CompileResult._rebuild(target_context, *parts)
        return None

    def save_overload(self, signature, compiled):
        for environment in compiled._find_referenced_environments():
            compiled.library.codegen.set_env(environment.env_name, environment)
        directory = cache_directory()
        if directory is None or compiled.library.has_dynamic_globals or self._is_outdated(signature):
            return
        processor = compiled.library.codegen.magic_tuple()
        write(directory / self._file_name(signature, processor), dumps(compiled._reduce()))

    def _is_outdated(self, signature):
        """Whether a function was redefined after its digest was taken (in a notebook): the name would lie."""
        terms = list(filter(lambda t: isinstance(t, TermType), signature))
        while terms:
            term = terms.pop()
            if _fresh_class_digest(term.term_class) != term.digest:
                return True
            terms += [t for _, t in term.fields if isinstance(t, TermType)]
        return _function_digest(self._function) != self._digest

    def _file_name(self, signature, processor):
        if self._digest is None:
            self._digest = _function_digest(self._function)
        key = (tuple(map(str, signature)), processor, self._digest, _toolchain())
        return f"{self._function.__name__}-{hashlib.sha256(repr(key).encode()).hexdigest()[:40]}.nbc"


@functools.cache
def _toolchain():
    """What all compiled code depends on: this file, the compiler's options and versions."""
    options = sorted((name, repr(sorted(v) if isinstance(v, set) else v)) for name, v in _FLAGS.items())
    source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    versions = (sys.implementation.cache_tag, numba.__version__, llvmlite.__version__, np.__version__)
    return source, options, versions, str(numba.config.OPT)


# Processor features that each portable level asks for (x86-64 psABI, 2020).
_LEVELS = {
    "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "x86-64-v3": {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"},
}


def _levels_below(native):
    """Portable levels whose code this processor can run."""
    triple, _, features = native
    present = {feature[1:] for feature in features.split(",") if feature.startswith("+")}
    return [(triple, level, "") for level, needed in _LEVELS.items() if needed <= present]


# Kernels

KERNELS: list = []


def kernel(function):
    """Compile a function of arrays, numbers and terms; without the GIL, cached on disk.

    The plain functions it calls are compiled with it and must be defined above it.
    """
    return _compiled(function, _FLAGS)


def strict_kernel(function):
    """`kernel` for sums whose rounding counts: no sum is reordered, and no product is fused with one.

    It calls no functions, for these would be compiled without such care.
    """
    return _compiled(function, {**_FLAGS, "fastmath": False})


def _compiled(function, flags):
    if numba.config.DISABLE_JIT:
        return function
    compiled = numba.njit(**flags)(_linked(function))
    compiled._cache = Store(function)
    KERNELS.append(compiled)
    return compiled


def compilations():
    """Number of kernel versions compiled and loaded from disk so far in this process."""
    misses = sum(sum(k.stats.cache_misses.values()) for k in KERNELS)
    return misses, sum(sum(k.stats.cache_hits.values()) for k in KERNELS)


# Terms by address, for kernels that are compiled once for all their types.


def is_compiled():
    """Whether kernels are compiled, which NUMBA_DISABLE_JIT=1 forbids."""
    return not numba.config.DISABLE_JIT


def n_words(term):
    """Words of 8 bytes that hold the fields of a term, at most."""
    return _words(_typeof_term(term, None))


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
    kind = _typeof_term(term, None)
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


# BLAS and LAPACK, by the names under which SciPy has them.

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

    @intrinsic
    def call(_context, arguments):
        def generate(context, builder, signature, values):
            kinds = signature.args[0].types
            places = [
                _reference(context, builder, kind, value)
                for kind, value in zip(kinds, cgutils.unpack_tuple(builder, values[0], len(kinds)), strict=True)
            ]
            info = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(64), 0))
            places.append(builder.bitcast(info, cgutils.voidptr_t))
            kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t] * len(places))
            builder.call(cgutils.get_or_insert_function(builder.module, kind, symbol), places)
            return builder.sext(builder.trunc(builder.load(info), ir.IntType(32)), ir.IntType(64))

        return types.int64(arguments), generate

    @overload(routine, jit_options=_INNER)
    def _implementation(*arguments):  # noqa: ARG001 (numba asks for the same arguments)
        def run(*arguments):
            return call(arguments)

        return run

    return routine


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


# An exponential that LLVM can vectorise: numba from PyPI calls libm once for each element.


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
@overload(exp, jit_options={**_INNER, "fastmath": {"contract"}})
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
