"""Supports of a whole layer by alternating directions on one Gram matrix, whatever its size.

With W the dense least squares weights, one row an output, and the Gram H in units of what each input says that the
others do not, the steps

    free   = (W H + rho (sparse - dual)) (H + rho)^-1
    sparse = the largest entries of free + dual, the others zero
    dual   = free + dual - sparse

seek the support that fits best (Meng et al., "ALPS", 2024), while rho grows until the support rests.
Here the sum `moved` = free + dual is the only state: `sparse` is its large entries, `dual` its small ones. So a step
is one product in single precision and two passes over the weights, and a new rho one Cholesky factor, where
ALPS takes the eigenvectors of H. Rho grows by a constant factor: at the same number of steps this finds better
supports than growth by how much the support changes. And a weight is worth w^2 times what its input has of its
own, where ALPS takes its whole square: what the others say as well, they will say when it goes.
"""

from __future__ import annotations

import math

import numpy as np
import scipy

from sparseopt.kernels.alternating import BUCKETS, OTHERS, advance, changes, conjugate_step, cut, mirror, reflect

# Steps between two values of rho: an inverse costs as much as two of them. Fewer do where so many times the changes
# of a support at rest are left.
EVERY, FEWER, NEARLY = 5, 3, 5
# Growth of rho from which on so many changes count as rest as for this one.
USUAL = 1.04
# Most steps, or as many as rho takes to grow by such a factor: the nearer its growth is to 1, the more.
MOST, FURTHEST = 300, 1e5
# Weights that are sorted to find the threshold, rather than counted, which is right to some thousandths of them.
FEW = 1 << 14
# Inputs that have nothing in common keep a part q of their weights under a ridge (1 - q) / q. So much of it stands for what is
# not kept, since inputs have something in common, and at least this, for the sake of rounding.
RIDGE, LEAST_RIDGE = 0.2, 0.03
# Least part of its square that an input counts as its own, for the sake of rounding.
LEAST = 1e-4


def alternating_directions(gram, dense, kept, scale, *, rho=0.45, growth=1.04, rest=0.01) -> np.ndarray:
    """Weights before the small ones are dropped: the support is where they, times `scale`, are largest.

    Parameters
    ----------
    gram : array of shape (inputs, inputs)
        Positive definite.
    dense : array of shape (outputs, inputs)
        Least squares weights on all inputs.
    kept : int
        Weights of the layer to keep, at least one.
    scale : array of shape (inputs,)
        In which weights are compared, see `own_scale`.
    rho : float
        Penalty to begin with: that scale makes it mean the same for all Grams. Lowered until the support moves: one
        that never moves is that of the largest weights.
    growth : float
        Factor of rho in each step; nearer to 1 is slower and better.
    rest : float
        Part of the kept weights that may change between two values of rho without the support counting as at rest,
        for a growth of 1.04; of a slower one less.
    """
    rest *= min(math.log(growth) / math.log(USUAL), 1.0)
    iterations = max(MOST, math.ceil(math.log(FURTHEST) / math.log(growth)))
    scaled = (gram / scale / scale[:, None]).astype(np.float32)
    dense = np.ascontiguousarray(dense * scale, np.float32)
    moved, reflected, product = dense.copy(), np.empty_like(dense), np.empty_like(dense)
    bits, support = moved.view(np.int32), np.empty(dense.shape, bool)
    counts = np.bincount((bits.ravel() & 0x7FFFFFFF) >> OTHERS, minlength=BUCKETS)

    def threshold():
        if moved.size <= FEW:
            return np.partition(np.abs(moved), moved.size - kept, axis=None)[moved.size - kept]
        return np.int32(cut(counts, kept)).view(np.float32)

    limit, has_moved = threshold(), False
    changes(moved, limit, support)
    inverse = shifted_inverse(scaled, rho)
    # The first dual is zero.
    factor, following = np.float32(0), EVERY
    for iteration in range(1, iterations + 1):
        reflect(moved, dense, limit, factor, reflected)
        np.matmul(reflected, inverse, out=product)
        advance(moved, dense, product, np.float32(rho), limit, factor, bits, counts)
        limit, factor = threshold(), np.float32(1)
        if iteration < following:
            continue
        changed = changes(moved, limit, support)
        is_at_rest = changed <= rest * kept
        if is_at_rest and has_moved:
            break
        has_moved = has_moved or not is_at_rest
        following += FEWER if has_moved and changed <= NEARLY * rest * kept else EVERY
        before, rho = rho, rho * growth**EVERY if has_moved else rho / 5
        # The dual is scaled by rho.
        factor = np.float32(before / rho)
        inverse = shifted_inverse(scaled, rho)
    # The dual is the slope of the loss over rho, and the slope over the diagonal is the weight that it offers.
    offers = np.maximum(np.float32(rho) / scaled.diagonal(), np.float32(1))
    moved *= np.where(np.abs(moved) < limit, offers, np.float32(1))
    return moved / scale.astype(np.float32)


def scale_of(gram) -> np.ndarray:
    """Root mean square of each input."""
    return np.sqrt(gram.diagonal())


def own_scale(gram, part) -> np.ndarray:
    """Root mean square of what each input says that the others do not, of which a `part` is kept.

    The others are fitted to it with a ridge, in units of their own squares, see `ridge_of`.
    """
    scale, ridge = scale_of(gram), np.float32(ridge_of(part))
    inverse = shifted_inverse((gram / scale / scale[:, None]).astype(np.float32), ridge)
    # The inverse of a diagonal entry of the inverse is what is left of the input, and the ridge.
    own = np.maximum(1 / inverse.diagonal() - ridge, np.float32(LEAST))
    return scale * np.sqrt(own)


def ridge_of(part) -> float:
    """Ridge that says as little of an input as this part of the others: the fewer are kept, the more it is on its own."""
    return max(RIDGE * (1 - part) / part, LEAST_RIDGE)


def dense_weights(gram, cross) -> np.ndarray:
    """Least squares weights on all inputs in single precision, of shape (outputs, inputs) like `cross`."""
    scale = scale_of(gram)
    factor, failed = scipy.linalg.lapack.spotrf((gram / scale / scale[:, None]).astype(np.float32).T, lower=True)
    if failed:
        return scipy.linalg.solve(gram, cross.T, assume_a="pos").T
    solution, _ = scipy.linalg.lapack.spotrs(factor, (cross / scale).astype(np.float32).T, lower=True)
    return solution.T / scale


def shifted_inverse(scaled, rho) -> np.ndarray:
    """Inverse of a single precision matrix plus rho."""
    shifted = scaled.T.copy(order="F")
    diagonal = np.diag_indices(len(shifted))
    shifted[diagonal] += np.float32(rho)
    inverse = inverse_of(shifted)
    while inverse is None:
        # Rounding took more than a small rho gives.
        shifted[diagonal] += np.float32(1e-4) * scaled.diagonal()
        inverse = inverse_of(shifted)
    return inverse


def inverse_of(square) -> np.ndarray | None:
    """Inverse of a single precision matrix in columns, None where rounding has made it indefinite."""
    factor, failed = scipy.linalg.lapack.spotrf(square, lower=True)
    if failed:
        return None
    inverse, _ = scipy.linalg.lapack.spotri(factor, lower=True, overwrite_c=True)
    mirror(inverse)
    return inverse


def conjugate_gradients(gram, cross, dense, support, start, iterations=50, tolerance=1e-4) -> np.ndarray:
    """Least squares weights of all outputs at once, each on its support, in single precision.

    Every output takes steps of its own, preconditioned by the diagonal (Hestenes and Stiefel, 1952).

    Parameters
    ----------
    gram : array of shape (inputs, inputs)
    cross, dense, support, start : arrays of shape (outputs, inputs)
        `dense` are the weights without a support; `start` is where to begin: the nearer, the fewer steps.
    iterations : int
    tolerance : float
        Part of the loss above that of the dense weights below which a step's gain ends the run.
    """
    single = gram.astype(np.float32)
    found = np.where(support, start, 0).astype(np.float32)
    # The first residual is a difference of large numbers, so it is taken in double precision.
    residual = cross - found.astype(np.float64) @ gram
    excess = np.vdot(dense, cross) - np.vdot(found, cross + residual)
    _descend(single, support, found, residual, iterations, tolerance * excess)
    return found


def complement_gradients(gram, cross, dense, support, start, iterations=50, tolerance=1e-4) -> np.ndarray:
    """The same by the weights that are to be zero, T, which is the shorter way where they are not the most.

    With C the inverse of the Gram and w the dense weights, the loss that T costs is the largest x'w - x'C x / 2 over x
    on T, and the weights that are left are w - C x: the same steps, of another matrix, whose parts are far better
    conditioned than those of the Gram. At the best x is the slope of the loss, so that it begins there.
    """
    scale = scale_of(gram)
    scaled = (gram / scale / scale[:, None]).astype(np.float32)
    inverse = inverse_of(scaled.T.copy(order="F"))
    if inverse is None:
        return conjugate_gradients(gram, cross, dense, support, start, iterations, tolerance)
    wanted, scale = (dense * scale).astype(np.float32), scale.astype(np.float32)
    found = (wanted - np.where(support, start * scale, np.float32(0))) @ scaled
    found[support] = 0
    product = found @ inverse
    gain, curvature = (np.einsum("ij,ij->i", found, other) for other in (wanted, product))
    # As far along the slope as is best, so that the loss is known to be positive.
    step = np.maximum(gain, 0) / np.where(curvature > 0, curvature, 1)
    found *= step[:, None]
    residual = wanted - step[:, None] * product
    _descend(inverse, ~support, found, residual, iterations, tolerance * float(step @ gain))
    return np.where(support, wanted - found @ inverse, np.float32(0)) / scale


def _descend(square, support, found, residual, iterations, least):
    """Steps of conjugate gradients until one gains less than half of `least`; changes `found`."""
    inverse_diagonal = 1 / square.diagonal()
    residual = np.where(support, residual, 0).astype(np.float32, copy=False)
    direction = residual * inverse_diagonal
    sizes = np.einsum("ij,ij->i", residual, direction, dtype=np.float64)
    product = np.empty_like(found)
    for _ in range(iterations):
        np.matmul(direction, square, out=product)
        if conjugate_step(support, product, inverse_diagonal, found, residual, direction, sizes) <= least:
            break
