"""Newton systems of interior point methods, dense, of low rank or sparse.

    [P + diag(D)   A'] [w ]   [r]
    [A       -diag(E)] [nu] = [t]

with D, E > 0 that change in every iteration: E is small where a row is active or an equality,
large where its sides are far away.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
import scipy
from scipy import sparse

from sparseopt.solvers import linear_systems
from sparseopt.solvers.quadratic_program import QuadraticProgram

_lapack = scipy.linalg.lapack


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
    others: np.ndarray = field(init=False)
    H: np.ndarray = field(init=False)
    S: np.ndarray = field(init=False)
    V: np.ndarray = field(init=False)
    E: np.ndarray = field(init=False)

    def __post_init__(self):
        mask = np.ones(self.program.A.shape[0], dtype=bool)
        mask[self.equal] = False
        self.others = np.flatnonzero(mask)
        self.A_equal = np.asfortranarray(self.program.A[self.equal].T)
        self.A_others = self.program.A[self.others]
        self.P = np.asfortranarray(self.program.matrix) if self.program.matrix is not None else None

    def factorise(self, D, E):
        self.E = E
        H = self.P.copy(order="F")
        H.flat[:: H.shape[0] + 1] += self.program.ridge + D
        if self.others.size:
            root = self.A_others * np.sqrt(1.0 / E[self.others])[:, None]
            H = scipy.linalg.blas.dsyrk(1.0, root, trans=1, beta=1.0, c=H, lower=1, overwrite_c=1)
        self.H, info = _lapack.dpotrf(H, lower=1, overwrite_a=1)
        if info == 0 and self.equal.size:
            self.V = scipy.linalg.blas.dtrsm(1.0, self.H, self.A_equal, lower=1)
            S = scipy.linalg.blas.dsyrk(1.0, self.V, trans=1, lower=1)
            S.flat[:: S.shape[0] + 1] += E[self.equal]
            self.S, info = _lapack.dpotrf(S, lower=1, overwrite_a=1)
        return info == 0

    def solve(self, r, t):
        nu, A = np.empty(t.size), self.A_others
        if self.others.size:
            pull = t[self.others] / self.E[self.others]
            r = r + pull @ A
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
        S = scipy.linalg.blas.dsyrk(1.0, self.G / np.sqrt(self.D), lower=1)
        S.flat[:: S.shape[0] + 1] += np.append(np.ones(self.n), E)
        self.S, info = _lapack.dpotrf(S, lower=1, overwrite_a=1)
        return info == 0

    def solve(self, r, t):
        right = self.G @ (r / self.D) - np.append(np.zeros(self.n), t)
        nu, _ = _lapack.dpotrs(self.S, right, lower=1, overwrite_b=1)
        return (r - nu @ self.G) / self.D, nu[self.n :]


class SparseNewtonSystem(NewtonSystem):
    """LDL' of the sparse matrix, whose order and pattern are found once."""

    def __init__(self, program):
        self.system = linear_systems.SparseSystem(program, 0.0, None)
        self.p, self.n = program.q.size, self.system.n

    def factorise(self, D, E):
        parts = self.system.factorised(np.concatenate([D, np.zeros(self.n), -E]))
        self.parts = parts
        pivots = parts[3]
        return bool(np.isfinite(pivots).all() and pivots.all())

    def solve(self, r, t):
        return self.system.solved(self.parts, r, t)


def newton_system(program, equal) -> NewtonSystem:
    """The cheapest system for a program."""
    if program.is_sparse:
        return SparseNewtonSystem(program)
    (m, p), diagonal = program.A.shape, program.matrix
    if diagonal is None or (np.count_nonzero(diagonal) == np.count_nonzero(diagonal.diagonal()) and m < p):
        return LowRankSystem(_with_diagonal_in_ridge(program))
    return CholeskySystem(program, equal)


def active_system(program) -> linear_systems.System:
    """The system of active sets of a program."""
    if program.is_sparse:
        return linear_systems.SparseSystem(program, 0.0, None)
    if program.matrix is None:
        return linear_systems.LowRankSystem(program, 0.0, None)
    return linear_systems.DenseSystem(program, None, None, None)


def _with_diagonal_in_ridge(program):
    if program.matrix is None:
        return program
    return QuadraticProgram(
        None, None, program.ridge + program.matrix.diagonal(), program.q, program.A, program.row_lower,
        program.row_upper, program.lower, program.upper, program.alpha,
    )  # fmt: skip
