"""What a term is inside kernels: a type with a digest of its code, and the address of its fields."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import NativeValue, lower_getattr_generic, models, register_model, unbox


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
        return CLASSES[self.digest]


CLASSES: dict[str, type] = {}


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
        attribute = c.pyapi.object_getattr(instance, _interned(name, c))
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


def _interned(name, c):
    """The name of a field as Python knows it, made at the first call: for a new string each time it looks through all base classes."""
    held = c.builder.module.globals.get(f".field.{name}")
    if held is None:
        held = cgutils.add_global_variable(c.builder.module, c.pyapi.pyobj, f".field.{name}")
        held.initializer, held.linkage = cgutils.get_null_value(c.pyapi.pyobj), "internal"
    with cgutils.if_unlikely(c.builder, cgutils.is_null(c.builder, c.builder.load(held))):
        kind = ir.FunctionType(c.pyapi.pyobj, [c.pyapi.cstring])
        intern = cgutils.get_or_insert_function(c.builder.module, kind, "PyUnicode_InternFromString")
        text = c.context.insert_const_string(c.builder.module, name)
        c.builder.store(c.builder.call(intern, [text]), held)
    return c.builder.load(held)
