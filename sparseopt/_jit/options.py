"""How functions are compiled: options of kernels, and of the functions within them."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import Any

import numba
from numba.core import compiler
from numba.core.codegen import JITCodeLibrary
from numba.core.typed_passes import NativeLowering, NopythonRewrites

from sparseopt._jit.lowering import EntryLowering


class _KernelCompiler(compiler.Compiler):
    """Numba's compiler with our lowering, and without its fusion of array expressions, which kernels do not have."""

    def define_pipelines(self):
        """Numba's passes, one of them ours."""
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [
                (EntryLowering if kind is NativeLowering else kind, text)
                for kind, text in pipeline.passes
                if kind is not NopythonRewrites
            ]
            pipeline.finalize()
        return pipelines

    def compile_extra(self, func):
        """Compile a function and those that it calls."""
        with _no_collection():
            return super().compile_extra(func)


@contextmanager
def _no_collection():
    """Let no cycles be looked for: a compilation makes millions of objects that live to its end, a sixth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


# Never nnan or ninf: tests for NaN and infinity must keep their meaning in compiled code.
FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}
# Kernels allocate nothing, so they need no reference counts: a count of a field's array at each call
# of a method is an atomic operation, which took up to half of the time of short columns.
FLAGS |= {"_nrt": False, "no_cfunc_wrapper": True, "pipeline_class": _KernelCompiler}


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


class _InnerCompiler(_KernelCompiler):
    """The compiler of kernels, with an unfinished library to put the code in."""

    def __init__(self, typing_context, target_context, library, *rest):
        library = library or _Unfinished(target_context.codegen(), "inner")
        super().__init__(typing_context, target_context, library, *rest)


INNER: Any = {**FLAGS, "no_cpython_wrapper": True, "pipeline_class": _InnerCompiler}


def is_compiled():
    """Whether kernels are compiled, which NUMBA_DISABLE_JIT=1 forbids."""
    return not numba.config.DISABLE_JIT
