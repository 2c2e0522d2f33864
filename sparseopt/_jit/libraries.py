"""Where the code of kernels goes: one library for each kernel, and one for each function that kernels call."""

from __future__ import annotations

import llvmlite.binding
from llvmlite.binding import Linkage
from numba.core import codegen, config
from numba.core.codegen import JITCodeLibrary

# numba 0.60 and 0.61 choose passes by an interface that has no such choice; they compile kernels in their own way
_CAN_TUNE = hasattr(codegen, "create_pass_builder")


class _Library(JITCodeLibrary):
    """Code that is optimised once, in the kernel that it is linked into.

    Numba first optimises each function by itself, a tenth of the time of a compilation.
    """

    def add_llvm_module(self, module):
        """Add code as it was lowered."""
        self._final_module.link_in(module)


class KernelLibrary(_Library):
    """The code of a kernel and of all functions that it reaches, each of them linked in once."""

    def finalize(self):
        """Link, optimise, and make machine code."""
        found, ahead = {}, list(reversed(self._linking_libraries))
        while ahead:
            library = ahead.pop()
            if library not in found:
                found[library] = None
                if isinstance(library, FunctionLibrary):
                    ahead += reversed(library._linking_libraries)
        self._linking_libraries = list(found)
        super().finalize()

    def _optimize_final_module(self):
        """Optimise once, where numba does so before and after it has looked for counts of references."""
        if not _CAN_TUNE:
            super()._optimize_final_module()
            return
        options = llvmlite.binding.create_pipeline_tuning_options(speed_level=int(config.OPT))
        options.loop_vectorization = bool(config.LOOP_VECTORIZE)
        options.slp_vectorization = bool(config.SLP_VECTORIZE)
        self._tune(options)
        passes = llvmlite.binding.create_pass_builder(self._codegen._tm, options)
        passes.getModulePassManager().run(self._final_module, passes)

    def _tune(self, options):
        """Without copies of what loops repeat, which vector instructions have made needless: a third of the code."""
        options.loop_unrolling = False


class BriefLibrary(KernelLibrary):
    """The code of a kernel whose loops are short or wait for memory, a sixth sooner."""

    def _tune(self, options):
        """Without several vectors at a time."""
        options.loop_unrolling = options.loop_interleaving = False


class FunctionLibrary(_Library):
    """The code of a function that kernels call, as it was lowered.

    The kernel that it is linked into optimises it and makes machine code of it. Of its own numba would do both at
    each level of calls, and link in what the function calls again at each: a third of the time of a compilation.
    """

    def finalize(self):
        """Let many kernels have the code, and drop it where it was put in place of its calls."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = Linkage.linkonce_odr
        self._shared_module = self._final_module
        self._finalized = True

    def get_pointer_to_function(self, name):
        """There is no machine code to point to."""
        return 0

    @property
    def codegen(self):
        return self

    def set_env(self, name, environment):
        """The kernel's to do as well, see `Store.save_overload`."""
