"""The curvature of a quadratic in each group of coefficients, decomposed where a solver meets the group."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy

from sparseopt.solvers.curved_samples import curvature_of, curvature_operator

# Largest group whose curvature is decomposed; a larger one is bounded by its largest eigenvalue.
_LARGEST_BLOCK = 500
# Eigenvalues below this part of the largest are rounding.
_ROUNDING = 1e-13


@dataclass
class BlockCurvature:
    """Eigenvalues and eigenvectors of each group known so far, as kernels take them."""

    #: Coefficients of each group, and where its eigenvectors would begin.
    sizes: np.ndarray
    offsets: np.ndarray
    #: Where they begin; -1 for none.
    places: np.ndarray
    vectors: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)
    is_known: np.ndarray = field(repr=False)
    scratch: np.ndarray = field(repr=False)

    def forget(self):
        """All groups are unknown again."""
        self.is_known[:] = False

    def learn(self, model, partition, groups):
        """Decompose the curvature of the model in those of the groups that are not known yet."""
        new = groups[~self.is_known[groups]]
        self.is_known[new] = True
        for d in np.unique(self.sizes[new]):
            alike = new[self.sizes[new] == d]
            if d > _LARGEST_BLOCK:
                for g in alike:
                    first = partition.start(g)
                    # a flat group may have any: there the penalty alone decides
                    self.values[first : first + d] = _largest_curvature(model, partition.columns(g)) or 1.0
                continue
            blocks = np.stack([curvature_of(model, partition.columns(g)) for g in alike])
            values, vectors = np.linalg.eigh(blocks)
            values = np.where(values > _ROUNDING * values[:, -1:], values, 0.0)
            for k in np.flatnonzero(np.any(np.diagonal(blocks, axis1=1, axis2=2) == 0.0, axis=1)):
                values[k], vectors[k] = _decomposed_apart(blocks[k])
            self.places[alike] = self.offsets[alike]
            for g, spectrum, basis in zip(alike, values, vectors, strict=True):
                first, place = partition.start(g), self.places[g]
                self.values[first : first + d] = spectrum
                self.vectors[place : place + d * d] = basis.T.ravel()


def unknown(partition, p):
    """Nothing is known yet of the groups of p coefficients."""
    sizes = partition.sizes(p)
    offsets = np.concatenate([[0], np.cumsum(np.where(sizes <= _LARGEST_BLOCK, sizes * sizes, 0))])
    return BlockCurvature(
        sizes=sizes,
        offsets=offsets,
        places=np.full(sizes.size, -1),
        vectors=np.empty(offsets[-1]),
        values=np.empty(p),
        is_known=np.zeros(sizes.size, dtype=bool),
        scratch=np.empty((5, int(sizes.max(initial=1)))),
    )


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


def _largest_curvature(model, columns):
    """The largest eigenvalue of the curvature in many coefficients (Lanczos, with a fixed start), to rounding from above."""
    apply = curvature_operator(model, columns)
    start = np.random.default_rng(0).standard_normal(apply.shape[0])
    if not np.any(apply @ start):
        return 0.0
    found = scipy.sparse.linalg.eigsh(apply, k=1, v0=start, tol=1e-6, return_eigenvectors=False)
    return float(found[0]) * (1.0 + 1e-4)
