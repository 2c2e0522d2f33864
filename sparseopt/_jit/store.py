"""Machine code of kernels on disk, see `sparseopt._store` for the directory."""

import functools
import hashlib
import sys
from pathlib import Path

import llvmlite
import numba
import numpy as np
from numba.core import compiler
from numba.core.caching import _Cache
from numba.core.serialize import dumps

from sparseopt._jit.digests import fresh_class_digest, function_digest
from sparseopt._jit.layout import TermType
from sparseopt._store import bundle_directories, cache_directory, read, write


class Store(_Cache):
    """Compiled versions of one kernel on disk, one file each, named by what they depend on.

    Any fault of the disk or of a file is a miss: it costs a compilation, never a failure.
    """

    def __init__(self, function, flags, before_compilation):
        self._function, self._flags, self._before_compilation = function, flags, before_compilation
        self._digest = None

    @property
    def cache_path(self):
        return str(cache_directory())

    def enable(self):
        """Caching is on unless SPARSEOPT_CACHE_DIR is "off"."""

    def disable(self):
        """Caching is on unless SPARSEOPT_CACHE_DIR is "off"."""

    def flush(self):
        """Remove this kernel's files."""
        directory = cache_directory()
        for file in directory.glob(f"{self._function.__name__}-*.nbc") if directory else ():
            file.unlink(missing_ok=True)

    def load_overload(self, signature, target_context):
        # The context is not refreshed: only a compilation needs numba's registries, which take 0.2 s to load.
        native = target_context.codegen().magic_tuple()
        places = [(cache_directory(), native)]
        places += [(bundle, level) for bundle in bundle_directories() for level in (native, *_levels_below(native))]
        for directory, processor in places:
            if directory is None:
                continue
            parts = read(directory / self._file_name(signature, processor))
            if parts is not None:
                return compiler.CompileResult._rebuild(target_context, *parts)
        self._before_compilation()
        return None

    def save_overload(self, signature, compiled):
        for environment in compiled._find_referenced_environments():
            compiled.library.codegen.set_env(environment.env_name, environment)
        directory = cache_directory()
        if directory is None or compiled.library.has_dynamic_globals or self._is_outdated(signature):
            return
        processor = compiled.library.codegen.magic_tuple()
        write(directory / self._file_name(signature, processor), dumps(compiled._reduce()))

    def _is_outdated(self, signature):
        """Whether a function was redefined after its digest was taken (in a notebook): the name would lie."""
        terms = list(filter(lambda t: isinstance(t, TermType), signature))
        while terms:
            term = terms.pop()
            if fresh_class_digest(term.term_class) != term.digest:
                return True
            terms += [t for _, t in term.fields if isinstance(t, TermType)]
        return function_digest(self._function) != self._digest

    def _file_name(self, signature, processor):
        if self._digest is None:
            self._digest = function_digest(self._function)
        # sets in the order of their names: their own depends on PYTHONHASHSEED
        options = sorted((name, repr(sorted(v) if isinstance(v, set) else v)) for name, v in self._flags.items())
        key = (tuple(map(str, signature)), processor, self._digest, options, _toolchain())
        return f"{self._function.__name__}-{hashlib.sha256(repr(key).encode()).hexdigest()[:40]}.nbc"


@functools.cache
def _toolchain():
    """What all compiled code depends on: this package and versions."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    source = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    versions = (sys.implementation.cache_tag, numba.__version__, llvmlite.__version__, np.__version__)
    return source, versions, str(numba.config.OPT)


# Processor features that each portable level asks for (x86-64 psABI, 2020).
_LEVELS = {
    "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "x86-64-v3": {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"},
}


def _levels_below(native):
    """Portable levels whose code this processor can run."""
    triple, _, features = native
    present = {feature[1:] for feature in features.split(",") if feature.startswith("+")}
    return [(triple, level, "") for level, needed in _LEVELS.items() if needed <= present]
