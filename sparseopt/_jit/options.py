"""How functions are compiled: options of kernels, and of the functions within them."""

from __future__ import annotations

import gc
import signal
import threading
from contextlib import contextmanager
from types import CodeType
from typing import Any

import numba
from numba.core import compiler
from numba.core.typed_passes import NativeLowering, PreLowerStripPhis
from numba.core.untyped_passes import DeadBranchPrune, ReconstructSSA

from sparseopt._jit.libraries import BriefLibrary, FunctionLibrary, KernelLibrary
from sparseopt._jit.lowering import EntryLowering
from sparseopt._jit.operators import remembering
from sparseopt._jit.single_assignment import SingleAssignment, StripPhis

# Passes by name, since not every version of numba has all of them.
# What kernels have none of: array expressions, which numba would fuse, and references, for whose sake it marks where each
# variable is used last.
_NEEDLESS = {"NopythonRewrites", "IRLegalization"}
_WITHOUT_FUNCTIONS = _NEEDLESS | {"InlineClosureLikes"}
# What the plain functions of this package have none of either: `with`, functions to be put in place of their calls,
# literals that are asked for, messages made of values. Lifetimes of variables are found by a later pass as well, and
# what is noted down of types and of parallel loops nobody reads.
_NEEDLESS_HERE = _WITHOUT_FUNCTIONS | {
    "AnnotateTypes",
    "DumpParforDiagnostics",
    "FindLiterallyCalls",
    "InlineInlinables",
    "InlineOverloads",
    "IRProcessing",
    "LiteralPropagationSubPipelinePass",
    "LiteralUnroll",
    "MakeFunctionToJitFunction",
    "NoPythonSupportedFeatureValidation",
    "RewriteDynamicRaises",
    "WithLifting",
}
_OURS = {NativeLowering: EntryLowering}
# without lifetimes of variables, which generators need
_OURS_HERE = _OURS | {ReconstructSSA: SingleAssignment, PreLowerStripPhis: StripPhis}
_PACKAGE = __name__.partition(".")[0]


def _needed(passes, function):
    """Passes of numba's that a function needs, some of them in our form."""
    has_functions = any(isinstance(value, CodeType) for value in function.code.co_consts)
    is_plain = not has_functions and function.modname.partition(".")[0] == _PACKAGE
    needless = _NEEDLESS_HERE if is_plain else _NEEDLESS if has_functions else _WITHOUT_FUNCTIONS
    ours = _OURS_HERE if is_plain else _OURS
    needed = [(ours.get(kind, kind), text) for kind, text in passes if kind.__name__ not in needless]
    if is_plain:
        # branches that are never taken are looked for again after passes that bring some, which are left out
        first = next(place for place, (kind, _) in enumerate(needed) if kind is DeadBranchPrune)
        needed = [step for place, step in enumerate(needed) if step[0] is not DeadBranchPrune or place == first]
    return needed


class _KernelCompiler(compiler.Compiler):
    """Numba's compiler with our lowering and our memory for operators, without passes that kernels do not need."""

    library_class: type[KernelLibrary] = KernelLibrary

    def __init__(self, typing_context, target_context, library, *rest):
        if library is None:
            library = self.library_class(target_context.codegen(), "kernel")
            # as numba does for its own, so that the code can be kept
            library.enable_object_caching()
        typing_context = remembering(typing_context)
        super().__init__(typing_context, target_context, library, *rest)
        # this is numba's copy of its context, made for this compilation
        self.state.targetctx.typing_context = typing_context

    def define_pipelines(self):
        """Numba's passes, one of them ours."""
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = _needed(pipeline.passes, self.state.func_id)
            pipeline.finalize()
        return pipelines

    def compile_extra(self, func):
        """Compile a function and those that it calls."""
        with _no_collection(), _interrupts_later():
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


@contextmanager
def _interrupts_later():
    """Raise an interrupt at the end: in the middle it may come in a callback of LLVM, which would swallow it."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    held: list[tuple] = []
    signal.signal(signal.SIGINT, lambda *signalled: held.append(signalled))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if held:
        handler(*held[0])


# Never nnan or ninf: tests for NaN and infinity must keep their meaning in compiled code.
FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz", "arcp"}}
# Kernels allocate nothing, so they need no reference counts: a count of a field's array at each call
# of a method is an atomic operation, which took up to half of the time of short columns.
FLAGS |= {"_nrt": False, "no_cfunc_wrapper": True}
# The last release of numba whose insides are known here: a later one compiles kernels in its own way, and takes longer.
_LATEST = (0, 68)
_IS_KNOWN = numba.version_info.short <= _LATEST
if _IS_KNOWN:
    FLAGS["pipeline_class"] = _KernelCompiler


class _InnerCompiler(_KernelCompiler):
    """The compiler of kernels, with a library of another kind to put the code in."""

    def __init__(self, typing_context, target_context, library, *rest):
        library = library or FunctionLibrary(target_context.codegen(), "inner")
        super().__init__(typing_context, target_context, library, *rest)


class _BriefCompiler(_KernelCompiler):
    """The compiler of kernels in which little time passes."""

    library_class = BriefLibrary


BRIEF: dict[str, Any] = dict(FLAGS)
INNER: Any = {**FLAGS, "no_cpython_wrapper": True}
if _IS_KNOWN:
    INNER["pipeline_class"], BRIEF["pipeline_class"] = _InnerCompiler, _BriefCompiler


def is_compiled():
    """Whether kernels are compiled, which NUMBA_DISABLE_JIT=1 forbids."""
    return not numba.config.DISABLE_JIT
