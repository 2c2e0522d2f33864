"""The one door to numba: `Term`, a value whose methods a kernel may call, and `kernel`.

A term is a frozen dataclass whose methods are plain Python. Outside a kernel they run as
written. Inside, the term is an immutable struct and each method call is compiled for its
class, together with every plain function that the method reaches.

Machine code is kept on disk, one file per compiled kernel. A file's name is the digest of
all that the code depends on: the bytecode and constants of the kernel, of the methods of
its terms and of every function they reach, the argument types, the processor, the versions
and this package. Nothing else is ever looked up, so there is no index to damage and no stale
entry to be served: an edit changes the name.

Nothing outside this package imports numba.
"""

from numba.core.errors import NumbaError as CompilationError

from sparseopt._jit.addresses import address_of, call_at, copy_fields, n_words
from sparseopt._jit.exponential import exp
from sparseopt._jit.kernels import brief_kernel, compilations, kernel, strict_kernel
from sparseopt._jit.options import is_compiled
from sparseopt._jit.routines import external
from sparseopt._jit.term_types import alike, typed
from sparseopt._jit.terms import Kind, Term

__all__ = [
    "CompilationError",  # for those who must not import numba
    "Kind",
    "Term",
    "address_of",
    "alike",
    "brief_kernel",
    "call_at",
    "compilations",
    "copy_fields",
    "exp",
    "external",
    "is_compiled",
    "kernel",
    "n_words",
    "strict_kernel",
    "typed",
]
