"""A quadratic function of the coefficients."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from sparseopt.designs import CSC, Dense, Design
from sparseopt.inputs import LARGEST, SMALLEST, as_design, as_targets, little_columns
from sparseopt.kernels.door_look import is_sound_quadratic
from sparseopt.kernels.patterns import symmetry
from sparseopt.losses.base import Loss, kept, rebuilt


@dataclass(frozen=True, eq=False)
class Quadratic(Loss):
    """w'Qw / 2 + c'w with Q symmetric positive semidefinite.

    Parameters
    ----------
    Q : array or sparse matrix of shape (p, p)
    c : array of shape (p,)
    """

    Q: Design
    c: np.ndarray
    #: Quadratics have no intercept.
    intercept: bool = field(init=False, default=False, repr=False)

    def __post_init__(self):
        Q, c = self.Q, self.c
        if type(Q) is np.ndarray and Q.ndim == 2 and Q.shape[0] == Q.shape[1] and Q.flags.c_contiguous:
            Q = Q.T  # the same matrix, in the order of designs
        if (columns := _sound_columns(Q, c)) is not None:
            object.__setattr__(self, "Q", Dense(columns.T))
            return
        Q = as_design(Q, "Q")
        if Q.shape[0] != Q.shape[1]:
            raise ValueError(f"Q must be square, got shape {Q.shape}.")
        if not _is_symmetric(Q):
            raise ValueError("Q must be symmetric; pass (Q + Q.T) / 2, which has the same quadratic form.")
        diagonal = symmetry_of(Q)[1] if isinstance(Q, CSC) else Q.matrix.diagonal()
        if np.minimum.reduce(diagonal) < 0:
            j = int(np.flatnonzero(diagonal < 0)[0])
            raise ValueError(
                f"Q has a negative curvature: its diagonal entry {j} is {diagonal[j]:g}; a convex quadratic is required."
            )
        object.__setattr__(self, "Q", Q)
        object.__setattr__(self, "c", as_targets(c, Q.shape[0], Q.dtype, "c"))

    def coordinate_slope(self, running, j):
        return running[j]

    def move(self, running, j, step):
        self.Q.push(j, step, self, running)

    def at(self, i):
        """Weight of row i of Q in a move."""
        return self.c.dtype.type(1)

    def settle(self, running):
        """There is no intercept."""

    def forward(self, w, eta):
        self.Q.forward(w, eta)

    def backward(self, v, eta, u, slope):
        for j in range(slope.size):
            slope[j] = eta[j] + self.c[j]

    def bend(self, d, image):
        total = image.dtype.type(0)
        for j in range(d.size):
            total += d[j] * image[j]
        return total

    @property
    def n_features(self):
        return self.c.size

    @property
    def n_entries(self):
        return self.Q.n_entries

    @property
    def dtype(self):
        return self.Q.dtype

    @property
    def image_size(self):
        return self.c.size

    @property
    def feature_names(self):
        return None

    def image(self, w):
        return self.Q.matvec(w).astype(self.dtype)

    def start(self, w):
        return (self.Q.matvec(w) + self.c).astype(self.dtype)

    def curvatures(self):
        return np.ascontiguousarray(self.Q.matrix.diagonal())

    def evaluate(self, w):
        return float(w @ self.Q.matvec(w) / 2 + self.c @ w)

    def gradient(self, w):
        return self.Q.matvec(w) + self.c

    def intercept_at(self, w):
        return 0.0

    def hessian_bound(self, d):
        return self.Q.matvec(d)

    def restrict(self, columns):
        columns = np.asarray(columns)
        block = self.Q.matrix[:, columns][columns]
        if sparse.issparse(block):
            kind = self.Q.indices.dtype
            Q = CSC(block.data, block.indices.astype(kind), block.indptr.astype(kind), columns.size)
        else:
            Q = Dense(np.asfortranarray(block))
        # past the door: a part of Q is what Q is, and may be empty
        return rebuilt(self, Q=Q, c=self.c[columns])


def quadratic_model(Q, c):
    """The quadratic of a dense Q and c that a solver has computed, past the door: of any scale, and as rounding left it."""
    model = object.__new__(Quadratic)
    model.__setstate__({"Q": Dense(np.asfortranarray(Q)), "c": c, "intercept": False})
    return model


def _sound_columns(Q, c):
    """The columns of a little full Q, where one look at it and at c finds nothing wrong, as nearly always; None elsewhere."""
    columns = little_columns(Q)
    if columns is None or type(c) is not np.ndarray or columns.shape != (c.size, c.size) or c.ndim != 1:
        return None
    is_plain = c.dtype == np.float64 and c.flags.carray
    return columns if is_plain and is_sound_quadratic(columns, c, SMALLEST[np.float64], LARGEST[np.float64]) else None


def symmetry_of(Q):
    """What `kernels.patterns.symmetry` says of a sparse design, found once: its number, the diagonal and the margins."""
    return kept(Q, "_symmetry", lambda: _symmetry(Q))


def _symmetry(Q):
    diagonal, margins = np.empty((2, Q.shape[1]))
    kind = symmetry(Q, np.empty(margins.size, dtype=np.int64), diagonal, margins)
    return kind, diagonal if kind else Q.matrix.diagonal(), margins


def _is_symmetric(Q):
    if isinstance(Q, CSC):
        if symmetry_of(Q)[0]:
            return True
    elif (Q.matrix == Q.matrix.T).all():
        return True
    matrix = Q.matrix
    largest = np.abs(matrix).max() if not sparse.issparse(matrix) else np.abs(matrix.data).max(initial=0.0)
    difference = abs(matrix - matrix.T)
    return difference.max() <= 100 * np.finfo(matrix.dtype).eps * largest
