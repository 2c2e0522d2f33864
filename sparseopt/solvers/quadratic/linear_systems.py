"""Linear systems of quadratic programs: quasi-definite matrices, dense or sparse, and their solution.

Both systems of a splitting method have the form

    [H  A'] [w ]   [r]
    [A  -E] [nu] = [t]

with H = P + a positive diagonal: the full one, where E = 1 / rho, and the one of an active
set, whose rows and columns are those of the free coefficients and the active rows.

A system makes the factor of the first, which the kernel calls, and a solver of the second.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import scipy

from sparseopt._jit import Term
from sparseopt.kernels.ldl import solve_in_place
from sparseopt.solvers.quadratic.quadratic_program import QuadraticProgram
from sparseopt.solvers.quadratic.sparse_ldl import SparseLDL, joined

# Stands for an infinite diagonal entry: it takes a row or column out of a sparse system whose pattern stays.
_OUT = 1e12
# Regularisation of the system of an active set, undone by refinement. A factorisation without
# pivoting divides by it, and one by elimination divides rounding errors by it.
_DENSE, _SPARSE = 1e-9, 1e-7


class Factor(Term):
    """A factorisation of the full system, for kernels."""

    @abstractmethod
    def solve(self, w, t, image, work):
        """Right hand side r in w becomes the solution w, and A w is the first part of `image`, in place."""


@dataclass(frozen=True, eq=False)
class DenseFactor(Factor):
    """Cholesky factor of H + A' diag(rows) A."""

    A: np.ndarray
    cholesky: np.ndarray
    rows: np.ndarray

    def solve(self, w, t, image, work):
        m, p = self.A.shape
        L = self.cholesky
        for i in range(m):
            image[i] = self.rows[i] * t[i]
        for j in range(p):
            total = w[j]
            for i in range(m):
                total += self.A[i, j] * image[i]
            w[j] = total
        solve_triangles(L, w)
        for i in range(m):
            image[i] = 0.0
        for j in range(p):
            for i in range(m):
                image[i] += self.A[i, j] * w[j]


@dataclass(frozen=True, eq=False)
class LowRankFactor(Factor):
    """Cholesky factor of G D^-1 G' + E, where G holds the rows of F and of A."""

    G: np.ndarray
    D: np.ndarray
    E: np.ndarray
    cholesky: np.ndarray

    def solve(self, w, t, image, work):
        size, p = self.G.shape
        n = size - t.size
        nu = work[:size]
        for i in range(size):
            nu[i] = -t[i - n] if i >= n else 0.0
        for j in range(p):
            scaled = w[j] / self.D[j]
            for i in range(size):
                nu[i] += self.G[i, j] * scaled
        solve_triangles(self.cholesky, nu)
        for j in range(p):
            total = w[j]
            for i in range(size):
                total -= self.G[i, j] * nu[i]
            w[j] = total / self.D[j]
        for i in range(n, size):
            image[i - n] = t[i - n] + nu[i] * self.E[i]


@dataclass(frozen=True, eq=False)
class SparseFactor(Factor):
    """LDL' of the whole matrix, whose row and column k stand at place[k]."""

    starts: np.ndarray
    rows: np.ndarray
    values: np.ndarray
    pivots: np.ndarray
    place: np.ndarray
    rho: np.ndarray

    def solve(self, w, t, image, work):
        p, m = w.size, t.size
        n = self.place.size - p - m
        for k in range(self.place.size):
            work[self.place[k]] = w[k] if k < p else (t[k - p - n] if k >= p + n else 0.0)
        solve_in_place(self.starts, self.rows, self.values, self.pivots, work)
        for j in range(p):
            w[j] = work[self.place[j]]
        for i in range(m):
            image[i] = t[i] + work[self.place[p + n + i]] / self.rho[i]


def solve_triangles(L, x):
    """Solution of L L' x = x for a dense lower triangle, in place."""
    for k in range(x.size):
        known = x[k] / L[k, k]
        x[k] = known
        for i in range(k + 1, x.size):
            x[i] -= L[i, k] * known
    for k in range(x.size - 1, -1, -1):
        total = x[k]
        for i in range(k + 1, x.size):
            total -= L[i, k] * x[i]
        x[k] = total / L[k, k]


class System(ABC):
    """The two linear systems of a program."""

    @abstractmethod
    def factor(self, rho) -> Factor:
        """The full system with penalties rho * firmness."""

    @abstractmethod
    def active(self, free, rows):
        """solve(r, t) -> w, nu on the free coefficients and the active rows, a little regularised."""


@dataclass(frozen=True, eq=False)
class DenseSystem(System):
    """For matrices in full: rho only scales A'A, which is formed once."""

    program: QuadraticProgram
    firmness: np.ndarray
    base: np.ndarray
    coupling: np.ndarray

    @classmethod
    def of(cls, program, sigma, firmness):
        """The system of a program whose matrices are dense."""
        rows, coordinates = np.split(firmness, [program.A.shape[0]])
        base = program.matrix + np.diag(program.ridge + sigma)
        coupling = (program.A.T * rows) @ program.A + np.diag(coordinates)
        return cls(program, firmness, base, coupling)

    def factor(self, rho):
        A = self.program.A
        cholesky, _ = scipy.linalg.lapack.dpotrf(self.base + rho * self.coupling, lower=1, overwrite_a=1)
        return DenseFactor(A, cholesky, rho * self.firmness[: A.shape[0]])

    def active(self, free, rows):
        H = self.program.matrix[np.ix_(free, free)] + np.diag(self.program.ridge[free])
        return indefinite(H, self.program.A[np.ix_(rows, free)])


@dataclass(frozen=True, eq=False)
class LowRankSystem(System):
    """For more coefficients than rows of data: w is eliminated."""

    program: QuadraticProgram
    sigma: float
    firmness: np.ndarray

    def factor(self, rho):
        F, A = self.program.factor, self.program.A
        rows, coordinates = np.split(rho * self.firmness, [A.shape[0]])
        G, E = np.asfortranarray(np.vstack([F, A])), np.append(np.ones(F.shape[0]), 1 / rows)
        D = self.program.ridge + self.sigma + coordinates
        return LowRankFactor(G, D, E, _schur(D, G, E))

    def active(self, free, rows):
        F, A = self.program.factor[:, free], self.program.A[np.ix_(rows, free)]
        n, ridge = F.shape[0], self.program.ridge[free]
        if free.size <= n + rows.size:
            return indefinite(F.T @ F + np.diag(ridge), A)
        G, D = np.vstack([F, A]), ridge + _SPARSE
        cholesky = _schur(D, G, np.append(np.ones(n), np.full(rows.size, _DENSE)))

        def solve(r, t):
            right = G @ (r / D) - np.append(np.zeros(n), t)
            nu, _ = scipy.linalg.lapack.dpotrs(cholesky, right, lower=1, overwrite_b=1)
            return (r - nu @ G) / D, nu[n:]

        return solve


class SparseSystem(System):
    """For sparse matrices, with a row for each row of F and A; ordered and analysed once.

    `firmness` is None where no full system is asked for, and the factor may be of any kind.
    """

    def __init__(self, program, sigma, firmness):
        p, m = program.q.size, program.A.shape[0]
        self.program, self.sigma, self.firmness = program, sigma, firmness
        self.n = 0 if program.factor is None else program.factor.shape[0]
        self.size = p + self.n + m
        diagonal = np.zeros(p) if program.matrix is None else program.matrix.diagonal()
        self.own = np.concatenate([diagonal + program.ridge, np.full(self.n, -1.0), np.zeros(m)])
        blocks = ((0, program.matrix), (p, program.factor), (p + self.n, program.A))
        parts = [
            (below, M.indptr.astype(np.int64), M.indices.astype(np.int64), M.data)
            for below, M in blocks
            if M is not None
        ]
        self.ldl = SparseLDL(*joined(parts, self.size), firmness is not None)
        self.place = self.ldl.place

    def factor(self, rho):
        rows, coordinates = np.split(rho * self.firmness, [self.program.A.shape[0]])
        self.ldl.factorise(self.own + np.concatenate([self.sigma + coordinates, np.zeros(self.n), -1 / rows]))
        parts = self.ldl.factor
        # copies, since the next factor has the same memory
        return SparseFactor(parts.starts, parts.rows, parts.values.copy(), parts.pivots.copy(), self.place, rows)

    def active(self, free, rows):
        p, n = self.program.q.size, self.n
        extra = np.concatenate([np.full(p, _OUT), np.zeros(n), np.full(self.size - p - n, -_OUT)])
        own = self.own[free]
        extra[free] = _SPARSE * np.where(own > 0, np.minimum(own, 1.0), 1.0)
        extra[p + n + rows] = -_SPARSE
        self.ldl.factorise(self.own + extra)

        def solve(r, t):
            right = np.zeros(self.size)
            right[free], right[p + n + rows] = r, t
            found = self.ldl.solve(right)
            return found[free], found[p + n + rows]

        return solve


def linear_system(program, sigma, firmness):
    """The cheapest of the three systems for this program."""
    if program.is_sparse:
        return SparseSystem(program, sigma, firmness)
    if program.matrix is None:
        return LowRankSystem(program, sigma, firmness)
    return DenseSystem.of(program, sigma, firmness)


def indefinite(H, A):
    """solve(r, t) of [H + d, A'; A, -d] with a tiny d by a dense symmetric factorisation (Bunch and Kaufman, 1977)."""
    p, size = H.shape[0], H.shape[0] + A.shape[0]
    K = np.zeros((size, size), order="F")
    K[:p, :p], K[p:, :p] = H, A
    # relative to what curvature there is, so that little of it is not lost
    own = H.diagonal()
    little = _DENSE * np.where(own > 0, np.minimum(own, 1.0), 1.0)
    np.fill_diagonal(K, K.diagonal() + np.append(little, np.full(size - p, -_DENSE)))
    lwork = int(scipy.linalg.lapack.dsytrf_lwork(size, lower=1)[0])
    factor, pivots, _ = scipy.linalg.lapack.dsytrf(K, lower=1, lwork=lwork, overwrite_a=1)

    def solve(r, t):
        out, _ = scipy.linalg.lapack.dsytrs(factor, pivots, np.append(r, t), lower=1, overwrite_b=1)
        return out[:p], out[p:]

    return solve


def _schur(D, G, E):
    """Cholesky factor of G D^-1 G' + E."""
    return scipy.linalg.lapack.dpotrf((G / D) @ G.T + np.diag(E), lower=1, overwrite_a=1)[0]
