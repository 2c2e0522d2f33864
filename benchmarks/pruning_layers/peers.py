"""SparseGPT and ALPS, written anew from their papers, on the Gram matrix H of a layer's inputs.

Both take a weight of shape (outputs, inputs), as their papers do, and a damped, positive definite H.
They are as quick as NumPy makes them; neither is changed to look worse: SparseGPT works in blocks of 128
columns, ALPS factorises once (eigenvectors) and pays one product for each of its steps and each of its rho.
"""

from __future__ import annotations

import numpy as np


def sparsegpt(gram, weight, sparsity, block=128):
    """Weights by SparseGPT (Frantar and Alistarh, 2023): columns from left to right, the error spread to the right."""
    upper = np.linalg.cholesky(np.linalg.inv(gram)).T.astype(np.float32)
    weight = weight.astype(np.float32)
    inputs = weight.shape[1]
    for start in range(0, inputs, block):
        end = min(start + block, inputs)
        now, factor = weight[:, start:end].copy(), upper[start:end, start:end]
        errors = np.zeros_like(now)
        scores = (now / np.diag(factor)) ** 2
        count = min(int(scores.size * sparsity), scores.size - 1)
        gone = scores <= np.partition(scores.ravel(), count)[count]
        for i in range(end - start):
            left = np.where(gone[:, i], 0, now[:, i])
            errors[:, i] = (now[:, i] - left) / factor[i, i]
            now[:, i:] -= np.outer(errors[:, i], factor[i, i:])
            now[:, i] = left
        weight[:, start:end] = now
        weight[:, end:] -= errors @ upper[start:end, end:]
    return weight


def alps(gram, weight, sparsity, rho=0.1, iterations=200):
    """Weights by ALPS (Meng et al., 2024): a support by alternating directions, then conjugate gradients on it."""
    support = alps_support(gram, weight, sparsity, rho, iterations)
    return conjugate_gradients(gram.astype(np.float32), weight.astype(np.float32), support)


def alps_support(gram, weight, sparsity, rho=0.1, iterations=200):
    """Support by ADMM on the Gram scaled to unit diagonal, with the paper's rule for the penalty rho."""
    scale = np.sqrt(np.diag(gram))
    scaled = (gram / scale / scale[:, None]).astype(np.float32)
    dense = (weight * scale).astype(np.float32)
    cross = dense @ scaled
    values, vectors = np.linalg.eigh(scaled.astype(np.float64))
    kept = round((1 - sparsity) * weight.size)
    dual, old = np.zeros_like(dense), _largest(dense, kept)
    sparse = np.where(old, dense, 0)
    inverse = _shifted_inverse(values, vectors, rho)
    has_started = False
    for iteration in range(1, iterations + 1):
        free = (cross - dual + np.float32(rho) * sparse) @ inverse
        moved = free + dual / np.float32(rho)
        support = _largest(moved, kept)
        sparse = np.where(support, moved, 0)
        dual = dual + np.float32(rho) * (free - sparse)
        if iteration % 3:
            continue
        changes = int((support != old).sum())
        old = support
        if changes / kept > 0.1:
            rho, has_started = rho * 1.3, True
        elif changes / kept > 0.005:
            rho, has_started = rho * 1.2, True
        elif changes > 0 and has_started:
            rho *= 1.1
        elif changes == 0 and has_started:
            break
        else:
            rho /= 5
        inverse = _shifted_inverse(values, vectors, rho)
        if iteration >= 30 and changes / kept < 3e-4:
            break
    return _largest(free, kept)


def conjugate_gradients(gram, weight, support, iterations=30, tolerance=1e-4):
    """Refit of all rows at once on their supports, preconditioned by the diagonal (the second half of ALPS)."""
    diagonal = 1 / np.diag(gram)
    found = np.where(support, weight, 0)
    residual = np.where(support, (weight - found) @ gram, 0)
    preconditioned = residual * diagonal
    direction = preconditioned.copy()
    size = np.sum(residual * preconditioned, axis=1)
    first = size.copy()
    for _ in range(iterations):
        product = np.where(support, direction @ gram, 0)
        curvature = np.sum(direction * product, axis=1)
        step = (size / np.where(curvature > 0, curvature, 1))[:, None]
        found += step * direction
        residual -= step * product
        preconditioned = residual * diagonal
        new = np.sum(residual * preconditioned, axis=1)
        if (new <= tolerance**2 * first).all():
            break
        direction = preconditioned + (new / np.where(size > 0, size, 1))[:, None] * direction
        size = new
    return found


def _largest(array, count):
    sizes = np.abs(array).ravel()
    return np.abs(array) >= np.partition(sizes, sizes.size - count)[sizes.size - count]


def _shifted_inverse(values, vectors, rho):
    return ((vectors / (values + rho)) @ vectors.T).astype(np.float32)
