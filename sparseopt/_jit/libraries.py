"""Where the code of kernels goes: one library for each kernel, and one for each function that kernels call."""

from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary


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
