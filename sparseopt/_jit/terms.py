"""Terms: frozen dataclasses whose methods kernels may call."""

import dataclasses
import functools
from abc import ABCMeta
from types import FunctionType

import numba
from numba.core import types
from numba.core.imputils import impl_ret_new_ref
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate
from numba.extending import infer_getattr, lower_builtin

from sparseopt._jit.functions import linked
from sparseopt._jit.layout import CLASSES, TermType
from sparseopt._jit.options import INNER
from sparseopt.showing import show_by_shape


class Kind(ABCMeta):
    """The metaclass of terms, constraints and solvers: abstract methods are enforced, but a class has no other subclasses than those that say so.

    So `isinstance` is as quick as for plain classes; a run asks some thirty times.
    """

    __instancecheck__ = type.__instancecheck__
    __subclasscheck__ = type.__subclasscheck__


class Term(metaclass=Kind):
    """Base of every value whose methods a kernel may call; subclasses are frozen dataclasses.

    A field declared with ``field(metadata={"compiled": False})`` is for Python only; an array with
    ``metadata={"memory": True}`` is scratch that methods may write, see `ProximalTerm.private`.
    """

    def __init_subclass__(cls, **options):
        """Let kernels call the methods of `cls`."""
        super().__init_subclass__(**options)
        show_by_shape(cls)
        for name in methods_of(cls):
            lower_method(name)

    def __getstate__(self):
        """Only the fields travel: what was cached on the instance is made again where it lands."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __setstate__(self, state):
        """Restore the fields of a frozen instance."""
        for name, value in state.items():
            object.__setattr__(self, name, value)


def methods_of(cls):
    """Plain functions of a term class that a kernel may call, by name."""
    return {
        name: value
        for base in reversed(cls.__mro__[: cls.__mro__.index(Term)])
        for name, value in vars(base).items()
        if isinstance(value, FunctionType) and not name.startswith("__")
    }


@infer_getattr
class _TermAttributes(AttributeTemplate):
    key = TermType

    def generic_resolve(self, term, name):
        fields = dict(term.fields)
        if name in fields:
            return fields[name]
        if name not in methods_of(term.term_class):
            return None
        return _bound_method(term, name)


@functools.cache
def _bound_method(term, name):
    method = types.Dispatcher(_method_dispatcher(term.digest, name))

    class MethodTemplate(AbstractTemplate):
        key = (TermType, name)

        def generic(self, arguments, keywords):
            return method.get_call_type(self.context, (term, *arguments), keywords).as_method()

    return types.BoundFunction(MethodTemplate, term)


@functools.cache
def _method_dispatcher(digest, name):
    """Compiler of one method; private, since calling one without a Python wrapper from Python crashes."""
    return numba.njit(**INNER)(linked(methods_of(CLASSES[digest])[name]))


@functools.cache
def lower_method(name):
    @lower_builtin((TermType, name), TermType, types.VarArg(types.Any))
    def call_method(context, builder, signature, arguments):
        method = types.Dispatcher(_method_dispatcher(signature.args[0].digest, name))
        call = context.get_function(method, signature)
        context.add_linking_libs(getattr(call, "libs", ()))
        return impl_ret_new_ref(context, builder, signature.return_type, call(builder, arguments))
