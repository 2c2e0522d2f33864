"""Where a run stands, on stderr while it goes on."""

from __future__ import annotations

import sys

import numpy as np


class Progress:
    """One line on stderr, rewritten a few times a second."""

    def __init__(self, solver):
        self.name, self.last = type(solver).__name__, -np.inf

    def show(self, state, gap, seconds, *, is_last):
        """Rewrite the line, unless that was done just now."""
        if not is_last and seconds - self.last < 0.2:
            return
        self.last = seconds
        known = f"gap {gap:.1e}" if np.isfinite(gap) else f"residual {state.residual:.1e}"
        line = f"\r{self.name}: {state.iterations} iterations, {known}, support {np.count_nonzero(state.w)}, {seconds:.1f} s"
        sys.stderr.write(line + (" \n" if is_last else " "))
        sys.stderr.flush()
