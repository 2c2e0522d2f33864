"""Numba's passes to and from variables that are assigned once, without lifetimes of variables, of which kernels have no use."""

from typing import Any

from numba.core.compiler_machinery import register_pass
from numba.core.ir_utils import build_definitions
from numba.core.ssa import reconstruct_ssa
from numba.core.typed_passes import PreLowerStripPhis
from numba.core.untyped_passes import ReconstructSSA


@register_pass(mutates_CFG=False, analysis_only=False)
class SingleAssignment(ReconstructSSA):
    """Each variable is assigned once."""

    _name: Any = "sparseopt_single_assignment"

    def run_pass(self, state):
        """Change the code of a function."""
        state.func_ir = reconstruct_ssa(state.func_ir)
        self._patch_locals(state)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class StripPhis(PreLowerStripPhis):
    """Variables are assigned where branches meet no more."""

    _name: Any = "sparseopt_strip_phis"

    def run_pass(self, state):
        """Change the code of a function."""
        state.func_ir = self._strip_phi_nodes(state.func_ir)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True
