"""Newton systems of interior point methods, dense or of low rank.

    [P + diag(D)   A'] [w ]   [r]
    [A       -diag(E)] [nu] = [t]

with D, E > 0 that change in every iteration: E is small where a row is active or an equality,
large where its sides are far away. A system is a term: kernels/interior.py is compiled for each.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from sparseopt._jit import Term, typed
from sparseopt.kernels.lapack import (
    add_gram,
    cholesky,
    indefinite,
    solve_cholesky,
    solve_indefinite,
    solve_lower_columns,
)
from sparseopt.solvers.quadratic.quadratic_products import Matrix, Products, own_curvatures

# Up to this size a sparse matrix may be made full for a factorisation with pivoting.
LARGEST_INDEFINITE = 2000
# Operations of BLAS that take the time of one with sparse columns.
_BLAS = 8.0
NONE = np.zeros(0, dtype=np.int64)
# Entries of a matrix of few nonzeros from which it is taken apart as a sparse one.
_LARGE = 100_000


MEMORY, UNREAD = {"memory": True}, {"compiled": False}


@dataclass(frozen=True, eq=False)
class NewtonSystem(Term):
    """A factorisation of the system above, made anew for each D and E, and the products of its program."""

    products: Products
    #: Operations of one factorisation.
    work: float = field(metadata=UNREAD)

    def curve(self, x, out):
        """The product P x, into `out`."""
        self.products.curve(x, out)

    def image(self, x, out):
        """The product A x, into `out`."""
        self.products.A.times(x, out)

    def pull(self, y, out):
        """The product A'y, into `out`."""
        self.products.A.transposed_times(y, out)

    @property
    def name(self):
        """What the factorisation is called."""
        return type(self).__name__.removesuffix("System")

    @property
    def entries(self):
        """Numbers that one solution and its residual pass over."""
        return self.products.entries

    @property
    def curvatures(self):
        """Diagonal of P in scaled units; of F nothing counts."""
        found = np.empty(self.products.ridge.size)
        own_curvatures(self.products, found)
        return found

    @property
    def ridge(self):
        """Regularisation of the system of an active set, which refinement undoes."""
        return 1e-9

    def is_rough(self):
        """Whether the factorisation is so inaccurate that solutions are always refined as far as they get."""
        return False

    @abstractmethod
    def factorise(self, D, E):
        """Factorise for these diagonals; whether that went well."""

    @abstractmethod
    def solve(self, r, t, w, nu):
        """Solution, to the accuracy of the factorisation, into w and nu; r and t become work space."""

    def harder(self):
        """Return a system that solves more accurately, or None where there is none."""
        return None


@dataclass(frozen=True, eq=False)
class CholeskySystem(NewtonSystem):
    """Two eliminations by Cholesky factors, or one with pivoting of the whole matrix where these lose too many digits.

    P + D is diagonal but for a block of coefficients, to which the inner rows are added with their weights 1 / E.
    Eliminating all coefficients leaves a positive definite matrix with a row for each of the other, outer rows, the
    rows of F with P = F'F first. Either the block is all coefficients and the outer rows are the equalities (Schur),
    or the block is what P couples and all rows are outer ones (low rank).
    """

    #: The program and its scales, for a system that solves more accurately.
    program: tuple = field(repr=False, metadata=UNREAD)
    is_pivoting: bool
    #: Diagonal of P, coefficients of the block and the position in it of each, or -1; outer rows of A and inner ones.
    diagonal: np.ndarray = field(repr=False)
    block: np.ndarray = field(repr=False)
    place: np.ndarray = field(repr=False)
    outer: np.ndarray = field(repr=False)
    inner: np.ndarray = field(repr=False)
    #: The block of P (the whole matrix, for pivoting), outer rows, their columns in the block, and inner rows as columns.
    P: np.ndarray = field(repr=False)
    G: Matrix = field(repr=False)
    G_block: np.ndarray = field(repr=False)
    inner_rows: Matrix = field(repr=False)
    H: np.ndarray = field(repr=False, metadata=MEMORY)
    V: np.ndarray = field(repr=False, metadata=MEMORY)
    S: np.ndarray = field(repr=False, metadata=MEMORY)
    #: Space for scaled rows and columns; D and E; and vectors of the block, of outer rows, and for pivoting.
    root: np.ndarray = field(repr=False, metadata=MEMORY)
    D: np.ndarray = field(repr=False, metadata=MEMORY)
    E: np.ndarray = field(repr=False, metadata=MEMORY)
    part: np.ndarray = field(repr=False, metadata=MEMORY)
    pulled: np.ndarray = field(repr=False, metadata=MEMORY)
    both: np.ndarray = field(repr=False, metadata=MEMORY)
    pivots: np.ndarray = field(repr=False, metadata=MEMORY)
    space: np.ndarray = field(repr=False, metadata=MEMORY)

    @classmethod
    def of(cls, program, scales, products, block, outer):
        """The system of a program whose matrices are in full, from its products in scaled units."""
        (m, p), k, size = program.A.shape, block.size, products.F.height + outer.size
        columns, _, cost = scales
        if size == m:
            inner, G, inner_rows = NONE, products.A, Matrix.of(np.zeros((p, 0)))
        else:
            inner = np.delete(np.arange(m), outer)
            G, inner_rows = _split_rows(program, scales, products, outer, inner)
        diagonal = products.ridge
        if program.matrix is not None:
            diagonal = diagonal + cost * program.matrix.diagonal() * columns**2
        if k == p and not products.P.is_sparse:
            P = products.P.full
        elif program.matrix is None:
            P = np.zeros((k, k))
        else:
            P = program.matrix[np.ix_(block, block)] * (cost * columns[block, None] * columns[block])
        if k < p or products.P.is_sparse or products.ridge.any():
            P = np.array(P)
            P.flat[:: k + 1] = diagonal[block]
        place = np.full(p, -1)
        place[block] = np.arange(k)
        space = max(0 if inner_rows.is_sparse else p * inner.size, 0 if G.is_sparse else p * size)
        made = cls(
            products, elimination_work(G, inner_rows, k), (program, scales), False, diagonal, block, place, outer,
            inner, np.ascontiguousarray(P), G, np.ascontiguousarray(G.columns(block)), inner_rows, np.empty((k, k)),
            np.empty((size, k)), np.empty((size, size)), np.empty(space), np.empty(p), np.empty(m), np.empty(k),
            np.empty(size), np.empty(0), NONE.copy(), np.empty(0),
        )  # fmt: skip
        return typed(made)

    def harder(self):
        program, scales = self.program
        size = sum(program.A.shape)
        if self.is_pivoting or size > LARGEST_INDEFINITE:
            return None
        return replace(
            self, work=size**3 / 3, is_pivoting=True, P=_whole(program.scaled(*scales)), S=np.empty((size, size)),
            both=np.empty(size), pivots=np.zeros(size, dtype=np.int64), space=np.empty(64 * size), block=NONE,
        )  # fmt: skip

    @property
    def name(self):
        """What the factorisation is called."""
        return "Pivoting" if self.is_pivoting else "Cholesky"

    def factorise(self, D, E):
        for i in range(E.size):
            self.E[i] = E[i]
        if self.is_pivoting:
            return self.factorise_whole(D, E)
        n, k = self.pulled.size - self.outer.size, self.block.size
        for j in range(D.size):
            self.D[j] = D[j] + self.diagonal[j]
        for b in range(k):
            for a in range(b, k):
                self.H[b, a] = self.P[b, a]
            self.H[b, b] += D[self.block[b]]
        self.add_inner_rows()
        if cholesky(self.H) != 0:
            return False
        for i in range(self.pulled.size):
            for b in range(k):
                self.V[i, b] = self.G_block[i, b]
            for a in range(i, self.pulled.size):
                self.S[i, a] = 0.0
            self.S[i, i] = 1.0 if i < n else E[self.outer[i - n]]
        solve_lower_columns(self.H, self.V)
        add_gram(self.V, 1.0, self.S, True)
        self.add_loose_columns()
        return cholesky(self.S) == 0

    def factorise_whole(self, D, E):
        """Factorise P + D, A and -E by pivoting."""
        p, K = D.size, self.S
        for j in range(len(K)):
            for i in range(j, len(K)):
                K[j, i] = self.P[j, i]
            K[j, j] += D[j] if j < p else -E[j - p]
        return indefinite(K, self.pivots, self.space) == 0

    def add_inner_rows(self):
        """Add A'E^-1 A of the inner rows to H."""
        rows, H = self.inner_rows, self.H
        if self.inner.size == 0:
            return
        if not rows.is_sparse:
            root = self.root[: rows.full.size].reshape(rows.full.shape)
            for k in range(self.inner.size):
                scale = 1.0 / math.sqrt(self.E[self.inner[k]])
                for j in range(rows.height):
                    root[k, j] = scale * rows.full[k, j]
            add_gram(root, 1.0, H, False)
            return
        for k in range(self.inner.size):
            weight = 1.0 / self.E[self.inner[k]]
            add_square(rows, k, weight, H)

    def add_loose_columns(self):
        """Add G D^-1 G' of the coefficients outside of the block to S."""
        G, S = self.G, self.S
        if self.block.size == G.width:
            return
        if not G.is_sparse:
            root = self.root[: G.full.size].reshape(G.full.shape)
            for j in range(G.width):
                scale = 1.0 / math.sqrt(self.D[j]) if self.place[j] < 0 else 0.0
                for i in range(G.height):
                    root[j, i] = scale * G.full[j, i]
            add_gram(root, 1.0, S, False)
            return
        for j in range(G.width):
            if self.place[j] < 0:
                add_square(G, j, 1.0 / self.D[j], S)

    def divide(self, w):
        """Solution of (P + D + inner rows) w = w, in place."""
        if self.block.size == w.size:
            solve_cholesky(self.H, w)
            return
        for j in range(w.size):
            if self.place[j] >= 0:
                self.part[self.place[j]] = w[j]
            else:
                w[j] /= self.D[j]
        solve_cholesky(self.H, self.part)
        for b in range(self.block.size):
            w[self.block[b]] = self.part[b]

    def solve(self, r, t, w, nu):  # noqa: PLR0912 (inner rows, outer rows and coefficients, one after the other)
        if self.is_pivoting:
            self.solve_whole(r, t, w, nu)
            return
        n, right = self.pulled.size - self.outer.size, self.pulled
        if self.inner.size > 0:
            for i in range(nu.size):
                nu[i] = 0.0
            for k in range(self.inner.size):
                i = self.inner[k]
                t[i] /= self.E[i]
                nu[i] = t[i]
            self.pull(nu, w)
            for j in range(w.size):
                r[j] += w[j]
        if right.size > 0:
            for j in range(w.size):
                w[j] = r[j]
            self.divide(w)
            self.G.times(w, right)
            for i in range(self.outer.size):
                right[n + i] -= t[self.outer[i]]
            solve_cholesky(self.S, right)
            self.G.transposed_times(right, w)
            for j in range(w.size):
                r[j] -= w[j]
        for j in range(w.size):
            w[j] = r[j]
        self.divide(w)
        if self.inner.size > 0:
            self.image(w, nu)
            for k in range(self.inner.size):
                i = self.inner[k]
                nu[i] = nu[i] / self.E[i] - t[i]
        for i in range(self.outer.size):
            nu[self.outer[i]] = right[n + i]

    def solve_whole(self, r, t, w, nu):
        """Solution by the factors of `factorise_whole`."""
        p = r.size
        for j in range(p):
            self.both[j] = r[j]
        for i in range(t.size):
            self.both[p + i] = t[i]
        solve_indefinite(self.S, self.pivots, self.both)
        for j in range(p):
            w[j] = self.both[j]
        for i in range(t.size):
            nu[i] = self.both[p + i]


def _split_rows(program, scales, products, outer, inner):
    """The rows of F and the outer ones of A in scaled units, and the inner ones as columns."""
    (columns, rows, cost), A = scales, products.A
    if A.is_sparse and not products.F.height and program.A.size > _LARGE:
        by_rows = sparse.csc_array((A.values, A.rows, A.starts), shape=program.A.shape).tocsr()
        return Matrix.of(by_rows[outer].tocsc()), Matrix.of(by_rows[inner].T)
    scaled = program.A * (rows[:, None] * columns)
    F = math.sqrt(cost) * program.factor * columns if products.F.height else np.zeros((0, columns.size))
    return Matrix.of(np.vstack([F, scaled[outer]])), Matrix.of(scaled[inner].T)


def add_square(columns, j, weight, out):
    """Add weight c c' of a sparse column c to the lower triangle of `out`, in place."""
    last = columns.starts[j + 1]
    for a in range(columns.starts[j], last):
        i, scaled = columns.rows[a], weight * columns.values[a]
        for b in range(a, last):
            out[i, columns.rows[b]] += scaled * columns.values[b]


def dense_system(program, scales, products, equal):
    """The one of two eliminations that takes fewer operations: rows by coefficients, or coefficients by rows."""
    m, p = program.A.shape
    block = products.coupled() if program.matrix is not None else NONE
    if program.matrix is None or (block.size < p and _is_quicker_by_rows(products.A, block.size, equal)):
        return CholeskySystem.of(program, scales, products, block, np.arange(m))
    return CholeskySystem.of(program, scales, products, np.arange(p), equal)


def _is_quicker_by_rows(A, k, equal):
    """Whether all rows as outer ones with a block of k coefficients take fewer operations than only the equalities."""
    m, p, e = A.height, A.width, equal.size
    added = _BLAS * (A.values.size / max(m, 1)) ** 2 * (m - e) if A.is_sparse else p * p * (m - e)
    return elimination_work(A, None, k) < p**3 / 3 + p * p * e + p * e * e + e**3 / 3 + added


def elimination_work(G, rows, k):
    """Operations of a factorisation with outer rows G, inner rows and a block of k coefficients."""
    m = G.height
    work = k**3 / 3 + k * k * m + k * m * m + m**3 / 3
    for columns, is_added in ((G, k < G.width), (rows, rows is not None)):
        if is_added:
            work += _BLAS * _squares(columns) if columns.is_sparse else columns.height**2 * columns.width
    return work


def _squares(columns):
    return float(np.sum(np.diff(columns.starts).astype(np.float64) ** 2)) / 2


def _whole(program):
    """The matrix [P A'; A 0] of a program in full."""
    m, p = program.A.shape
    K = np.zeros((p + m, p + m))
    if program.matrix is not None:
        K[:p, :p] = program.matrix
    if program.factor is not None:
        K[:p, :p] += program.factor.T @ program.factor
    K[:p, p:] = program.A.T
    K.flat[: p * (p + m + 1) : p + m + 1] += program.ridge
    return K


def in_full(program):
    """The same program with dense matrices and no factor."""
    matrix = 0.0 if program.matrix is None else program.matrix.toarray()
    if program.factor is not None:
        matrix = matrix + (program.factor.T @ program.factor).toarray()
    return replace(program, matrix=matrix, factor=None, A=program.A.toarray())
