"""How laws compare: compiled with plain Python, before with after."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
from scipy import sparse

from sparseopt._jit import CompilationError, kernel

# A sum of some hundred float64 numbers is right to this part of its largest term.
ROUNDING = 1e-12


def bytes_of(value):
    """The bytes of all arrays that a term or problem holds."""
    match value:
        case np.ndarray():
            return value.tobytes()
        case sparse.sparray():
            return value.data.tobytes() + value.indices.tobytes() + value.indptr.tobytes()
        case tuple():
            return b"".join(map(bytes_of, value))
        case _ if dataclasses.is_dataclass(value):
            return b"".join(bytes_of(getattr(value, field.name)) for field in dataclasses.fields(value))
    return b""


def check_frozen(term):
    """Raise where a term may be changed."""
    if not (dataclasses.is_dataclass(term) and type(term).__dataclass_params__.frozen):
        raise AssertionError(f"{type(term).__name__} is not frozen; decorate the class with @dataclass(frozen=True).")


def copied(term):
    """A copy made the way pickle makes one, which also works where pickle cannot find the class."""
    return copy.deepcopy(term)


def compiled(term, function, *arguments):
    """What a kernel returns; AssertionError where the term cannot be compiled."""
    try:
        return function(*arguments)
    except CompilationError as fault:
        # numba's message opens with one such line for each call on the way to the fault
        opening = ("Failed in", "- Resolution", "During")
        lines = [line.strip() for line in str(fault).splitlines() if line.strip() and not line.startswith(opening)]
        place = next((line for line in lines if line.startswith("File")), "")
        raise AssertionError(
            f"{type(term).__name__} runs as plain Python but does not compile: {lines[0]} ({place}) Its methods may use fields, "
            "other methods, numbers, math, numpy functions of numbers, and functions and constants of a module."
        ) from fault


def check_same(loss, name, found, expected, rounding):
    """Raise where two results differ by more than rounding."""
    found, expected = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    excess = np.abs(found - expected) - rounding
    if not np.all(excess <= 0.0):
        i = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
        raise AssertionError(
            f"{type(loss).__name__}: {name} is {found.flat[i]:.12g}, but it should be {expected.flat[i]:.12g} (entry {i})."
        )


@kernel
def prox_and_value(penalty, v, step, out):
    """prox of v, into `out`; returns the value there."""
    penalty.prox_into(v, step, out)
    return penalty.evaluate(out)
