"""The passes of numba's that functions go through: fewer where they change nothing, all of them elsewhere."""

import re

import numba
import pytest
from numba.core.compiler import DefaultPassBuilder
from numba.core.untyped_passes import DeadBranchPrune, InlineClosureLikes, ReconstructSSA, WithLifting

from sparseopt._jit import is_compiled, options
from sparseopt._jit.functions import linked
from sparseopt.kernels import conditions, ldl, patterns

pytestmark = pytest.mark.skipif(not is_compiled(), reason="compiles")
WHOLE, FLOATS = numba.int64[::1], numba.float64[::1]
FUNCTIONS = [
    (ldl.solve_in_place, (WHOLE, WHOLE, FLOATS, FLOATS, FLOATS)),
    (patterns.place_block, (WHOLE, WHOLE, FLOATS, numba.int64, WHOLE, WHOLE, FLOATS)),
    (conditions.largest, (FLOATS,)),
]


def llvm(function, signature):
    """What a function is compiled to, without the numbers that names are given in turn, and names kept as bytes."""
    compiled = numba.njit(**options.FLAGS)(linked(function))
    compiled.compile(signature)
    return re.sub(r"B\d+v\d+|\[\d+ x i8\](\* @\S+| c\"[^\"]*\")?", "", compiled.inspect_llvm(compiled.signatures[0]))


@pytest.mark.parametrize(("function", "signature"), FUNCTIONS, ids=lambda given: getattr(given, "__name__", ""))
def test_passes_that_are_left_out_change_nothing(function, signature, monkeypatch):
    few = llvm(function, signature)

    def nearly_all(passes, _function):
        kept = [step for step in passes if step[0].__name__ not in options._WITHOUT_FUNCTIONS]
        return [(options._OURS.get(kind, kind), text) for kind, text in kept]

    monkeypatch.setattr(options, "_needed", nearly_all)
    assert llvm(function, signature) == few


def passes_of(function, modname):
    """Kinds of passes that a function of a module goes through."""

    class State:
        func_ir = None
        flags = numba.core.compiler.Flags()

    class Identity:
        code = function.__code__

    Identity.modname = modname
    return [kind for kind, _ in options._needed(numbas_passes(State), Identity)]


def numbas_passes(state):
    return [step for part in _PARTS for step in getattr(DefaultPassBuilder, part)(state).passes]


_PARTS = ("define_untyped_pipeline", "define_typed_pipeline", "define_nopython_lowering_pipeline")


def plain(x):
    return x


def with_a_function(x):
    return [y + x for y in (1, 2)], lambda: x


def test_functions_of_others_and_those_that_hold_functions_go_through_what_they_may_need():
    few = passes_of(plain, "sparseopt.kernels.ldl")
    assert WithLifting not in few
    assert ReconstructSSA not in few
    assert few.count(DeadBranchPrune) == 1
    assert {WithLifting, InlineClosureLikes, ReconstructSSA} <= set(passes_of(with_a_function, "sparseopt.kernels.ldl"))
    others = passes_of(plain, "sparseopt_of_others.penalties")
    assert {WithLifting, ReconstructSSA} <= set(others)
    assert others.count(DeadBranchPrune) > 1
