"""Factorisations of a large system, made piece by piece, since a call of a kernel is to end within a tenth of a second."""

import numpy as np

from sparseopt._jit import kernel
from sparseopt.kernels import interior as kernels
from sparseopt.solvers.quadratic.dense_pieces import factorised_in_panels
from sparseopt.solvers.quadratic.newton_systems import CholeskySystem
from sparseopt.solvers.quadratic.pieces import Pieces
from sparseopt.solvers.quadratic.sparse_ldl import PIECE, factorise_piece
from sparseopt.solvers.quadratic.sparse_newton import SparseNewtonSystem

# Operations of a factorisation that is made in pieces, sparse or dense.
_LONG, _LONG_DENSE = 4 * PIECE, 4e9
# What is added to the diagonals after a factorisation failed, and the most of it.
_EXTRA, _MOST = 1e-9, 1.0


def is_long(system):
    """Whether one factorisation takes more than a call may."""
    if isinstance(system, SparseNewtonSystem):
        return system.work > _LONG
    return isinstance(system, CholeskySystem) and not system.is_pivoting and system.work > _LONG_DENSE


def factorised(state):
    """Go on with the factorisation at the point for some pieces; whether it is done, or None where it fails for good."""
    system, S = state.system, state.S
    if state.factoring is None:
        kernels.weigh(state.sides, state.V, state.W, state.R, S)
        state.factoring = Pieces(factorised_in_pieces(system, state.W[kernels.DIAGONAL], state.R[kernels.LOOSE]))
    if not state.factoring.go_on():
        return False
    went_well, state.factoring = state.factoring.made, None
    if not went_well:
        S[kernels.EXTRA] = max(_EXTRA, 10 * S[kernels.EXTRA])
        return None if S[kernels.EXTRA] > _MOST else False
    return True


def factorised_in_pieces(system, D, E):
    """Whether the factorisation for these diagonals went well, which is made in pieces."""
    if isinstance(system, CholeskySystem):
        return (yield from factorised_in_panels(system, D, E))
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
