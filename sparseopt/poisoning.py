"""Work buffers that are full of NaN: what reads one before it is written is found out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

# Whole numbers that are no index of anything.
_NO_INDEX = {8: 1 << 40, 4: 1 << 30, 2: 30_000, 1: 100}


@contextmanager
def poisoned() -> Iterator[None]:
    """Within it, `numpy.empty` and `numpy.empty_like` return arrays full of NaN, or of numbers that are no index.

    Kernels allocate nothing, so that these are all work buffers that begin without values.

    Examples
    --------
    >>> import numpy as np
    >>> from sparseopt.testing import poisoned
    >>> with poisoned():
    ...     print(np.empty(2))
    [nan nan]
    """
    plain = {name: getattr(np, name) for name in ("empty", "empty_like")}
    try:
        for name, allocate in plain.items():
            setattr(np, name, _poisoning(allocate))
        yield
    finally:
        for name, allocate in plain.items():
            setattr(np, name, allocate)


def _poisoning(allocate):
    def poisoned_allocation(*arguments, **options):
        return _filled(allocate(*arguments, **options))

    return poisoned_allocation


def _filled(array):
    if array.dtype.kind in "fc":
        array.fill(np.nan)
    elif array.dtype.kind in "iu":
        array.fill(_NO_INDEX[array.dtype.itemsize])
    elif array.dtype.kind == "b":
        array.fill(True)
    return array
