"""Points of few nonzeros: their zeros take no memory until someone asks for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class FewNonzeros:
    """A vector by its nonzeros, in order."""

    size: int
    support: np.ndarray
    values: np.ndarray

    @property
    def shape(self):
        return (self.size,)

    @property
    def dtype(self):
        return self.values.dtype

    def to_array(self):
        """The vector with its zeros, a new one."""
        w = np.zeros(self.size, dtype=self.values.dtype)
        w[self.support] = self.values
        return w


class _Unpacked:
    """The attribute w of what was packed. What is found in the instance itself goes before this."""

    def __get__(self, holder, kind):
        if holder is None or (point := packed_point(holder)) is None:
            raise AttributeError("w")
        # of several threads that ask at once, all get the same
        return holder.__dict__.setdefault("w", point.to_array())


def may_be_packed(cls):
    """A class whose w may be packed."""
    cls.w = _Unpacked()
    return cls


def filled(cls, **fields):
    """A frozen value with these fields, all of which are given: its own way in has a call for each, and takes three times as long."""
    value = object.__new__(cls)
    value.__dict__.update(fields)
    return value


def packed(holder):
    """The holder of a w; where that is `FewNonzeros`, it is unpacked when it is first asked for."""
    if isinstance(holder.__dict__["w"], FewNonzeros):
        holder.__dict__["_point"] = holder.__dict__.pop("w")
    return holder


def packed_point(holder):
    """The point as it was packed, or None."""
    return holder.__dict__.get("_point")


def stacked(holders):
    """The points of several holders, one a row of a new array; what is packed stays so."""
    points = [packed_point(holder) for holder in holders]
    held = [holder.w if point is None else point for holder, point in zip(holders, points, strict=True)]
    # of float32 data some may need the digits of float64
    rows = np.zeros((len(holders), *held[0].shape), dtype=np.result_type(*(point.dtype for point in held)))
    for row, holder, point in zip(rows, holders, points, strict=True):
        if point is None:
            row[...] = holder.w
        else:
            row[point.support] = point.values
    return rows
