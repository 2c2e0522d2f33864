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
from scipy import sparse

from sparseopt._jit import Term
from sparseopt.curvature import entries_of, factorised
from sparseopt.kernels import ldl
from sparseopt.kernels.ldl import solve_in_place
from sparseopt.solvers.quadratic_program import QuadraticProgram

# Stands for an infinite diagonal entry: it takes a row or column out of a sparse system whose pattern stays.
_OUT = 1e12
# Regularisation of the system of an active set, undone by refinement. A factorisation without
# pivoting divides by it, and one by elimination divides rounding errors by it.
_DENSE, _SPARSE = 1e-9, 1e-7
# Operations of one call of the sparse factorisation, a few hundredths of a second.
_PIECE = 50_000_000


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
    """For sparse matrices, with a row for each row of F and A; ordered and analysed once."""

    def __init__(self, program, sigma, firmness):
        p, m = program.q.size, program.A.shape[0]
        self.program, self.sigma, self.firmness = program, sigma, firmness
        self.n = 0 if program.factor is None else program.factor.shape[0]
        self.size = p + self.n + m
        diagonal = np.zeros(p) if program.matrix is None else program.matrix.diagonal()
        self.own = np.concatenate([diagonal + program.ridge, np.full(self.n, -1.0), np.zeros(m)])
        i, j, values = _quasi_definite(program, self.n)
        self.place = _fill_reducing(i, j, self.size)
        i, j = self.place[i], self.place[j]
        upper = i <= j
        matrix = sparse.csc_array((values[upper], (i[upper], j[upper])), shape=(self.size, self.size))
        self.data, self.indptr, self.indices = (
            matrix.data,
            matrix.indptr.astype(np.int64),
            matrix.indices.astype(np.int64),
        )
        # the diagonal ends each column of an upper triangle with sorted entries
        self.at = self.indptr[1:][self.place] - 1
        self.parent, counts, self.marks = (np.empty(self.size, dtype=np.int64) for _ in range(3))
        ldl.elimination_tree(self.indptr, self.indices, self.parent, counts, self.marks)
        self.starts = np.append(0, np.cumsum(counts))

    def factorised(self, extra):
        """starts, rows, values and pivots of the matrix with `extra` added to its own diagonal."""
        self.data[self.at] = self.own + extra
        rows, values = np.empty(self.starts[-1], dtype=np.int64), np.empty(self.starts[-1])
        pivots, row = np.empty(self.size), np.empty(self.size)
        filled, path = np.empty_like(self.parent), np.empty_like(self.parent)
        done = 0
        while 0 <= done < self.size:  # in pieces, for the sake of Ctrl-C
            done = ldl.factorise(
                self.indptr, self.indices, self.data, self.parent, self.starts, rows, values, pivots,
                filled, row, path, self.marks, done, _PIECE,
            )  # fmt: skip
        return self.starts, rows, values, pivots

    def solved(self, parts, r, t):
        """Solution of the matrix that `factorised` gave these parts for, with a zero for each row of F."""
        p, work = self.program.q.size, np.zeros(self.size)
        work[self.place[:p]], work[self.place[p + self.n :]] = r, t
        ldl.solve(*parts, work)
        return work[self.place[:p]], work[self.place[p + self.n :]]

    def factor(self, rho):
        rows, coordinates = np.split(rho * self.firmness, [self.program.A.shape[0]])
        parts = self.factorised(np.concatenate([self.sigma + coordinates, np.zeros(self.n), -1 / rows]))
        return SparseFactor(*parts, self.place, rows)

    def active(self, free, rows):
        p, n = self.program.q.size, self.n
        extra = np.concatenate([np.full(p, _OUT), np.zeros(n), np.full(self.size - p - n, -_OUT)])
        own = self.own[free]
        extra[free] = _SPARSE * np.where(own > 0, np.minimum(own, 1.0), 1.0)
        extra[p + n + rows] = -_SPARSE
        parts = self.factorised(extra)
        at_free, at_rows = self.place[free], self.place[p + n + rows]

        def solve(r, t):
            work = np.zeros(self.size)
            work[at_free], work[at_rows] = r, t
            ldl.solve(*parts, work)
            return work[at_free], work[at_rows]

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


def _quasi_definite(program, n):
    """Row, column and value of the entries off the diagonal of [P F' A'; F -I 0; A 0 -E], and a stored diagonal."""
    p, m = program.q.size, program.A.shape[0]
    parts = [(np.arange(p + n + m), np.arange(p + n + m), np.ones(p + n + m))]
    for below, block in ((p, program.factor), (p + n, program.A)):
        if block is not None:
            i, j = entries_of(block)
            parts += [(below + i, j, block.data), (j, below + i, block.data)]
    if program.matrix is not None:
        i, j = entries_of(program.matrix)
        off = i != j
        parts.append((i[off], j[off], program.matrix.data[off]))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _fill_reducing(i, j, size):
    """Where minimum degree puts each row and column of a symmetric pattern, so that L stays sparse."""
    # diagonally dominant, so that the factorisation, which is thrown away, cannot fail
    values = np.where(i == j, float(size), 1e-3 / size)
    return factorised(sparse.csc_array((values, (i, j)), shape=(size, size))).perm_c.astype(np.int64)
