"""Newton systems of interior point methods whose matrices are sparse; see newton_systems.py."""

import math
from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import alike
from sparseopt.kernels.patterns import own_diagonal
from sparseopt.solvers.quadratic.newton_systems import (
    LARGEST_INDEFINITE,
    MEMORY,
    NONE,
    UNREAD,
    NewtonSystem,
    dense_system,
    in_full,
)
from sparseopt.solvers.quadratic.sparse_ldl import LDLFactor, SparseLDL, joined


@dataclass(frozen=True, eq=False)
class SparseNewtonSystem(NewtonSystem):
    """LDL' of the sparse matrix, whose order and pattern are found once."""

    #: The program and its scales, for a system that solves more accurately.
    program: tuple = field(repr=False, metadata=UNREAD)
    factor: LDLFactor = field(repr=False)
    own: np.ndarray = field(repr=False)
    place: np.ndarray = field(repr=False)
    diagonal: np.ndarray = field(repr=False, metadata=MEMORY)
    x: np.ndarray = field(repr=False, metadata=MEMORY)

    @classmethod
    def in_pieces(cls, program, scales, products):
        """The system of a sparse program, from its products in scaled units, in pieces."""
        p, n, m = program.q.size, products.F.height, products.A.height
        size = p + n + m
        blocks = [
            (below, M.starts, M.rows, M.values) for below, M in ((0, products.P), (p, products.F), (p + n, products.A))
        ]
        own = np.empty(size)
        ldl = yield from SparseLDL.in_pieces(*joined(blocks, size))
        own_diagonal(products.P.starts, products.P.rows, products.P.values, products.ridge, n, own)
        return alike(
            cls, type(ldl.factor), products=products, work=ldl.operations, program=(program, scales), factor=ldl.factor,
            own=own, place=ldl.place, diagonal=np.empty(size), x=np.empty(size),
        )  # fmt: skip

    def is_rough(self):
        # multipliers of linear programs that have been refined less end far from stationary
        return True

    def arrange(self, D, E):
        """Put the diagonals in the order of elimination."""
        p, size = D.size, self.place.size
        first = size - E.size
        for k in range(size):
            extra = D[k] if k < p else (-E[k - first] if k >= first else 0.0)
            self.diagonal[self.place[k]] = self.own[k] + extra

    def factorise(self, D, E):
        self.arrange(D, E)
        if self.factor.factorise(self.diagonal, 0, 1 << 62) < 0:
            return False
        pivots = self.factor.pivots
        for k in range(pivots.size):  # noqa: SIM110 (no generators in kernels)
            if not math.isfinite(pivots[k]):
                return False
        return True

    def solve(self, r, t, w, nu):
        x, size = self.x, self.place.size
        first = size - t.size
        for k in range(size):
            x[self.place[k]] = r[k] if k < r.size else (t[k - first] if k >= first else 0.0)
        self.factor.solve(x)
        for j in range(r.size):
            w[j] = x[self.place[j]]
        for i in range(t.size):
            nu[i] = x[self.place[first + i]]

    @property
    def curvatures(self):
        """Diagonal of P in scaled units."""
        return self.own[: self.products.ridge.size]

    @property
    def entries(self):
        """Numbers that one solution and its residual pass over."""
        return self.products.entries + self.factor.values.size

    @property
    def ridge(self):
        """Regularisation of the system of an active set; without pivoting rounding errors are divided by it."""
        return 1e-7

    def harder(self):
        # a factorisation without pivoting has no remedy but one with it
        if self.place.size > LARGEST_INDEFINITE:
            return None
        program, scales = self.program
        return dense_system(in_full(program), scales, self.products, NONE).harder()
