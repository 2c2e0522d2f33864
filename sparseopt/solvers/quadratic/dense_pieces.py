"""The factorisation of a large dense Newton system, panel by panel, since limits and Ctrl-C are to come between."""

import numpy as np

from sparseopt._jit import kernel
from sparseopt.kernels.lapack import add_gram_panel, cholesky_panel, solve_lower_columns
from sparseopt.panels import PIECE, cholesky_in_panels, panels


def factorised_in_panels(system, D, E):
    """What `CholeskySystem.factorise` does, in pieces: whether it went well."""
    system.E[:] = E
    system.D[:] = D + system.diagonal
    H, block, rows = system.H, system.block, system.inner_rows
    weights = _scaled(rows, 1.0 / np.sqrt(E[system.inner]), system.root)
    own = D[block]
    for first, last in panels(len(H)):
        H[first:last, first:] = system.P[first:last, first:]
        H.flat[first * (len(H) + 1) : last * len(H) : len(H) + 1] += own[first:last]
        add_gram_panel(weights, first, last, H, False)
        if not rows.is_sparse and cholesky_panel(H, first, last) != 0:
            return False
        yield
    if rows.is_sparse:
        add_inner(system)
        if not (yield from cholesky_in_panels(H)):
            return False
    return (yield from _outer_in_panels(system, E))


def _outer_in_panels(system, E):
    """The factor for the outer rows, after that of the block."""
    V, S, G = system.V, system.S, system.G
    V[:] = system.G_block
    few = max(int(PIECE / max(V.shape[1], 1) ** 2), 1)
    for first in range(0, len(V), few):
        solve_lower_columns(system.H, V[first : first + few])
        yield
    others = np.zeros(G.width)
    if system.block.size < G.width:
        others = np.where(system.place < 0, 1.0 / np.sqrt(system.D), 0.0)
    weights = _scaled(G, others, system.root) if system.block.size < G.width else G.full[:0]
    diagonal = np.ones(len(S))
    diagonal[len(S) - system.outer.size :] = E[system.outer]
    for first, last in panels(len(S)):
        S[first:last, first:] = 0.0
        S.flat[first * (len(S) + 1) : last * len(S) : len(S) + 1] = diagonal[first:last]
        add_gram_panel(V, first, last, S, True)
        add_gram_panel(weights, first, last, S, False)
        yield
    if G.is_sparse and system.block.size < G.width:
        add_loose(system)
    return (yield from cholesky_in_panels(S))


def _scaled(matrix, scales, space):
    """The columns of a matrix in full with these scales, in `space`; none of a sparse one."""
    if matrix.is_sparse:
        return matrix.full[:0]
    out = space[: matrix.full.size].reshape(matrix.full.shape)
    np.multiply(scales[:, None], matrix.full, out=out)
    return out


@kernel
def add_inner(system):
    """Add the inner rows to H, in place, where they are sparse."""
    system.add_inner_rows()


@kernel
def add_loose(system):
    """Add the coefficients outside of the block to S, in place, where they are sparse."""
    system.add_loose_columns()
