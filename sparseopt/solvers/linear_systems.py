"""Linear systems of quadratic programs: quasi-definite matrices, dense or sparse, and their solution.

Both systems of a splitting method have the form

    [H  A'] [w ]   [r]
    [A  -E] [nu] = [t]

with H = P + a positive diagonal: the full one, where E = 1 / rho, and the one of an active
set, whose rows and columns are those of the free coefficients and the active rows.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from scipy import sparse

from sparseopt.solvers.quadratic_program import entries_of, factorised

# Stands for an infinite diagonal entry: it takes a row or column out of a sparse system whose pattern stays.
_OUT = 1e12
# Regularisation of the system of an active set, undone by refinement. A factorisation without
# pivoting divides by it, and one by elimination divides rounding errors by it.
_DENSE, _SPARSE = 1e-9, 1e-7


@dataclass(frozen=True, eq=False)
class DenseSystem:
    """Cholesky of H + A'A / E; rho only scales the second term, which is formed once."""

    program: object
    firmness: np.ndarray
    base: np.ndarray
    coupling: np.ndarray

    @classmethod
    def of(cls, program, sigma, firmness):
        """The system of a program whose matrices are dense."""
        rows, coordinates = firmness[: program.A.shape[0]], firmness[program.A.shape[0] :]
        base = program.matrix + np.diag(program.ridge + sigma)
        coupling = (program.A.T * rows) @ program.A + np.diag(coordinates)
        return cls(program, firmness, base, coupling)

    def splitting(self, rho):
        """solve(r, t) -> w, Aw of the full system with penalties rho * firmness."""
        A = self.program.A
        rows = rho * self.firmness[: A.shape[0]]
        cholesky, _ = scipy.linalg.lapack.dpotrf(self.base + rho * self.coupling, lower=1, overwrite_a=1)

        def solve(r, t):
            w, _ = scipy.linalg.lapack.dpotrs(cholesky, r + (rows * t) @ A, lower=1, overwrite_b=1)
            return w, A @ w

        return solve

    def active(self, free, rows):
        """solve(r, t) -> w, nu on the free coefficients and the active rows, both a little regularised."""
        H = self.program.matrix[np.ix_(free, free)] + np.diag(self.program.ridge[free])
        return indefinite(H, self.program.A[np.ix_(rows, free)])


@dataclass(frozen=True, eq=False)
class LowRankSystem:
    """Cholesky of the small system that is left when w is eliminated; for more coefficients than rows of data."""

    program: object
    sigma: float
    firmness: np.ndarray

    def splitting(self, rho):
        """solve(r, t) -> w, Aw of the full system with penalties rho * firmness."""
        F, A = self.program.factor, self.program.A
        rows, coordinates = np.split(rho * self.firmness, [A.shape[0]])
        eliminated = schur(
            self.program.ridge + self.sigma + coordinates, np.vstack([F, A]), np.append(np.ones(F.shape[0]), 1 / rows)
        )

        def solve(r, t):
            w, nu = eliminated(r, np.append(np.zeros(F.shape[0]), t))
            return w, t + nu[F.shape[0] :] / rows

        return solve

    def active(self, free, rows):
        """solve(r, t) -> w, nu on the free coefficients and the active rows, both a little regularised."""
        F, A = self.program.factor[:, free], self.program.A[np.ix_(rows, free)]
        n, ridge = F.shape[0], self.program.ridge[free]
        if free.size <= n + rows.size:
            return indefinite(F.T @ F + np.diag(ridge), A)
        eliminated = schur(ridge + _SPARSE, np.vstack([F, A]), np.append(np.ones(n), np.full(rows.size, _DENSE)))

        def solve(r, t):
            w, nu = eliminated(r, np.append(np.zeros(n), t))
            return w, nu[n:]

        return solve


class SparseSystem:
    """LU of the whole matrix, with a row for each row of F and A; its pattern is ordered once."""

    def __init__(self, program, sigma, firmness):
        p, m = program.q.size, program.A.shape[0]
        self.program, self.sigma, self.firmness = program, sigma, firmness
        self.n = 0 if program.factor is None else program.factor.shape[0]
        size = p + self.n + m
        diagonal = np.zeros(p) if program.matrix is None else program.matrix.diagonal()
        self.own = np.concatenate([diagonal + program.ridge, np.full(self.n, -1.0), np.zeros(m)])
        i, j, values = _quasi_definite(program, self.n)
        self.order = np.arange(size)
        self.matrix = sparse.csc_array((values, (i, j)), shape=(size, size))
        self.at = _diagonal_places(self.matrix)
        place = self._factorised(self._penalties(0.1), "MMD_AT_PLUS_A").perm_c
        self.order = np.argsort(place)
        self.matrix = sparse.csc_array((values, (place[i], place[j])), shape=(size, size))
        self.at = _diagonal_places(self.matrix)

    def _penalties(self, rho):
        rows, coordinates = np.split(rho * self.firmness, [self.program.A.shape[0]])
        return np.concatenate([self.sigma + coordinates, np.zeros(self.n), -1 / rows])

    def _factorised(self, extra, ordering="NATURAL"):
        self.matrix.data[self.at] = (self.own + extra)[self.order]
        return factorised(self.matrix, ordering)

    def _solved(self, lu, right):
        out = np.empty_like(right)
        out[self.order] = lu.solve(right[self.order])
        return out

    def splitting(self, rho):
        """solve(r, t) -> w, Aw of the full system with penalties rho * firmness."""
        p, n, m = self.program.q.size, self.n, self.program.A.shape[0]
        rows, right = rho * self.firmness[:m], np.zeros(p + n + m)
        lu = self._factorised(self._penalties(rho))

        def solve(r, t):
            right[:p], right[p + n :] = r, t
            out = self._solved(lu, right)
            return out[:p], t + out[p + n :] / rows

        return solve

    def active(self, free, rows):
        """solve(r, t) -> w, nu on the free coefficients and the active rows, both a little regularised."""
        p, n = self.program.q.size, self.n
        size = self.own.size
        extra = np.concatenate([np.full(p, _OUT), np.zeros(n), np.full(size - p - n, -_OUT)])
        extra[free], extra[p + n + rows] = _SPARSE, -_SPARSE
        lu = self._factorised(extra)

        def solve(r, t):
            right = np.zeros(size)
            right[free], right[p + n + rows] = r, t
            out = self._solved(lu, right)
            return out[free], out[p + n + rows]

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
    np.fill_diagonal(K, K.diagonal() + np.append(np.full(p, _DENSE), np.full(size - p, -_DENSE)))
    lwork = int(scipy.linalg.lapack.dsytrf_lwork(size, lower=1)[0])
    factor, pivots, _ = scipy.linalg.lapack.dsytrf(K, lower=1, lwork=lwork, overwrite_a=1)

    def solve(r, t):
        out, _ = scipy.linalg.lapack.dsytrs(factor, pivots, np.append(r, t), lower=1, overwrite_b=1)
        return out[:p], out[p:]

    return solve


def schur(D, G, E):
    """solve(r, t) of [diag(D), G'; G, -diag(E)] by a Cholesky factor of G D^-1 G' + E."""
    cholesky, _ = scipy.linalg.lapack.dpotrf((G / D) @ G.T + np.diag(E), lower=1, overwrite_a=1)

    def solve(r, t):
        nu, _ = scipy.linalg.lapack.dpotrs(cholesky, G @ (r / D) - t, lower=1, overwrite_b=1)
        return (r - nu @ G) / D, nu

    return solve


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


def _diagonal_places(matrix):
    """Where the diagonal entries of a CSC matrix stand in its data; all are stored."""
    i, j = entries_of(matrix)
    return np.flatnonzero(i == j)
