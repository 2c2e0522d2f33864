"""Newton systems of interior point methods, dense, of low rank or sparse.

    [P + diag(D)   A'] [w ]   [r]
    [A       -diag(E)] [nu] = [t]

with D, E > 0 that change in every iteration: E is small where a row is active or an equality,
large where its sides are far away.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import scipy
from scipy import sparse

from sparseopt.solvers import linear_systems
from sparseopt.solvers.quadratic_program import QuadraticProgram, fills_up

_lapack = scipy.linalg.lapack
# Sparse operations that take the time of one dense operation, and what a dense matrix may have of coefficients.
_ADVANTAGE, _LARGEST_DENSE = 1 / 15, 8000
# Up to this size a sparse matrix may be made full for a factorisation with pivoting.
_LARGEST_INDEFINITE = 2000
# Rows with fewer than one entry in so many are multiplied as sparse ones.
_SPARSE_ROWS = 25


class NewtonSystem(ABC):
    """A factorisation of the system above, made anew for each D and E."""

    @abstractmethod
    def factorise(self, D, E) -> bool:
        """Factorise for these diagonals; whether that went well."""

    @abstractmethod
    def solve(self, r, t):
        """w and nu, to the accuracy of the factorisation."""

    def harder(self):
        """Return a system that solves more accurately, or None where there is none."""
        return None


@dataclass(eq=False)
class CholeskySystem(NewtonSystem):
    """Rows that are inequalities enter P + D, the others are eliminated by a second Cholesky factor (Schur)."""

    program: QuadraticProgram
    equal: np.ndarray

    def __post_init__(self):
        A = self.program.A
        mask = np.ones(A.shape[0], dtype=bool)
        mask[self.equal] = False
        self.others = np.flatnonzero(mask)
        self.A_equal = np.asfortranarray(A[self.equal].T)
        self.A_others = A[self.others]
        if _SPARSE_ROWS * np.count_nonzero(self.A_others) < self.A_others.size:
            self.A_others = sparse.csr_array(self.A_others)
        self.P = np.asfortranarray(self.program.matrix)

    def factorise(self, D, E):
        self.E = E
        H = self.P.copy(order="F")
        H.flat[:: H.shape[0] + 1] += self.program.ridge + D
        if self.others.size:
            H = self._with_rows(H, 1.0 / E[self.others])
        self.H, info = _lapack.dpotrf(H, lower=1, overwrite_a=1)
        if info == 0 and self.equal.size:
            self.V = scipy.linalg.blas.dtrsm(1.0, self.H, self.A_equal, lower=1)
            S = scipy.linalg.blas.dsyrk(1.0, self.V, trans=1, lower=1)
            S.flat[:: S.shape[0] + 1] += E[self.equal]
            self.S, info = _lapack.dpotrf(S, lower=1, overwrite_a=1)
        return info == 0

    def _with_rows(self, H, weights):
        """H + A' diag(weights) A in its lower triangle."""
        A = self.A_others
        if not sparse.issparse(A):
            root = A * np.sqrt(weights)[:, None]
            return scipy.linalg.blas.dsyrk(1.0, root, trans=1, beta=1.0, c=H, lower=1, overwrite_c=1)
        product = sparse.coo_array(A.T @ (sparse.diags_array(weights) @ A))
        H[product.coords] += product.data
        return H

    def solve(self, r, t):
        nu, A = np.empty(t.size), self.A_others
        if self.others.size:
            pull = t[self.others] / self.E[self.others]
            r = r + A.T @ pull
        if self.equal.size:
            half = scipy.linalg.blas.dtrsv(self.H, r, lower=1)
            y, _ = _lapack.dpotrs(self.S, half @ self.V - t[self.equal], lower=1)
            w = scipy.linalg.blas.dtrsv(self.H, half - self.V @ y, lower=1, trans=1)
            nu[self.equal] = y
        else:
            w, _ = _lapack.dpotrs(self.H, r, lower=1)
        if self.others.size:
            nu[self.others] = (A @ w) / self.E[self.others] - pull
        return w, nu

    def harder(self):
        return IndefiniteSystem(self.program)


@dataclass(eq=False)
class IndefiniteSystem(NewtonSystem):
    """The whole matrix by a symmetric indefinite factorisation (Bunch and Kaufman, 1977)."""

    program: QuadraticProgram

    def factorise(self, D, E):
        p, m = D.size, E.size
        K = np.zeros((p + m, p + m), order="F")
        K[:p, :p], K[p:, :p] = self.program.matrix, self.program.A
        K.flat[:: p + m + 1] += np.append(self.program.ridge + D, -E)
        lwork = int(_lapack.dsytrf_lwork(p + m, lower=1)[0])
        self.K, self.pivots, info = _lapack.dsytrf(K, lower=1, lwork=lwork, overwrite_a=1)
        return info == 0

    def solve(self, r, t):
        out, _ = _lapack.dsytrs(self.K, self.pivots, np.append(r, t), lower=1, overwrite_b=1)
        return out[: r.size], out[r.size :]


@dataclass(eq=False)
class LowRankSystem(NewtonSystem):
    """P = F'F + ridge with few rows F: w is eliminated, which leaves a matrix with a row for each of F and A."""

    program: QuadraticProgram

    def __post_init__(self):
        F = self.program.factor if self.program.factor is not None else np.zeros((0, self.program.q.size))
        self.n = F.shape[0]
        self.G = np.vstack([F, self.program.A])

    def factorise(self, D, E):
        self.D = D + self.program.ridge
        if len(self.G) == 0:
            return True
        S = scipy.linalg.blas.dsyrk(1.0, self.G / np.sqrt(self.D), lower=1)
        S.flat[:: S.shape[0] + 1] += np.append(np.ones(self.n), E)
        self.S, info = _lapack.dpotrf(S, lower=1, overwrite_a=1)
        return info == 0

    def solve(self, r, t):
        if len(self.G) == 0:  # LAPACK takes no empty matrix
            return r / self.D, t.copy()
        right = self.G @ (r / self.D) - np.append(np.zeros(self.n), t)
        nu, _ = _lapack.dpotrs(self.S, right, lower=1, overwrite_b=1)
        return (r - nu @ self.G) / self.D, nu[self.n :]


class SparseNewtonSystem(NewtonSystem):
    """LDL' of the sparse matrix, whose order and pattern are found once."""

    def __init__(self, program, system):
        self.program, self.system = program, system
        self.n = system.n

    def factorise(self, D, E):
        return self.system.ldl.factorise(self.system.own + np.concatenate([D, np.zeros(self.n), -E]))

    def solve(self, r, t):
        found = self.system.ldl.solve(np.concatenate([r, np.zeros(self.n), t]))
        return found[: r.size], found[r.size + self.n :]

    def harder(self):
        # a factorisation without pivoting has no remedy but one with it
        return IndefiniteSystem(_in_full(self.program)) if self.system.size <= _LARGEST_INDEFINITE else None


def systems(program, equal) -> tuple[NewtonSystem, linear_systems.System]:
    """The cheapest Newton system for a program, and a system of its active sets."""
    if program.is_sparse:
        is_wide = program.matrix is not None and fills_up(program.matrix)
        system = None if is_wide else linear_systems.SparseSystem(program, 0.0, None)
        if system is not None and not _fills_up(program, system):
            return SparseNewtonSystem(program, system), system
        program = _in_full(program)
    (m, p), matrix = program.A.shape, program.matrix
    nothing = np.zeros(0)  # the full systems of a splitting method are not asked for
    if matrix is None:
        return LowRankSystem(program), linear_systems.LowRankSystem(program, 0.0, nothing)
    active = linear_systems.DenseSystem(program, nothing, nothing, nothing)
    if m < p and np.count_nonzero(matrix) == np.count_nonzero(matrix.diagonal()):
        return LowRankSystem(_with_diagonal_in_ridge(program)), active
    return CholeskySystem(program, equal), active


def _fills_up(program, system):
    """Whether the factor of a sparse matrix has so many entries that a dense one is made in less time."""
    p = program.q.size
    operations = system.ldl.operations
    return p <= _LARGEST_DENSE and operations > _ADVANTAGE * (p**3 / 3 + p * p * program.A.shape[0])


def _in_full(program):
    """The same program with dense matrices and no factor."""
    matrix = 0.0 if program.matrix is None else program.matrix.toarray()
    if program.factor is not None:
        matrix = matrix + (program.factor.T @ program.factor).toarray()
    return replace(program, matrix=matrix, factor=None, A=program.A.toarray())


def _with_diagonal_in_ridge(program):
    return replace(program, matrix=None, ridge=program.ridge + program.matrix.diagonal())
