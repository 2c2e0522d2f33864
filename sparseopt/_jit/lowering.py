"""Entries, rows and parts of arrays as kernels read and write them: one address, for which numba takes some twenty instructions.

Most of what kernels do is to read and to write entries, and most of a compilation went into generating, printing and
parsing the instructions for that.
"""

from typing import Any

from llvmlite.ir import Constant, Undefined
from numba.core import ir, lowering, types
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import BaseNativeLowering

from sparseopt._jit.counting import CountingIterator


class _Lower(lowering.Lower):
    """Numba's lowering, but for single entries, rows and parts of contiguous arrays."""

    def lower_expr(self, resty, expr):
        """What an expression gives; the size and the shape of an array are read where they are."""
        if expr.op in _PARTS:
            return self.builder.extract_value(self.loadvar(expr.value.name), _PARTS[expr.op])
        array = self.typeof(expr.value.name) if expr.op == "getattr" and expr.attr in _MEASURES else None
        if type(array) is not types.Array:
            return super().lower_expr(resty, expr)
        field, kind = _MEASURES[expr.attr]
        place = self.context.data_model_manager[array].get_field_position(field)
        found = self.builder.extract_value(self.loadvar(expr.value.name), place)
        return self.context.cast(self.builder, found, kind(array), resty)

    def lower_getitem(self, resty, expr, value, index, signature):
        """What an entry is read by."""
        array, place = signature.args
        if self._is_vector(array, place, signature.return_type):
            found = self._vector(value, array, index, place)
            return self.context.cast(self.builder, found, signature.return_type, resty)
        if not self._is_entry(array, place):
            return super().lower_getitem(resty, expr, value, index, signature)
        address = self._address(value, array, index, place)
        entry = self.context.unpack_value(self.builder, array.dtype, address, align=_alignment(array))
        return self.context.cast(self.builder, entry, signature.return_type, resty)

    def lower_setitem(self, target_var, index_var, value_var, signature):
        """What an entry is written by."""
        array, place, kind = signature.args
        if not self._is_entry(array, place):
            return super().lower_setitem(target_var, index_var, value_var, signature)
        entry = self.context.cast(self.builder, self._as(value_var, kind), kind, array.dtype)
        address = self._address(target_var, array, index_var, place)
        self.context.pack_value(self.builder, array.dtype, entry, address, align=_alignment(array))
        return None

    def storevar(self, value, name, argidx=None):
        """What a variable is given."""
        if self.context.enable_debuginfo or name in self._singly_assigned_vars:
            super().storevar(value, name, argidx)
            return
        self.builder.store(value, self.getvar(name))

    def delvar(self, name):
        """Nothing is left to do where a variable is used no more: nothing counts references."""

    def alloca_lltype(self, name, lltype, *rest, **options):
        """Where a variable is kept."""
        if self.context.enable_debuginfo:
            return super().alloca_lltype(name, lltype, *rest, **options)
        with self.builder.goto_entry_block():
            return self.builder.alloca(lltype, name=name)

    def _is_entry(self, array, place):
        """Whether one number of a contiguous array stands there, and numba is not asked to check bounds."""
        axes = _axes(place)
        is_plain = self._is_plain(array) and len(axes) == array.ndim
        return is_plain and all(isinstance(axis, types.Integer) for axis in axes)

    def _is_vector(self, array, place, found):
        """Whether a row of a matrix by rows stands there, or a part of a row or of a vector, next to each other."""
        axes = _axes(place)
        if not self._is_plain(array) or array.layout != "C" or found != array.copy(ndim=1):
            return False
        is_part = isinstance(axes[-1], types.SliceType) and not axes[-1].has_step
        if array.ndim == 1:
            return is_part and axes == (place,)
        is_row = array.ndim == 2 and isinstance(axes[0], types.Integer)
        return is_row and (axes == (place,) or (len(axes) == 2 and is_part))

    def _is_plain(self, array):
        is_known = type(array) is types.Array and array.layout != "A"
        return (
            is_known and isinstance(array.dtype, types.Number | types.Boolean) and not self.context.enable_boundscheck
        )

    def _vector(self, array_variable, array, place_variable, place):
        """A row of a matrix, or a part of a row or of a vector, as a vector in the same memory."""
        held, places = self.loadvar(array_variable.name), self._as(place_variable, place)
        is_tuple = isinstance(place, types.BaseTuple)
        if array.ndim == 2:
            at = self.builder.extract_value(places, 0) if is_tuple else places
            held = self._row(held, array, self.context.cast(self.builder, at, _axes(place)[0], types.intp))
            if not is_tuple:
                return held
            places = self.builder.extract_value(places, 1)
        return self._part(held, array.copy(ndim=1), places)

    def _row(self, held, array, at):
        """A row of a matrix."""
        builder, whole = self.builder, self.context.data_model_manager[array]
        part = self.context.data_model_manager[array.copy(ndim=1)]
        found = Constant(part.get_value_type(), Undefined)

        def read(field, *axis):
            return builder.extract_value(held, (whole.get_field_position(field), *axis))

        length = read("shape", 1)
        at = self._from_start(at, read("shape", 0))
        fields = {name: read(name) for name in ("meminfo", "parent", "itemsize")} | {"nitems": length}
        fields["data"] = builder.gep(read("data"), [builder.mul(at, length)])
        for name, value in fields.items():
            found = builder.insert_value(found, value, part.get_field_position(name))
        for name, value in (("shape", length), ("strides", read("strides", 1))):
            found = builder.insert_value(found, value, (part.get_field_position(name), 0))
        return found

    def _part(self, held, vector, bounds):
        """What lies between two places of a vector, which are cut to it as Python does."""
        builder, field = self.builder, self.context.data_model_manager[vector].get_field_position
        length, data = builder.extract_value(held, (field("shape"), 0)), builder.extract_value(held, field("data"))
        start, stop = (self._cut(builder.extract_value(bounds, place), length) for place in (0, 1))
        count = builder.sub(stop, start)
        count = builder.select(builder.icmp_signed("<", count, count.type(0)), count.type(0), count)
        found = builder.insert_value(held, builder.gep(data, [start]), field("data"))
        found = builder.insert_value(found, count, field("nitems"))
        return builder.insert_value(found, count, (field("shape"), 0))

    def _cut(self, at, length):
        at, zero = self._from_start(at, length), length.type(0)
        at = self.builder.select(self.builder.icmp_signed("<", at, zero), zero, at)
        return self.builder.select(self.builder.icmp_signed(">", at, length), length, at)

    def _from_start(self, at, length):
        """A place that counts from the end where it is negative, from the start."""
        is_negative = self.builder.icmp_signed("<", at, at.type(0))
        return self.builder.select(is_negative, self.builder.add(at, length), at)

    def _address(self, array_variable, array, place_variable, place):
        """Address of the entry at a place, that counts from the end of an axis where it is negative."""
        builder, model = self.builder, self.context.data_model_manager[array]
        held, places = self.loadvar(array_variable.name), self._as(place_variable, place)
        offset = None
        axes = list(enumerate(_axes(place)))
        for axis, kind in axes if array.layout == "C" else reversed(axes):
            at = builder.extract_value(places, axis) if isinstance(place, types.BaseTuple) else places
            at = self.context.cast(builder, at, kind, types.intp)
            is_from_end = kind.signed and not self._is_counted(place_variable, axis)
            if offset is not None or is_from_end:
                length = builder.extract_value(held, (model.get_field_position("shape"), axis))
            if is_from_end:
                at = self._from_start(at, length)
            offset = at if offset is None else builder.add(builder.mul(offset, length), at)
        return builder.gep(builder.extract_value(held, model.get_field_position("data")), [offset])

    def _as(self, variable, kind):
        """The value of a variable, as one of a type."""
        return self.context.cast(self.builder, self.loadvar(variable.name), self.typeof(variable.name), kind)

    def _is_counted(self, place, axis):
        """Whether what a range gives that begins with 0 stands for an axis of a place: it is not negative."""
        found = self._made_by(place)
        if found is not None and found.op == "build_tuple":
            found = self._made_by(found.items[axis])
        if found is None or found.op != "pair_first":
            return False
        found = self._made_by(found.value)
        kind = self.typeof(found.value.name) if found is not None and found.op == "iternext" else None
        return isinstance(kind, CountingIterator) and kind.ends == 1

    def _made_by(self, variable):
        """The one expression that gives a variable its value."""
        try:
            found = self.func_ir.get_definition(variable)
        except KeyError:
            return None
        return found if isinstance(found, ir.Expr) else None


# Of what an iterator gives, the next one and whether there is one.
_PARTS = {"pair_first": 0, "pair_second": 1}
# Of an array, the field that holds an attribute and the attribute's type.
_MEASURES = {
    "size": ("nitems", lambda _array: types.intp),
    "shape": ("shape", lambda array: types.UniTuple(types.intp, array.ndim)),
}


def _axes(place):
    return tuple(place) if isinstance(place, types.BaseTuple) else (place,)


def _alignment(array):
    return None if array.aligned else 1


@register_pass(mutates_CFG=True, analysis_only=False)
class EntryLowering(BaseNativeLowering):
    """Numba's last pass, with our lowering."""

    _name: Any = "sparseopt_entry_lowering"

    @property
    def lowering_class(self):
        """The class that lowers."""
        return _Lower
