"""Several losses of the same coefficients as Newton's method sees them: values, slopes, and the curvature of their mean.

A common intercept is one more coefficient, the last one. Losses of least squares are kept as one Gram matrix each, where
these are small; otherwise, and for other losses, all is computed from the samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from sparseopt.losses import LeastSquares, Perturbed

# Numbers in all Gram matrices together, at most.
_LARGEST = 2e7
# A norm curves less than the square that it is the root of, by a rank of one; without that part it is bounded by its model,
# with all of it steps go too far.
_SAFE = 0.9
# How much norms are rounded off, in units of the gap.
_SHARP = 0.1
# Relative size of what is added to the diagonal of a curvature that is not definite, at first.
_RIDGE = 1e-13


class GroupModel(ABC):
    """The losses on some coefficients."""

    n_groups: int
    #: Number of coefficients, an intercept among them.
    size: int

    @abstractmethod
    def move_to(self, x):
        """Values of the losses at x, and their slopes, one a column."""

    @abstractmethod
    def bends(self, d):
        """Second derivative of each loss along d, where `move_to` has been."""

    @abstractmethod
    def factor(self, weights, diagonal):
        """A function that solves (curvature of the mean with these weights + diagonal) d = right."""

    @abstractmethod
    def restrict(self, columns):
        """The same losses of some coefficients."""

    @abstractmethod
    def scaled(self, sizes):
        """The same losses in x * sizes."""

    @abstractmethod
    def sizes(self):
        """Roots of the mean curvature in each coefficient at zero; ones where there is none."""

    @abstractmethod
    def sharpen(self, gap):
        """Come nearer to the losses as the gap closes, where they are rounded off."""

    @abstractmethod
    def take(self, whole, columns):
        """Stand where `whole` does, of which these columns are: what `factor` depends on."""


class GramGroups(GroupModel):
    """Parabolas x'G_g x / 2 - q_g'x + c_g."""

    def __init__(self, grams, pulls, constants):
        self.grams, self.pulls, self.constants = grams, pulls, constants
        self.n_groups, self.size = pulls.shape

    @staticmethod
    def of(loss):
        """The losses of a `WorstCase` of least squares."""
        return GramGroups.from_rows(loss, with_constant(loss))

    @staticmethod
    def from_rows(loss, A):
        """The same on some columns, an intercept among them."""
        stack, grams, pulls, constants = loss.stack, [], [], []
        target, A = stack.y - stack.offset, sparse.csr_array(A) if sparse.issparse(A) else A
        for first, last in zip(stack.starts[:-1].tolist(), stack.starts[1:].tolist(), strict=True):
            part, s, y = A[first:last], stack.weights[first:last], target[first:last]
            rows = sparse.diags_array(np.sqrt(s)) @ part if sparse.issparse(part) else np.sqrt(s)[:, None] * part
            gram = rows.T @ rows
            grams.append(gram.toarray() if sparse.issparse(gram) else gram)
            pulls.append(part.T @ (s * y))
            constants.append(0.5 * float(s @ (y * y)))
        return GramGroups(np.array(grams), np.array(pulls), np.array(constants) - loss.baselines)

    def move_to(self, x):
        curved = self.grams @ x
        return self.constants + (curved / 2 - self.pulls) @ x, (curved - self.pulls).T

    def bends(self, d):
        return (self.grams @ d) @ d

    def hessian(self, weights):
        """The curvature of the mean."""
        return (weights @ self.grams.reshape(self.n_groups, -1)).reshape(self.size, self.size)

    def factor(self, weights, diagonal):
        return solver_of(self.hessian(weights), diagonal)

    def restrict(self, columns):
        grams = self.grams[:, columns[:, None], columns]
        return GramGroups(grams, self.pulls[:, columns], self.constants)

    def take(self, whole, columns):
        """Parabolas curve alike everywhere."""

    def sharpen(self, gap):
        """They are what they are."""

    def scaled(self, sizes):
        return GramGroups(self.grams / sizes[:, None] / sizes, self.pulls / sizes, self.constants)

    def sizes(self):
        return _positive(np.sqrt(np.mean(np.diagonal(self.grams, axis1=1, axis2=2), axis=0)))


class SampleGroups(GroupModel):
    """Losses by their samples."""

    def __init__(self, loss, A):
        self.loss, self.A = loss, A
        self.starts, self.weights = loss.stack.starts, loss.stack.weights
        self.n_groups, self.size = loss.n_groups, A.shape[1]
        self.curvature = None

    def move_to(self, x):
        values, slopes, curvature = self.loss.derivatives(self.A @ x)
        self.curvature = self.weights * curvature
        mass = self.weights * slopes
        columns = [
            self.A[first:last].T @ mass[first:last]
            for first, last in zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)
        ]
        return self.loss.per_loss(values) - self.loss.baselines, np.column_stack(columns)

    def bends(self, d):
        return np.add.reduceat(self.curvature * (self.A @ d) ** 2, self.starts[:-1])

    def factor(self, weights, diagonal):
        rows = np.sqrt(self.curvature * np.repeat(weights, np.diff(self.starts)))[:, None] * self.A
        n, p = rows.shape
        if p <= n:
            return solver_of(rows.T @ rows, diagonal)
        # (D + R'R)**-1 by a system of the size of the samples (Woodbury, 1950)
        diagonal = diagonal + _RIDGE * 1e3 * max(float(np.sum(rows * rows)) / p, 1e-300)
        thin = rows / diagonal
        inner = thin @ rows.T
        inner[np.diag_indices(n)] += 1.0
        solve = solver_of(inner, np.zeros(n))

        def once(right):
            scaled = (right.T / diagonal).T
            return scaled - thin.T @ solve(rows @ scaled)

        def apply(right):
            found = once(right)
            rest = right - (diagonal * found.T).T - rows.T @ (rows @ found)
            return found + once(rest)

        return apply

    def restrict(self, columns):
        return SampleGroups(self.loss, self.A[:, columns])

    def take(self, whole, columns):
        self.curvature = whole.curvature

    def sharpen(self, gap):
        """They are what they are."""

    def scaled(self, sizes):
        return SampleGroups(self.loss, self.A / sizes)

    def sizes(self):
        curvature = self.weights * self.loss.derivatives(np.zeros(len(self.A)))[2] / self.n_groups
        return _positive(np.sqrt(curvature @ (self.A * self.A)))


class NormGroups(GroupModel):
    """The roots of twice the losses of a `GramGroups`: norms of weighted residuals."""

    def __init__(self, inner, blur=None):
        self.inner, self.n_groups, self.size = inner, inner.n_groups, inner.size
        self.norms = self.slopes = None
        #: Norms are roots of squares plus that of this, which rounds them off near zero.
        self.blur = np.sqrt(2.0 * max(float(np.max(inner.constants)), 1e-300)) if blur is None else blur

    def move_to(self, x):
        values, slopes = self.inner.move_to(x)
        self.norms = np.sqrt(np.maximum(2.0 * values, 0.0) + self.blur**2)
        self.slopes = slopes / self.norms
        return self.norms, self.slopes

    def bends(self, d):
        return (self.inner.bends(d) - (d @ self.slopes) ** 2) / self.norms

    def factor(self, weights, diagonal):
        steep = self.slopes * np.sqrt(weights / self.norms)
        return solver_of(self.inner.hessian(weights / self.norms) - _SAFE * steep @ steep.T, diagonal)

    def restrict(self, columns):
        return NormGroups(self.inner.restrict(columns), self.blur)

    def scaled(self, sizes):
        return NormGroups(self.inner.scaled(sizes), self.blur)

    def sizes(self):
        return self.inner.sizes()

    def sharpen(self, gap):
        self.blur = min(self.blur, max(_SHARP * gap, 1e-150))

    def take(self, whole, columns):
        self.norms, self.slopes = whole.norms, whole.slopes[columns]


def _positive(sizes):
    return np.where(sizes > 0.0, sizes, 1.0)


def group_model(loss):
    """The model of a `WorstCase`, or of the lengths of a `Perturbed`, with its intercept."""
    if isinstance(loss, Perturbed):
        return NormGroups(GramGroups.of(loss.loss))
    p, n = loss.n_features + loss.intercept, loss.stack.y.size
    if isinstance(loss.losses[0], LeastSquares) and p <= 2 * n and loss.n_groups * p * p <= _LARGEST:
        return GramGroups.of(loss)
    A = with_constant(loss)
    return SampleGroups(loss, A.toarray() if sparse.issparse(A) else A)


def with_constant(loss):
    """The matrix of all samples, with a column of ones behind it where there is an intercept."""
    A = loss.stack.A
    if not loss.intercept:
        return A
    ones = np.ones((A.shape[0], 1))
    return sparse.csc_array(sparse.hstack([A, sparse.csc_array(ones)])) if sparse.issparse(A) else np.hstack([A, ones])


def solver_of(matrix, diagonal):
    """A function that solves (matrix + diagonal) d = right, with a ridge where that is not positive definite."""
    size = matrix.shape[0]
    if size == 0:
        return np.zeros_like
    matrix[np.diag_indices(size)] += diagonal
    scale = max(float(np.max(matrix.diagonal())), 1e-300)
    if not scale < np.inf:  # no ridge mends what is no number, and none would be large enough
        return lambda right: np.full_like(right, np.nan)
    ridge = 0.0
    while True:
        shifted = matrix.copy()
        shifted[np.diag_indices(size)] += ridge
        factor, fault = lapack.dpotrf(shifted, lower=1, overwrite_a=1)
        if not fault and np.min(factor.diagonal()) > 1e-8 * np.sqrt(_RIDGE) * np.sqrt(scale):
            break
        ridge = max(10.0 * ridge, _RIDGE * scale)
        if ridge > scale:  # there are numbers in it that are none
            return lambda right: np.full_like(right, np.nan)

    def apply(right):
        return lapack.dpotrs(factor, right, lower=1)[0]

    return apply
