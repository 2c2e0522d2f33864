"""The curvature of a quadratic in each group of coefficients, decomposed where a solver meets the group."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy

from sparseopt.solvers.working.curved_samples import curvature_operator, curvatures_of

# Largest group whose curvature is decomposed; a larger one is bounded by its largest eigenvalue.
_LARGEST_BLOCK = 500
# Size of a group up to which dot products of its columns are quicker than BLAS's product of matrices.
_SMALL_BLOCK = 20
# Entries of columns that stay near between two looks at them.
_NEAR = 1 << 18
# Eigenvalues below this part of the largest are rounding.
_ROUNDING, _SINGLE_ROUNDING = 1e-13, 1e-6


@dataclass
class BlockCurvature:
    """Eigenvalues and eigenvectors of each group known so far, as kernels take them."""

    #: Coefficients of each group, and where its eigenvalues begin.
    sizes: np.ndarray
    firsts: np.ndarray
    #: Where its eigenvectors begin; -1 for none.
    places: np.ndarray
    vectors: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)
    is_known: np.ndarray = field(repr=False)
    scratch: np.ndarray = field(repr=False)

    def forget(self):
        """All groups are unknown again."""
        self.is_known[:] = False
        self.vectors = self.vectors[:0]

    def learn(self, model, partition, groups):
        """Decompose the curvature of the model in those of the groups that are not known yet."""
        for d, alike in self._unknown(groups):
            if d > _LARGEST_BLOCK:
                for g in alike:
                    self._bound(g, _largest_eigenvalue(curvature_operator(model, partition.columns(g))))
            else:
                self._decompose(alike, curvatures_of(model, partition, alike), _ROUNDING)

    def learn_columns(self, groups, model):
        """The same for a model |A w|**2 / 2 that has columns."""
        for d, alike in self._unknown(groups):
            if d > _LARGEST_BLOCK:
                for g in alike:
                    part = scipy.sparse.linalg.aslinearoperator(model.columns_of(g))
                    self._bound(g, _largest_eigenvalue(part.T @ part))
                continue
            # what float32 cannot tell from zero is bounded from above
            is_double = model.dtype == np.float64
            least, rounding = (0.0, _ROUNDING) if is_double else (_SINGLE_ROUNDING, _SINGLE_ROUNDING)
            self._decompose(alike, model.products_within(alike, d), rounding, least)

    def _unknown(self, groups):
        """Size by size, those of the groups that are not known yet, but are from now on."""
        new = groups[~self.is_known[groups]]
        self.is_known[new] = True
        return by_size(new, self.sizes)

    def _bound(self, g, largest):
        # a flat group may have any curvature: there the penalty alone decides
        self.values[self.firsts[g] : self.firsts[g] + self.sizes[g]] = largest or 1.0

    def _decompose(self, groups, blocks, rounding, least=0.0):
        """Eigenvalues and eigenvectors of the blocks of some groups of one size; small ones become a part of the largest."""
        d = blocks.shape[1]
        diagonal = np.diagonal(blocks, axis1=1, axis2=2)
        has_zero = np.any(diagonal == 0.0, axis=1)
        is_diagonal = np.count_nonzero(blocks, axis=(1, 2)) == np.count_nonzero(diagonal, axis=1)
        rows = self.firsts[groups][:, None] + np.arange(d)
        largest = np.max(diagonal[is_diagonal], axis=1, initial=0.0, keepdims=True)
        # a column of zeros is given a curvature, to which nothing pulls, so that its coefficient returns to zero
        spectrum = np.where(diagonal[is_diagonal] > 0.0, diagonal[is_diagonal], np.where(largest > 0.0, largest, 1.0))
        self.values[rows[is_diagonal]] = spectrum
        self.places[groups[is_diagonal]] = -1
        mixed = groups[~is_diagonal]
        if mixed.size == 0:
            return
        values, vectors = np.linalg.eigh(blocks[~is_diagonal])
        top = values[:, -1:]
        values = np.where(values > rounding * top, values, least * top)
        for k in np.flatnonzero(has_zero[~is_diagonal]):
            values[k], vectors[k] = _decomposed_apart(blocks[~is_diagonal][k])
        self.places[mixed] = self.vectors.size + d * d * np.arange(mixed.size)
        self.values[rows[~is_diagonal]] = values
        self.vectors = np.concatenate([self.vectors, vectors.transpose(0, 2, 1).ravel()])


def by_size(groups, sizes):
    """The sizes of some groups, and the groups of each."""
    if groups.size == 0:
        return []
    found = sizes[groups]
    first = int(found[0])
    if np.all(found == first):
        return [(first, groups)]
    return [(int(d), groups[found == d]) for d in np.unique(found)]


def unknown(partition, p):
    """Nothing is known yet of the groups of p coefficients."""
    sizes = partition.sizes(p).astype(np.intp)
    return BlockCurvature(
        sizes=sizes,
        firsts=np.cumsum(sizes) - sizes,
        places=np.full(sizes.size, -1),
        vectors=np.empty(0),
        values=np.empty(p),
        is_known=np.zeros(sizes.size, dtype=bool),
        scratch=np.empty((5, int(sizes.max(initial=1)))),
    )


def products_of_neighbours(columns, places, d):
    """Products of the columns of each group with one another; the d of a group begin at its place."""
    first = int(places[0])
    if np.array_equal(places, np.arange(first, first + d * places.size, d)):
        rows = columns.T[first : first + d * places.size].reshape(places.size, d, -1)
    else:
        rows = columns.T[places[:, None] + np.arange(d)]
    if d > _SMALL_BLOCK:
        return rows @ rows.transpose(0, 2, 1)
    blocks = np.empty((places.size, d, d), dtype=columns.dtype)
    # so many groups at once as stay near
    width = max(1, _NEAR // (d * rows.shape[2]))
    for start in range(0, places.size, width):
        part, out = rows[start : start + width], blocks[start : start + width]
        for i in range(d):
            out[:, i, i:] = out[:, i:, i] = np.vecdot(part[:, i : i + 1], part[:, i:])
    return blocks


def _decomposed_apart(block):
    """Eigenvalues and eigenvectors of a block some of whose columns are zero: no rounding of others enters these.

    They are given a curvature, to which nothing pulls, so that they return to zero.
    """
    rest = np.flatnonzero(block.diagonal() > 0.0)
    found, turned = np.linalg.eigh(block[rest][:, rest])
    largest = found[-1] if rest.size else 1.0
    values, vectors = np.full(len(block), largest), np.eye(len(block))
    values[rest] = np.where(found > _ROUNDING * largest, found, 0.0)
    vectors[np.ix_(rest, rest)] = turned
    return values, vectors


def _largest_eigenvalue(apply):
    """The largest eigenvalue of an operator (Lanczos, with a fixed start), to rounding from above."""
    start = np.random.default_rng(0).standard_normal(apply.shape[0])
    if not np.any(apply @ start):
        return 0.0
    found = scipy.sparse.linalg.eigsh(apply, k=1, v0=start, tol=1e-6, return_eigenvectors=False)
    return float(found[0]) * (1.0 + 1e-4)
