"""How values that hold data are shown: their arrays by shape, since a thousand numbers say less."""

import dataclasses

import numpy as np
from scipy import sparse

# Arrays of up to so many entries are shown whole.
_SHORT = 8


def shown(value) -> str:
    """A dataclass as Python would write it, with arrays by shape and type."""
    fields = dataclasses.fields(value) if dataclasses.is_dataclass(value) else ()
    parts = (f"{field.name}={_part(getattr(value, field.name))}" for field in fields if field.repr)
    return f"{type(value).__qualname__}({', '.join(parts)})"


def _part(value):
    if sparse.issparse(value) or (isinstance(value, np.ndarray) and value.size > _SHORT):
        return f"<{' x '.join(map(str, value.shape))} {value.dtype}>"
    return repr(value.item() if isinstance(value, np.generic) else value)


def show_by_shape(cls):
    """Let a class that is about to become a dataclass be `shown`, unless it says itself how it is."""
    if "__repr__" not in vars(cls):
        cls.__repr__ = shown
