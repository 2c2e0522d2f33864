"""Factorisations of a large sparse system, made piece by piece, since a call of a kernel is to end within a tenth of a second."""

import numpy as np

from sparseopt._jit import kernel
from sparseopt.kernels import interior as kernels
from sparseopt.solvers.quadratic.sparse_ldl import PIECE, factorise_piece
from sparseopt.solvers.quadratic.sparse_newton import SparseNewtonSystem

# Operations of a factorisation that is made in pieces.
_LONG = 4 * PIECE
# What is added to the diagonals after a factorisation failed, and the most of it.
_EXTRA, _MOST = 1e-9, 1.0


def is_long(system):
    """Whether one factorisation takes more than a call may."""
    return isinstance(system, SparseNewtonSystem) and system.work > _LONG


def factorised(state):
    """Go on with the factorisation at the point for one piece; whether it is done, or None where it fails for good."""
    system, S = state.system, state.S
    if state.done is None:
        kernels.weigh(state.sides, state.V, state.W, state.R, S)
        arrange(system, state.W[kernels.DIAGONAL], state.R[kernels.LOOSE])
        state.done = 0
    state.done = factorise_piece(system.factor, system.diagonal, state.done, PIECE)
    if 0 <= state.done < system.factor.steps:
        return False
    failed = state.done < 0 or not np.isfinite(system.factor.pivots).all()
    state.done = None
    if failed:
        S[kernels.EXTRA] = max(_EXTRA, 10 * S[kernels.EXTRA])
        return None if S[kernels.EXTRA] > _MOST else False
    return True


def factorised_in_pieces(system, D, E):
    """Whether the factorisation for these diagonals went well, which is made in pieces."""
    arrange(system, D, E)
    done = 0
    while 0 <= done < system.factor.steps:
        done = factorise_piece(system.factor, system.diagonal, done, PIECE)
        yield
    return done >= 0 and bool(np.isfinite(system.factor.pivots).all())


@kernel
def arrange(system, D, E):
    """Put the diagonals of a factorisation in the order of elimination."""
    system.arrange(D, E)
