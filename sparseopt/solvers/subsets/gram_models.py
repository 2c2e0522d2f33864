"""A convex quadratic for solvers that fix features: constant - q'w + w'Gw / 2, with G at hand in parts.

G is formed at once where it is no larger than X; otherwise parts of it are when they are asked for,
and the pull q - Gw of all other features is a product with X. All in float64, but for `RoughGram`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy

import numpy as np
from scipy import sparse
from scipy.linalg import blas

from sparseopt.designs import Dense
from sparseopt.kernels.gram import gather
from sparseopt.kernels.perspective import pulls_of, subtract_rows
from sparseopt.losses import LeastSquares
from sparseopt.solvers.subsets.pull_sketch import PullSketch
from sparseopt.solvers.subsets.spare_room import SpareRoom

# Entries of a block of rows of X from which a part of its Gram matrix is made.
_BLOCK = 1 << 20
# Multiplications that are made at once: some twentieth of a second.
_PRODUCTS = 1 << 29
# Rows of a block, at least, and columns of which the upper half is filled at once.
_SHORTEST, _WIDTH = 256, 128
# Up to this many features, G is formed at once also where it is larger than X.
FEW = 1500
# Fewest features for which G is kept in float32, how far from one the lengths of columns may be there, products in a sum, and
# how many times their squares may be larger before centring.
LEAST, _WIDEST, _BRIEF, _NEAR = 200, 1e12, 64, 16.0
# Room for a copy of G in float32, of no more than FEW features.
_SPARE = SpareRoom()
# A column of which centring leaves no more than this, of its square, is constant.
_FLAT = 1e-13


class GramModel(ABC):
    """The quadratic, with parts of G.

    Attributes
    ----------
    linear : array of shape (p,)
        q.
    bends : array of shape (p,)
        Diagonal of G.
    sizes : array of shape (p,)
        What rounding of a product with feature j is relative to.
    constant : float
    rounding : float
        Relative error of such products.
    is_flat : array of shape (p,)
        Features that the quadratic does not depend on, but for rounding: their entries are zeros.
    moved : array of shape (p,)
        Part of the diagonal that is accounted for elsewhere.
    roughness : float
        Error of entries of a `gram`, relative to the sizes of both features, beyond `rounding`.
    """

    linear: np.ndarray
    bends: np.ndarray
    sizes: np.ndarray
    constant: float
    rounding: float
    is_flat: np.ndarray
    moved: np.ndarray
    roughness: float = 0.0

    @property
    def n_features(self):
        return self.linear.size

    @abstractmethod
    def block(self, features):
        """The part of G that belongs to some features, as a new matrix."""

    def twin(self):
        """The same quadratic, with scratch of its own where it has any."""
        return self


class WholeGram(GramModel):
    """G in memory: `gram`, less the `moved` part of the diagonal."""

    def __init__(self, gram, linear, constant, sizes, rounding, most_rank):
        #: The rank of G is no larger.
        self.most_rank = most_rank
        self.linear, self.constant, self.sizes, self.rounding = linear, constant, sizes, rounding
        self.is_flat = is_flat(gram.diagonal(), sizes)
        if self.is_flat.any():
            gram[self.is_flat], gram[:, self.is_flat], linear[self.is_flat] = 0.0, 0.0, 0.0
        self.gram, self.bends = gram, gram.diagonal().copy()
        self.moved = np.zeros(linear.size)

    def block(self, features):
        block = np.empty((features.size, features.size))
        gather(self.gram, features, features, block)
        block[np.diag_indices(features.size)] += self.moved[features]
        return block

    def move_diagonal(self, d):
        """Take d off the diagonals of `gram` and of `bends`; what it was, `block` still knows."""
        self.moved = d
        self.gram[np.diag_indices(self.n_features)] -= d
        self.bends = self.bends - d


class ColumnsGram(GramModel):
    """G of a wide X, which is at hand for what the part of G does not tell."""

    def _read(self, loss):
        self.design, weights = loss.X, np.asarray(loss.sample_weight.values, dtype=np.float64)
        n, p = self.design.shape
        self.root, self._spread = np.broadcast_to(np.sqrt(weights), n), np.zeros(n + 1)
        self.target = self.root * loss.target
        if loss.dtype == np.float64:
            self.linear = -loss.gradient(np.zeros(p))  # it is remembered
        else:
            self.linear = self._products(self.target)
        self.constant = 0.5 * float(self.target @ self.target)
        self.bends = np.array(loss.curvatures(), dtype=np.float64)
        self.sizes = sizes_of(self.design, self.bends)
        self.rounding = rounding_of(n)
        self.is_flat = is_flat(self.bends, self.sizes)
        self.linear[self.is_flat], self.bends[self.is_flat] = 0.0, 0.0
        self.moved = np.zeros(p)

    def columns(self, features):
        """Columns of some features as rows, times the roots of the weights."""
        columns = self.design.columns_as_rows(features) * self.root
        columns[self.is_flat[features]] = 0.0
        return columns

    def block(self, features):
        columns = self.columns(features)
        return columns @ columns.T

    def residual(self, features, w):
        """What is left of the target, times the roots of the weights, for a w on some features."""
        if sparse.issparse(self.design.matrix):
            full = np.zeros(self.n_features)
            full[features] = w
            return self.target - self.root * self.design.matvec(full)
        image = np.zeros(self.target.size)
        subtract_rows(self.design.matrix.T, features, -w, image)
        if (means := getattr(self.design, "means", None)) is not None:
            image -= w @ means[features].astype(np.float64)
        return self.target - self.root * image

    def twin(self):
        twin = copy(self)
        vars(twin).update(_spread=self._spread.copy())
        return twin

    def pulls(self, rest, features=None):
        """Products of columns with a residual: of all, or of some features."""
        pull = self._products(rest, features)
        pull[self.is_flat if features is None else self.is_flat[features]] = 0.0
        return pull

    def _products(self, rest, features=None):
        """The same in float64 whatever the precision of X, flat columns too."""
        design, is_fine = self.design, self.design.dtype == np.float64
        if features is None and is_fine:
            return np.asarray(design.rmatvec(self.root * rest))
        features = np.arange(design.shape[1]) if features is None else features
        np.multiply(self.root, rest, out=self._spread[:-1])
        pull = np.empty(features.size)
        if is_fine or sparse.issparse(design.matrix):
            self._spread[-1] = self._spread[:-1].sum()  # where a centred sparse design expects the shift
            pulls_of(design, features, self._spread, pull)
            return pull
        # the kernel would take means off entries in float32
        for first in range(0, features.size, _WIDTH):
            part = slice(first, first + _WIDTH)
            pull[part] = design.columns_as_rows(features[part]) @ self._spread[:-1]
        return pull


class RoughGram(ColumnsGram):
    """All of G in float32, which takes half the time to make and to go through; what has to be exact is made from X."""

    def __init__(self, loss):
        self._read(loss)
        n, p = self.design.shape
        gram = _SPARE.matrix(p, np.float32)
        for first in range(0, n, _BRIEF):
            block = _weighted(self.design, slice(first, first + _BRIEF), self.root, np.float32)
            block[self.is_flat] = 0.0
            # nothing is read of what is there at first
            gram = blas.ssyrk(1.0, block.T, beta=float(first > 0), c=gram, trans=1, lower=1, overwrite_c=1)
        for _ in _mirror(gram):
            pass
        gram[np.diag_indices(p)] = self.bends
        self.gram = gram.T
        # of a sum of products in any order, and of such sums, where each factor is rounded three times
        self.roughness = (_BRIEF + n / _BRIEF + 9) * float(np.finfo(np.float32).eps) / 2.0

    @staticmethod
    def suits(loss):
        """Whether X is dense, in float64, wide but not too wide, within the range of float32, and near its means."""
        if not isinstance(loss, LeastSquares) or sparse.issparse(loss.X.matrix) or loss.dtype != np.float64:
            return False
        n, p = loss.X.shape
        if not max(n, LEAST) < p <= FEW:
            return False
        bends = np.asarray(loss.curvatures())
        sizes = sizes_of(loss.X, bends)
        is_tame = (bends < _WIDEST**2) & (bends > _WIDEST**-2)
        # errors count relative to sizes, which far from the means are no measure of what was rounded
        is_tame &= np.square(sizes) <= _NEAR * bends
        return bool(np.all(is_tame | is_flat(bends, sizes)))


class WideGram(ColumnsGram):
    """G of a wide X, of which nothing is kept."""

    def __init__(self, loss):
        self._read(loss)
        self._sketch = PullSketch.of(loss, self.sizes, self.is_flat)

    def rough_pulls(self, rest):
        """Products of columns with a residual, and how far they may be off in sizes of columns; from a copy of X where that is quick."""
        return (self.pulls(rest), 0.0) if self._sketch is None else self._sketch.pulls(self.root * rest)


def takes_long(loss):
    """Whether the model takes so long to make that a search for a support had better come first."""
    if not isinstance(loss, LeastSquares):
        return False
    n, p = loss.X.shape
    return p <= max(n, FEW) and n * p * p > _PRODUCTS


def gram_model(loss):
    """The model of least squares or of a `Quadratic`, in parts: a generator that returns it."""
    if isinstance(loss, LeastSquares):
        n, p = loss.X.shape
        return (yield from whole_gram(loss)) if p <= max(n, FEW) else WideGram(loss)
    gram = loss.Q.to_array()
    sizes = np.sqrt(gram.diagonal())
    linear = -np.asarray(loss.c, dtype=np.float64)
    return WholeGram(np.ascontiguousarray(gram), linear, 0.0, sizes, rounding_of(1), sizes.size)


def whole_gram(loss):
    """The model of an X that is read once, in blocks of rows, or as sparse products: a generator that returns it."""
    design, target = loss.X, loss.target.astype(np.float64)
    n, p = design.shape
    weights = np.broadcast_to(np.asarray(loss.sample_weight.values, dtype=np.float64), n)
    constant = 0.5 * float(np.sum(weights * target * target))
    if sparse.issparse(design.matrix):
        means = getattr(design, "means", np.zeros(p)).astype(np.float64)
        matrix = design.matrix.astype(np.float64)
        gram = (matrix.T @ (matrix.multiply(weights[:, None]))).toarray() - np.outer(means, means)
        linear = np.asarray(design.rmatvec(weights * target), dtype=np.float64)
    elif n * p <= _BLOCK and n * p * p <= 2 * _PRODUCTS:
        # the same array twice: BLAS does half of the work; samples of one weight need no copy of X
        is_plain = type(design) is Dense and design.dtype == np.float64 and loss.sample_weight.values.ndim == 0
        block = design.matrix.T if is_plain else _weighted(design, slice(None), np.sqrt(weights))
        gram, linear = block @ block.T, block @ ((weights if is_plain else np.sqrt(weights)) * target)
        if is_plain:
            gram *= loss.sample_weight.values
        yield
    else:
        gram, linear, root = np.zeros((p, p), order="F"), np.zeros(p), np.sqrt(weights)
        rows = max(1, min(_BLOCK // max(p, 1), max(_SHORTEST, 2 * _PRODUCTS // max(p * p, 1))))
        for first in range(0, n, rows):
            part = slice(first, first + rows)
            block = _weighted(design, part, root)
            wide = max(1, _PRODUCTS // (p * block.shape[1]))
            if 2 * wide >= p:
                # the lower half, on top of what is there
                gram = blas.dsyrk(1.0, block.T, beta=1.0, c=gram, trans=1, lower=1, overwrite_c=1)
            else:
                for low in range(0, p, wide):
                    gram[low:, low : low + wide] += block[low:] @ block[low : low + wide].T
                    yield
            linear += block @ (root[part] * target[part])
            yield
        yield from _mirror(gram)
        gram = gram.T
    return WholeGram(gram, linear, constant, sizes_of(design, gram.diagonal()), rounding_of(n), n)


def _weighted(design, part, root, dtype=np.float64):
    """Columns of some samples as rows, centred where those of the design are, times the roots of the weights."""
    columns = design.matrix.T[:, part]
    if (means := getattr(design, "means", None)) is None:
        return np.multiply(columns, root[part], dtype=dtype, order="C", casting="same_kind")
    block = np.subtract(columns, means[:, None], dtype=np.float64, order="C")
    block *= root[part]
    return block.astype(dtype, copy=False)


def _mirror(matrix):
    """Copy the lower half to the upper one, in place, in parts."""
    p, below = len(matrix), np.tri(_WIDTH, k=-1, dtype=bool)
    for first in range(0, p, _WIDTH):
        own, rest = slice(first, first + _WIDTH), slice(first + _WIDTH, p)
        matrix[own, rest] = matrix[rest, own].T
        # blocks on the diagonal may have been filled as a whole
        block = matrix[own, own]
        np.copyto(block.T, block, where=below[: len(block), : len(block)])
        yield


def sizes_of(design, bends):
    """Lengths of the columns, with what centring took off."""
    means = getattr(design, "means", None)
    return np.sqrt(bends if means is None else bends + 2.0 * np.square(means, dtype=np.float64))


def is_flat(bends, sizes):
    """Columns that are zero, or constant under an intercept, but for rounding."""
    return bends <= _FLAT * sizes * sizes


def rounding_of(n):
    """Relative error of a sum of n products in float64, with room to spare."""
    return float(np.finfo(np.float64).eps) * (16.0 + np.sqrt(n))
